"""Statistics of several seeds on one set of images, each also without one patient at a time.

How far a statistic moves when one patient's images are left out is all that an interval needs: the jackknife takes a mean,
a ratio, an AUROC or any smooth function of images alike, and a patient's images, which are not independent, leave together.

Reference: Dorfman, Berbaum, Metz, *Receiver operating characteristic rating analysis: generalization to the population of
readers and patients with the jackknife method*, Investigative Radiology 27, 1992. Seeds stand here for its readers.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy.stats import rankdata

from pneumo_lib.errors import MetricError


@dataclass(frozen=True)
class Jackknife:
    """A statistic of S seeds on the images of G patients.

    values: float64 (S, ...), of all images.
    without: float64 (S, G, ...), of the images of all patients but one. NaN where nothing is left.
    n_images: number of images that the statistic looks at.
    units: number of independent observations to count on where patients do not differ at all; G, or less.
    over: "patients", or "images" where no patient is known and each image counts as one.
    """

    values: np.ndarray
    without: np.ndarray
    n_images: int
    units: int
    over: str


def of_mean(scores: ArrayLike, patients: ArrayLike | None = None, where: ArrayLike | None = None) -> Jackknife:
    """The mean over images.

    Args:
        scores: float (N,) of one seed or (S, N, ...) of several.
        patients: (N,) the patient of each image; a missing one (None, NaN, "") counts as a patient of its own.
            None: every image for itself.
        where: bool (N,), the images that count, such as those with a pneumothorax; None: all.

    Raises:
        MetricError: NaN among the scores that count, no image, or lengths differ.
    """
    scores = _by_seed(scores)
    return of_ratio(scores, np.ones(scores.shape[1]), patients, where)


def of_ratio(
    numerator: ArrayLike, denominator: ArrayLike, patients: ArrayLike | None = None, where: ArrayLike | None = None
) -> Jackknife:
    """The sum of one count over images divided by the sum of another, such as lesions found by true lesions.

    Args:
        numerator: float (N,) or (S, N, ...).
        denominator: float (N,), or of the numerator's shape; not negative.
        patients, where: as in `of_mean`. Patients whose denominator is 0 throughout are left out.

    Raises:
        MetricError: as in `of_mean`.
    """
    numerator, denominator = _by_seed(numerator), _by_seed(denominator)
    if denominator.shape[1] != numerator.shape[1]:
        raise MetricError(f"{denominator.shape[1]} denominators for {numerator.shape[1]} images; pass one per image.")
    codes, over = patient_codes(patients, numerator.shape[1])
    denominator = denominator.reshape(denominator.shape + (1,) * (numerator.ndim - denominator.ndim))
    used = np.moveaxis(denominator, 1, 0).reshape(len(codes), -1).any(axis=1) & _where(where, len(codes))
    if not used.any():
        raise MetricError("no image counts; pass at least one with a score (and a denominator above 0).")
    numerator, denominator = numerator[:, used], denominator[:, used]
    if np.isnan(numerator).any():
        raise MetricError("scores hold NaN; leave those images out with `where`.")
    _, codes = np.unique(codes[used], return_inverse=True)
    top, bottom = _sums(numerator, codes), _sums(denominator, codes)
    top_all, bottom_all = top.sum(axis=1), bottom.sum(axis=1)
    values, without = _divided(top_all, bottom_all), _divided(top_all[:, None] - top, bottom_all[:, None] - bottom)
    return Jackknife(values, without, int(used.sum()), top.shape[1], over)


def of_auroc(score: ArrayLike, positive: ArrayLike, patients: ArrayLike | None = None) -> Jackknife:
    """The area under the ROC curve, as `detection.auroc` gives it.

    Args:
        score: float (N,) or (S, N), such as `detection.top_probability`.
        positive: bool (N,).
        patients: as in `of_mean`.

    Returns:
        Jackknife whose `units` is the smaller of the numbers of patients with a positive and with a negative image: so
        many pairs of one positive and one negative image can be formed that share no patient.

    Raises:
        MetricError: NaN among the scores, `positive` is not bool, or lengths differ.

    References: DeLong, DeLong, Clarke-Pearson, *Comparing the areas under two or more correlated receiver operating
    characteristic curves*, Biometrics 44, 1988; Obuchowski, *Nonparametric analysis of clustered ROC curve data*,
    Biometrics 53, 1997, whose variance for patients with several images this jackknife approaches.
    """
    score, positive = _by_seed(score), np.asarray(positive)
    if positive.dtype != bool or score.shape[1:] != positive.shape or np.isnan(score).any():
        raise MetricError("score must be one number per image, not NaN, and positive one bool per image.")
    codes, over = patient_codes(patients, len(positive))
    found = [_auroc_without(one, positive, codes) for one in score]
    units = min(len(np.unique(codes[positive])), len(np.unique(codes[~positive])))
    values, without = (np.array(part) for part in zip(*found, strict=True))
    return Jackknife(values, without, len(positive), units, over)


def of_statistic(
    statistic: Callable[[np.ndarray], ArrayLike], n_images: int, patients: ArrayLike | None = None
) -> Jackknife:
    """Any other smooth statistic, computed anew without each patient: as many calls as patients.

    Args:
        statistic: takes the numbers of the images to use, int (M,), and gives one float, or (S,) for S seeds.
        n_images: N.
        patients: as in `of_mean`.
    """
    codes, over = patient_codes(patients, n_images)
    groups = codes.max() + 1
    values = np.atleast_1d(np.asarray(statistic(np.arange(n_images)), np.float64))
    without = [np.atleast_1d(statistic(np.flatnonzero(codes != group))) for group in range(groups)]
    return Jackknife(values, np.array(without, np.float64).T, n_images, int(groups), over)


def patient_codes(patients: ArrayLike | None, n_images: int) -> tuple[np.ndarray, str]:
    """The number of each image's patient, int (N,) from 0 without gaps, and what they are: "patients" or "images".

    Raises:
        MetricError: not one patient per image, or no image.
    """
    if n_images == 0:
        raise MetricError("no images given; an interval needs at least one.")
    if patients is None:
        return np.arange(n_images), "images"
    known = np.asarray(patients, dtype=object)
    if len(known) != n_images:
        raise MetricError(f"{len(known)} patients for {n_images} images; pass one patient per image.")
    codes, names = pd.factorize(pd.Series(known).replace("", None))
    missing = codes < 0
    codes[missing] = len(names) + np.arange(missing.sum())
    return codes, "patients" if len(names) else "images"


def _by_seed(values: ArrayLike) -> np.ndarray:
    values = np.asarray(values, np.float64)
    return values[None] if values.ndim == 1 else values


def _where(where: ArrayLike | None, n_images: int) -> np.ndarray:
    if where is None:
        return np.ones(n_images, bool)
    where = np.asarray(where)
    if where.dtype != bool or where.shape != (n_images,):
        raise MetricError(f"where is {where.dtype} {where.shape} for {n_images} images; pass one bool per image.")
    return where


def _sums(values: np.ndarray, codes: np.ndarray) -> np.ndarray:
    """Sums over the images of each patient: (S, N, ...) -> (S, G, ...)."""
    order = np.argsort(codes, kind="stable")
    starts = np.flatnonzero(np.diff(codes[order], prepend=-1))
    return np.add.reduceat(values[:, order], starts, axis=1)


def _divided(top: np.ndarray, bottom: np.ndarray) -> np.ndarray:
    # Where the bottom is 0, nothing is left to take a mean of.
    return top / np.where(bottom == 0, np.nan, bottom)


def _auroc_without(score: np.ndarray, positive: np.ndarray, codes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """AUROC of all images, (), and without each patient, (G,), by counting the pairs that each patient takes part in."""
    groups, rank = codes.max() + 1, rankdata(score)
    n_positive, n_negative = (np.bincount(codes[kind], minlength=groups) for kind in (positive, ~positive))
    # An image's rank among all images less its rank among its own kind counts the others below it; ties count half.
    won = np.empty(len(score))
    won[positive] = rank[positive] - rankdata(score[positive])
    won[~positive] = positive.sum() - (rank[~positive] - rankdata(score[~positive]))
    # Pairs within a patient are counted from both of their ends.
    _, within = np.unique(score, return_inverse=True)
    ordered = rankdata(codes * (len(score) + 1.0) + within)
    before = np.cumsum(np.bincount(codes)) - np.bincount(codes)
    own = np.bincount(codes[positive], (ordered - before[codes])[positive], groups) - n_positive * (n_positive + 1) / 2
    wins = won[positive].sum() - np.bincount(codes, won, groups) + own
    pairs = (n_positive.sum() - n_positive) * (n_negative.sum() - n_negative)
    return _divided(won[positive].sum(), n_positive.sum() * n_negative.sum()), _divided(wins, pairs)
