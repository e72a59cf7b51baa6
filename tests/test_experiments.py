"""The registry against the deck's table, and what a wrong name gives."""

import dataclasses
import json

import pytest

from pneumo_lib import experiments, profiles, published
from pneumo_lib.errors import ParameterError
from pneumo_lib.experiments import Experiment

DECK = published.tables().query("table == 'experiments'")


def test_every_number_of_the_decks_table_is_in_the_registry():
    checked = 0
    for row in DECK.itertuples():
        experiment = experiments.get(row.row, "paper")
        if row.column == "epochs_512" and row.status.startswith("ambiguous"):
            assert len(experiment.stages) == 1, "exp1's lone 17 is read as a stray cell"
            assert experiments.get("exp1-two-stage").stages[1].epochs == int(row.value)
            continue
        here = {
            "swa": lambda e: "yes" if e.averaged_epochs else "no",
            "binarization_threshold": lambda e: e.binarization_threshold,
            "channels": lambda e: e.channels,
            "batch_256": lambda e: e.stages[0].batch_size,
            "epochs_256": lambda e: e.stages[0].epochs,
            "batch_512": lambda e: e.stages[1].batch_size,
            "epochs_512": lambda e: e.stages[1].epochs,
        }[row.column](experiment)
        assert (here if isinstance(here, str) else float(here)) == (
            row.value if isinstance(here, str) else float(row.value)
        )
        assert [stage.image_size for stage in experiment.stages] == [256, 512][: len(experiment.stages)]
        checked += 1
    assert checked == len(DECK) - 1


def test_experiments_without_a_second_stage_in_the_deck_have_none():
    with_stage2 = set(DECK[DECK["column"] == "batch_512"]["row"])
    assert {name for name, e in experiments.EXPERIMENTS.items() if len(e.stages) == 2} == with_stage2


def test_exp3_starts_from_the_same_first_stage_as_exp2():
    exp2, exp3 = experiments.get("exp2"), experiments.get("exp3")
    assert exp3.starts_from == "exp2"
    assert exp3.stages[0] == exp2.stages[0]
    assert set(experiments.differences(exp3, exp2)) == {"stages", "starts_from"}


@pytest.mark.parametrize("profile", ["paper", "demo", "study", "smoke"])
@pytest.mark.parametrize("name", experiments.VARIANTS)
def test_a_variant_overrides_one_thing_at_every_scale(name, profile):
    variant = experiments.get(name, profile)
    changed = experiments.differences(variant, experiments.previous(variant))
    assert len(changed) == 1, changed


def test_the_variants_are_those_that_the_book_names():
    assert list(experiments.VARIANTS) == [
        "exp1-summed", "exp1-two-stage", "exp3-own", "exp4-cosine", "exp4-averaged-statistics", "exp4-imagenet",
        "exp4-unnormalised", "exp4-one-stage", "exp4-patience-6", "exp5-text",
    ]  # fmt: skip


def test_derive_overrides_exactly_one_field():
    base = experiments.get("exp4", "study")
    assert experiments.derive(base, "arm", schedule="cosine") == dataclasses.replace(
        base, name="arm", schedule="cosine"
    )
    for wrong in ({}, {"schedule": "cosine", "restart": "rate"}, {"stage2_rate": 1}, {"name": "exp9"}):
        with pytest.raises(ParameterError, match="exactly one field"):
            experiments.derive(base, "arm", **wrong)
    with pytest.raises(ParameterError, match="unknown schedule='linear'; choose from plateau, cosine"):
        experiments.derive(base, "arm", schedule="linear")
    with pytest.raises(ParameterError, match="cosine"):
        experiments.derive(experiments.get("exp4-cosine"), "arm", restart="nothing")


@pytest.mark.parametrize("name", [*experiments.EXPERIMENTS, *experiments.VARIANTS])
def test_from_dict_reads_what_as_dict_wrote_to_json(name):
    experiment = experiments.get(name, "demo")
    written = json.loads(json.dumps(experiment.as_dict()))
    assert written == experiment.as_dict() and Experiment.from_dict(written) == experiment


def test_from_dict_refuses_an_older_form():
    with pytest.raises(ParameterError, match="another version"):
        Experiment.from_dict({"name": "exp1", "stage1": None})


def test_every_pair_of_experiment_and_seed_has_a_stream_of_its_own():
    names = [*experiments.EXPERIMENTS, *experiments.VARIANTS]
    streams = {experiments.stream(name, seed) for name in names for seed in range(10)}
    assert len(streams) == 10 * len(names) and all(0 <= one < 2**32 for one in streams)
    # The same on every machine and in every process, so a number that is written down here.
    assert experiments.stream("exp4", 0) == experiments.stream(experiments.get("exp4", "smoke"), 0) == 688664668


def test_the_study_and_the_real_profile_are_as_planned():
    def stages(profile):
        return [(s.image_size, s.batch_size, s.epochs, s.rate) for s in experiments.get("exp4", profile).stages]

    assert stages("study") == [(64, 8, 13, 1.0), (128, 6, 7, 1.0)]
    assert profiles.PROFILES["study"].phantom_subsets == (600, 400, 2000)
    assert stages("real") == [(128, 16, 15, 1.0), (256, 14, 7, 0.7)]
    real = experiments.get("exp4", "real")
    assert (real.learning_rate, real.averaged_epochs, real.augmentation_strength) == (1e-3, 3, 0.5)
    assert (real.encoder_weights, real.schedule) == ("imagenet", "cosine")


def test_departures_name_what_a_profile_changes_of_the_method():
    assert profiles.departures(experiments.get("exp4")).empty
    demo = profiles.departures(experiments.get("exp4", "demo"))
    assert {"epochs until a plateau", "averaged epochs (SWA)", "augmentation strength", "encoder weights"} <= set(
        demo.index
    )
    assert demo.loc["image size"].tolist() == ["64 → 128", "256 → 512"]
    real = profiles.departures(experiments.get("exp4", "real"))
    assert real.loc["schedule"].tolist() == ["cosine", "plateau"] and "epochs until a plateau" not in real.index
    assert real.loc["initial rate of stage 2", "here"] == "0.7 x the first one's"
    assert "averaged epochs (SWA)" not in profiles.departures(experiments.get("exp1", "demo")).index


@pytest.mark.parametrize("name", ["exp9", "", "EXP1", 4, True, None, ["exp1"]])
def test_an_unknown_name_lists_the_valid_ones(name):
    with pytest.raises(ParameterError, match="exp1, exp2, exp3, exp4, exp5"):
        experiments.get(name)


@pytest.mark.parametrize("profile", ["Paper", "", 1, None])
def test_an_unknown_profile_lists_the_valid_ones(profile):
    with pytest.raises(ParameterError, match="paper, half, demo, study, real, smoke"):
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
