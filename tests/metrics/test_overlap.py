"""Metrics against values worked out by hand, against other libraries, and against what must always hold."""

import numpy as np
import pandas as pd
import pytest
import segmentation_models_pytorch.metrics as smp_metrics
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from skimage import measure
from torchmetrics.functional import classification as oracle

from pneumo_lib import metrics
from pneumo_lib.data import dicom
from pneumo_lib.metrics import MetricError

NAN = float("nan")
MASKS = arrays(bool, (3, 4, 5))


def row(*pixels):
    return np.array([[pixels]], bool)


@pytest.mark.parametrize(
    ("predicted", "truth", "dsc", "iou", "stepwise"),
    [
        (row(0, 0, 0, 0), row(0, 0, 0, 0), 1, 1, 1),  # both empty
        (row(0, 0, 0, 0), row(0, 1, 0, 0), 0, 0, 0),  # one pixel missed
        (row(0, 1, 0, 0), row(0, 0, 0, 0), 0, 0, 0),  # one pixel too many
        (row(0, 1, 0, 0), row(0, 1, 0, 0), 1, 1, 1),  # one pixel, right
        (row(1, 1, 1, 1), row(1, 1, 1, 1), 1, 1, 1),  # full
        (row(1, 1, 0, 0), row(0, 0, 1, 1), 0, 0, 0),  # beside each other
        (row(1, 1, 1, 0), row(0, 1, 1, 1), 4 / 6, 2 / 4, 0),  # IoU .5 does not pass t = .5
        (row(1, 1, 1, 1), row(0, 1, 1, 1), 6 / 7, 3 / 4, 0.5),  # .75 passes .50, .55, .60, .65, .70
        (row(1, 1, 1, 0), row(1, 1, 0, 0), 4 / 5, 2 / 3, 0.4),  # .667 passes .50, .55, .60, .65
    ],
)
def test_overlap_by_hand(predicted, truth, dsc, iou, stepwise):
    assert metrics.dsc(predicted, truth).tolist() == [dsc]
    assert metrics.iou(predicted, truth).tolist() == [iou]
    assert metrics.stepwise_iou(predicted, truth).tolist() == [stepwise]


@pytest.mark.parametrize("twentieths", range(21))
def test_stepwise_iou_is_strict_at_every_threshold(twentieths):
    # IoU = k / 20 exactly: it passes the thresholds 10/20, ..., 19/20 that are below k.
    expected = len([t for t in range(10, 20) if t < twentieths]) / 10
    assert metrics.stepwise_iou_from_counts(20, twentieths, twentieths) == expected
    assert metrics.stepwise_iou_from_counts(20 * 10**7, twentieths * 10**7, twentieths * 10**7) == expected


@pytest.mark.parametrize("empty", [0.0, 0.5, NAN])
def test_the_policy_for_two_empty_masks_is_an_argument(empty):
    predicted, truth = np.zeros((2, 2, 2), bool), np.zeros((2, 2, 2), bool)
    truth[1, 0, 0] = True
    for metric in (metrics.dsc, metrics.iou, metrics.stepwise_iou):
        np.testing.assert_array_equal(metric(predicted, truth, empty), [empty, 0])


@given(MASKS, MASKS)
def test_overlap_properties(predicted, truth):
    dsc, iou = metrics.dsc(predicted, truth), metrics.iou(predicted, truth)
    stepwise = metrics.stepwise_iou(predicted, truth)
    np.testing.assert_array_equal(dsc, metrics.dsc(truth, predicted))
    np.testing.assert_allclose(iou, dsc / (2 - dsc), rtol=1e-12)  # the same number by another formula
    assert ((stepwise >= 0) & (stepwise <= 1) & (iou <= dsc)).all()
    assert (metrics.dsc(truth, truth) == 1).all()
    union = (predicted | truth).sum((1, 2))
    intersection = (predicted & truth).sum((1, 2))
    by_loop = np.mean([20 * intersection > k * union for k in range(10, 20)], axis=0)
    np.testing.assert_allclose(stepwise, np.where(union == 0, 1, by_loop), rtol=1e-12)  # a mean of tenths


@given(MASKS, MASKS)
def test_overlap_as_in_smp(predicted, truth):
    inputs = [torch.as_tensor(mask[:, None]).long() for mask in (predicted, truth)]
    counts = smp_metrics.get_stats(*inputs, mode="binary")
    arguments = {"reduction": None, "zero_division": 1.0}
    # float32 there
    np.testing.assert_allclose(
        metrics.dsc(predicted, truth), smp_metrics.f1_score(*counts, **arguments)[:, 0], rtol=1e-6
    )
    np.testing.assert_allclose(
        metrics.iou(predicted, truth), smp_metrics.iou_score(*counts, **arguments)[:, 0], rtol=1e-6
    )


def test_blank_baseline_is_the_mean_of_predicting_nothing():
    truth = np.zeros((9, 3, 3), bool)
    truth[:2, 1, 1] = True
    blank = np.zeros_like(truth)
    for metric in (metrics.dsc, metrics.iou, metrics.stepwise_iou):
        assert metric(blank, truth).mean() == pytest.approx(metrics.empty_mask_baseline(truth.sum((1, 2))), abs=1e-15)
    assert metrics.empty_mask_baseline(np.repeat([0, 1], [9378, 2669])) == pytest.approx(
        0.7785, abs=5e-5
    )  # the challenge's


