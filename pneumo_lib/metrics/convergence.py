"""Speed of convergence: mean validation score over compute, and compute to reach a score set beforehand.

Compute is any measure that adds up over training, such as pixels through the network. A curve runs straight between its
evaluations and starts at compute 0 with the score of an untrained network, so that an arm whose first evaluation comes late
has no advantage from it.
"""

import numpy as np
from numpy.typing import ArrayLike
from scipy import integrate

from pneumo_lib.errors import MetricError
from pneumo_lib.metrics.differences import Difference, seed_difference


def area_under_curve(compute: ArrayLike, scores: ArrayLike, limit: float, initial: float) -> np.ndarray:
    """Mean score over compute from 0 to a limit (trapezoids, divided by the limit).

    It is linear in the scores: per-image curves (S, N, T) give per-image areas (S, N), which `differences.mean_difference`
    compares over seeds and patients; curves of means (S, T) give (S,), for `differences.seed_difference`.

    Args:
        compute: float (T,), above 0 and rising.
        scores: float (..., T), at each evaluation.
        limit: the same for all arms; at most the last evaluation of each.
        initial: score at compute 0, such as the empty-mask baseline for mean DSC and 0 for positive-only DSC.

    Returns:
        float64 (...).

    Raises:
        MetricError: compute does not rise from above 0, the limit lies outside the curve, or shapes differ.
    """
    compute, scores = _curve(compute, scores, initial)
    if not 0 < limit <= compute[-1]:
        raise MetricError(f"limit is {limit:g}; pass one above 0 and at most {compute[-1]:g}, the last evaluation.")
    inside = compute < limit
    last = inside.sum()
    share = (limit - compute[last - 1]) / (compute[last] - compute[last - 1])
    at_limit = scores[..., last - 1] + share * (scores[..., last] - scores[..., last - 1])
    heights = np.concatenate([scores[..., inside], at_limit[..., None]], axis=-1)
    return integrate.trapezoid(heights, np.append(compute[inside], limit), axis=-1) / limit


def compute_to_reach(compute: ArrayLike, scores: ArrayLike, target: float, initial: float) -> np.ndarray:
    """Compute at which a curve first reaches a score; inf where it never does (censored at its end).

    Args:
        compute, scores, initial: as in `area_under_curve`.
        target: set before the curves were seen.

    Returns:
        float64 (...): 0 where the initial score already reaches it.

    Raises:
        MetricError: compute does not rise from above 0, or shapes differ.
    """
    compute, scores = _curve(compute, scores, initial)
    reached = scores >= target
    first = np.maximum(reached.argmax(axis=-1), 1)
    before, after = (np.take_along_axis(scores, (first - k)[..., None], -1)[..., 0] for k in (1, 0))
    share = np.clip((target - before) / np.where(after == before, 1, after - before), 0, 1)
    at = compute[first - 1] + share * (compute[first] - compute[first - 1])
    at = np.where(reached[..., 0], 0, at)
    return np.where(reached.any(axis=-1), at, np.inf)


def reach_difference(a: ArrayLike, b: ArrayLike, limit: float) -> Difference:
    """Difference of the restricted mean compute to a target: a run that does not reach it counts with the limit.

    All runs are watched up to the same limit, so that the restricted mean is a plain mean and needs no survival curve.
    Where runs of `b` alone miss the target, the true difference is further from 0. Negative: a is faster.

    Args:
        a, b: float (S,) and (T,) of `compute_to_reach`, inf where censored.
        limit: compute up to which every run of both arms was trained.

    Raises:
        MetricError: limit is not above 0.

    Reference: Royston, Parmar, *Restricted mean survival time: an alternative to the hazard ratio for the design and
    analysis of randomized trials with a time-to-event outcome*, BMC Medical Research Methodology 13, 2013.
    """
    if not limit > 0:
        raise MetricError(f"limit is {limit:g}; pass the compute up to which all runs were trained.")
    a, b = (np.minimum(np.asarray(arm, np.float64), limit) for arm in (a, b))
    return seed_difference(a, b)


def _curve(compute: ArrayLike, scores: ArrayLike, initial: float) -> tuple[np.ndarray, np.ndarray]:
    """Both with compute 0 in front."""
    compute, scores = np.asarray(compute, np.float64), np.asarray(scores, np.float64)
    if compute.ndim != 1 or not len(compute) or scores.shape[-1:] != compute.shape:
        raise MetricError(f"compute has shape {compute.shape} and scores {scores.shape}; pass (T,) and (..., T).")
    if not (np.diff(compute, prepend=0) > 0).all():
        raise MetricError("compute must start above 0 and rise from evaluation to evaluation.")
    start = np.full((*scores.shape[:-1], 1), initial, np.float64)
    return np.append(0, compute), np.concatenate([start, scores], axis=-1)
