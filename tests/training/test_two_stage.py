"""Training whole stages on toy images: what is written, what is repeated, what settings do."""

import json
import math
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
import torch
from safetensors.torch import load_file

from pneumo_lib import parameters, training
from pneumo_lib.errors import ParameterError
from pneumo_lib.model import unet, weights
from pneumo_lib.training import TrainingError
from pneumo_lib.training.two_stage import TrainingResult

sys.path.append(str(Path(__file__).parent))
import toy  # noqa: E402


def same_weights(a: Path, b: Path) -> bool:
    first, second = load_file(a), load_file(b)
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


def timeless(path: Path) -> pd.DataFrame:
    return pd.read_csv(path).drop(columns=["images_per_second", "seconds", "energy_joules"])


def test_leaves_weights_and_history_of_both_stages_and_no_checkpoints(finished):
    folder, result = finished
    assert sorted(path.name for path in folder.glob("[!.]*")) == [
        "log.txt", "stage1.csv", "stage1.safetensors", "stage2.csv", "stage2.safetensors",
    ]  # fmt: skip
    assert result.history[["stage", "image_size", "epoch"]].to_numpy().tolist() == [
        [1, 32, 1], [1, 32, 2], [1, 32, 3], [2, 64, 1], [2, 64, 2], [2, 64, 3],
    ]  # fmt: skip
    # The learning rate is re-initialised for the second stage.
    assert result.history.groupby("stage")["learning_rate"].first().tolist() == [1e-3, 1e-3]
    assert [stage["settings"]["stage"] for stage in result.stages] == [1, 2]
    assert json.loads(json.dumps(result.stages)) == result.stages


def test_learns(finished):
    losses = finished[1].history.groupby("stage")["train_loss"]
    assert (losses.last() < losses.first()).all()


def test_the_second_stage_starts_from_the_first(tmp_path, finished):
    """With nothing learnt in it, stage 2 ends with stage 1's weights: only batch-norm statistics are estimated again."""
    folder = tmp_path / "run"
    experiment = toy.experiment()
    training.train(replace(experiment, learning_rate=0.0), toy.ToyData(), folder, workers=0)
    first, second = load_file(folder / "stage1.safetensors"), load_file(folder / "stage2.safetensors")
    learnt = [name for name in first if "running" not in name and "num_batches" not in name]
    assert learnt and all(torch.equal(first[name], second[name]) for name in learnt)
    other = load_file(finished[0] / "stage2.safetensors")
    assert not torch.equal(second[learnt[0]], other[learnt[0]])


def test_a_finished_run_is_not_trained_again(finished):
    folder, result = finished
    before = (folder / "stage2.safetensors").stat().st_mtime_ns
    again = training.train(toy.experiment(), toy.ToyData(), folder, workers=0)
    assert (folder / "stage2.safetensors").stat().st_mtime_ns == before
    pd.testing.assert_frame_equal(again.history, result.history)


def test_a_history_of_another_attempt_is_refused_by_name(finished, tmp_path):
    stages = [Path(shutil.copy(finished[0] / f"stage1.{kind}", tmp_path)) for kind in ("safetensors", "csv")][:1]
    assert len(TrainingResult.read(stages).history) == 3
    rows = pd.read_csv(tmp_path / "stage1.csv")
    rows.head(1).to_csv(tmp_path / "stage1.csv", index=False)
    with pytest.raises(TrainingError, match=r"stage1\.csv has 1 of the 3 epochs of stage1\.safetensors.* force=True"):
        TrainingResult.read(stages)
    (tmp_path / "stage1.csv").unlink()
    with pytest.raises(TrainingError, match=r"stage1\.csv cannot be read .*train again"):
        TrainingResult.read(stages)


