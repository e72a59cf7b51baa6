"""Variance over seeds and patients: against every resample of a small study, and against scipy's tests."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from pneumo_lib.metrics import crossed, jackknife


def test_the_crossed_bootstrap_has_the_same_parts_and_known_biases():
    scores = np.array([[0.1, 0.9, 0.4], [0.3, 0.8, 0.9], [0.2, 0.6, 0.1]])
    draws = np.array(list(itertools.product(range(3), repeat=3)))
    # All 27 x 27 resamples of seeds and patients: the bootstrap without chance.
    every = [scores[np.ix_(seeds, patients)].mean() for seeds in draws for patients in draws]
    found = crossed.spread(jackknife.of_mean(scores))
    expected = (2 * found.patients + 2 * found.seeds[0]) / 3 + 4 * found.interactions[0] / 9
    assert np.var(every) == pytest.approx(expected, rel=1e-12)
    parts = found.patients + found.seeds[0] - found.interactions[0]
    assert found.variance == pytest.approx(max(parts, found.patients, found.seeds[0]), rel=1e-12)


def test_the_parts_by_hand():
    # Seeds have the means 1 and 4 and 4, patients 1, 3 and 5; the rest is 0.
    scores = np.array([0, 3, 3])[:, None] + np.array([-1, 1, 3]) + np.zeros((3, 3))
    found = crossed.spread(jackknife.of_mean(scores))
    assert found.patients == pytest.approx(4 / 3)  # variance 4 over 3 patients
    assert found.seeds[0] == pytest.approx(1)  # variance 3 over 3 seeds
    assert found.interactions[0] == pytest.approx(0, abs=1e-30)
    assert found.variance == pytest.approx(7 / 3)
    # (7/3)^2 / ((4/3)^2 / 2 + 1^2 / 2), both parts with two degrees of freedom.
    assert found.dof == pytest.approx(49 / 12.5)


def test_two_seeds_stand_for_themselves():
    scores = np.array([[0.0, 0.2, 0.4], [0.6, 0.8, 1.0]])
    found = crossed.spread(jackknife.of_mean(scores))
    assert not found.seeds and found.variance == found.patients == pytest.approx(0.04 / 3)


def test_variance_and_degrees_of_freedom_of_unpaired_seeds_are_welchs():
    a, b = np.random.default_rng(0).random((2, 5)), np.random.default_rng(1).random(4)
    a = a[0]
    # Scores that only seeds move: the part of patients is 0.
    found = crossed.spread(*(jackknife.of_mean(np.repeat(arm[:, None], 7, axis=1)) for arm in (a, b)))
    welch = stats.ttest_ind(a, b, equal_var=False)
    assert found.dof == pytest.approx(welch.df, rel=1e-9)
    low, high = crossed.t_limits(a.mean() - b.mean(), found)
    np.testing.assert_allclose((low, high), welch.confidence_interval(0.95), rtol=1e-9)


def test_one_seed_and_independent_images_have_students_interval():
    values = np.linspace(0, 1, 15) ** 1.1  # tails lighter than normal: all degrees of freedom count
    low, high = crossed.t_limits(values.mean(), crossed.spread(jackknife.of_mean(values)))
    expected = stats.ttest_1samp(values, 0).confidence_interval(0.95)
    np.testing.assert_allclose((low, high), expected, rtol=1e-12)


def test_a_mean_that_hangs_on_one_patient_has_one_degree_of_freedom():
    values = np.zeros(200)
    values[0] = 1
    assert crossed.spread(jackknife.of_mean(values)).dof < 2.1


@given(st.integers(0, 40), st.integers(1, 40))
def test_wilson_as_in_scipy(hits, more):
    n = hits + more
    expected = stats.binomtest(hits, n).proportion_ci(method="wilson")
    np.testing.assert_allclose(crossed.wilson(hits / n, n), expected, rtol=1e-9, atol=1e-15)


def test_wilson_limits_shrink_to_students_where_the_mean_is_far_from_0_and_1():
    values = 0.5 + 0.01 * np.linspace(-1, 1, 41)
    found = crossed.spread(jackknife.of_mean(values))
    # Wilson's correction is of the order of z^2 / n, n the 70,000 images that would vary like this.
    np.testing.assert_allclose(crossed.wilson_limits(0.5, found, 41), crossed.t_limits(0.5, found), rtol=1e-4)
