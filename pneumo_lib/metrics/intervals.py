"""95 % intervals over patients and seeds: the one meaning of brackets everywhere. `crossed` says how they are made."""

from __future__ import annotations  # The library's page in the book shows them as they stand here.

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from pneumo_lib.metrics import crossed, jackknife
from pneumo_lib.metrics.crossed import Spread
from pneumo_lib.metrics.jackknife import Jackknife
from pneumo_lib.metrics.overlap import MetricError

MIN_PATIENTS = 6
"""Fewest patients that have an interval: of five, not even all on one side tell at 0.05 in a sign test (2 / 2**5 = 0.0625)."""


@dataclass(frozen=True)
class Interval:
    """A statistic, its 95 % interval and what that is over; `value, low, high = interval` unpacks it.

    value: the statistic, averaged over seeds.
    low, high: ends of the interval; NaN where `refused` says why there is none.
    level: of the interval.
    method: "Wilson" or "t".
    over: "patients", or "images" where patients are unknown; "seeds" for a number that each run has one of.
    n_images, n_patients, n_seeds: numbers; where patients are unknown, n_patients is that of images.
    over_seeds: whether the interval is over seeds too; else it is for these seeds only.
    seed_sd: standard deviation over seeds; NaN for one seed.
    standard_error, dof: of the mean, with its degrees of freedom.
    refused: why there is no interval; empty where there is one.
    """

    value: float
    low: float
    high: float
    level: float = crossed.LEVEL
    method: str = ""
    over: str = "patients"
    n_images: int = 0
    n_patients: int = 0
    n_seeds: int = 1
    over_seeds: bool = False
    seed_sd: float = np.nan
    standard_error: float = np.nan
    dof: float = np.nan
    refused: str = ""

    def __iter__(self) -> Iterator[float]:
        return iter((self.value, self.low, self.high))

    @property
    def basis(self) -> str:
        """What the interval is over: "over 120 patients and 6 seeds", "over 120 patients, one seed"."""
        if self.over == "seeds":
            return f"over {self.n_seeds} seeds"
        units = f"over {self.n_patients:,} {self.over}"
        if self.over_seeds:
            return f"{units} and {self.n_seeds} seeds"
        return f"{units}, one seed" if self.n_seeds == 1 else f"{units}, for these {self.n_seeds} seeds"

    def excludes(self, value: float) -> bool:
        """Whether a value lies outside; never where there is no interval."""
        return self.low > value or self.high < value


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
    return interval(jackknife.of_mean(scores, patients, where), bounded)


def ratio_interval(
    numerator: ArrayLike, denominator: ArrayLike, patients: ArrayLike | None = None, bounded: bool = True
) -> Interval:
    """A sum over images by another, such as lesions found by true lesions; arguments as in `jackknife.of_ratio`."""
    return interval(jackknife.of_ratio(numerator, denominator, patients), bounded)


def proportion_interval(
    outcomes: ArrayLike, patients: ArrayLike | None = None, where: ArrayLike | None = None
) -> Interval:
    """Share of images with an outcome, such as positive images called positive.

    Args:
        outcomes: bool (N,) or (S, N).
        patients, where: as in `mean_interval`.

    Returns:
        Interval, never of width 0: Wilson's for the number of images divided by the design effect (1 or more), and for the
        number of patients where all images are alike. With one image per patient it is Wilson's interval as it stands.

    Raises:
        MetricError: outcomes are not bool, or as in `mean_interval`.

    References: Korn, Graubard, *Confidence intervals for proportions with small expected number of positive counts estimated
    from survey data*, Survey Methodology 24, 1998; Dean, Pagano, *Evaluating confidence interval methods for binomial
    proportions in clustered surveys*, J. Survey Statistics and Methodology 3, 2015, for Wilson's limits instead of exact ones.
    """
    if np.asarray(outcomes).dtype != bool:
        raise MetricError(f"outcomes have type {np.asarray(outcomes).dtype}; pass bool.")
    found = jackknife.of_mean(outcomes, patients, where)
    parts = crossed.spread(found)
    return describe(found, parts, crossed.proportion_limits(found.values.mean(), parts, found.units, found.n_images))


def auroc_interval(score: ArrayLike, positive: ArrayLike, patients: ArrayLike | None = None) -> Interval:
    """Area under the ROC curve; arguments as in `jackknife.of_auroc`. NaN and refused without both kinds of image."""
    return interval(jackknife.of_auroc(score, positive, patients))


def statistic_interval(
    statistic: Callable[[np.ndarray], ArrayLike],
    n_images: int,
    patients: ArrayLike | None = None,
    bounded: bool = True,
) -> Interval:
    """Another smooth statistic, such as average precision; arguments as in `jackknife.of_statistic`."""
    return interval(jackknife.of_statistic(statistic, n_images, patients), bounded)


def mean_band(scores: ArrayLike, patients: ArrayLike | None = None) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """`mean_interval` at each of K points, such as thresholds: mean, low and high, float64 (K,) each.

    Args:
        scores: float (S, N, K) in 0..1.
        patients: as in `mean_interval`.

    Returns:
        low and high are NaN below `MIN_PATIENTS` patients.
    """
    found = jackknife.of_mean(scores, patients)
    mean = found.values.mean(axis=0)
    if _refusal(found):
        return mean, np.full_like(mean, np.nan), np.full_like(mean, np.nan)
    return mean, *crossed.wilson_limits(mean, crossed.spread(found), found.units)


def interval(found: Jackknife, bounded: bool = True) -> Interval:
    """The interval of a jackknifed statistic.

    Args:
        found: its values have shape (S,).
        bounded: it lies in 0..1.

    Raises:
        MetricError: it does not lie in 0..1 though bounded.
    """
    parts, mean = crossed.spread(found), found.values.mean()
    if not bounded:
        return describe(found, parts, crossed.t_limits(mean, parts), "t")
    if mean < 0 or mean > 1:
        raise MetricError(f"the scores' mean is {mean:.6g}, outside 0..1; pass bounded=False.")
    return describe(found, parts, crossed.wilson_limits(mean, parts, found.units))


def describe(found: Jackknife, parts: Spread, limits: tuple[float, float], method: str = "Wilson") -> Interval:
    """The Interval with these limits; without limits where patients are too few or, by Student's t, do not differ."""
    refused = _refusal(found)
    if not refused and method == "t" and parts.variance <= crossed.NOTHING:
        refused = f"{found.over} do not vary"
    low, high = (np.nan, np.nan) if refused else limits
    seeds, patients = found.without.shape
    return Interval(
        value=float(found.values.mean()),
        low=float(low),
        high=float(high),
        method=method,
        over=found.over,
        n_images=found.n_images,
        n_patients=patients,
        n_seeds=seeds,
        over_seeds=bool(parts.seeds),
        seed_sd=float(found.values.std(ddof=1)) if seeds > 1 else np.nan,
        standard_error=float(np.sqrt(parts.variance)),
        dof=float(parts.dof),
        refused=refused,
    )


def _refusal(found: Jackknife) -> str:
    if np.isnan(found.values).any():
        return "the images do not define it"
    if found.units < MIN_PATIENTS:
        return f"{found.units} {found.over} are too few ({MIN_PATIENTS} needed)"
    return "it hangs on one patient" if np.isnan(found.without).any() else ""
