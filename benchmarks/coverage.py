"""Coverage of the 95 % intervals on invented studies whose truth is known: `python benchmarks/coverage.py [--repeats 1000]`.

Writes `results/intervals/coverage.csv` (intervals of one pipeline, next to the percentiles of a crossed bootstrap over seeds
and patients) and `results/intervals/differences.csv` (how often two pipelines are called different) in some ten minutes on
two cores. A share of 1,000 studies is known to 0.007 (one standard error).

Two cohorts. "challenge": most patients have one image, a few have dozens (at most 61); 22 % of the images are positive, and
positive images gather in patients. "even": six images per patient, half of them positive on average. A negative image scores
1 or, with a false positive, 0; a positive image scores 0 where it is missed and up to 0.95 otherwise. Patients, images, seeds
and chance all move a score. Where seeds do not differ (`seed_sd` 0) one seed stands for all.
"""

import argparse
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cache
from itertools import product, repeat
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.special import expit

from pneumo_lib import atomic, metrics

STATISTICS = ("mean DSC", "positive-only DSC", "sensitivity", "specificity", "AUROC")
SIZES = np.arange(1, 62)
SHARES = SIZES**-2.5 / (SIZES**-2.5).sum()
RESULTS = Path(__file__).parents[1] / "results" / "intervals"


@dataclass(frozen=True)
class Images:
    """N images of invented patients, without a network, (N,) each; sorted by patient, who count from 0.

    easy: how easy a pneumothorax is to see. quiet: how much else looks like one, where there is none.
    """

    patients: np.ndarray
    positive: np.ndarray
    easy: np.ndarray
    quiet: np.ndarray


def images(rng: np.random.Generator, cohort: str, n_patients: int) -> Images:
    """Images of new patients."""
    even = cohort == "even"
    sizes = np.full(n_patients, 6) if even else rng.choice(SIZES, n_patients, p=SHARES)
    patients = np.repeat(np.arange(n_patients), sizes)
    tendency, skill, noise = (rng.normal(size=n_patients)[patients] for _ in range(3))
    positive = rng.random(len(patients)) < expit((0 if even else -1.6) + 1.3 * tendency)
    easy = 0.7 * skill + 1.2 * rng.normal(size=len(patients))
    return Images(patients, positive, easy, noise + rng.normal(size=len(patients)))


def latent(rng: np.random.Generator, of: Images, seeds: int, seed_sd: float, effect: float = 0.0) -> np.ndarray:
    """How sure the networks of S seeds are of a pneumothorax, (S, N): the seed moves positive and negative images."""
    shift = seed_sd * rng.normal(size=(2, seeds, 1))
    chance = 0.8 * rng.normal(size=(seeds, len(of.patients)))
    return np.where(of.positive, of.easy + effect + shift[0], -4 + of.quiet + shift[1]) + chance


def dsc(of: Images, sure: np.ndarray) -> np.ndarray:
    """DSC (S, N) in 0..0.95 of positive images, 0 or 1 of negative ones."""
    found = np.clip(0.5 + 0.25 * sure, 0, 0.95)
    return np.where(of.positive, np.where(found < 0.1, 0, found), sure < -1)