def test_positive_only():
    values, positive = np.array([[1, 2], [3, 4], [5, 6]]), np.array([True, False, True])
    assert metrics.positive_only(values, positive).tolist() == [[1, 2], [5, 6]]
    with pytest.raises(MetricError, match="one bool per image"):
        metrics.positive_only(values, positive.astype(int))


@pytest.mark.parametrize(
    ("predicted", "truth", "message"),
    [
        (np.zeros((1, 2, 2), bool), np.zeros((1, 2, 3), bool), "one shape"),
        (np.zeros((2, 2), bool), np.zeros((2, 2), bool), r"\(N, H, W\)"),
        (np.zeros((1, 2, 2)), np.zeros((1, 2, 2), bool), "predicted has type float64; pass bool"),
        (np.zeros((1, 2, 2), bool), np.zeros((1, 2, 2), np.uint8), "truth has type uint8"),
    ],
)
def test_overlap_errors(predicted, truth, message):
    with pytest.raises(MetricError, match=message):
        metrics.dsc(predicted, truth)


def test_sensitivity_and_specificity_by_hand():
    predicted = np.array([1, 1, 0, 1, 0, 0, 0], bool)
    positive = np.array([1, 1, 1, 0, 0, 0, 0], bool)
    assert metrics.sensitivity(predicted, positive) == 2 / 3
    assert metrics.specificity(predicted, positive) == 3 / 4
    assert np.isnan(metrics.sensitivity(predicted[3:], positive[3:]))
    assert np.isnan(metrics.specificity(predicted[:3], positive[:3]))


def test_auroc_and_average_precision_by_hand():
    score, positive = np.array([9, 7, 5, 5, 0]), np.array([1, 0, 1, 0, 0], bool)
    # Pairs (positive above negative): 9 beats 7, 5, 0; 5 beats 0, ties with 5, loses to 7: 4.5 of 6.
    assert metrics.auroc(score, positive) == 4.5 / 6
    # After 9: precision 1, recall 1/2. After the tie at 5: precision 2/4, recall 1.
    assert metrics.average_precision(score, positive) == 1 / 2 * 1 + 1 / 2 * 2 / 4
    assert np.isnan(metrics.auroc(score[1:2], positive[1:2]))
    assert np.isnan(metrics.average_precision(score[1:2], positive[1:2]))
    with pytest.raises(MetricError, match="not NaN"):
        metrics.auroc([NAN], positive[:1])


@given(arrays(np.int64, 30, elements=st.integers(0, 8)), arrays(bool, 30))
def test_auroc_and_average_precision_as_in_torchmetrics(score, positive):
    positive[0], positive[1] = True, False
    inputs = torch.as_tensor(score / 10), torch.as_tensor(positive).long()
    # float32 sums there
    assert metrics.auroc(score, positive) == pytest.approx(float(oracle.binary_auroc(*inputs)), abs=1e-5)
    expected = float(oracle.binary_average_precision(*inputs))
    assert metrics.average_precision(score, positive) == pytest.approx(expected, abs=1e-5)


def test_lesions_by_hand():
    truth, predicted = np.zeros((2, 2, 6, 6), bool)
    truth[0, :2, :2] = True  # found by one of its four pixels
    truth[0, 4, 4] = truth[0, 5, 5] = True  # diagonal: one lesion, missed
    predicted[0, 1, 1] = predicted[0, 2, 2] = True
    predicted[0, 0, 5] = True  # false positive
    found = metrics.lesions(predicted, truth)
    assert [list(field) for field in found] == [[2, 0], [1, 0], [2, 0], [1, 0]]
    assert (found.sensitivity(), found.false_positives_per_image()) == (0.5, 0.5)
    assert metrics.lesions(predicted, truth, overlap=0.2).found.sum() == 1
    assert metrics.lesions(predicted, truth, overlap=0.25).found.sum() == 0
    assert np.isnan(metrics.lesions(predicted[1:], truth[1:]).sensitivity())
    assert metrics.largest_component_px(truth).tolist() == [4, 0]
    with pytest.raises(MetricError, match="pass"):
        metrics.lesions(predicted, truth[:1])


def test_area_error_by_hand():
    error = metrics.area_error([300, 0], [100, 50], [[0.5, 0.2], [NAN, NAN]])
    assert error.px.tolist() == [200, -50]
    np.testing.assert_array_equal(error.cm2, [200 * 0.1 / 100, NAN])
    np.testing.assert_array_equal(metrics.area_error([3], [1]).cm2, [NAN])
    assert metrics.area_error([1000, 0], [0, 0], [1, 1]).cm2.tolist() == [10, 0]
    with pytest.raises(MetricError, match="pixel_spacing_mm has shape"):
        metrics.area_error([1, 2, 3], [1, 2, 3], [[1, 1]])


