"""Paired differences and families of them: against scipy's t-tests, and by hand."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats

from pneumo_lib import metrics
from pneumo_lib.metrics import MetricError

unit = st.floats(0, 1, width=32)


def test_one_seed_and_independent_images_are_the_paired_t_test():
    # Gains with tails lighter than normal, so that all degrees of freedom count.
    b = np.random.default_rng(0).random(15) / 2
    a = b + 0.1 + 0.05 * np.linspace(-1, 1, 15)
    found, expected = metrics.mean_difference(a, b), stats.ttest_rel(a, b)
    np.testing.assert_allclose([*found.interval][1:], expected.confidence_interval(0.95), rtol=1e-9)
    assert found.p == pytest.approx(expected.pvalue, rel=1e-9)
    assert found.interval.basis == "over 15 images, one seed"
    assert found.components is None


def test_paired_seeds_are_the_paired_t_test_over_seeds_where_only_seeds_differ():
    a, b = np.array([[0.7, 0.6, 0.8, 0.75], [0.6, 0.55, 0.6, 0.7]])
    scores = [np.repeat(arm[:, None], 8, axis=1) for arm in (a, b)]
    found, expected = metrics.mean_difference(*scores, seeds_paired=True), stats.ttest_rel(a, b)
    assert found.p == pytest.approx(expected.pvalue, rel=1e-9)
    np.testing.assert_allclose(found.per_seed, a - b, atol=1e-15)
    # Without pairs it is Welch's test.
    assert metrics.mean_difference(*scores).p == pytest.approx(stats.ttest_ind(a, b, equal_var=False).pvalue, rel=1e-9)


@given(arrays(np.float64, (3, 8), elements=unit), arrays(np.float64, (4, 8), elements=unit))
def test_the_other_way_round_is_the_negative(a, b):
    forth, back = metrics.mean_difference(a, b), metrics.mean_difference(b, a)
    np.testing.assert_allclose(
        [*forth.interval], [-x for x in (back.interval.value, back.interval.high, back.interval.low)]
    )
    assert forth.p == pytest.approx(back.p)
    assert (forth.p < 0.05) == forth.interval.excludes(0)


def test_the_same_pipeline_twice_is_not_different():
    scores = np.random.default_rng(0).random((1, 9))
    found = metrics.mean_difference(scores, scores)
    assert (found.interval.value, found.p, found.interval.refused) == (0, 1, "images do not vary")
    assert math.isnan(found.detectable)


def test_pairs_see_what_single_intervals_do_not():
    rng = np.random.default_rng(0)
    b = rng.random((3, 300)) * 0.2 + rng.random(300) * 0.7
    a = b + 0.02 + 0.02 * rng.normal(size=b.shape)
    found = metrics.mean_difference(a, b, seeds_paired=True)
    assert found.interval.excludes(0)
    assert not metrics.mean_interval(a).excludes(metrics.mean_interval(b).value)


def test_auroc_difference_is_that_of_the_aurocs():
    rng = np.random.default_rng(0)
    positive = np.arange(60) % 3 == 0
    a, b = rng.normal(size=(3, 60)) + 2 * positive, rng.normal(size=(3, 60)) + positive
    found = metrics.auroc_difference(a, b, positive, np.arange(60) // 2)
    each = [np.mean([metrics.auroc(score, positive) for score in arm]) for arm in (a, b)]
    assert found.interval.value == pytest.approx(each[0] - each[1])
    assert found.interval.basis == "over 30 patients and 3 seeds" and found.interval.method == "t"


def test_numbers_of_runs_are_compared_over_seeds_by_welch():
    a, b = [3.0, 4, 5, 4.5], [1.0, 1.5, 3]
    found, expected = metrics.seed_difference(a, b), stats.ttest_ind(a, b, equal_var=False)
    np.testing.assert_allclose([*found.interval][1:], expected.confidence_interval(0.95), rtol=1e-12)
    assert found.p == pytest.approx(expected.pvalue)
    assert found.interval.excludes(0) == (found.p < 0.05)
    assert found.interval.basis == "over 3 seeds"
    assert found.per_seed == pytest.approx(np.array(a) - np.mean(b))


def test_runs_without_an_interval():
    assert metrics.seed_difference([1, 2], [1, 2, 3]).interval.refused == "2 seeds are too few"
    assert metrics.seed_difference([2, 2, 2], [1, 1, 1]).interval.refused == "seeds do not vary"


def test_holm_by_hand():
    # 3 x 0.01; 2 x 0.03; 1 x 0.04 is raised to the one before it.
    assert metrics.holm({"b": 0.04, "a": 0.01, "c": 0.03}) == pytest.approx({"b": 0.06, "a": 0.03, "c": 0.06})
    assert metrics.holm({"a": 0.6, "b": 0.7}) == {"a": 1, "b": 1}
    assert metrics.holm({}) == {}


@given(st.lists(unit, min_size=1, max_size=8))
def test_holm_lies_between_the_plain_p_and_bonferronis_and_keeps_the_order(p):
    named = {str(n): value for n, value in enumerate(p)}
    found = metrics.holm(named)
    assert list(found) == list(named)
    for name, value in named.items():
        assert value <= found[name] <= min(1, len(p) * value) or found[name] == pytest.approx(
            max(min(1, (len(p) - rank) * other) for rank, other in enumerate(sorted(p)) if other <= value)
        )
    ranked = sorted(named, key=named.get)
    assert all(found[one] <= found[other] for one, other in zip(ranked, ranked[1:], strict=False))
    assert found[ranked[0]] == pytest.approx(min(1, len(p) * min(p)))


def test_errors():
    with pytest.raises(MetricError, match="a has 3 images and b 2"):
        metrics.mean_difference([1, 0, 1], [1, 0])
    with pytest.raises(MetricError, match="a has 3 seeds and b 4"):
        metrics.mean_difference(np.ones((3, 6)), np.ones((4, 6)), seeds_paired=True)
