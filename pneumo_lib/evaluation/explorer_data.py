"""Data of the book's explorer: a dozen test images with their probability maps, small enough for one static file."""

import base64
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from pneumo_lib import atomic, metrics, published
from pneumo_lib.evaluation import postprocessing
from pneumo_lib.evaluation.sweep import sweep
from pneumo_lib.published import DECK_BINARIZATION_THRESHOLDS

IMAGES = 12
"""Images in the bundle."""


def write(path: Path, bundle: dict) -> None:
    """The bundle as a script that sets `pneumoBundle`: a page opened from a folder may run scripts, but not read files."""
    with atomic.replacing(path) as temporary:
        temporary.write_text(
            "window.pneumoBundle = " + json.dumps(bundle, separators=(",", ":")) + ";\n", encoding="utf-8"
        )


def bundle(
    images: np.ndarray,
    probability: np.ndarray,
    truth: np.ndarray,
    chosen: tuple[float, int],
    label: str,
    removal_thresholds: Sequence[int] | None = None,
) -> dict:
    """Everything the explorer needs, as plain values.

    Probabilities are kept as *levels*: how many of the swept binarization thresholds a pixel exceeds. For these thresholds that
    loses nothing, so the page's masks are exactly the sweep's.

    Args:
        images: uint8 (N, H, W), square.
        probability: float32 (N, H, W).
        truth: bool (N, H, W).
        chosen: the pair (B-TH, R-TH) chosen on validation.
        label: what the data are; stands on the page.
        removal_thresholds: in pixels of the common grid; by default all that are swept. The page counts on maps of
            the network's own size, which are small enough for it, so they are brought to that size in proportion to area.
    """
    size = images.shape[-1]
    swept = postprocessing.removal_grid() if removal_thresholds is None else removal_thresholds
    removal = np.unique([_at_size(threshold, size) for threshold in swept])
    chosen = (chosen[0], _at_size(chosen[1], size))
    deck = postprocessing.deck_thresholds() or (0.5, 0)
    result = sweep(probability, truth, removal_thresholds=removal)
    dsc = result.dsc()
    thresholds = DECK_BINARIZATION_THRESHOLDS.astype(np.float32)
    shown = []
    for number in pick(result.truth_px, dsc[:, result.index(*chosen)[0], result.index(*chosen)[1]], probability):
        levels = np.searchsorted(thresholds, probability[number].astype(np.float32), side="left").astype("<u2")
        shown.append(
            {
                "number": int(number),
                "image": _base64(images[number]),
                "levels": _base64(levels),
                "truth": _base64(np.packbits(truth[number])),
                "dsc": _curves(dsc[number]),
            }
        )
    return {
        "label": label,
        "size": size,
        "thresholds": DECK_BINARIZATION_THRESHOLDS.tolist(),
        "removal": removal.tolist(),
        "chosen": list(chosen),
        "deck": [deck[0], _at_size(deck[1], size)],
        "count": len(truth),
        "positive": int((result.truth_px > 0).sum()),
        "blank": metrics.empty_mask_baseline(result.truth_px),
        "mean": _curves(result.mean("dsc")),
        "images": shown,
    }


def pick(truth_px: np.ndarray, dsc: np.ndarray, probability: np.ndarray) -> list[int]:
    """A dozen telling images: positive ones from the best to the worst DSC, then the negative ones that look most positive."""
    positive = np.flatnonzero(truth_px > 0)
    positive = positive[np.argsort(-dsc[positive], kind="stable")]
    negative = np.flatnonzero(truth_px == 0)
    certainty = np.array([probability[number].max() for number in negative])
    negative = negative[np.argsort(-certainty, kind="stable")]
    wanted = min(len(positive), max(IMAGES - 5, IMAGES - len(negative)))
    spread = np.linspace(0, len(positive) - 1, wanted).round().astype(int) if wanted else []
    return [int(number) for number in [*positive[spread], *negative[: IMAGES - wanted]]]


def _at_size(removal_threshold: int, size: int) -> int:
    """An R-TH of the common grid for maps of `size` pixels a side: in proportion to area, halves up."""
    return int(removal_threshold * size**2 / published.DECK_GRID**2 + 0.5)


def _curves(scores_of_cells: np.ndarray) -> list[list[float]]:
    """(B, R) → one list per R-TH."""
    return scores_of_cells.T.round(4).tolist()


def _base64(array: np.ndarray) -> str:
    return base64.b64encode(np.ascontiguousarray(array).tobytes()).decode()
