"""The studies as they are run: which runs, each once, what each leaves, and what its endings and choices are."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file

from pneumo_lib import choices, cli, endings, experiments, studies, study, workflow
from pneumo_lib.errors import ParameterError, StepError
from pneumo_lib.study import Job


def test_the_base_is_trained_once_for_all_studies():
    found = study.jobs()
    assert len(found) == len(set(found))
    assert found[:2] == [Job("two-stage", "A", 0), Job("two-stage", "A", 1)], "the order of the plan"
    for name, arm in (("channels", "three"), ("batch", "40-14"), ("augmentation", "full"), ("schedule", "plateau-5")):
        assert study.resolve(name, arm) == ("two-stage", "A")
        assert study.jobs(name, arm, [4]) == [Job("two-stage", "A", 4)]
    # Its base has another plateau.
    assert study.resolve("restart", "new") == ("restart", "new")
    assert study.jobs("averaging", seeds=[0]) == [Job("two-stage", "A", 0), Job("two-stage", "B", 0)]
    assert study.jobs("post-processing", seeds=[0]) == [Job("two-stage", "A", 0)]


def test_the_primary_arms_and_their_nearest_control_have_six_seeds_and_the_others_three():
    found = pd.Series([(job.study, job.arm) for job in study.jobs()]).value_counts()
    six = [("two-stage", "A"), ("two-stage", "B"), ("rate", "one-stage-2x")]
    assert set(found[six]) == {6}
    assert set(found.drop(six)) == {3}


def test_every_arm_differs_from_its_base_in_what_it_names_and_has_a_stream_of_its_own():
    streams = set()
    for one in studies.STUDIES.values():
        for arm in one.arms:
            experiment = study.experiment_of(one.name, arm.name)
            streams.add(experiments.stream(experiment, 0))
            if study.resolve(one.name, arm.name) == (one.name, arm.name) != ("two-stage", "A"):
                base = study.experiment_of("two-stage", "A")
                differs = set(experiments.differences(experiment, base)) - set(one.base_override)
                assert arm.name in ("new", "A") or differs, (one.name, arm.name)
    assert len(streams) == sum(len(one.arms) for one in studies.STUDIES.values())


@pytest.mark.parametrize("profile", ["study", "paper"])
def test_arms_at_equal_compute_have_it(profile):
    def compute(arm: str) -> int:
        return sum(
            stage.epochs * stage.image_size**2 for stage in study.experiment_of("two-stage", arm, profile).stages
        )

    # Half an epoch of the larger size at most, as epochs are whole.
    largest = study.experiment_of("two-stage", "A", profile).stages[-1].image_size ** 2
    for arm in "BDEF":
        assert abs(compute(arm) - compute("A")) <= largest / 2, arm
    assert compute("C") > compute("A")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["all", "A"], "an arm belongs to a study"),
        (["two-stage", "Z"], "unknown arm 'Z' of study two-stage; choose from A, B"),
        (["two-step"], "unknown study 'two-step'; choose from two-stage"),
    ],
)
def test_wrong_names_list_the_right_ones(arguments, message):
    with pytest.raises(ParameterError, match=message):
        study.jobs(*arguments)


def test_seeds_are_whole_numbers():
    assert study.parse_seeds(" 0, 3,") == [0, 3] and study.parse_seeds("") is None
    for wrong in ("1.5", "-1", "x"):
        with pytest.raises(ParameterError, match="seeds must be whole numbers"):
            study.parse_seeds(wrong)


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("study")
        patch.setenv("PNEUMO_HOME", str(folder))
        yield folder


@pytest.fixture(scope="module")
def run(home):
    """Arm A of the study two-stage at the smallest scale, run to its end and kept."""
    one = study.start("two-stage", "A", 0, profile="smoke")
    assert not study.is_done(one)
    assert study.run_one(one, keep=True)
    return one


def test_a_run_leaves_record_endings_and_choices_and_is_not_run_twice(run):
    assert study.is_done(run)
    before = {path: path.stat().st_mtime_ns for path in run.folder.rglob("*") if path.is_file()}
    assert not study.run_one(run)
    assert {path: path.stat().st_mtime_ns for path in run.folder.rglob("*") if path.is_file()} == before


def test_a_second_command_runs_nothing(run, capsys):
    assert cli.main(["study", "two-stage", "--arm", "A", "--seeds", "0", "--profile", "smoke", "--missing"]) == 0
    assert "two-stage A seed 0" not in capsys.readouterr().out
    assert cli.main(["study", "two-stage", "--arm", "B", "--seeds", "0", "--profile", "smoke", "--missing"]) == 0
    assert "two-stage B seed 0" in capsys.readouterr().out


def test_what_is_missing_is_made_without_training_again(run, monkeypatch):
    (run.folder / "choices.csv").unlink()
    assert not study.is_done(run)
    monkeypatch.setattr(workflow, "train_run", None)
    assert study.run_one(run, keep=True)
    assert study.is_done(run)


def test_the_ending_of_the_run_itself_scores_as_its_record(run):
    """exp4 averages over its last epochs, so at this scale of one epoch a stage every mean is of that one epoch."""
    own = pd.read_csv(run.folder / "per_image.csv")
    table = pd.read_csv(run.folder / "endings" / "thresholds.csv").set_index("ending")
    assert list(table.index) == list(endings.ENDINGS)
    found = pd.read_csv(run.folder / "endings" / "mean-5.csv")
    assert found.image_id.tolist() == own.image_id.tolist() and found.truth_px.tolist() == own.truth_px.tolist()
    # DSC is written with four digits.
    np.testing.assert_allclose(found.dsc, own.dsc, rtol=0, atol=6e-5)
    assert table.dsc["mean-5"] == pytest.approx(own.dsc.mean(), abs=1e-4)


def test_the_default_choice_scores_as_the_record_and_choosing_on_test_is_no_worse(run):
    own = pd.read_csv(run.folder / "per_image.csv")
    found = pd.read_csv(run.folder / "choices.csv")
    assert list(found.columns[3:]) == list(choices.CHOICES)
    np.testing.assert_allclose(found.default, own.dsc, rtol=0, atol=6e-5)
    assert found["on-test"].mean() >= found.default.mean() - 1e-4
    table = pd.read_csv(run.folder / "choices-thresholds.csv").set_index("choice")
    assert table.rule[["mask", "triplet"]].tolist() == ["mask", "triplet"]
    assert table.removal_threshold[["no-removal", "component-3072"]].tolist() == ["0", "3072"]


def test_the_last_epochs_weights_are_an_ending_and_means_are_means(run):
    folder = run.folder / "trajectory"
    last = endings.network(run, folder, "last").state_dict()
    epochs = sorted(folder.glob("epoch*.safetensors"))
    assert epochs
    newest = load_file(epochs[-1])
    assert all(torch.equal(last[name].cpu(), newest[name]) for name in newest)


def test_tidying_keeps_what_is_small(run):
    study.tidy(run.folder)
    left = {path.name for path in run.folder.iterdir()}
    assert {"record.json", "per_image.csv", "choices.csv", "endings"} <= left and not left & set(study.BIG)
    assert study.is_done(run)
    with pytest.raises(StepError):
        workflow.model(run)


def test_a_tidied_run_says_which_study_to_run_and_is_trained_again_for_what_is_missing(run, monkeypatch):
    with pytest.raises(StepError, match="first run: pneumo study two-stage --arm A --seeds 0 --profile smoke$"):
        workflow.model(run)
    assert (run.folder / "record.json").is_file(), "a prediction that cannot be made deletes nothing"
    (run.folder / "endings" / "thresholds.csv").unlink()
    before = pd.read_csv(run.folder / "per_image.csv")
    assert study.run_one(run) and study.is_done(run)
    pd.testing.assert_frame_equal(pd.read_csv(run.folder / "per_image.csv"), before)


def test_new_maps_discard_what_was_made_of_the_old_ones(run, monkeypatch):
    monkeypatch.setattr(workflow, "model", lambda _: None)
    monkeypatch.setattr(workflow, "predict_to", None)
    for part, left in (("test", {"thresholds.json"}), ("validation", set())):
        (run.folder / "record.json").touch()
        with pytest.raises(TypeError):
            workflow.predict(run, part, [])
        assert {"record.json", "thresholds.json"} & {path.name for path in run.folder.iterdir()} == left


def test_a_study_without_arms_of_its_own_cannot_be_started(home):
    with pytest.raises(ParameterError, match="no arms of its own"):
        study.experiment_of("averaging", "last")
    assert Path(study.start("averaging", "A", 2, profile="smoke").folder).parts[-3:] == ("two-stage", "A", "seed2")
