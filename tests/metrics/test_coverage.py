"""Coverage of the intervals: the committed tables of `benchmarks/coverage.py`, and a small simulation made anew."""

import importlib.util
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pneumo_lib import metrics

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def simulation():
    spec = importlib.util.spec_from_file_location("coverage_simulation", ROOT / "benchmarks" / "coverage.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


REPEATS = 300
# A share of 0.95 of 300 has a standard error of 0.0126; three of that.
LEAST = 0.95 - 3 * (0.95 * 0.05 / REPEATS) ** 0.5


@pytest.mark.parametrize("n_patients", [8, 20, 60])
@pytest.mark.parametrize("name", ["mean DSC", "specificity", "AUROC"])
def test_intervals_over_few_patients_cover(simulation, name, n_patients):
    truth, found = simulation.truth(name, "even", 0.2), []
    for of, sure in simulation.studies("even", n_patients, 3, 0.2, REPEATS):
        one = simulation.interval(name, of, sure)
        if not one.refused:
            found.append(one.low <= truth <= one.high)
    assert len(found) > 0.8 * REPEATS
    assert np.mean(found) >= LEAST


def test_percentiles_of_a_bootstrap_do_not(simulation):
    found = simulation.coverage("specificity", "even", 8, 1, 0, REPEATS)
    assert found["bootstrap_coverage"] < LEAST <= found["coverage"]


def test_the_bootstrap_that_is_compared_resamples_the_statistic(simulation):
    rng = np.random.default_rng(0)
    of = simulation.images(rng, "challenge", 40)
    sure = simulation.latent(rng, of, 3, 0.5)
    times = rng.multinomial(40, np.full(40, 1 / 40), 3)
    drawn = [np.repeat(np.arange(len(of.patients)), each[of.patients]) for each in times]
    auroc = [[metrics.auroc(score[rows], of.positive[rows]) for score in sure] for rows in drawn]
    np.testing.assert_allclose(simulation._resampled_auroc(of, sure, times), auroc, rtol=1e-12)
    scores, where = simulation.scored("positive-only DSC", of, sure)
    means = [[score[rows][where[rows]].mean() for score in scores] for rows in drawn]
    np.testing.assert_allclose(simulation._resampled_mean(of, scores, where, times), means, rtol=1e-12)


def test_differences_are_called_where_they_are_and_else_in_5_percent(simulation):
    none = [each.p < 0.05 for each in simulation.differences("challenge", 100, 3, 0.2, REPEATS)]
    assert np.mean(none) <= 1 - LEAST
    some = simulation.differences("challenge", 100, 6, 0.2, 60, effect=1.5)
    assert np.mean([each.p < 0.05 and each.interval.value > 0 for each in some]) > 0.9


def test_a_family_without_differences_has_a_false_call_in_at_most_5_percent(simulation):
    found = simulation.differences("challenge", 60, 3, 0.2, 5 * 120)
    families = [found[start : start + 5] for start in range(0, len(found), 5)]
    called = [min(metrics.holm({str(n): each.p for n, each in enumerate(one)}).values()) < 0.05 for one in families]
    assert np.mean(called) <= 0.05 + 3 * (0.05 * 0.95 / 120) ** 0.5  # three standard errors


def test_the_committed_tables_cover():
    folder = ROOT / "results" / "intervals"
    table, called = pd.read_csv(folder / "coverage.csv"), pd.read_csv(folder / "differences.csv")
    assert set(table["patients"]) == {8, 20, 60} and set(table["seeds"]) == {1, 3, 6}
    # Three seeds that differ more than patients do, and AUROC of eight patients, are what these intervals cover worst.
    assert (table["coverage"] > 0.9).all() and table["coverage"].median() > 0.95
    assert (table["coverage"][table["seed_sd"] < 0.5] > 0.93).all()
    assert table["bootstrap_coverage"].median() < 0.91
    assert (called["called"][called["effect"] == 0] < 0.05).all()
