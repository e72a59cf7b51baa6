"""Training that is killed, stopped or runs out of disk space resumes and ends with the same result."""

import os
import random
import signal
import sys
import time
from pathlib import Path

import pandas as pd
import pytest
import torch
from safetensors.torch import load_file

from pneumo_lib import training
from pneumo_lib.training import TrainingError, module

sys.path.append(str(Path(__file__).parent))
import toy  # noqa: E402


def assert_same(finished: Path, folder: Path) -> None:
    """Bit-identical weights and history, and no file left over."""
    assert sorted(path.name for path in folder.iterdir()) == sorted(path.name for path in finished.iterdir())
    for stage in (1, 2):
        one, other = (load_file(path / f"stage{stage}.safetensors") for path in (finished, folder))
        assert one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)
        one, other = (pd.read_csv(path / f"stage{stage}.csv") for path in (finished, folder))
        times = ["images_per_second", "seconds", "energy_joules"]
        pd.testing.assert_frame_equal(one.drop(columns=times), other.drop(columns=times))


def to_the_end(folder: Path, *arguments) -> None:
    process = toy.process(toy.run, folder, *arguments)
    process.join()
    assert process.exitcode == 0


@pytest.mark.parametrize("precision", ["32", "bf16"])
def test_killed_at_any_moment(tmp_path, precision):
    """SIGKILL at random moments of one training, three or PNEUMO_KILLS of them."""
    arguments = ("exp4", precision)
    chance = random.Random(int(os.environ.get("PNEUMO_KILLS_SEED", 0)))
    to_the_end(tmp_path / "timed", *arguments)
    began = time.perf_counter()
    to_the_end(tmp_path / "timed again", *arguments)
    whole = time.perf_counter() - began
    for _ in range(int(os.environ.get("PNEUMO_KILLS", 3))):
        process = toy.process(toy.run, tmp_path / "killed", *arguments)
        process.join(chance.uniform(0.1, 0.7) * whole)
        process.kill()
        process.join()
    to_the_end(tmp_path / "killed", *arguments)
    assert_same(tmp_path / "timed", tmp_path / "killed")


@pytest.mark.parametrize("moment", ["batch-norm pass", "between the stages", "half a checkpoint"])
def test_killed_at_the_worst_moment(finished, tmp_path, moment):
    process = toy.process(toy.run_and_die, tmp_path, moment)
    process.join()
    assert process.exitcode == -signal.SIGKILL
    to_the_end(tmp_path)
    assert_same(finished[0], tmp_path)


def test_a_full_disk_keeps_the_last_checkpoint(finished, tmp_path):
    queue = toy._processes.Queue()
    process = toy.process(toy.run_on_a_full_disk, tmp_path, queue)
    message = queue.get(timeout=300)
    process.join()
    # exp4 averages, so that there is one checkpoint an epoch; the second does not fit.
    assert "last.ckpt could not be written (File too large)" in message
    kept = torch.load(tmp_path / "stage1-checkpoints" / "last.ckpt", weights_only=True)
    assert kept["epoch"] == 0
    to_the_end(tmp_path)
    assert_same(finished[0], tmp_path)


def test_ctrl_c_is_a_keyboard_interrupt_and_training_goes_on_after_it(finished, tmp_path, monkeypatch):
    """Lightning alone would end the process, and ignore Ctrl-C from then on."""
    # A shell starts background jobs with Ctrl-C ignored; Python's own handler is what a terminal gives.
    handler, calls = signal.default_int_handler, []
    before = signal.signal(signal.SIGINT, handler)
    original = module.SegmentationModule.training_step

    def interrupted(self, batch, batch_idx):
        calls.append(batch_idx)
        if len(calls) == 5:
            os.kill(os.getpid(), signal.SIGINT)
        return original(self, batch, batch_idx)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(module.SegmentationModule, "training_step", interrupted)
        training.train(toy.experiment(), toy.ToyData(), tmp_path, workers=0)
    assert signal.getsignal(signal.SIGINT) is handler
    signal.signal(signal.SIGINT, before)
    training.train(toy.experiment(), toy.ToyData(), tmp_path, workers=0)
    assert_same(finished[0], tmp_path)
    log = (tmp_path / "log.txt").read_text(encoding="utf-8")
    told = ("seed 0, on", "stage 1, epoch 1 of 3", "stopped after epoch", "resumes after epoch", "stage 2 is trained")
    assert [log.find(text) for text in told] == sorted(log.find(text) for text in told) and "stage 2 of 2" in log
    assert all(text in log for text in told)


def test_a_checkpoint_of_other_settings_is_refused(tmp_path):
    process = toy.process(toy.run_and_die, tmp_path, "batch-norm pass")
    process.join()
    with pytest.raises(TrainingError, match="another seed .*force"):
        training.train(toy.experiment(), toy.ToyData(), tmp_path, seed=1, workers=0)
    with pytest.raises(TrainingError, match=r"another precision \(32-true\)"):
        training.train(toy.experiment(), toy.ToyData(), tmp_path, workers=0, precision="bf16")


def test_a_loss_that_is_not_finite_stops_with_epoch_batch_and_rate(tmp_path):
    with pytest.raises(TrainingError, match=r"in epoch \d+, by batch \d+, at learning rate 1e\+30"):
        training.train(toy.experiment("exp2", learning_rate=1e30), toy.ToyData(), tmp_path, workers=0)
    assert not (tmp_path / "stage1.safetensors").exists()