def test_training_again_discards_what_was_made_of_the_old_weights(finished, tmp_path, monkeypatch):
    folder = shutil.copytree(finished[0], tmp_path / "run")
    made = ("thresholds.json", "validation.npy", "test.npy", "record.json")
    for name in made:
        (folder / name).write_text("of the old weights")
    training.train(toy.experiment(), toy.ToyData(), folder, workers=0)
    assert all((folder / name).is_file() for name in made), "nothing was trained"
    monkeypatch.setattr("pneumo_lib.training.stage.run", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        training.train(toy.experiment(), toy.ToyData(), folder, workers=0, force=True)
    # Stage 2 would otherwise count as finished once stage 1 is.
    assert not any((folder / name).exists() for name in (*made, "stage2.safetensors"))


def test_other_settings_are_refused_by_name(finished):
    with pytest.raises(TrainingError, match="another seed .*force"):
        training.train(toy.experiment(), toy.ToyData(), finished[0], seed=1, workers=0)
    with pytest.raises(TrainingError, match="another experiment"):
        training.train(toy.experiment(learning_rate=0.5), toy.ToyData(), finished[0], workers=0)


def test_one_seed_one_result_whatever_the_workers(finished, tmp_path):
    training.train(toy.experiment(), toy.ToyData(), tmp_path, workers=2)
    for stage in (1, 2):
        assert same_weights(finished[0] / f"stage{stage}.safetensors", tmp_path / f"stage{stage}.safetensors")
        pd.testing.assert_frame_equal(
            timeless(finished[0] / f"stage{stage}.csv"), timeless(tmp_path / f"stage{stage}.csv")
        )


def test_another_seed_another_result(finished, tmp_path):
    training.train(toy.experiment(epochs=1), toy.ToyData(), tmp_path / "a", seed=1, workers=0)
    training.train(toy.experiment(epochs=1), toy.ToyData(), tmp_path / "b", seed=2, workers=0)
    assert not same_weights(tmp_path / "a" / "stage1.safetensors", tmp_path / "b" / "stage1.safetensors")


def test_exp3_takes_over_exp2s_first_stage(tmp_path):
    data = toy.ToyData()
    exp2, exp3 = toy.experiment("exp2", epochs=1), toy.experiment("exp3", epochs=1)
    training.train(exp2, data, tmp_path / "exp2", workers=0)
    first = tmp_path / "exp2" / "stage1.safetensors"
    result = training.train(exp3, data, tmp_path / "exp3", first_stage=first, workers=0)
    assert [stage["settings"]["experiment"]["name"] for stage in result.stages] == ["exp2", "exp3"]
    assert not (tmp_path / "exp3" / "stage1.safetensors").exists()
    with pytest.raises(TrainingError, match="starts from exp2"):
        training.train(exp3, data, tmp_path / "other", workers=0)


def test_without_averaging_the_best_epoch_is_kept(tmp_path):
    """exp1: the weights give the lowest validation loss of the history, not the last."""
    experiment = toy.experiment("exp1", epochs=4)
    result = training.train(experiment, toy.ToyData(), tmp_path, workers=0)
    # 1e-5: the same network in eval mode, batches summed in another order.
    assert result.stages[0]["validation"]["val_loss"] == pytest.approx(result.history["val_loss"].min(), abs=1e-5)


def test_the_average_is_the_mean_of_the_last_epochs(tmp_path):
    """Window 1 gives the last epoch's weights, so the mean over 2 follows from windows of runs one epoch shorter."""
    data = toy.ToyData()
    for name, epochs, window in (("mean", 4, 2), ("first", 3, 1), ("second", 4, 1)):
        training.train(toy.experiment("exp2", epochs=epochs, averaged_epochs=window), data, tmp_path / name, workers=0)
    mean, first, second = (load_file(tmp_path / name / "stage1.safetensors") for name in ("mean", "first", "second"))
    key = "segmentation_head.0.weight"
    assert torch.allclose(mean[key], (first[key] + second[key]) / 2, atol=1e-7)  # one rounding of float32
    assert not torch.equal(mean[key], second[key])


def test_the_averages_batch_norm_is_estimated_again(tmp_path):
    """Its statistics are those of the averaged network on the training images, not the mean of statistics."""
    training.train(toy.experiment("exp2", epochs=2), toy.ToyData(), tmp_path, workers=0)
    state = load_file(tmp_path / "stage1.safetensors")
    # A cumulative average over the 3 batches of one pass, so counted from zero.
    assert int(state["encoder.bn1.num_batches_tracked"]) == 3


def test_the_learning_rate_falls_on_a_plateau(tmp_path):
    """Nothing learnt and patience 1: by the deck's factor after every epoch that is not better than the best before."""
    experiment = toy.experiment("exp2", epochs=4, learning_rate=1e-6, plateau_patience=1, averaged_epochs=1)
    history = training.train(experiment, toy.ToyData(), tmp_path, workers=0).history
    best, rate, rates = math.inf, 1e-6, []
    for loss in history["val_loss"]:
        rates.append(rate)
        # Keras: only a loss lower by more than 1e-4 is a better one.
        better = loss < best - 1e-4
        best, rate = (loss, rate) if better else (best, rate * 0.2)
    assert history["learning_rate"].tolist() == pytest.approx(rates)


def test_the_second_stage_begins_at_its_own_rate(tmp_path):
    experiment = toy.experiment(epochs=1, learning_rate=1e-4)
    first, second = experiment.stages
    experiment = replace(experiment, stages=(first, replace(second, rate=0.5)))
    history = training.train(experiment, toy.ToyData(), tmp_path, workers=0).history
    assert history["learning_rate"].tolist() == pytest.approx([1e-4, 5e-5])


def test_the_plan_says_what_train_does(finished):
    plan = training.plan(toy.experiment(), toy.ToyData())
    assert plan["steps"].tolist() == [9, 9] and plan["training images"].tolist() == [12, 12]
    assert training.plan(toy.experiment("exp3"), toy.ToyData())["steps"].tolist() == [0, 9]


def test_bfloat16_learns_alike_and_keeps_float32_weights(tmp_path):
    results = {
        name: training.train(toy.experiment("exp2"), toy.ToyData(), tmp_path / name, workers=0, precision=name)
        for name in ("32", "bf16")
    }
    losses = [result.history["train_loss"] for result in results.values()]
    # 8 bits of mantissa: each convolution's output is off by up to 2^-9 of itself.
    assert losses[0].tolist() != losses[1].tolist() and losses[1].to_numpy() == pytest.approx(losses[0], abs=0.03)
    state = load_file(tmp_path / "bf16" / "stage1.safetensors")
    assert {tensor.dtype for tensor in state.values()} == {torch.float32, torch.int64}
    assert results["bf16"].cost()["precision"].tolist() == ["bf16"]


def test_a_finished_stage_serves_every_precision_unless_another_is_asked_for(finished):
    folder, result = finished
    again = training.train(toy.experiment(), toy.ToyData(), folder, workers=0, precision="32")
    pd.testing.assert_frame_equal(again.history, result.history)
    with pytest.raises(TrainingError, match=r"another precision \(32-true\)"):
        training.train(toy.experiment(), toy.ToyData(), folder, workers=0, precision="bf16")


def test_weights_load_into_a_fresh_network(finished):
    model = weights.load(finished[0] / "stage2.safetensors", unet.build(toy.experiment())).eval()
    with torch.no_grad():
        probability = torch.sigmoid(model(unet.as_input(toy.ToyData().part("validation", 64).images, 3)))
    assert math.isfinite(float(probability.sum()))


def test_tensorboard_shows_the_history_and_changes_no_result(tmp_path, finished):
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    result = training.train(toy.experiment(), toy.ToyData(), tmp_path, workers=0, logger="tensorboard")
    for number in (1, 2):
        assert same_weights(tmp_path / f"stage{number}.safetensors", finished[0] / f"stage{number}.safetensors")
        events = accumulator.EventAccumulator(str(tmp_path / "tensorboard" / f"stage{number}")).Reload()
        history = result.history[result.history["stage"] == number]
        for name in ("train_loss", "learning_rate", "val_loss", "val_dsc"):
            shown = [event.value for event in events.Scalars(name)]
            # The last validation is that of the averaged weights; events are float32.
            assert shown[: len(history)] == pytest.approx(history[name].tolist(), rel=1e-6)


def test_a_logger_without_its_package_says_how_to_get_it(monkeypatch):
    monkeypatch.setattr(parameters, "find_spec", lambda name: None)
    with pytest.raises(ParameterError, match=r"pip install 'pneumo-lib\[tensorboard\]'"):
        parameters.checked_logger("tensorboard")
