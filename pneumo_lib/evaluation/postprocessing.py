"""From probability maps to masks: a binarization threshold and a removal rule, as chosen by the sweep."""

import json
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from pneumo_lib import atomic, challenge, paths, published, run_log
from pneumo_lib.errors import SweepError
from pneumo_lib.published import DECK_REMOVAL_THRESHOLDS

REMOVAL_THRESHOLDS = np.array([0, 64, 128, 256, 512, *DECK_REMOVAL_THRESHOLDS])
"""R-TH that are swept, in pixels of the common 512 x 512 grid: none, small ones (our choice) and the deck's."""
CRITERIA = ("dsc", "iou", "stepwise_iou")
"""Mean scores by which thresholds can be chosen; the deck's sweep shows IoU and DSC."""


class Thresholds(NamedTuple):
    """A pair of thresholds, its mean score over the images and its rule (see `sweep`); under "triplet" R-TH is a pair."""

    binarization_threshold: float
    removal_threshold: int | tuple[float, int]
    score: float
    rule: str = "component"


def read_thresholds(path: Path) -> tuple[Thresholds, list[str]]:
    """A choice as the sweep keeps it, and the augmentation it was made with; files without a grid are of older runs.

    Raises:
        SweepError: damaged, or thresholds of another grid than 512 x 512 pixels.
    """
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        grid = found.get("grid")
        removal = found["removal_threshold"]
        pair = (float(removal[0]), int(removal[1])) if isinstance(removal, list) else int(removal)
        rule = found.get("rule", "component")
        chosen = Thresholds(float(found["binarization_threshold"]), pair, found["score"], rule)
        transforms = list(found["transforms"])
    except (OSError, AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        raise SweepError(f"{paths.shown(path)} is damaged; run notebooks/sweep.ipynb again.") from error
    if grid != published.DECK_GRID:
        raise SweepError(
            f"{paths.shown(path)} has thresholds of another grid than 512 x 512 pixels; run notebooks/sweep.ipynb again."
        )
    return chosen, transforms


RULES = ("component", "mask", "triplet")


def apply(
    probability: np.ndarray,
    binarization_threshold: float,
    removal_threshold: int | tuple[float, int],
    rule: str = "component",
) -> np.ndarray:
    """The mask that a pair of thresholds predicts; pixel for pixel what `sweep` counts.

    Args:
        probability: (H, W) or (N, H, W), float16 or float32 in 0..1.
        binarization_threshold: B-TH; a pixel is on where p > B-TH, both in float32.
        removal_threshold: R-TH in pixels of the map given, so maps are first brought to the common grid; under rule
            "triplet" (top threshold, minimum area).
        rule: "component", "mask" or "triplet", see `sweep`.

    Returns:
        bool, of the shape of `probability`.

    Raises:
        SweepError: an unknown rule or a shape that is neither (H, W) nor (N, H, W).
    """
    if rule not in RULES:
        raise SweepError(f"unknown rule {rule!r}; choose from {', '.join(RULES)}.")
    probability = np.asanyarray(probability)
    if probability.ndim not in (2, 3):
        raise SweepError(f"probability has shape {probability.shape}; pass (H, W) or (N, H, W).")
    if probability.ndim == 3:
        masks = np.empty(probability.shape, bool)
        for n, one in enumerate(probability):
            masks[n] = apply(one, binarization_threshold, removal_threshold, rule)
        return masks
    mask = _above(probability, binarization_threshold)
    if rule == "component":
        return remove_small(mask, removal_threshold)
    if rule == "mask":
        return mask & (mask.sum() >= removal_threshold)
    top, minimum = removal_threshold
    return mask & (_above(probability, top).sum() >= minimum)


def remove_small(mask: np.ndarray, minimum: int) -> np.ndarray:
    """The 8-connected components of a bool (H, W) mask that have at least `minimum` pixels."""
    _, labels, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    stays = stats[:, cv2.CC_STAT_AREA] >= minimum
    stays[0] = False  # the background
    return stays[labels]


def to_shape(mask: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """A mask at the size of its X-ray: linear interpolation between the pixels, on where it exceeds one half.

    Args:
        mask: bool (h, w).
        shape: (H, W) of the result; where it is smaller, pixels are averaged.

    Returns:
        bool (H, W).

    Source: our choice. The removal threshold is counted at the size of the probability map, so the mask, not the map,
    is enlarged; a component that survived stays, with the steps of its border smoothed. Enlarging by two repeats every pixel;
    by four it kept a DSC of .973 with 120 masks of 1024 pixels that were reduced first, against .967 by repetition.
    """
    if mask.shape == tuple(shape):
        return mask
    method = cv2.INTER_AREA if shape[0] < mask.shape[0] else cv2.INTER_LINEAR
    return cv2.resize(mask.astype(np.float32), (shape[1], shape[0]), interpolation=method) > 0.5


def _above(probability: np.ndarray, threshold: float) -> np.ndarray:
    return probability.astype(np.float32, copy=False) > np.float32(threshold)


def deck_thresholds(rule: str = "component") -> tuple[float, int] | None:
    """The deck's best pair (B-TH, R-TH); None under another rule than its own."""
    if rule != "component":
        return None
    best = published.values("sweep", "best")
    return best["binarization_threshold"], int(best["removal_threshold"])


def removal_grid(rule: str = "component") -> np.ndarray:
    """The removal thresholds (R-TH) that are swept, in pixels of the common grid.

    `REMOVAL_THRESHOLDS` for rules "component" and "mask", (R,); for "triplet" pairs (top threshold, minimum area), (R, 2).
    """
    if rule != "triplet":
        return REMOVAL_THRESHOLDS
    return np.array([(top, area) for top in challenge.TRIPLET_TOPS for area in challenge.TRIPLET_AREAS])


def edges(chosen: Thresholds) -> list[str]:
    """Which of the chosen thresholds lie at an edge of their grid, where a better one may lie beyond: "B-TH", "R-TH"."""
    binarization = published.DECK_BINARIZATION_THRESHOLDS
    found = ["B-TH"] if chosen.binarization_threshold in (binarization[0], binarization[-1]) else []
    # An R-TH of 0 removes nothing: below it there is no other.
    return found + (["R-TH"] if chosen.rule != "triplet" and chosen.removal_threshold == REMOVAL_THRESHOLDS[-1] else [])


def save_thresholds(folder: Path, chosen: Thresholds, transforms: list[str], criterion: str = "dsc") -> None:
    """Writes the thresholds chosen on validation, and what they were chosen with, to `thresholds.json`."""
    about = {"transforms": transforms, "criterion": criterion, "grid": published.DECK_GRID, "at_edge": edges(chosen)}
    atomic.write_json(folder / "thresholds.json", chosen._asdict() | about)
    pair = f"B-TH {chosen.binarization_threshold:.3f}, R-TH {chosen.removal_threshold}"
    run_log.say(folder, f"thresholds chosen on validation by {criterion}: {pair}; thresholds.json", console=False)


def criterion_of(path: Path) -> str:
    """The criterion by which the thresholds in a file of `save_thresholds` were chosen."""
    return str(json.loads(path.read_text(encoding="utf-8")).get("criterion", "dsc"))
