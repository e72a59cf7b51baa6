"""Bootstrap intervals over patients, because a patient's images are no independent samples."""

from __future__ import annotations  # The library's page in the book shows them as they stand here.

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from pneumo_lib.errors import MetricError


class Interval(NamedTuple):
    """A mean and its percentile bootstrap interval; floats, or arrays of the values' trailing shape."""

    mean: float | np.ndarray
    low: float | np.ndarray
    high: float | np.ndarray


def bootstrap_interval(
    values: ArrayLike, groups: ArrayLike | None = None, n: int = 2000, seed: int = 0, level: float = 0.95
) -> Interval:
    """The mean over images and its percentile interval from a bootstrap that draws whole groups.

    Args:
        values: float (N,) or (N, ...), one row an image; with more axes every column is resampled alike.
        groups: (N,) the patient of each image; a missing one (None, NaN, "") counts as a patient of its own.
            None: every image for itself.
        n: resamples.
        seed: of the resampling.
        level: of the interval, 0..1.

    Returns:
        Interval (mean, low, high): floats for (N,), else arrays of the trailing shape. A resample's mean is over its
        images, so patients with many images weigh more, as they do in the plain mean.

    Raises:
        MetricError: no values, NaN among them, another number of groups, n below 1, or a level outside 0..1.

    Source: our choice; the paper and the deck give no intervals.
    """
    values = np.asarray(values, dtype=np.float64)
    _check(values, groups, n, level)
    clusters, size = _cluster_sums(values.reshape(len(values), -1), groups)
    rng = np.random.default_rng(seed)
    means = np.concatenate([_resampled_means(rng, clusters, size, min(256, n - i)) for i in range(0, n, 256)])
    tail = (1 - level) / 2
    low, high = np.quantile(means, (tail, 1 - tail), axis=0).reshape(2, *values.shape[1:])
    if values.ndim == 1:
        return Interval(float(values.mean()), float(low), float(high))
    return Interval(values.mean(axis=0), low, high)


def paired_bootstrap(
    a: ArrayLike, b: ArrayLike, groups: ArrayLike | None = None, n: int = 2000, seed: int = 0, level: float = 0.95
) -> Interval:
    """The mean of a - b over the same images and its interval; one that excludes 0 tells the two experiments apart.

    Args:
        a, b: float (N,) each, a metric of two experiments on the same images in the same order.
        groups, n, seed, level: as in `bootstrap_interval`.

    Raises:
        MetricError: shapes differ, or as in `bootstrap_interval`.
    """
    a, b = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    if a.shape != b.shape:
        raise MetricError(f"a has shape {a.shape} and b {b.shape}; a paired bootstrap needs the same images in both.")
    return bootstrap_interval(a - b, groups, n, seed, level)


def bootstrap_statistic(
    statistic: Callable[..., float],
    *columns: ArrayLike,
    groups: ArrayLike | None = None,
    n: int = 2000,
    seed: int = 0,
    level: float = 0.95,
) -> Interval:
    """A statistic of images that is no mean, such as AUROC, and its percentile interval; as `bootstrap_interval`.

    Args:
        statistic: takes `columns`, or the rows of them that a resample holds, and gives one number.
        columns: arrays (N, ...), one row an image.
        groups, n, seed, level: as in `bootstrap_interval`.

    Returns:
        Interval whose `mean` is the statistic of all images. Resamples on which it is NaN (an AUROC without a positive
        image) are left out; all three are NaN where it is NaN on all images.

    Raises:
        MetricError: columns of different lengths, or as in `bootstrap_interval`.
    """
    columns = [np.asarray(column) for column in columns]
    if len({len(column) for column in columns}) != 1:
        raise MetricError(f"columns have {[len(column) for column in columns]} rows; pass one row an image in each.")
    _check(np.zeros(len(columns[0])), groups, n, level)
    here = float(statistic(*columns))
    if np.isnan(here):
        return Interval(here, here, here)
    codes = np.arange(len(columns[0])) if groups is None else _codes(groups)
    rng, patients = np.random.default_rng(seed), int(codes.max()) + 1
    values = np.empty(n)
    for i in range(n):
        times = np.bincount(rng.integers(0, patients, patients), minlength=patients)
        drawn = np.repeat(np.arange(len(codes)), times[codes])
        values[i] = statistic(*(column[drawn] for column in columns))
    low, high = np.nanquantile(values, ((1 - level) / 2, (1 + level) / 2))
    return Interval(here, float(low), float(high))


def _check(values: np.ndarray, groups: ArrayLike | None, n: int, level: float) -> None:
    if values.ndim == 0 or len(values) == 0:
        raise MetricError("values is empty; a bootstrap needs at least one image.")
    if np.isnan(values).any():
        raise MetricError("values holds NaN; leave those images out first, in groups too.")
    if groups is not None and len(groups) != len(values):
        raise MetricError(f"groups has {len(groups)} entries for {len(values)} values; pass one patient an image.")
    if n < 1:
        raise MetricError(f"n is {n}; pass 1 resample or more.")
    if not 0 < level < 1:
        raise MetricError(f"level is {level}; pass a share between 0 and 1, such as 0.95.")


def _cluster_sums(values: np.ndarray, groups: ArrayLike | None) -> tuple[np.ndarray, np.ndarray]:
    """Sum of the values (G, K) and number of images (G,) of each group."""
    if groups is None:
        return values, np.ones(len(values))
    codes = _codes(groups)
    size = np.bincount(codes).astype(np.float64)
    sums = np.zeros((len(size), values.shape[1]))
    np.add.at(sums, codes, values)
    return sums, size


def _codes(groups: ArrayLike) -> np.ndarray:
    """The number of each image's group, int (N,); a missing group is one of its own."""
    codes, _ = pd.factorize(pd.Series(np.asarray(groups, dtype=object)).replace("", None))
    missing = codes < 0
    codes[missing] = codes.max(initial=-1) + 1 + np.arange(missing.sum())
    return codes


def _resampled_means(rng: np.random.Generator, sums: np.ndarray, size: np.ndarray, n: int) -> np.ndarray:
    """Means (n, K) over n resamples of the groups, by how often each group was drawn."""
    groups = len(size)
    drawn = rng.integers(0, groups, (n, groups)) + groups * np.arange(n)[:, None]
    times = np.bincount(drawn.ravel(), minlength=n * groups).reshape(n, groups).astype(np.float64)
    return (times @ sums) / (times @ size)[:, None]
