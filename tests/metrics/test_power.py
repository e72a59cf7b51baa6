"""Power and what a study needs: against tables, against chance, and back and forth."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from pneumo_lib import metrics
from pneumo_lib.metrics import power
from pneumo_lib.metrics.crossed import spread
from pneumo_lib.metrics.jackknife import of_mean

PARTS = metrics.Components(seed=0.02**2, image=0.3**2, interaction=0.2**2)


def test_power_of_a_one_sample_t_test_as_in_simulation():
    rng = np.random.default_rng(0)
    seen = stats.ttest_1samp(rng.normal(0.5, 1, (100_000, 34)), 0, axis=1)
    share = ((seen.pvalue < 0.05) & (seen.statistic > 0)).mean()
    # The share of 100,000 is known to 0.0013; four of that.
    assert power.power(0.5, 1 / 34**0.5, 33) == pytest.approx(share, abs=0.005)
    assert power.power(0.5, 1 / 34**0.5, 33) > 0.8 > power.power(0.5, 1 / 33**0.5, 32)


def test_power_without_a_difference_is_half_of_the_level_and_without_error_sure():
    assert power.power(0, 0.1, 20) == pytest.approx(0.025)
    assert (power.power(0.1, 0, 20), power.power(0, 0, 20)) == (1, 0)


@given(st.floats(1e-4, 1), st.floats(1, 1000), st.sampled_from([0.5, 0.8, 0.9]))
def test_the_detectable_difference_is_seen_with_that_power(standard_error, dof, wanted):
    found = power.detectable(standard_error, dof, wanted)
    assert power.power(found, standard_error, dof) == pytest.approx(wanted, abs=1e-6)


def test_with_many_degrees_of_freedom_it_is_2_8_standard_errors():
    expected = stats.norm.ppf(0.975) + stats.norm.ppf(0.8)
    assert power.detectable(1, 1e6) == pytest.approx(expected, rel=1e-5)  # Student's t is nearly normal there


def test_precision_by_hand():
    error, dof = PARTS.precision(4, 100)
    # Seeds 0.0004 / 4, images 0.09 / 100, the rest 0.04 / 400.
    assert error**2 == pytest.approx(0.0001 + 0.0009 + 0.0001)
    assert dof == pytest.approx(0.0011**2 / (0.001**2 / 99 + 0.0002**2 / 6))


def test_the_smallest_number_that_is_enough():
    for difference in (0.05, 0.1):
        images = metrics.images_needed(difference, PARTS, 6)
        assert power.power(difference, *PARTS.precision(6, images)) >= 0.8
        assert power.power(difference, *PARTS.precision(6, images - 1)) < 0.8
        seeds = metrics.seeds_needed(difference, PARTS, 2000)
        assert seeds == 2 or power.power(difference, *PARTS.precision(seeds - 1, 2000)) < 0.8


def test_no_number_of_images_replaces_seeds_nor_of_seeds_images():
    # 0.02 / sqrt(2) between seeds alone hides 0.01; 0.3 / 10 between images alone hides 0.05.
    assert metrics.images_needed(0.01, PARTS, 2) is None
    assert metrics.seeds_needed(0.05, PARTS, 100) is None


def test_components_are_recovered_from_studies():
    rng, found = np.random.default_rng(0), []
    for _ in range(400):
        image = rng.normal(0, 0.3, 50)
        a, b = (rng.normal(0, 0.1, (5, 1)) + rng.normal(0, 0.2, (5, 50)) for _ in range(2))
        parts = spread(of_mean(a + image), of_mean(b))
        found.append(metrics.Components.of(parts, [5, 5], 50))
    # A variance with 49 (image) or 8 (seed) degrees of freedom, averaged over 400, is known to 1 % or 2.5 %; three of that.
    assert np.mean([each.image for each in found]) == pytest.approx(0.09, rel=0.04)
    assert np.mean([each.seed for each in found]) == pytest.approx(2 * 0.01, rel=0.08)
    assert np.mean([each.interaction for each in found]) == pytest.approx(2 * 0.04, rel=0.02)
    assert found[0].arms == 2


def test_a_study_of_the_same_size_sees_what_this_one_could():
    rng = np.random.default_rng(0)
    a, b = (rng.normal(0, 0.3, 200) + rng.normal(0, 0.1, (6, 1)) + rng.normal(0, 0.2, (6, 200)) for _ in range(2))
    found = metrics.mean_difference(a, b)
    error, _ = found.components.precision(6, 200)
    assert error == pytest.approx(found.interval.standard_error, rel=1e-9)
    # Degrees of freedom differ a little: the plan's from the parts, the study's from its patients too.
    assert power.power(found.detectable, *found.components.precision(6, 200)) == pytest.approx(0.8, abs=0.03)
