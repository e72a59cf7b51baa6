"""Overlap of a mask with the true one: DSC, IoU and the stepwise IoU, one value per image."""

from __future__ import annotations  # The library's page in the book shows them as they stand here.

import numpy as np
from numpy.typing import ArrayLike

from pneumo_lib.errors import MetricError


def pixel_counts(predicted: np.ndarray, truth: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pixels predicted, true and in both, per image.

    Args:
        predicted, truth: bool (N, H, W).

    Returns:
        predicted_px, truth_px, intersection_px: int64 (N,) each.

    Raises:
        MetricError: shapes differ, are not (N, H, W), or values are not bool.
    """
    predicted, truth = np.asarray(predicted), np.asarray(truth)
    if predicted.shape != truth.shape or predicted.ndim != 3:
        raise MetricError(
            f"predicted has shape {predicted.shape} and truth {truth.shape}; pass two masks of one shape (N, H, W)."
        )
    for name, mask in (("predicted", predicted), ("truth", truth)):
        if mask.dtype != bool:
            raise MetricError(f"{name} has type {mask.dtype}; pass bool, for example {name} > 0.")
    axes = (1, 2)
    return predicted.sum(axes), truth.sum(axes), (predicted & truth).sum(axes)


def dsc(predicted: np.ndarray, truth: np.ndarray, empty: float = 1.0) -> np.ndarray:
    """Dice similarity coefficient 2|X ∩ Y| / (|X| + |Y|) of each image; its mean is the challenge's score.

    Args:
        predicted, truth: bool (N, H, W).
        empty: the score of an image whose two masks are both empty; 1 in the challenge, NaN leaves such images out of
            a nanmean. Where exactly one is empty the formula itself gives 0.

    Returns:
        float64 (N,) in 0..1.

    Raises:
        MetricError: see `pixel_counts`.
    """
    return dsc_from_counts(*pixel_counts(predicted, truth), empty)


def iou(predicted: np.ndarray, truth: np.ndarray, empty: float = 1.0) -> np.ndarray:
    """Intersection over union |X ∩ Y| / |X ∪ Y| of each image; arguments and result as in `dsc`."""
    return iou_from_counts(*pixel_counts(predicted, truth), empty)


def stepwise_iou(predicted: np.ndarray, truth: np.ndarray, empty: float = 1.0) -> np.ndarray:
    """Share of the thresholds t in {.50, .55, ..., .95} that the IoU exceeds; arguments and result as in `dsc`.

    Source: the follow-up code reports this under the name IoU, and so, probably, do the paper and the deck. It is
    strict (an IoU of exactly .55 does not pass .55) and counts an image with two empty masks as 1.
    """
    return stepwise_iou_from_counts(*pixel_counts(predicted, truth), empty)


def dsc_from_counts(
    predicted_px: ArrayLike, truth_px: ArrayLike, intersection_px: ArrayLike, empty: float = 1.0
) -> np.ndarray:
    """`dsc` from counts of pixels that broadcast against each other; float64 of their common shape."""
    predicted_px, truth_px, intersection_px = _integers(predicted_px, truth_px, intersection_px)
    return _ratio(2 * intersection_px, predicted_px + truth_px, empty)


def iou_from_counts(
    predicted_px: ArrayLike, truth_px: ArrayLike, intersection_px: ArrayLike, empty: float = 1.0
) -> np.ndarray:
    """`iou` from counts of pixels that broadcast against each other; float64 of their common shape."""
    predicted_px, truth_px, intersection_px = _integers(predicted_px, truth_px, intersection_px)
    return _ratio(intersection_px, predicted_px + truth_px - intersection_px, empty)


def stepwise_iou_from_counts(
    predicted_px: ArrayLike, truth_px: ArrayLike, intersection_px: ArrayLike, empty: float = 1.0
) -> np.ndarray:
    """`stepwise_iou` from counts of pixels that broadcast against each other; float64 of their common shape."""
    predicted_px, truth_px, intersection_px = _integers(predicted_px, truth_px, intersection_px)
    union = predicted_px + truth_px - intersection_px
    # IoU > k/20 for k = 10..19 holds for the integers k below 20 I / U: integer arithmetic, because .55 is no binary
    # fraction and 11/20 > 0.55 must be false.
    passed = np.clip(-(-20 * intersection_px // np.maximum(union, 1)) - 10, 0, 10)
    return np.where(union == 0, empty, passed / 10)


def empty_mask_baseline(truth_px: ArrayLike) -> float:
    """Mean DSC, IoU and stepwise IoU of an empty prediction: the share of images without a pneumothorax.

    Args:
        truth_px: (N,) true pixels per image.

    Raises:
        MetricError: no image.
    """
    truth_px = np.asarray(truth_px)
    if truth_px.size == 0:
        raise MetricError("truth_px is empty; the empty-mask baseline needs at least one image.")
    return float((truth_px == 0).mean())


def positive_only(values: np.ndarray, positive: np.ndarray) -> np.ndarray:
    """The values of the images that have a pneumothorax.

    Args:
        values: (N, ...) one row per image.
        positive: bool (N,).

    Returns:
        (P, ...) rows of the P positive images, in order; take their mean for positive-only DSC.

    Raises:
        MetricError: lengths differ or `positive` is not bool.
    """
    values, positive = np.asarray(values), np.asarray(positive)
    if positive.dtype != bool or positive.shape != values.shape[:1]:
        raise MetricError(
            f"positive is {positive.dtype} {positive.shape} for {len(values)} values; pass one bool per image."
        )
    return values[positive]


def _integers(*counts: ArrayLike) -> list[np.ndarray]:
    # int64: twice the pixels of a large radiograph times 20 does not fit 32 bits.
    return [np.asarray(count).astype(np.int64, copy=False) for count in counts]


def _ratio(numerator: np.ndarray, denominator: np.ndarray, empty: float) -> np.ndarray:
    return np.where(denominator == 0, empty, numerator / np.maximum(denominator, 1))
