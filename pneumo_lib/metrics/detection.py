"""Detection of pneumothoraces per image and per lesion, and the error of the area."""

from collections.abc import Iterable
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import rankdata

from pneumo_lib.errors import MetricError


def sensitivity(predicted: ArrayLike, positive: ArrayLike) -> float:
    """Share of the images with a pneumothorax that are called so; NaN where there is none.

    Args:
        predicted, positive: bool (N,) each: called positive, and truly positive.

    Raises:
        MetricError: not bool, or lengths differ.
    """
    predicted, positive = _flags(predicted, positive)
    return float(predicted[positive].mean()) if positive.any() else float("nan")


def specificity(predicted: ArrayLike, positive: ArrayLike) -> float:
    """Share of the images without a pneumothorax that are called so; NaN where there is none. As `sensitivity`."""
    predicted, positive = _flags(predicted, positive)
    return float((~predicted[~positive]).mean()) if not positive.all() else float("nan")


def auroc(score: ArrayLike, positive: ArrayLike) -> float:
    """Probability that a positive image scores above a negative one, ties counting half; NaN without both kinds.

    Args:
        score: float (N,), such as the area of the largest surviving component (`largest_component_px`).
        positive: bool (N,).

    Raises:
        MetricError: a score is NaN, or lengths differ.

    Reference: Mann and Whitney's U over the number of pairs, which is the area under the ROC curve.
    """
    score, positive = _scored(score, positive)
    n_positive, n_negative = positive.sum(), (~positive).sum()
    if not (n_positive and n_negative):
        return float("nan")
    u = rankdata(score)[positive].sum() - n_positive * (n_positive + 1) / 2
    return float(u / (n_positive * n_negative))


def average_precision(score: ArrayLike, positive: ArrayLike) -> float:
    """Sum over falling scores of precision times the step in recall; NaN without a positive image. As `auroc`.

    Images of equal score enter together, so that their order does not matter.
    """
    score, positive = _scored(score, positive)
    if not positive.any():
        return float("nan")
    order = np.argsort(-score, kind="stable")
    last_of_tie = np.append(np.diff(score[order]) != 0, True)
    found = np.cumsum(positive[order])[last_of_tie]
    called = np.arange(1, len(score) + 1)[last_of_tie]
    return float((found / called * np.diff(found, prepend=0)).sum() / positive.sum())


def top_probability(probability: Iterable[np.ndarray], share: float = 0.01) -> np.ndarray:
    """Mean probability of the highest pixels of each map: a score of the image before any threshold, for `auroc`.

    Args:
        probability: maps (H, W), such as an array (N, H, W) or a memory map; read one by one.
        share: of the pixels, 0..1, rounded, at least one; 0: the maximum.

    Returns:
        float64 (N,).

    Raises:
        MetricError: share lies outside 0..1.

    Source: our choice; the paper and the deck score masks only.
    """
    if not 0 <= share <= 1:
        raise MetricError(f"share is {share}; pass one in 0..1, such as 0.01.")
    return np.array([_mean_of_highest(np.ravel(p), max(round(share * p.size), 1)) for p in probability], np.float64)


def largest_component_px(masks: np.ndarray) -> np.ndarray:
    """Area of the largest 8-connected component of each mask bool (N, H, W); int64 (N,), 0 where a mask is empty."""
    return np.array([_components(mask)[1][1:].max(initial=0) for mask in masks], np.int64)


class Lesions(NamedTuple):
    """Counts of 8-connected components, int64 (N,) each."""

    true: np.ndarray
    found: np.ndarray
    predicted: np.ndarray
    false_positives: np.ndarray

    def sensitivity(self) -> float:
        """Share of all true lesions that were found; NaN where there is none."""
        return float(self.found.sum() / self.true.sum()) if self.true.sum() else float("nan")

    def false_positives_per_image(self) -> float:
        """Mean number of predicted components without a true pixel."""
        return float(self.false_positives.mean())


def lesions(predicted: np.ndarray, truth: np.ndarray, overlap: float = 0.0) -> Lesions:
    """Lesion-wise detection.

    Args:
        predicted, truth: bool (N, H, W).
        overlap: a true component counts as found where more than this share of it is predicted; 0: any pixel.

    Returns:
        Lesions; a predicted component is a false positive if it contains no true pixel.

    Raises:
        MetricError: shapes differ.

    Source: our choice; the paper and the deck count pixels only.
    """
    if np.shape(predicted) != np.shape(truth) or np.ndim(truth) != 3:
        raise MetricError(
            f"predicted has shape {np.shape(predicted)} and truth {np.shape(truth)}; pass (N, H, W) both."
        )
    counts = np.zeros((4, len(truth)), np.int64)
    for n, (prediction, true) in enumerate(zip(predicted, truth, strict=True)):
        share = _covered(true, prediction)
        hit = _covered(prediction, true)
        counts[:, n] = len(share), (share > overlap).sum(), len(hit), (hit == 0).sum()
    return Lesions(*counts)


class AreaError(NamedTuple):
    """Predicted minus true area of each image, float64 (N,): in pixels, and in cm², NaN where the spacing is unknown."""

    px: np.ndarray
    cm2: np.ndarray


def area_error(predicted_px: ArrayLike, truth_px: ArrayLike, pixel_spacing_mm: ArrayLike | None = None) -> AreaError:
    """Error of the area.

    Args:
        predicted_px, truth_px: (N,) pixels.
        pixel_spacing_mm: (N, 2) or (2,), height and width of a pixel **of the mask**: DICOM's PixelSpacing times the
            original side over the mask's side. NaN or None: unknown.

    Raises:
        MetricError: a shape does not fit.
    """
    px = np.asarray(predicted_px, np.float64) - np.asarray(truth_px, np.float64)
    spacing = np.full(2, np.nan) if pixel_spacing_mm is None else np.asarray(pixel_spacing_mm, np.float64)
    if spacing.shape not in ((2,), (*px.shape, 2)):
        raise MetricError(f"pixel_spacing_mm has shape {spacing.shape} for {px.shape} areas; pass (2,) or (N, 2).")
    return AreaError(px, px * spacing.prod(axis=-1) / 100)


def _mean_of_highest(values: np.ndarray, n: int) -> float:
    return np.partition(values, len(values) - n)[-n:].mean(dtype=np.float64)


def _flags(predicted: ArrayLike, positive: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    predicted, positive = np.asarray(predicted), np.asarray(positive)
    if predicted.dtype != bool or positive.dtype != bool or predicted.shape != positive.shape:
        raise MetricError(
            f"predicted is {predicted.dtype} {predicted.shape} and positive {positive.dtype} {positive.shape}; "
            "pass one bool per image in both."
        )
    return predicted, positive


def _scored(score: ArrayLike, positive: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    score, positive = np.asarray(score, np.float64), np.asarray(positive)
    if positive.dtype != bool or score.shape != positive.shape or np.isnan(score).any():
        raise MetricError(
            f"score {score.shape} and positive {positive.dtype} {positive.shape} must be one number, not NaN, and one "
            "bool per image."
        )
    return score, positive


def _components(mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Labels int32 (H, W), 0 is the background, and the area of each label."""
    _, labels, stats, _ = cv2.connectedComponentsWithStats(np.asarray(mask).astype(np.uint8), connectivity=8)
    return labels, stats[:, cv2.CC_STAT_AREA]


def _covered(mask: np.ndarray, by: np.ndarray) -> np.ndarray:
    """For each component of `mask`, the share of its pixels that `by` holds."""
    labels, areas = _components(mask)
    return np.bincount(labels[np.asarray(by, bool)], minlength=len(areas))[1:] / areas[1:]
