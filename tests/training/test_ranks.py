"""Several processes train as one."""

import socket
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from pneumo_lib import training
from pneumo_lib.data.batches import EpochOrder, validation_loader
from pneumo_lib.experiments import Stage
from pneumo_lib.model import distributed, weights
from pneumo_lib.training import TrainingError
from pneumo_lib.training.trainer import TrainerSetup

sys.path.append(str(Path(__file__).parent))
import toy  # noqa: E402


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def run_as_two(folder: Path, **options) -> None:
    port = free_port()
    started = [toy.process(toy.run_as_rank, folder, rank, 2, port, options) for rank in range(2)]
    for process in started:
        process.join()
    assert [process.exitcode for process in started] == [0, 0]


def test_two_processes_give_the_loss_curve_of_one(tmp_path):
    """Both stages with averaging over gloo; each process has half of every batch.

    Stage 2 begins with the same weights on both sides, and both take short steps. On the same weights the losses agree to
    3e-7 and the gradients to 5e-5 of their length (a few rectifiers flip); Adam makes whole steps of what rounding leaves
    of gradients that are next to nothing, so that at 1e-4 the curves end 3e-3 apart, as do two of one process whose
    weights differ by one part in ten million.
    """
    first = tmp_path / "one" / "stage1.safetensors"
    first_run, second_run = (
        {"name": "exp2", "learning_rate": 1e-5},
        {"name": "exp3", "learning_rate": 1e-5, "first": first},
    )
    for stage, options in ((1, first_run), (2, second_run)):
        toy.run(tmp_path / "one", **options)
        run_as_two(tmp_path / "two", **options)
        one, two = (pd.read_csv(tmp_path / name / f"stage{stage}.csv") for name in ("one", "two"))
        # The same sums in another order: measured 4e-7 to 2e-5 at steps of 1e-5.
        for column in ("train_loss", "val_loss"):
            assert two[column].to_numpy() == pytest.approx(one[column].to_numpy(), abs=1e-4)
        one, two = (weights.metadata(tmp_path / name / f"stage{stage}.safetensors") for name in ("one", "two"))
        assert two["cost"]["processes"] == 2 and two["settings"] == one["settings"]
        # After averaging and the pass for batch norm, too.
        assert two["validation"]["val_loss"] == pytest.approx(one["validation"]["val_loss"], abs=1e-4)


def test_accumulating_takes_as_many_steps_of_the_same_images(tmp_path):
    experiment = toy.experiment("exp2", epochs=2)
    whole = training.train(experiment, toy.ToyData(), tmp_path / "whole", workers=0)
    parts = training.train(experiment, toy.ToyData(), tmp_path / "parts", workers=0, accumulate=2)
    assert parts.stages[0]["settings"] == whole.stages[0]["settings"]
    # Not equal, as Dice and batch norm see half of a batch at a time, but the same amount of training.
    ends = [result.history["train_loss"].iloc[-1] for result in (whole, parts)]
    assert ends[0] != ends[1] and ends[0] == pytest.approx(ends[1], abs=0.2)


def test_processes_share_out_every_batch():
    shares = [list(EpochOrder(10, 4, seed=0, stage=1, rank=rank, world=2)) for rank in range(2)]
    alone = list(EpochOrder(10, 4, seed=0, stage=1))
    assert len(alone) == 8 and [len(share) for share in shares] == [4, 4]
    for step in range(2):
        assert {*shares[0][2 * step : 2 * step + 2], *shares[1][2 * step : 2 * step + 2]} == {
            *alone[4 * step : 4 * step + 4]
        }


@pytest.mark.parametrize("world", [1, 2, 3])
def test_every_validation_image_is_seen_once(world):
    part = toy.ToyData().part("validation", 32)
    seen = [
        image.numpy()
        for rank in range(world)
        for batch in validation_loader(part, 4, rank, world)
        for image in batch[0]
    ]
    assert len(seen) == len(part)
    assert sorted(image.sum() for image in seen) == sorted(np.asarray(part.images).sum((1, 2)))


def test_a_batch_that_cannot_be_shared_out_is_refused():
    with pytest.raises(TrainingError, match="batch of 14 images; .* one of 1, 2, 7"):
        TrainerSetup(local=4).check(Stage(512, 14, 10), 100)


def test_torchrun_and_slurm_are_recognised(monkeypatch):
    assert TrainerSetup.here(workers=0).world == 1
    with monkeypatch.context() as patch:
        for name, value in {"TASKS": 8, "NODES": 2}.items():
            patch.setenv(f"SLURM_STEP_NUM_{name}", str(value))
        patch.setenv("SLURM_PROCID", "5")
        with pytest.raises(TrainingError, match="--ntasks-per-node 2"):
            TrainerSetup.here(workers=0)
        patch.setenv("SLURM_NTASKS_PER_NODE", "4")
        machine = TrainerSetup.here(workers=0)
        assert (machine.launcher, machine.rank, machine.local, machine.nodes) == ("slurm", 5, 4, 2)
    for name, value in {"RANK": 3, "WORLD_SIZE": 4, "LOCAL_WORLD_SIZE": 2}.items():
        monkeypatch.setenv(name, str(value))
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "x")
    machine = TrainerSetup.here(workers=0)
    assert (machine.launcher, machine.rank, machine.local, machine.nodes) == ("torchrun", 3, 2, 2)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_synchronised_batch_norm_is_pytorchs_own(monkeypatch, dtype):
    """As one of two processes with the same images: statistics, running values and gradients of the layer alone."""
    plain = nn.Sequential(nn.BatchNorm2d(3))
    nn.init.uniform_(plain[0].weight)
    ours = distributed.synchronised(nn.Sequential(nn.BatchNorm2d(3)), "cpu")
    ours.load_state_dict(plain.state_dict())
    images = torch.randn(4, 3, 5, 5, generator=torch.Generator().manual_seed(0)).to(dtype)
    one, other = images.clone().requires_grad_(), images[:2].clone().requires_grad_()
    monkeypatch.setattr(distributed, "world_size", lambda: 2)
    # The second process has the other half.
    wide = images.float()
    halves = iter([wide[2:].mean((0, 2, 3)), (wide[2:] - wide.mean((0, 2, 3), keepdim=True)).square().mean((0, 2, 3))])
    monkeypatch.setattr(distributed, "all_sum", lambda tensor: tensor + next(halves))
    expected, found = plain(one), ours(other)
    # Float32 sums in another order; rounded to bfloat16 they may fall on the next of its steps, 2^-8 of a value up to 4.
    assert found.dtype == dtype
    assert torch.allclose(found, expected[:2], atol=1e-5 if dtype == torch.float32 else 2**-6)
    for name, value in plain.state_dict().items():
        assert torch.allclose(ours.state_dict()[name], value, atol=1e-6), name
