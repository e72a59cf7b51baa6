"""Area under the validation curve and compute to a score: by hand, and what must hold for any curve."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats

from pneumo_lib import metrics
from pneumo_lib.metrics import MetricError


def test_area_by_hand():
    # From 0 at 0 to 0.4 at 2, 0.8 at 4: areas 0.4 and 1.2.
    assert metrics.area_under_curve([2, 4], [0.4, 0.8], 4, 0) == pytest.approx(1.6 / 4)
    assert metrics.area_under_curve([2, 4], [0.4, 0.8], 2, 0) == pytest.approx(0.2)
    assert metrics.area_under_curve([2, 4], [0.4, 0.8], 3, 0) == pytest.approx((0.4 + 0.5) / 3)
    # Within the first step; an untrained network that scores 0.2.
    assert metrics.area_under_curve([2, 4], [0.4, 0.8], 1, 0.2) == pytest.approx(0.25)


def test_a_curve_that_is_evaluated_more_often_has_the_same_area():
    often = metrics.area_under_curve([1, 2, 3, 4], [0.2, 0.4, 0.6, 0.8], 4, 0)
    assert often == pytest.approx(metrics.area_under_curve([4], [0.8], 4, 0))


@given(arrays(np.float64, (2, 3, 5), elements=st.floats(0, 1, width=32)), st.floats(0.1, 5))
def test_the_area_is_linear_and_lies_between_the_scores(scores, limit):
    compute = np.arange(1, 6)
    areas = metrics.area_under_curve(compute, scores, limit, 0.5)
    assert areas.shape == (2, 3)
    assert (areas >= min(scores.min(), 0.5) - 1e-12).all() and (areas <= max(scores.max(), 0.5) + 1e-12).all()
    of_means = metrics.area_under_curve(compute, scores.mean(axis=1), limit, 0.5)
    np.testing.assert_allclose(areas.mean(axis=1), of_means, atol=1e-12)


def test_compute_to_reach_by_hand():
    scores = [[0.2, 0.6, 0.9], [0.5, 0.4, 0.5], [0.1, 0.1, 0.2], [0.6, 0.1, 0.1]]
    found = metrics.compute_to_reach([1, 2, 4], scores, 0.5, 0)
    # Between 0.2 at 1 and 0.6 at 2; at the first evaluation; never; on the way from 0 to 0.6 at 1.
    np.testing.assert_allclose(found, [1.75, 1, np.inf, 5 / 6])
    assert metrics.compute_to_reach([1, 2], [0.1, 0.2], 0.5, 0.7) == 0
    assert metrics.compute_to_reach([1, 2], [0.7, 0.7], 0.7, 0.7) == 0


def test_arms_that_reach_and_do_not_reach():
    slow, fast = np.array([3.0, np.inf, 5.0, np.inf]), np.array([1.0, 1.5, 2.0, 9.0])
    found = metrics.reach_difference(fast, slow, 6)
    # 1, 1.5, 2 and 6 against 3, 6, 5 and 6.
    assert found.interval.value == pytest.approx(2.625 - 5)
    expected = stats.ttest_ind([1, 1.5, 2, 6], [3, 6, 5, 6], equal_var=False)
    assert found.p == pytest.approx(expected.pvalue)


def test_an_arm_that_never_reaches_the_score_does_not_vary():
    found = metrics.reach_difference([30.1, 33.3, 36.2], [np.inf] * 3, 98.3)
    # Welch's t with the variance of one arm alone: as a t test of its three values against 98.3.
    expected = stats.ttest_1samp([30.1, 33.3, 36.2], 98.3)
    assert found.p == pytest.approx(expected.pvalue)
    assert (found.interval.low, found.interval.high) == pytest.approx(
        tuple(np.subtract(expected.confidence_interval(0.95), 98.3))
    )


def test_arms_of_which_no_run_reaches_the_score_are_not_different():
    never = np.full(4, np.inf)
    found = metrics.reach_difference(never, never, 6)
    assert found.p == 1 and found.interval.refused


def test_errors():
    for compute in ([0, 1], [2, 1], [1, 1]):
        with pytest.raises(MetricError, match="start above 0 and rise"):
            metrics.compute_to_reach(compute, [0.1, 0.2], 0.5, 0)
    with pytest.raises(MetricError, match="pass \\(T,\\)"):
        metrics.compute_to_reach([1, 2], [0.1], 0.5, 0)
    for limit in (0, 5):
        with pytest.raises(MetricError, match="at most 2"):
            metrics.area_under_curve([1, 2], [0.1, 0.2], limit, 0)
    with pytest.raises(MetricError, match="limit is 0"):
        metrics.reach_difference([1], [1], 0)
