"""The settings of the recipe that are ours to show: streams, schedules, restarts, averaged statistics, curves, cores."""

import os
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from pneumo_lib import experiments, training
from pneumo_lib.data import augmentation
from pneumo_lib.data.batches import EpochOrder
from pneumo_lib.training import TrainingError, common_grid, module
from pneumo_lib.training.common_grid import CommonGrid

sys.path.append(str(Path(__file__).parent))
import toy  # noqa: E402
from test_interrupted import assert_same  # noqa: E402


def trained(folder: Path, name: str = "exp2", **changes):
    return training.train(toy.experiment(name, **changes), toy.ToyData(), folder, workers=0)


def same(a: Path, b: Path) -> bool:
    first, second = load_file(a), load_file(b)
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


def test_pipelines_of_one_seed_share_no_first_epoch(tmp_path):
    """exp2 and exp4 have the same first stage but for its length: the first epochs must differ all the same."""
    results = [trained(tmp_path / name, name, epochs=1) for name in ("exp2", "exp4")]
    first, second = (result.history["train_loss"][0] for result in results)
    assert first != second
    orders = [list(EpochOrder(12, 4, experiments.stream(name, 0), stage=1)) for name in ("exp2", "exp4")]
    assert orders[0] != orders[1]


def test_exp3_own_trains_another_first_stage_than_exp2s(tmp_path):
    trained(tmp_path / "exp2", "exp2", epochs=1)
    trained(tmp_path / "exp3-own", "exp3-own", epochs=1)
    assert not same(tmp_path / "exp2" / "stage1.safetensors", tmp_path / "exp3-own" / "stage1.safetensors")


@pytest.mark.parametrize("patience", [1, 2, 5])
def test_the_rate_falls_after_exactly_patience_epochs_without_improvement(patience):
    """As Keras' ReduceLROnPlateau; PyTorch's own count is one more."""
    experiment = replace(experiments.get("exp2", "smoke"), plateau_patience=patience, learning_rate=1.0)
    one = module.SegmentationModule(torch.nn.Linear(1, 1), experiment)
    one.configure_optimizers()
    rates = []
    for loss in [1.0] + [1.0] * 2 * patience:
        one.plateau.step(loss)
        rates.append(one.rate)
    expected = [1.0] * patience + [0.2] * patience + [0.04]
    assert rates == pytest.approx(expected)


def test_cosine_lowers_the_rate_within_each_stage_as_the_follow_up_code_does(tmp_path):
    history = trained(tmp_path, "exp4", epochs=4, learning_rate=1e-3, schedule="cosine").history
    once = [1e-3 * (1 + np.cos(np.pi * epoch / 4)) / 2 for epoch in range(4)]
    assert history["learning_rate"].tolist() == pytest.approx(once + once)


RESTARTS = ["rate and optimizer", "rate", "nothing"]


@pytest.fixture(scope="module")
def restarted(tmp_path_factory):
    """restart → folder and result; a loss that cannot improve, so that the rate falls in the first stage."""
    found = {}
    for restart in RESTARTS:
        folder = tmp_path_factory.mktemp("restart")
        experiment = toy.experiment("exp4", learning_rate=1e-6, plateau_patience=1, restart=restart)
        found[restart] = folder, training.train(experiment, toy.ToyData(), folder, workers=0)
    return found


def test_restart_says_which_rate_the_second_stage_begins_with(restarted):
    for restart, (_, result) in restarted.items():
        first, second = (result.history[result.history["stage"] == n]["learning_rate"].tolist() for n in (1, 2))
        if restart == "nothing":
            assert second[0] <= first[-1]
        else:
            assert second[0] == pytest.approx(1e-6)


def test_restart_says_which_moments_the_second_stage_begins_with(restarted):
    ends = {restart: folder / "stage2.safetensors" for restart, (folder, _) in restarted.items()}
    starts = {restart: folder / "stage1.safetensors" for restart, (folder, _) in restarted.items()}
    assert same(starts["rate"], starts["nothing"]) and same(starts["rate"], starts["rate and optimizer"])
    assert not same(ends["rate"], ends["rate and optimizer"])
    for folder, _ in restarted.values():
        assert not list(folder.glob("*optimizer*"))


def test_a_lost_optimizer_is_said_so(tmp_path, restarted):
    folder, _ = restarted["rate"]
    for name in ("stage1.safetensors", "stage1.csv"):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    with pytest.raises(TrainingError, match="stage1-optimizer.safetensors.* cannot be read .*force"):
        training.train(
            toy.experiment("exp4", learning_rate=1e-6, plateau_patience=1, restart="rate"),
            toy.ToyData(),
            tmp_path,
            workers=0,
        )