def scored(name: str, of: Images, sure: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Score of each image, (S, N), bool where it is an outcome; and the images that count, (N,)."""
    return {
        "mean DSC": (dsc(of, sure), np.ones_like(of.positive)),
        "positive-only DSC": (dsc(of, sure), of.positive),
        "sensitivity": (sure >= -1.6, of.positive),
        "specificity": (sure < -1, ~of.positive),
    }[name]


def interval(name: str, of: Images, sure: np.ndarray) -> metrics.Interval:
    """The library's interval."""
    if name == "AUROC":
        return metrics.auroc_interval(sure, of.positive, of.patients)
    scores, where = scored(name, of, sure)
    make = metrics.proportion_interval if scores.dtype == bool else metrics.mean_interval
    return make(scores, of.patients, where)


def percentiles(
    name: str, of: Images, sure: np.ndarray, rng: np.random.Generator, resamples: int = 1000
) -> tuple[float, float]:
    """The interval that seeds and patients drawn with replacement give by their percentiles."""
    groups, seeds = of.patients[-1] + 1, len(sure)
    times = rng.multinomial(groups, np.full(groups, 1 / groups), resamples).astype(np.float64)
    drawn = rng.multinomial(seeds, np.full(seeds, 1 / seeds), resamples) / seeds
    values = (
        _resampled_auroc(of, sure, times) if name == "AUROC" else _resampled_mean(of, *scored(name, of, sure), times)
    )
    return tuple(np.nanquantile((drawn * values).sum(axis=1), (0.025, 0.975)))


def _resampled_mean(of: Images, scores: np.ndarray, where: np.ndarray, times: np.ndarray) -> np.ndarray:
    """(B, S): of each seed, where patient g counts times[b, g] times."""
    sums = np.array([np.bincount(of.patients, score * where, times.shape[1]) for score in scores])
    with np.errstate(invalid="ignore"):
        return times @ sums.T / (times @ np.bincount(of.patients, where, times.shape[1]))[:, None]


def _resampled_auroc(of: Images, sure: np.ndarray, times: np.ndarray) -> np.ndarray:
    positive, negative = (np.flatnonzero(kind) for kind in (of.positive, ~of.positive))
    starts = [np.unique(of.patients[kind], return_index=True) for kind in (positive, negative)]
    kinds = [times[:, owners] for owners, _ in starts]
    pairs = np.prod(
        [times @ np.bincount(of.patients[kind], minlength=times.shape[1]) for kind in (positive, negative)], axis=0
    )
    values = []
    for score in sure:
        wins = np.add.reduceat(score[positive][:, None] > score[negative], starts[0][1], axis=0, dtype=np.float64)
        wins = np.add.reduceat(wins, starts[1][1], axis=1)
        values.append(((kinds[0] @ wins) * kinds[1]).sum(axis=1))
    with np.errstate(invalid="ignore"):
        return (np.array(values) / pairs).T


@cache
def truth(name: str, cohort: str, seed_sd: float) -> float:
    """Expected value over patients and seeds, known to 0.001: each of many patients has a seed of its own."""
    rng = np.random.default_rng(0)
    of = images(rng, cohort, 400_000)
    shift = (seed_sd * rng.normal(size=(2, of.patients[-1] + 1)))[:, of.patients]
    sure = latent(rng, of, 1, 0) + np.where(of.positive, *shift)
    if name == "AUROC":
        return metrics.auroc(sure[0], of.positive)
    scores, where = scored(name, of, sure)
    return float(scores[:, where].mean())


def studies(
    cohort: str, n_patients: int, seeds: int, seed_sd: float, repeats: int
) -> Iterator[tuple[Images, np.ndarray]]:
    """Images and what S networks make of them, of each study that has both kinds of image."""
    rng = np.random.default_rng([n_patients, seeds])
    for _ in range(repeats):
        of = images(rng, cohort, n_patients)
        if of.positive.any() and not of.positive.all():
            yield of, latent(rng, of, seeds, seed_sd)


def coverage(name: str, cohort: str, n_patients: int, seeds: int, seed_sd: float, repeats: int) -> dict[str, float]:
    """How often the intervals hold the truth, of both kinds, over the studies that have one; and how many have none."""
    value, rng, found = truth(name, cohort, seed_sd), np.random.default_rng(1), []
    for of, sure in studies(cohort, n_patients, seeds, seed_sd, repeats):
        ours = interval(name, of, sure)
        if ours.refused:
            found.append([np.nan] * 4)
            continue
        theirs = percentiles(name, of, sure, rng)
        ends = ((ours.low, ours.high), theirs)
        found.append([*(low <= value <= high for low, high in ends), *(high - low for low, high in ends)])
    found = np.array(found, np.float64)
    given = found[~np.isnan(found[:, 0])]
    means = given.mean(axis=0) if len(given) else [np.nan] * 4
    names = ("coverage", "bootstrap_coverage", "width", "bootstrap_width")
    return dict(zip(names, means, strict=True)) | {"refused": 1 - len(given) / len(found)}


def differences(
    cohort: str, n_patients: int, seeds: int, seed_sd: float, repeats: int, effect: float = 0.0
) -> list[metrics.Difference]:
    """Difference of the mean DSC of two arms with seeds of their own, in each of many studies."""
    rng, found = np.random.default_rng([n_patients, seeds]), []
    for _ in range(repeats):
        of = images(rng, cohort, n_patients)
        arms = [dsc(of, latent(rng, of, seeds, seed_sd, shift)) for shift in (effect, 0)]
        found.append(metrics.mean_difference(*arms, of.patients))
    return found


def coverage_table(repeats: int) -> pd.DataFrame:
    """`coverage` over statistics, cohorts, 8, 20 and 60 patients and seeds, without the cells where most studies have none."""
    seeds = ((1, 0.0), (3, 0.2), (3, 0.5), (6, 0.5))
    cells = [
        (name, cohort, n_patients, *pair)
        for cohort, name, n_patients, pair in product(("challenge", "even"), STATISTICS, (8, 20, 60), seeds)
    ]
    with ProcessPoolExecutor() as pool:
        found = pool.map(coverage, *zip(*cells, strict=True), repeat(repeats))
        names = ("statistic", "cohort", "patients", "seeds", "seed_sd")
        rows = [dict(zip(names, cell, strict=True)) | row for cell, row in zip(cells, found, strict=True)]
    return pd.DataFrame([row for row in rows if row["refused"] < 0.5]).round(4)


def difference_table(repeats: int) -> pd.DataFrame:
    """How often p < 0.05, without an effect and with one (in units of a pneumothorax's visibility)."""
    rows = []
    for n_patients in (60, 300):
        for seeds, seed_sd in ((1, 0.0), (3, 0.3), (6, 0.3)):
            for effect in (0.0, 0.5):
                found = differences("challenge", n_patients, seeds, seed_sd, repeats, effect)
                cell = {"patients": n_patients, "seeds": seeds, "seed_sd": seed_sd, "effect": effect}
                called = np.mean([each.p < 0.05 for each in found])
                rows.append(cell | {"mean_gain": np.mean([each.interval.value for each in found]), "called": called})
    return pd.DataFrame(rows).round(4)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--repeats", type=int, default=1000)
    repeats = parser.parse_args().repeats
    for file, table in (("coverage", coverage_table(repeats)), ("differences", difference_table(repeats))):
        print(table.to_string(index=False))
        atomic.write_csv(RESULTS / f"{file}.csv", table)
