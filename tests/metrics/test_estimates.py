"""Statistics with their intervals: against scipy, by hand, and what must hold for any scores."""

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats

from pneumo_lib import metrics
from pneumo_lib.metrics import MetricError
from pneumo_lib.metrics.interval import MIN_PATIENTS

unit = st.floats(0, 1, width=32)


@given(st.lists(st.booleans(), min_size=MIN_PATIENTS, max_size=60))
def test_a_proportion_of_independent_images_has_wilsons_interval(outcomes):
    expected = stats.binomtest(sum(outcomes), len(outcomes)).proportion_ci(method="wilson")
    _, low, high = metrics.proportion_interval(outcomes)
    np.testing.assert_allclose((low, high), expected, rtol=1e-9, atol=1e-12)


def test_all_alike_never_has_width_0_and_counts_patients():
    found = metrics.proportion_interval(np.ones(40, bool), np.repeat(np.arange(8), 5))
    expected = stats.binomtest(8, 8).proportion_ci(method="wilson")
    assert (found.value, found.high) == (1, 1)
    assert found.low == pytest.approx(expected.low)
    assert metrics.mean_interval(np.ones(8)).low == pytest.approx(expected.low)


@given(arrays(np.float64, st.tuples(st.integers(1, 5), st.integers(6, 20)), elements=unit), st.randoms())
def test_an_interval_holds_its_value_lies_in_0_to_1_and_has_no_order(scores, random):
    patients = np.array([random.randrange(8) for _ in range(scores.shape[1])])
    found = metrics.mean_interval(scores, patients)
    assert found.value == pytest.approx(scores.mean(), abs=1e-12)
    if found.refused:
        assert math.isnan(found.low) and len(set(patients.tolist())) < MIN_PATIENTS
        return
    assert 0 <= found.low <= found.value <= found.high <= 1
    assert found.high - found.low > 0
    order = np.random.default_rng(0).permutation(len(patients))
    again = metrics.mean_interval(scores[::-1, order], patients[order])
    np.testing.assert_allclose([*again], [*found], atol=1e-9)


def test_copies_of_an_image_add_nothing_where_patients_are_known():
    scores, patients = np.random.default_rng(0).random((4, 9)), np.arange(9)
    once = metrics.mean_interval(scores, patients)
    copied = metrics.mean_interval(np.repeat(scores, 10, axis=1), np.repeat(patients, 10))
    np.testing.assert_allclose([*copied], [*once], rtol=1e-9)
    outcomes = scores[0] > 0.5
    once = metrics.proportion_interval(outcomes)
    copied = metrics.proportion_interval(np.repeat(outcomes, 10), np.repeat(patients, 10))
    # Nine patients' copies vary like nine images, but for the degrees of freedom.
    np.testing.assert_allclose([*copied], [*once], rtol=1e-9)


def test_unknown_patients_are_said():
    assert metrics.mean_interval(np.linspace(0, 1, 9)).basis == "over 9 images, one seed"
    assert metrics.mean_interval(np.linspace(0, 1, 9), list("abcdefghh")).basis == "over 8 patients, one seed"
    two, three = (metrics.mean_interval(np.random.default_rng(0).random((s, 9)), list("abcdefghh")) for s in (2, 3))
    assert (two.basis, three.basis) == ("over 8 patients, for these 2 seeds", "over 8 patients and 3 seeds")


def test_the_numbers_behind_an_interval():
    scores = np.array([[0.2, 0.4, 0.9, 0.1, 0.5, 0.6, 0.3], [0.4, 0.6, 0.9, 0.3, 0.7, 0.6, 0.3]])
    found = metrics.mean_interval(scores, list("aabcdef"), np.array([True] * 7))
    assert (found.n_images, found.n_patients, found.n_seeds, found.level) == (7, 6, 2, 0.95)
    assert found.seed_sd == pytest.approx(scores.mean(axis=1).std(ddof=1))


def test_too_few_patients_have_no_interval():
    found = metrics.mean_interval([0.5, 0.6, 0.7, 0.8, 0.9], list("abcde"))
    assert found.value == pytest.approx(0.7) and math.isnan(found.low)
    assert found.refused == "only 5 patients inform it (6 needed)"
    assert not found.excludes(100)
    # 19 patients, of whom 2 have a positive image.
    auroc = metrics.auroc_interval(np.arange(20), np.arange(20) > 16, np.minimum(np.arange(20), 18))
    assert auroc.value == 1 and auroc.refused == "only 2 patients inform it (6 needed)"
    assert metrics.auroc_interval(np.arange(8), np.zeros(8, bool)).refused == "the images do not define it"


def test_json_and_back():
    for found in (metrics.mean_interval(np.linspace(0, 1, 9)), metrics.mean_interval([0.5, 0.7])):
        text = json.dumps(found.as_json(), allow_nan=False)
        again = metrics.Interval.from_json(json.loads(text))
        np.testing.assert_equal(again.as_json(), found.as_json())
        np.testing.assert_equal([*again], [*found])


def test_auroc_of_1_has_wilsons_interval_of_the_pairs_that_share_no_image():
    found = metrics.auroc_interval(np.arange(20), np.arange(20) >= 10)
    assert (found.value, found.high) == (1, 1)
    # Ten pairs that share no image, all won.
    assert found.low == pytest.approx(stats.binomtest(10, 10).proportion_ci(method="wilson").low)


def test_a_ratio_and_another_statistic_have_the_means_interval_where_they_are_one():
    scores, patients = np.random.default_rng(0).random(30), np.arange(30) // 2
    mean = metrics.mean_interval(scores, patients)
    ratio = metrics.ratio_interval(scores, np.ones(30), patients)
    other = metrics.statistic_interval(lambda images: scores[images].mean(), 30, patients)
    for found in (ratio, other):
        np.testing.assert_allclose([*found], [*mean], rtol=1e-9)


def test_unbounded_scores_have_students_interval():
    px = np.array([-40, 10, 25, 60, 90, 120, 150.0])
    found = metrics.mean_interval(px, bounded=False)
    np.testing.assert_allclose([*found][1:], stats.ttest_1samp(px, 0).confidence_interval(0.95), rtol=1e-9)
    assert found.method == "t" and found.excludes(0) == (stats.ttest_1samp(px, 0).pvalue < 0.05)
    assert metrics.mean_interval(np.full(7, 3.0), bounded=False).refused == "images do not vary"


def test_the_band_is_the_interval_at_each_threshold():
    scores, patients = np.random.default_rng(0).random((3, 20, 4)), np.arange(20) // 2
    band = np.array(metrics.mean_band(scores, patients))
    for k in range(4):
        np.testing.assert_allclose(band[:, k], [*metrics.mean_interval(scores[..., k], patients)], rtol=1e-12)
    mean, low, high = metrics.mean_band(scores[:, :4])
    assert np.isfinite(mean).all() and np.isnan([low, high]).all()


def test_errors():
    with pytest.raises(MetricError, match="pass bool"):
        metrics.proportion_interval([0, 1])
    with pytest.raises(MetricError, match="mean is 3.5, outside 0..1"):
        metrics.mean_interval([3, 4])
