"""Statistics without one patient at a time: by hand, and against the plain statistic of the images that are left."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from pneumo_lib import metrics
from pneumo_lib.metrics import MetricError, jackknife

NAN = float("nan")


def test_the_mean_without_each_patient_by_hand():
    # Patient a has the images 1 and 0, b 0.5, c 1; in order of appearance.
    found = jackknife.of_mean([1, 0.5, 0, 1], ["a", "b", "a", "c"])
    assert found.values.tolist() == [0.625]
    np.testing.assert_allclose(found.without, [[0.75, 2 / 3, 0.5]], rtol=1e-15)
    assert (found.n_images, found.units, found.over) == (4, 3, "patients")


def test_only_images_and_patients_that_count():
    found = jackknife.of_mean([[1, NAN, 0, 1], [0, 5, 1, 1]], list("abac"), np.array([True, False, True, True]))
    np.testing.assert_allclose(found.values, [2 / 3, 2 / 3])
    np.testing.assert_allclose(found.without, [[1, 0.5], [1, 0.5]])
    assert (found.n_images, found.units) == (3, 2)


def test_the_ratio_by_hand():
    # Lesions found by true lesions; patient b has none and does not count.
    found = jackknife.of_ratio([1, 2, 0, 1], [2, 2, 0, 1], list("aabc"))
    assert found.values.tolist() == [0.8]
    assert found.without.tolist() == [[1, 0.75]]
    assert found.n_images == 3


def test_unknown_patients_are_one_each():
    found = jackknife.of_mean(np.arange(5) / 5, ["", None, NAN, "x", "x"])
    assert (found.without.shape, found.over) == ((1, 4), "patients")
    assert jackknife.of_mean([0, 1], [None, ""]).over == jackknife.of_mean([0, 1]).over == "images"


def test_nothing_is_left_without_the_only_patient():
    assert np.isnan(jackknife.of_mean([0.5, 1], ["x", "x"]).without).all()


images = st.lists(st.tuples(st.integers(0, 4), st.booleans(), st.integers(0, 3)), min_size=1, max_size=25)


@given(images)
def test_auroc_without_each_patient_is_that_of_the_other_images(rows):
    score, positive, patients = (np.array(column) for column in zip(*rows, strict=True))
    found = jackknife.of_auroc(score, positive, patients)
    assert found.values.item() == pytest.approx(metrics.auroc(score, positive), nan_ok=True)
    expected = [
        metrics.auroc(score[patients != each], positive[patients != each]) if (patients != each).any() else NAN
        for each in dict.fromkeys(patients.tolist())
    ]
    np.testing.assert_allclose(found.without[0], expected, rtol=1e-12)  # another order of the same sums


@given(images)
def test_any_statistic_is_computed_anew(rows):
    score, _, patients = (np.array(column) for column in zip(*rows, strict=True))
    if len(set(patients.tolist())) < 2:
        return
    ours = jackknife.of_mean(score, patients)
    anew = jackknife.of_statistic(lambda images: score[images].mean(), len(score), patients)
    np.testing.assert_allclose(anew.without, ours.without, rtol=1e-12)
    np.testing.assert_allclose(anew.values, ours.values, rtol=1e-12)


def test_the_variance_of_auroc_is_delongs_but_for_the_degrees_of_freedom():
    rng = np.random.default_rng(0)
    score, positive = rng.normal(size=60).round(1), np.arange(60) < 25
    score[positive] += 1
    wins = (score[positive][:, None] > score[~positive]) + 0.5 * (score[positive][:, None] == score[~positive])
    # DeLong: variance of each image's share of pairs won, over the number of its kind (here less 1), summed.
    delong = wins.mean(axis=1).var(ddof=1) / 24 + wins.mean(axis=0).var(ddof=1) / 34
    found = jackknife.of_auroc(score, positive)
    ours = (1 - 1 / 60) * ((found.without - found.values) ** 2).sum()
    assert ours == pytest.approx(delong * (1 - 1 / 60), rel=1e-12)


def test_auroc_counts_on_the_patients_of_the_rarer_kind():
    positive = np.array([True, True, False, False, False])
    assert jackknife.of_auroc(np.arange(5), positive, list("aabcd")).units == 1
    assert jackknife.of_auroc(np.arange(5), positive, list("abccc")).units == 1
    assert jackknife.of_auroc(np.arange(5), positive).units == 2


def test_the_jackknife_variance_of_a_mean_is_the_textbooks():
    values = np.random.default_rng(0).random(12)
    found = jackknife.of_mean(values)
    ours = (1 - 1 / 12) * ((found.without - found.values[:, None]) ** 2).sum()
    assert ours == pytest.approx(stats.sem(values) ** 2, rel=1e-12)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([],), "no image"),
        (([1, NAN],), "NaN"),
        (([1, 2], ["a"]), "1 patients for 2 images"),
        (([1, 2], None, [1, 0]), "pass one bool per image"),
        (([1, 2], None, np.zeros(2, bool)), "no image counts"),
    ],
)
def test_errors(arguments, message):
    with pytest.raises(MetricError, match=message):
        jackknife.of_mean(*arguments)


def test_errors_of_ratio_and_auroc():
    with pytest.raises(MetricError, match="3 denominators for 2 images"):
        jackknife.of_ratio([1, 2], [1, 1, 1])
    for score, positive in (([1, 2], [0, 1]), ([1, NAN], [True, False]), ([1], [True, False])):
        with pytest.raises(MetricError, match="one bool per image"):
            jackknife.of_auroc(score, positive)
