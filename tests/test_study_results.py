"""The analysis of the studies on invented runs: a known effect is found, none is not, and missing runs are said to be."""

import importlib.util
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pneumo_lib import experiments, studies, study_results
from pneumo_lib.errors import ParameterError, RecordError
from pneumo_lib.study_results import NOT_RESOLVED, NOT_RUN, REFUTED, SUPPORTED

_spec = importlib.util.spec_from_file_location("invented_study", Path(__file__).with_name("invented_study.py"))
invented_study = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(invented_study)
IMAGES, cohort, invented = invented_study.IMAGES, invented_study.cohort, invented_study.invented
write_run, write_study = invented_study.write_run, invented_study.write_study


@pytest.mark.parametrize(("endpoint", "shift", "speed"), [
    ("dsc", 0.1, 1), ("positive_dsc", 0.1, 1), ("auroc", 0.3, 1), ("area", 0, 2), ("area_dsc", 0, 2), ("reach", 0, 2),
])  # fmt: skip
def test_a_known_effect_is_found_with_its_sign(endpoint, shift, speed):
    random = np.random.default_rng(1)
    better, worse = invented(random, 6, shift, speed), invented(random, 6)
    for a, b, said in ((better, worse, SUPPORTED), (worse, better, REFUTED)):
        found = study_results.compare(endpoint, a, b)
        assert study_results.verdict(endpoint, found, found.p) == said
    assert (found.interval.value < 0) == (endpoint != "reach")


@pytest.mark.parametrize("endpoint", ["dsc", "area"])
def test_without_an_effect_about_95_percent_are_not_resolved(endpoint):
    random, studies_invented, wrong = np.random.default_rng(2), 300, 0
    for _ in range(studies_invented):
        found = study_results.compare(endpoint, invented(random, 3), invented(random, 3))
        wrong += study_results.verdict(endpoint, found, found.p) != NOT_RESOLVED
    # 5 % of 300 are 15, with a standard deviation of 3.8; three of these on either side, and t may be conservative below.
    assert 2 <= wrong <= 27


def test_endings_of_one_run_are_paired_by_run():
    random = np.random.default_rng(3)
    last = invented(random, 6)
    # What the runs share, 0.02 between seeds, leaves the difference.
    mean = [replace(one, images=one.images.assign(dsc=one.images["dsc"] + 0.01)) for one in last]
    for one in mean:
        one.images["dsc"] += random.normal(0, 0.01, IMAGES)
    paired, unpaired = (study_results.compare("dsc", mean, last, paired=kind) for kind in (True, False))
    assert study_results.verdict("dsc", paired, paired.p) == SUPPORTED
    assert study_results.verdict("dsc", unpaired, unpaired.p) == NOT_RESOLVED


def test_records_give_verdicts_of_the_whole_plan(tmp_path):
    random = np.random.default_rng(4)
    write_study(tmp_path, invented(random, 6, 0.3), invented(random, 6))
    found = study_results.analyse(tmp_path)
    assert found.label == "on phantoms, at 64 → 128 px"
    assert list(found.results) == list(studies.STUDIES)
    said = {one.comparison.endpoint: one.verdict for one in found.primary()}
    assert said == {"dsc": SUPPORTED, "auroc": SUPPORTED, "area": NOT_RESOLVED, "reach": NOT_RESOLVED}
    assert not any(one.partial for one in found.primary())
    rest = [one for some in found.results.values() for one in some if one.comparison.b != "B"]
    assert {one.verdict for one in rest} == {NOT_RUN}


def test_arms_like_the_base_are_the_runs_of_a(tmp_path):
    random = np.random.default_rng(5)
    write_study(tmp_path, invented(random, 6), [])
    for seed, outcome in enumerate(invented(random, 3, -0.1)):
        write_run(tmp_path, "augmentation", "none", seed, outcome)
    full, *_ = study_results.analyse(tmp_path).results["augmentation"]
    assert (full.pair, full.seeds, full.verdict) == ("full \u2212 none", (6, 3), SUPPORTED)


def test_primary_p_values_are_those_of_holm_over_four(tmp_path):
    random = np.random.default_rng(6)
    write_study(tmp_path, invented(random, 4, 0.02), invented(random, 4))
    found = study_results.analyse(tmp_path).primary()
    smallest = min(found, key=lambda one: one.difference.p)
    assert smallest.p == pytest.approx(min(1, 4 * smallest.difference.p))
    assert all(one.p >= one.difference.p and one.partial for one in found)


