"""The registry against the deck's table, and what a wrong name gives."""

import dataclasses

import pytest

from pneumo_lib import experiments, profiles, published
from pneumo_lib.errors import ParameterError
from pneumo_lib.experiments import Experiment

DECK = published.tables().query("table == 'experiments'")


def test_every_number_of_the_decks_table_is_in_the_registry():
    checked = 0
    for row in DECK.itertuples():
        experiment = experiments.get(row.row, "paper")
        stage1, stage2 = experiment.stage1, experiment.stage2
        if row.column == "epochs_512" and row.status.startswith("ambiguous"):
            assert stage2 is None, "exp1's lone 17 is read as a stray cell"
            continue
        here = {
            "swa": lambda e: "yes" if e.averaged_epochs else "no",
            "binarization_threshold": lambda e: e.binarization_threshold,
            "channels": lambda e: e.channels,
            "batch_256": lambda e: e.stage1.batch_size,
            "epochs_256": lambda e: e.stage1.epochs,
            "batch_512": lambda e: e.stage2.batch_size,
            "epochs_512": lambda e: e.stage2.epochs,
        }[row.column](experiment)
        assert (here if isinstance(here, str) else float(here)) == (
            row.value if isinstance(here, str) else float(row.value)
        )
        assert stage1.image_size == 256 and (stage2 is None or stage2.image_size == 512)
        checked += 1
    assert checked == len(DECK) - 1


def test_experiments_without_a_second_stage_in_the_deck_have_none():
    with_stage2 = set(DECK[DECK["column"] == "batch_512"]["row"])
    assert {name for name, e in experiments.EXPERIMENTS.items() if e.stage2} == with_stage2


def test_exp3_starts_from_the_same_first_stage_as_exp2():
    exp2, exp3 = experiments.get("exp2"), experiments.get("exp3")
    assert exp3.starts_from == "exp2"
    assert exp3.stage1 == exp2.stage1
    assert set(experiments.differences(exp3, exp2)) == {"stage2", "starts_from"}


def test_the_other_readings_override_one_thing():
    assert set(experiments.differences(experiments.get("exp3-own"), experiments.get("exp3"))) == {"starts_from"}
    text = experiments.get("exp5-text")
    assert (text.stage1.batch_size, text.stage2.batch_size) == (40, 14)
    assert set(experiments.differences(text, experiments.get("exp5"))) == {"stage1", "stage2"}


@pytest.mark.parametrize("name", ["exp9", "", "EXP1", 4, True, None, ["exp1"]])
def test_an_unknown_name_lists_the_valid_ones(name):
    with pytest.raises(ParameterError, match="exp1, exp2, exp3, exp4, exp5"):
        experiments.get(name)


@pytest.mark.parametrize("profile", ["Paper", "", 1, None])
def test_an_unknown_profile_lists_the_valid_ones(profile):
    with pytest.raises(ParameterError, match="paper, half, demo, smoke"):
        experiments.get("exp1", profile)


@pytest.mark.parametrize("profile", profiles.PROFILES)
@pytest.mark.parametrize("name", [*experiments.EXPERIMENTS, *experiments.VARIANTS])
def test_a_profile_keeps_what_makes_a_pipeline(name, profile):
    paper_scale, scaled = experiments.get(name), experiments.get(name, profile)
    for field in ("channels", "binarization_threshold", "starts_from", "plateau_factor"):
        assert getattr(scaled, field) == getattr(paper_scale, field)
    assert bool(scaled.averaged_epochs) == bool(paper_scale.averaged_epochs)
    assert len(scaled.stages) == len(paper_scale.stages)
    for stage in scaled.stages:
        # Five halvings in the encoder, and batch norm needs two images where only one pixel is left.
        assert stage.image_size % 32 == 0 and stage.batch_size >= 2 and stage.epochs >= 1


def test_profile_paper_changes_nothing():
    for name, experiment in experiments.EXPERIMENTS.items():
        assert experiments.get(name, "paper") == experiment


def test_every_field_has_a_source_and_a_meaning():
    for field in dataclasses.fields(Experiment):
        assert field.metadata["source"] and field.metadata["meaning"], field.name
