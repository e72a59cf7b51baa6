"""Effect of choosing thresholds on the scored images: the selection gap, and optimism by resampling."""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from pneumo_lib.errors import MetricError
from pneumo_lib.metrics.estimates import mean_interval
from pneumo_lib.metrics.interval import Interval
from pneumo_lib.metrics.jackknife import patient_codes


def selection_gap(test_chosen: ArrayLike, validation_chosen: ArrayLike, patients: ArrayLike | None = None) -> Interval:
    """Mean score with thresholds chosen on test minus that with thresholds chosen on validation, both scored on test.

    Args:
        test_chosen, validation_chosen: float (N,) or (S, N), scores of the same test images.
        patients: as in `estimates.mean_interval`.

    Returns:
        Interval for these two choices of thresholds. Never below 0 where the choice maximises this very mean; refused, with
        a mean of 0, where both choices give the same masks.

    Raises:
        MetricError: shapes differ, or as in `estimates.mean_interval`.
    """
    test_chosen, validation_chosen = np.asarray(test_chosen, np.float64), np.asarray(validation_chosen, np.float64)
    if test_chosen.shape != validation_chosen.shape:
        shapes = f"{test_chosen.shape} and {validation_chosen.shape}"
        raise MetricError(f"test_chosen and validation_chosen have shapes {shapes}; pass equal ones.")
    return mean_interval(test_chosen - validation_chosen, patients, bounded=False)


class Optimism(NamedTuple):
    """How much the best mean score on a set of images promises too much.

    apparent: the best mean score over the grid, on the images that it was chosen on.
    optimism: expected excess over the same choice's score on new images; at least 0.
    monte_carlo_error: standard error of `optimism` by the number of resamples; no interval over patients.
    """

    apparent: float
    optimism: float
    monte_carlo_error: float

    @property
    def corrected(self) -> float:
        """What the choice is expected to score on new images."""
        return self.apparent - self.optimism


def optimism(scores: ArrayLike, patients: ArrayLike | None = None, resamples: int = 200, seed: int = 0) -> Optimism:
    """Optimism of the best of K grid points: the choice is made anew on every bootstrap resample of patients.

    A resample's own best point scores better there than on the original images; the mean of that excess is the optimism.
    From each resample's excess that of the original choice is taken, whose mean is 0: the estimate is steadier, never
    negative, and 0 where there is nothing to choose. It falls short of the truth, by a factor of up to sqrt(1/2) where all
    points are equally good: a resample shares its luck with the images that it is drawn from.

    Args:
        scores: float (N, K), score of each image at each grid point; float32 spares memory.
        patients: (N,) as in `estimates.mean_interval`.
        resamples: 2 or more.
        seed: of the resampling.

    Raises:
        MetricError: not (N, K), NaN among the scores, or another number of patients.

    Reference: Efron, *Estimating the error rate of a prediction rule: improvement on cross-validation*, JASA 78, 1983;
    Harrell, *Regression modeling strategies*, 2nd ed., 2015, section 5.3.
    """
    scores = np.asarray(scores)
    if scores.ndim != 2 or np.isnan(scores).any():
        raise MetricError(f"scores has shape {scores.shape}; pass (N, K) without NaN, one column per grid point.")
    codes, _ = patient_codes(patients, len(scores))
    order = np.argsort(codes, kind="stable")
    starts = np.flatnonzero(np.diff(codes[order], prepend=-1))
    sums = np.add.reduceat(scores[order].astype(np.float32, copy=False), starts, axis=0)
    sizes = np.bincount(codes).astype(np.float32)
    mean = scores.mean(axis=0, dtype=np.float64)
    chosen = mean.argmax()
    groups = len(sizes)
    times = np.random.default_rng(seed).multinomial(groups, np.full(groups, 1 / groups), resamples).astype(np.float32)
    resampled = times @ sums / (times @ sizes)[:, None]
    best = resampled.argmax(axis=1)
    gained = resampled.max(axis=1).astype(np.float64) - resampled[:, chosen]
    excess = gained + mean[chosen] - mean[best]
    return Optimism(float(mean[chosen]), float(excess.mean()), float(excess.std(ddof=1) / np.sqrt(resamples)))
