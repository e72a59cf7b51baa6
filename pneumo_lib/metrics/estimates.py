"""Statistics of test images, each with its 95 % interval over patients and seeds; `crossed` says how these are made."""

from __future__ import annotations  # The library's page in the book shows them as they stand here.

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike

from pneumo_lib.errors import MetricError
from pneumo_lib.metrics import crossed, jackknife
from pneumo_lib.metrics.interval import Interval, describe, refusal
from pneumo_lib.metrics.jackknife import Jackknife


def mean_interval(
    scores: ArrayLike, patients: ArrayLike | None = None, where: ArrayLike | None = None, bounded: bool = True
) -> Interval:
    """Mean over images and its interval.

    Args:
        scores: float (N,) of one seed or (S, N) of several on the same images.
        patients: (N,) the patient of each image; a missing one (None, NaN, "") counts as a patient of its own. None: they
            are unknown, and the interval is over images.
        where: bool (N,), the images that count, such as those with a pneumothorax; None: all.
        bounded: scores lie in 0..1, and so does the interval; False for pixels, cm² and gains.

    Raises:
        MetricError: NaN among the scores, a mean outside 0..1 though bounded, no image, or lengths differ.
    """
    return _interval(jackknife.of_mean(scores, patients, where), bounded)


def ratio_interval(
    numerator: ArrayLike, denominator: ArrayLike, patients: ArrayLike | None = None, bounded: bool = True
) -> Interval:
    """A sum over images by another, such as lesions found by true lesions; arguments as in `jackknife.of_ratio`."""
    return _interval(jackknife.of_ratio(numerator, denominator, patients), bounded)


def proportion_interval(
    outcomes: ArrayLike, patients: ArrayLike | None = None, where: ArrayLike | None = None
) -> Interval:
    """Share of images with an outcome, such as positive images called positive.

    Args:
        outcomes: bool (N,) or (S, N).
        patients, where: as in `mean_interval`.

    Returns:
        Interval, never of width 0: Wilson's for the number of images divided by the design effect (1 or more), and for the
        number of patients where all images are alike. With one seed and one image per patient it is Wilson's interval.

    Raises:
        MetricError: outcomes are not bool, or as in `mean_interval`.

    References: Korn, Graubard, *Confidence intervals for proportions with small expected number of positive counts estimated
    from survey data*, Survey Methodology 24, 1998; Dean, Pagano, *Evaluating confidence interval methods for binomial
    proportions in clustered surveys*, J. Survey Statistics and Methodology 3, 2015, for Wilson's limits instead of exact ones.
    """
    if np.asarray(outcomes).dtype != bool:
        raise MetricError(f"outcomes have type {np.asarray(outcomes).dtype}; pass bool.")
    found = jackknife.of_mean(outcomes, patients, where)
    parts, share = crossed.spread(found), found.values.mean()
    return describe(found, parts, lambda: crossed.proportion_limits(share, parts, found.units, found.n_images))


def auroc_interval(score: ArrayLike, positive: ArrayLike, patients: ArrayLike | None = None) -> Interval:
    """Area under the ROC curve; arguments as in `jackknife.of_auroc`. NaN and refused without both kinds of image."""
    return _interval(jackknife.of_auroc(score, positive, patients))


def statistic_interval(
    statistic: Callable[[np.ndarray], ArrayLike],
    n_images: int,
    patients: ArrayLike | None = None,
    bounded: bool = True,
) -> Interval:
    """Another smooth statistic, such as average precision; arguments as in `jackknife.of_statistic`."""
    return _interval(jackknife.of_statistic(statistic, n_images, patients), bounded)


def mean_band(scores: ArrayLike, patients: ArrayLike | None = None) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """`mean_interval` at each of K points, such as thresholds: mean, low and high, float64 (K,) each.

    Args:
        scores: float (S, N, K) in 0..1.
        patients: as in `mean_interval`.

    Returns:
        low and high are NaN below `interval.MIN_PATIENTS` patients.
    """
    found = jackknife.of_mean(scores, patients)
    mean = found.values.mean(axis=0)
    if refusal(found):
        return mean, np.full_like(mean, np.nan), np.full_like(mean, np.nan)
    return mean, *crossed.wilson_limits(mean, crossed.spread(found), found.units)


def _interval(found: Jackknife, bounded: bool = True) -> Interval:
    parts, mean = crossed.spread(found), found.values.mean()
    if not bounded:
        return describe(found, parts, lambda: crossed.t_limits(mean, parts), "t")
    if mean < 0 or mean > 1:
        raise MetricError(f"the scores' mean is {mean:.6g}, outside 0..1; pass bounded=False.")
    return describe(found, parts, lambda: crossed.wilson_limits(mean, parts, found.units))
