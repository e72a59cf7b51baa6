"""Difference of two pipelines on the same images, with its interval, p-value and seeds, and a family of such differences."""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from pneumo_lib.errors import MetricError
from pneumo_lib.metrics import crossed, jackknife
from pneumo_lib.metrics.interval import Interval, describe
from pneumo_lib.metrics.jackknife import Jackknife
from pneumo_lib.metrics.power import Components, detectable


@dataclass(frozen=True)
class Difference:
    """How much higher one pipeline scores than another on the same images.

    interval: of a - b. Its n_seeds is the smaller number of seeds of the two, its seed_sd that of one seed's difference.
    p: two-sided, of no difference; below 0.05 exactly where the interval excludes 0, and 1 where there is no interval.
    per_seed: a - b of each seed where seeds are paired; else of each seed of a, to the mean of b over its seeds.
    components: variances to plan a study from (`power`); None below `crossed.MIN_SEEDS` seeds.
    """

    interval: Interval
    p: float
    per_seed: tuple[float, ...]
    components: Components | None

    @property
    def detectable(self) -> float:
        """The smallest difference that this study had 80 % power to see at p < 0.05; NaN where there is no interval."""
        return np.nan if self.interval.refused else detectable(self.interval.standard_error, self.interval.dof)


def mean_difference(
    a: ArrayLike,
    b: ArrayLike,
    patients: ArrayLike | None = None,
    where: ArrayLike | None = None,
    seeds_paired: bool = False,
) -> Difference:
    """Difference of two mean scores.

    Args:
        a, b: float (N,) of one seed, or (S, N) and (T, N) of several, on the same images in the same order.
        patients, where: as in `estimates.mean_interval`.
        seeds_paired: the s-th seeds of both share what the seed draws (a stage-1 network, say) and S = T; else seeds of
            one are independent of those of the other.

    Raises:
        MetricError: numbers of images differ, or of seeds though paired, or as in `estimates.mean_interval`.
    """
    return compare(jackknife.of_mean(a, patients, where), jackknife.of_mean(b, patients, where), seeds_paired)


def auroc_difference(
    a: ArrayLike, b: ArrayLike, positive: ArrayLike, patients: ArrayLike | None = None, seeds_paired: bool = False
) -> Difference:
    """Difference of two AUROCs; a and b are scores as in `jackknife.of_auroc`, the rest as in `mean_difference`."""
    first, second = (jackknife.of_auroc(score, positive, patients) for score in (a, b))
    return compare(first, second, seeds_paired)


def compare(a: Jackknife, b: Jackknife, seeds_paired: bool = False) -> Difference:
    """Difference of two jackknifed statistics of the same patients; see `mean_difference`."""
    if a.without.shape[1] != b.without.shape[1] or a.n_images != b.n_images:
        raise MetricError(f"a has {a.n_images} images and b {b.n_images}; a paired difference needs the same in both.")
    if seeds_paired and len(a.values) != len(b.values):
        raise MetricError(f"a has {len(a.values)} seeds and b {len(b.values)}; paired seeds need as many in both.")
    other = b if seeds_paired else replace(b, values=b.values.mean(), without=b.without.mean(axis=0))
    gain = replace(a, values=a.values - other.values, without=a.without - other.without, units=min(a.units, b.units))
    arms = [gain] if seeds_paired else [a, b]
    parts, seeds = crossed.spread(*arms), [len(arm.values) for arm in arms]
    found = describe(gain, parts, lambda: crossed.t_limits(gain.values.mean(), parts), "t")
    seed_sd = np.sqrt(sum(arm.values.var(ddof=1) for arm in arms)) if min(seeds) > 1 else np.nan
    found = replace(found, n_seeds=min(seeds), seed_sd=float(seed_sd))
    p = 1.0 if found.refused else 2 * stats.t.sf(abs(found.value) / found.standard_error, found.dof)
    components = Components.of(parts, seeds, a.n_images) if parts.seeds else None
    return Difference(found, float(p), tuple(gain.values.tolist()), components)


def seed_difference(a: ArrayLike, b: ArrayLike) -> Difference:
    """Difference of two means over seeds, of numbers that runs have one of each; Welch's t, over seeds only.

    Args:
        a, b: float (S,) and (T,), seeds independent of each other.

    Returns:
        Difference without interval below `crossed.MIN_SEEDS` seeds in either, or where neither varies.
    """
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    mean, seeds = float(a.mean() - b.mean()), min(len(a), len(b))
    per_seed = tuple((a - b.mean()).tolist())
    found = Interval(mean, np.nan, np.nan, method="t", over="seeds", n_seeds=seeds, over_seeds=True)
    if seeds < crossed.MIN_SEEDS:
        return Difference(replace(found, refused=f"{seeds} seeds are too few"), 1.0, per_seed, None)
    if not (np.ptp(a) or np.ptp(b)):
        return Difference(replace(found, refused="seeds do not vary"), 1.0, per_seed, None)
    with warnings.catch_warnings():
        # Runs that do not reach a score all count with the limit: one of the two arms may not vary, which SciPy doubts.
        warnings.filterwarnings("ignore", "Precision loss", RuntimeWarning)
        test = stats.ttest_ind(a, b, equal_var=False)
    low, high = test.confidence_interval(crossed.LEVEL)
    variance = a.var(ddof=1) / len(a) + b.var(ddof=1) / len(b)
    found = replace(found, low=float(low), high=float(high), dof=float(test.df), standard_error=float(variance**0.5))
    found = replace(found, seed_sd=float(np.sqrt(a.var(ddof=1) + b.var(ddof=1))))
    return Difference(found, float(test.pvalue), per_seed, None)


def holm(p_values: Mapping[str, float]) -> dict[str, float]:
    """p-values adjusted for a family of comparisons: those below 0.05 hold together at 0.05, however they depend.

    Args:
        p_values: comparison -> p.

    Reference: Holm, *A simple sequentially rejective multiple test procedure*, Scandinavian J. Statistics 6, 1979.
    """
    adjusted, highest = {}, 0.0
    for rank, name in enumerate(sorted(p_values, key=p_values.__getitem__)):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[name]))
        adjusted[name] = highest
    return {name: adjusted[name] for name in p_values}