def test_one_seed_resolves_nothing(tmp_path):
    random = np.random.default_rng(7)
    write_study(tmp_path, invented(random, 1, 0.3), invented(random, 1))
    for one in study_results.analyse(tmp_path).primary():
        assert (one.verdict, one.p, one.seeds) == (NOT_RESOLVED, 1, (1, 1))


def test_a_missing_arm_is_not_run_and_no_records_at_all_too(tmp_path):
    write_study(tmp_path, invented(np.random.default_rng(8), 3), [])
    for folder in (tmp_path, tmp_path / "none", None):
        found = study_results.analyse(folder)
        assert {one.verdict for one in found.primary()} == {NOT_RUN}
        assert found.label == "on phantoms, at 64 → 128 px"


def test_endings_and_choices_are_read_beside_the_record(tmp_path):
    runs = invented(np.random.default_rng(9), 3)
    write_study(tmp_path, runs, [])
    for seed, one in enumerate(runs):
        folder = tmp_path / "studies" / "two-stage" / "A" / f"seed{seed}"
        (folder / "endings").mkdir()
        for ending, gain in (("last", 0.0), ("mean-5", 0.02 + seed / 1000)):
            table = one.images.assign(dsc=one.images["dsc"] + gain * (one.images["patient_id"] % 2))
            table.to_csv(folder / "endings" / f"{ending}.csv", index=False)
        choices = cohort().assign(default=one.images["dsc"])
        choices.assign(**{"on-test": choices["default"]}).to_csv(folder / "choices.csv", index=False)
    found = study_results.analyse(tmp_path).results
    averaged = found["averaging"][0]
    assert (averaged.verdict, averaged.seeds, averaged.planned) == (SUPPORTED, (3, 3), (12, 12))
    on_test = next(one for one in found["post-processing"] if one.comparison.a == "on-test")
    # Nothing differs at all: no interval, and no verdict from one.
    assert (on_test.verdict, on_test.difference.interval.value) == (NOT_RESOLVED, 0)


def test_the_curve_counts_up_to_the_compute_that_both_arms_have_spent():
    random = np.random.default_rng(10)
    a, b = invented(random, 3, epochs=10), invented(random, 3, epochs=8)
    assert study_results.limit_of([*a, *b]) == 8e7
    slow = invented(random, 3, speed=0.01, epochs=8)
    # Runs that do not reach the target count with the limit, in megapixels.
    assert study_results.compare("reach", slow, a).per_seed == pytest.approx(
        [80 - np.mean([study_results._reach(one) for one in a]) / 1e6] * 3
    )


def test_runs_on_other_images_are_refused():
    a = invented(np.random.default_rng(11), 1)
    other = [replace(a[0], run="seed 1", images=a[0].images.assign(truth_px=5))]
    with pytest.raises(RecordError, match="seed 0 and seed 1 have different test images"):
        study_results.compare("dsc", a, other)
    with pytest.raises(RecordError, match="no column max_probability"):
        study_results.compare("auroc", [replace(a[0], images=a[0].images.drop(columns="max_probability"))] * 2, a)
    with pytest.raises(ParameterError, match="unknown endpoint"):
        study_results.compare("speed", a, a)


def test_records_of_two_scales_are_not_mixed(tmp_path):
    run = invented(np.random.default_rng(12), 1)[0]
    write_run(tmp_path / "one", "two-stage", "A", 0, run)
    write_run(tmp_path / "two", "two-stage", "A", 0, run, profile="smoke")
    with pytest.raises(RecordError, match="phantom-smoke, phantom-study"):
        study_results.find(tmp_path)


def test_runs_whose_rate_was_never_lowered_are_counted(tmp_path):
    one = invented(np.random.default_rng(13), 1)[0]
    lowered = replace(one, history=one.history.assign(learning_rate=np.linspace(1e-3, 1e-4, len(one.history))))
    write_run(tmp_path, "restart", "new", 0, one)
    write_run(tmp_path, "restart", "continued", 0, lowered)
    runs = study_results.find(tmp_path)
    assert study_results.never_lowered(runs, studies.get("restart")) == (1, 2)


def test_the_plan_names_what_the_analysis_knows():
    assert set(study_results.CURVES) < set(studies.ENDPOINTS)
    sizes = [stage.image_size for stage in experiments.get(studies.BASE, studies.PROFILE).stages]
    assert study_results.scale({}) == f"on phantoms, at {sizes[0]} → {sizes[1]} px"
