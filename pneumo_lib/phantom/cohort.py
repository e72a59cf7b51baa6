"""The phantom's cohort: patients, follow-ups, classes and mask areas.

Everything here is a function of (seed, index) alone, so that a small set is the beginning of a larger one and no worker
needs to know of another.
"""

from dataclasses import dataclass

import numpy as np

from pneumo_lib import challenge

POSITIVE_SHARE = 0.2215
"""Share of positive images in the challenge's 12,047 labelled ones."""

AREA_QUANTILES = tuple((percentile / 100, float(area)) for percentile, area in challenge.MASK_AREAS.items())
"""Quantiles of a positive image's mask area in pixels at 1024 x 1024, measured on the challenge's table."""

BLOCK = 64
"""Images are dealt to patients in blocks of so many, which bounds the work of finding one image's patient."""


@dataclass(frozen=True)
class Case:
    """One image's place in the cohort.

    Attributes:
        index: number of the image in the data set.
        patient: number of the patient, from 1.
        follow_up: 0 at the patient's first image.
        positive: whether there is a pneumothorax.
        area_px: the mask area to aim at, 0 for a negative image.
    """

    index: int
    patient: int
    follow_up: int
    positive: bool
    area_px: float


def rng(seed: int, stream: str, *key: int) -> np.random.Generator:
    """An independent generator for one purpose (`stream`) and one patient, image or block (`key`)."""
    return np.random.default_rng([seed, *stream.encode(), 0, *key])


def positives_before(index: int) -> int:
    """How many of the first `index` images are positive: round(0.2215 x index)."""
    return round(POSITIVE_SHARE * index)


def target_area(rank: int, seed: int) -> float:
    """Mask area of the rank-th positive: the measured quantile function, log-linear between its five points.

    Ranks walk through the quantiles by the golden ratio, so that a set of any size has areas spread as the real ones.
    """
    quantile = (rank * 0.6180339887 + rng(seed, "area").random()) % 1.0
    probabilities, areas = zip(*AREA_QUANTILES, strict=True)
    return float(np.exp(np.interp(quantile, probabilities, np.log(areas))))


def _deal(block: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Patients and follow-ups of one block, each int (BLOCK,).

    Patients have 1, 2, 3, ... images with a Zipf law (exponent 2.3, our fit to the public map: 68 % have one). A
    patient's images are more alike in class than chance: the positive places go first to patients prone to it.
    """
    generator = rng(seed, "block", block)
    sizes: list[int] = []
    while sum(sizes) < BLOCK:
        sizes.append(min(int(generator.zipf(2.3)), BLOCK - sum(sizes)))
    patient = np.repeat(np.arange(len(sizes)), sizes)
    reluctance = generator.random(len(sizes))[patient] + 0.6 * generator.random(BLOCK)
    start = block * BLOCK
    positive = np.array([positives_before(start + i + 1) > positives_before(start + i) for i in range(BLOCK)])
    order = np.argsort(reluctance)
    places = np.concatenate([generator.permutation(np.flatnonzero(flags)) for flags in (positive, ~positive)])
    dealt = np.empty(BLOCK, int)
    dealt[places] = patient[order]
    follow_up = np.zeros(BLOCK, int)
    for one in range(len(sizes)):
        steps = generator.geometric(0.5, size=sizes[one])
        follow_up[dealt == one] = np.cumsum(steps) - steps[0]
    return dealt + 1 + block * BLOCK, follow_up


def case(index: int, seed: int) -> Case:
    """The index-th image of the data set with this seed."""
    patients, follow_ups = _deal(index // BLOCK, seed)
    rank = positives_before(index)
    positive = positives_before(index + 1) > rank
    area = target_area(rank, seed) if positive else 0.0
    return Case(index, int(patients[index % BLOCK]), int(follow_ups[index % BLOCK]), positive, area)