def test_reliability_by_hand():
    counts = metrics.bin_counts([[0.0, 0.2, 0.5, 0.5], [1.0, 0.9]], [[0, 1, 1, 0], [1, 1]], bins=2)
    assert counts.tolist() == [[[2, 2], [0.2, 1.0], [1, 1]], [[0, 2], [0, 1.9], [0, 2]]]
    curve = metrics.reliability(counts)
    assert curve["n"].tolist() == [2, 4]
    assert curve["confidence"].tolist() == [0.1, 2.9 / 4]
    assert curve["frequency"].tolist() == [0.5, 0.75]
    assert metrics.expected_calibration_error(counts) == pytest.approx((2 * 0.4 + 4 * 0.025) / 6, abs=1e-15)
    one = metrics.bin_counts([[0.1]], [[0]], bins=4)
    assert metrics.reliability(one)["frequency"].isna().tolist() == [False, True, True, True]
    for bad in ([[NAN]], [[1.1]], [[0.1, 0.2]]):
        with pytest.raises(MetricError, match="0..1"):
            metrics.bin_counts(bad, [[0]])
    with pytest.raises(MetricError, match="bins is 0"):
        metrics.bin_counts([], [], bins=0)
    with pytest.raises(MetricError, match="no pixel"):
        metrics.expected_calibration_error(metrics.bin_counts([], []))


def test_expected_calibration_error_as_in_torchmetrics():
    rng = np.random.default_rng(0)
    p = rng.random((4, 20, 20))
    truth = rng.random(p.shape) < p**2
    ours = metrics.expected_calibration_error(metrics.bin_counts(p, truth, bins=15))
    theirs = oracle.binary_calibration_error(torch.as_tensor(p), torch.as_tensor(truth).long(), n_bins=15, norm="l1")
    assert ours == pytest.approx(float(theirs), abs=1e-5)  # float32 edges there


@given(arrays(bool, (2, 9, 8)))
def test_largest_component_and_lesions_as_in_scikit_image(masks):
    for mask in masks:
        labels = measure.label(mask, connectivity=2)
        areas = [region.area for region in measure.regionprops(labels)]
        assert metrics.largest_component_px(mask[None]).item() == max(areas, default=0)
        found = metrics.lesions(mask[None], masks[:1])
        touched = len(np.unique(labels[masks[0] & mask]))
        assert found.predicted.item() == len(areas) and found.false_positives.item() == len(areas) - touched


def test_top_probability_by_hand():
    maps = np.array([[[0.1, 0.9], [0.5, 0.3]], [[0, 0], [0, 0.2]]])
    assert metrics.top_probability(maps, 0).tolist() == metrics.top_probability(maps).tolist() == [0.9, 0.2]
    np.testing.assert_allclose(metrics.top_probability(iter(maps), 0.5), [0.7, 0.1], rtol=1e-15)
    np.testing.assert_allclose(metrics.top_probability(maps, 1), [0.45, 0.05], rtol=1e-15)
    with pytest.raises(MetricError, match="share is 5"):
        metrics.top_probability(maps, 5)


def test_subgroups_by_hand():
    index = pd.DataFrame(
        {
            "view": ["PA", "AP", None, "PA", "AP", "PA"],
            "sex": list("MFMFM") + [""],
            "age_years": pd.array([3, 50, 413, None, 80, 18], "Int64"),
            "mask_area_px": [0, 5, 0, 9, 20, 3],
            "patient_id": list("aabbcd"),
        }
    )
    table = metrics.subgroups(np.arange(6) / 8, index).set_index(["attribute", "group"])
    table["mean"] *= 8
    counts = table[["n_images", "n_positive", "mean"]].apply(tuple, axis=1).to_dict()
    assert counts == {
        ("all", "all"): (6, 4, 2.5),
        ("view", "AP"): (2, 2, 2.5),
        ("view", "PA"): (3, 2, 8 / 3),
        ("view", "unknown"): (1, 0, 2),
        ("sex", "F"): (2, 2, 2),
        ("sex", "M"): (3, 1, 2),
        ("sex", "unknown"): (1, 1, 5),
        ("age", "0-17"): (1, 0, 0),
        ("age", "18-39"): (1, 1, 5),
        ("age", "40-59"): (1, 1, 1),
        ("age", "80+"): (1, 1, 4),
        ("age", "unknown"): (2, 1, 2.5),
        ("size", "small"): (2, 2, 3),
        ("size", "medium"): (1, 1, 3),
        ("size", "large"): (1, 1, 4),
    }
    assert table[["low", "high"]].isna().all(axis=None), "four patients have no interval"
    assert metrics.subgroups([1.0], pd.DataFrame({"other": [1]})).columns.tolist() == [
        "attribute",
        "group",
        "n_images",
        "mean",
        "low",
        "high",
    ]
    with pytest.raises(MetricError, match="for 6 rows"):
        metrics.subgroups([1.0], index)


def test_the_oldest_age_of_a_header_has_a_band():
    assert metrics.attributes(pd.DataFrame({"age_years": [dicom.OLDEST_YEARS, dicom.OLDEST_YEARS + 1.0]}))[
        "age"
    ].tolist() == [
        "80+",
        "unknown",
    ]
