"""Invented studies with a known truth, and how often intervals cover it; run it to print the tables of the whole grid.

The patients are like the challenge's: most have one image, a few have dozens (at most 61); 22 % of the images are positive,
and positive images gather in patients. A negative image scores 1 or, with a false positive, 0; a positive image scores 0
where it is missed and up to 0.95 otherwise. Patients, images, seeds and chance all move a score.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache

import numpy as np
from scipy.special import expit

from pneumo_lib import metrics

SIZES = np.arange(1, 62)
SHARES = SIZES**-2.5 / (SIZES**-2.5).sum()


@dataclass(frozen=True)
class Images:
    """N images of invented patients, without a network: patient (N,), positive (N,), and how easy each image is (N,)."""

    patients: np.ndarray
    positive: np.ndarray
    easy: np.ndarray
    quiet: np.ndarray


def images(rng: np.random.Generator, n_patients: int, single: bool = False) -> Images:
    """Images of new patients; `single`: one image each."""
    sizes = np.ones(n_patients, int) if single else rng.choice(SIZES, n_patients, p=SHARES)
    patients = np.repeat(np.arange(n_patients), sizes)
    tendency, skill, noise = (rng.normal(size=n_patients)[patients] for _ in range(3))
    positive = rng.random(len(patients)) < expit(-1.6 + 1.3 * tendency)
    easy = 0.7 * skill + 1.2 * rng.normal(size=len(patients))
    return Images(patients, positive, easy, noise + rng.normal(size=len(patients)))


def latent(rng: np.random.Generator, of: Images, seeds: int, effect: float, seed_sd: float) -> np.ndarray:
    """How sure the networks of S seeds are of a pneumothorax, (S, N): the seed moves positive and negative images."""
    shift = seed_sd * rng.normal(size=(2, seeds, 1))
    chance = 0.8 * rng.normal(size=(seeds, len(of.patients)))
    return np.where(of.positive, of.easy + effect + shift[0], -4 + of.quiet + shift[1]) + chance


def dsc(of: Images, sure: np.ndarray) -> np.ndarray:
    """DSC (S, N) in 0..0.95 of positive images, 0 or 1 of negative ones."""
    found = np.clip(0.5 + 0.25 * sure, 0, 0.95)
    return np.where(of.positive, np.where(found < 0.1, 0, found), sure < -1)


Statistic = Callable[[Images, np.ndarray], float]
STATISTICS: dict[str, tuple[Statistic, Statistic]] = {
    "mean DSC": (
        lambda of, sure: metrics.mean_interval(dsc(of, sure), of.patients),
        lambda of, sure: dsc(of, sure).mean(),
    ),
    "positive-only DSC": (
        lambda of, sure: metrics.mean_interval(dsc(of, sure), of.patients, of.positive),
        lambda of, sure: dsc(of, sure)[:, of.positive].mean(),
    ),
    "specificity": (
        lambda of, sure: metrics.proportion_interval(sure < -1, of.patients, ~of.positive),
        lambda of, sure: (sure < -1)[:, ~of.positive].mean(),
    ),
    "sensitivity": (
        lambda of, sure: metrics.proportion_interval(sure >= -1.6, of.patients, of.positive),
        lambda of, sure: (sure >= -1.6)[:, of.positive].mean(),
    ),
    "AUROC": (
        lambda of, sure: metrics.auroc_interval(sure, of.positive, of.patients),
        lambda of, sure: metrics.auroc(sure[0], of.positive),
    ),
}
"""Name -> its interval, and its value on images without end."""


@cache
def truth(name: str, effect: float, seed_sd: float, single: bool) -> float:
    """Expected value over patients and seeds, known to 0.001: each of many patients has a seed of its own."""
    rng = np.random.default_rng(0)
    of = images(rng, 400_000, single)
    chance = (seed_sd * rng.normal(size=(2, of.patients[-1] + 1)))[:, of.patients]
    sure = latent(rng, of, 1, effect, 0) + np.where(of.positive, *chance)
    return float(STATISTICS[name][1](of, sure))


def intervals(
    name: str, n_patients: int, seeds: int, seed_sd: float, repeats: int, single: bool = False
) -> Iterator[metrics.Interval]:
    """The interval of each of many studies."""
    rng = np.random.default_rng(n_patients * 1000 + seeds)
    for _ in range(repeats):
        of = images(rng, n_patients, single)
        if of.positive.any() and not of.positive.all():
            yield STATISTICS[name][0](of, latent(rng, of, seeds, 0, seed_sd))


def coverage(
    name: str, n_patients: int, seeds: int = 1, seed_sd: float = 0.0, repeats: int = 1000, single: bool = False
) -> tuple[float, float]:
    """Share of the intervals that cover the truth, and share of the studies that have an interval."""
    found = list(intervals(name, n_patients, seeds, seed_sd, repeats, single))
    given = [each for each in found if not each.refused]
    value = truth(name, 0.0, seed_sd, single)
    covered = [each.low <= value <= each.high for each in given]
    return float(np.mean(covered)) if given else np.nan, len(given) / len(found)


def differences(
    n_patients: int, seeds: int, effect: float, seed_sd: float, repeats: int, single: bool = False
) -> list[metrics.Difference]:
    """Difference of the mean DSC of two arms with seeds of their own, in each of many studies."""
    rng, found = np.random.default_rng(seeds), []
    for _ in range(repeats):
        of = images(rng, n_patients, single)
        arms = [dsc(of, latent(rng, of, seeds, shift, seed_sd)) for shift in (effect, 0)]
        found.append(metrics.mean_difference(*arms, of.patients))
    return found