def test_averaged_statistics_are_the_mean_of_the_epochs(tmp_path):
    for name, epochs, window in (("mean", 4, 2), ("first", 3, 1), ("second", 4, 1)):
        trained(tmp_path / name, epochs=epochs, averaged_epochs=window, averaged_statistics=True)
    mean, first, second = (load_file(tmp_path / name / "stage1.safetensors") for name in ("mean", "first", "second"))
    for key in ("encoder.bn1.running_mean", "encoder.bn1.running_var", "segmentation_head.0.weight"):
        assert torch.allclose(mean[key], (first[key] + second[key]) / 2, rtol=1e-5, atol=1e-7)
    assert int(mean["encoder.bn1.num_batches_tracked"]) == int(second["encoder.bn1.num_batches_tracked"])


@pytest.mark.parametrize(
    "changes",
    [{"schedule": "cosine"}, {"averaged_statistics": True}, {"restart": "rate"}, {"restart": "nothing"}],
    ids=lambda changes: "-".join(map(str, changes.items())),
)
def test_a_training_that_was_cut_off_ends_the_same(tmp_path, monkeypatch, changes):
    """Cut off in each stage, in the middle of its last epoch but one."""
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    trained(whole, "exp4", **changes)
    original, steps = module.SegmentationModule.training_step, []

    def stops(self, batch, batch_idx):
        steps.append(batch_idx)
        if len(steps) in (5, 5 + 6 + 5):
            raise RuntimeError("cut off")
        return original(self, batch, batch_idx)

    with monkeypatch.context() as patch:
        patch.setattr(module.SegmentationModule, "training_step", stops)
        for _ in range(2):
            with pytest.raises(RuntimeError, match="cut off"):
                trained(cut, "exp4", **changes)
    trained(cut, "exp4", **changes)
    assert_same(whole, cut)


def test_the_result_does_not_depend_on_the_number_of_cores(tmp_path, finished):
    """A small profile trains with one thread, whatever this process was given."""
    before = torch.get_num_threads()
    torch.set_num_threads(max(2, os.cpu_count() or 2))
    try:
        trained(tmp_path, "exp4")
        assert torch.get_num_threads() == max(2, os.cpu_count() or 2)
    finally:
        torch.set_num_threads(before)
    assert_same(finished[0], tmp_path)


def test_the_history_has_the_curve_of_the_studies(finished):
    history = finished[1].history
    used = 12  # images per epoch, three batches of 4
    compute = [used * 32**2 * n for n in (1, 2, 3)] + [used * (3 * 32**2 + n * 64**2) for n in (1, 2, 3)]
    assert history["compute"].tolist() == compute
    curves = ["val_dsc", "val_positive_dsc", "grid_dsc", "grid_positive_dsc"]
    assert history[curves].apply(lambda column: column.between(0, 1)).all(axis=None)


def test_a_perfect_network_scores_nearly_1_on_the_common_grid():
    part, truth = toy.ToyData().part("validation", 64), common_grid.truth(toy.ToyData(), "validation", 64)
    grid = CommonGrid(np.packbits(truth, axis=-1), [range(8)])
    logged = {}
    grid.on_validation_epoch_start(None, None)
    grid.on_validation_batch_end(None, None, torch.from_numpy(part.masks)[:, None].float(), None, 0)
    grid.on_validation_epoch_end(None, SimpleNamespace(log=logged.__setitem__))
    assert logged["grid_dsc"] > 0.99 and logged["grid_positive_dsc"] > 0.98


def test_the_augmentation_lists():
    image = np.arange(64 * 64, dtype=np.uint8).reshape(64, 64)
    mask = (image > 100).astype(np.uint8)
    plain, flip = augmentation.training(64, listed="none"), augmentation.training(64, listed="flip")
    seen = set()
    for seed in range(20):
        for pipeline in (plain, flip):
            pipeline.set_random_seed(seed)
        assert np.array_equal(plain(image=image, mask=mask)["image"], image)
        out = flip(image=image, mask=mask)
        flipped = np.array_equal(out["image"], image[:, ::-1])
        assert flipped or np.array_equal(out["image"], image)
        assert np.array_equal(out["mask"], mask[:, ::-1] if flipped else mask)
        seen.add(flipped)
    assert seen == {True, False}
