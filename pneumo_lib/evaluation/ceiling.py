"""The ceiling of a minimum component area (R-TH): what a perfect predictor still scores once small components are removed.

python -m pneumo_lib.evaluation.ceiling FOLDER writes its tables for the challenge's masks, which torchxrayvision holds.
"""

import sys
from collections.abc import Iterable, Sequence
from math import sqrt
from pathlib import Path

import cv2
import numpy as np
import pandas as pd

from pneumo_lib import atomic
from pneumo_lib.data import annotations, preprocessing, rle
from pneumo_lib.errors import SiimError
from pneumo_lib.metrics import overlap

REMOVAL_THRESHOLDS = range(0, 8192 + 1, 32)
"""R-TH in pixels; the deck's four are among them."""

AREA_EDGES = 2 ** np.arange(17)
"""Edges of the histogram of component areas, in pixels at 512 x 512: one bin per doubling, from 1 to 65,536."""

SAMPLES = {"10 % hold-out": 1_205, "the deck's test images": 1_830}
"""Images in the samples on which scores were reported (the follow-up code, the deck)."""

_NORMAL_95 = 1.959964


def table(
    rows: pd.DataFrame, size: int = 512, removal_thresholds: Sequence[int] = REMOVAL_THRESHOLDS, side: int = 1024
) -> pd.DataFrame:
    """The ceiling of every R-TH on a table of run-length masks; columns as in `curve`.

    Args:
        rows: columns `image_id` and `rle`, as `pneumo_lib.data.annotations.read` gives them; the rows of an image unite.
        size: pixels along a side of the grid on which R-TH counts.
        removal_thresholds: R-TH in pixels of that grid.
        side: pixels along a side of the masks as they are encoded.

    Raises:
        RleError: a mask that cannot be decoded.
        SiimError: no image, or none with a pneumothorax.
    """
    return curve(component_areas(masks(rows, size, side)), removal_thresholds)


def write(rows: pd.DataFrame, folder: Path) -> None:
    """Writes `ceiling.csv`, `areas.csv` and `baseline.csv`, which hold counts and means but no image's id.

    Args:
        rows: the challenge's table, as for `table`.
        folder: of the three files.
    """
    areas = component_areas(masks(rows))
    baseline = overlap.empty_mask_baseline([one.sum() for one in areas])
    errors = [baseline_error(baseline, images) for images in SAMPLES.values()]
    samples = {"sample": SAMPLES.keys(), "images": SAMPLES.values(), "baseline": baseline, "error_95": errors}
    for name, frame in {
        "ceiling": curve(areas),
        "areas": histogram(areas, AREA_EDGES),
        "baseline": pd.DataFrame(samples),
    }.items():
        atomic.write_csv(Path(folder) / f"{name}.csv", frame.round(6))


def masks(rows: pd.DataFrame, size: int = 512, side: int = 1024) -> Iterable[np.ndarray]:
    """The mask of each image of the table, in the order of its first row: 0/1 (size, size), resized by area."""
    for image_id, codes in rows.groupby("image_id", sort=False)["rle"]:
        mask = rle.decode(codes, (side, side), image_id)
        yield preprocessing.resize_mask(mask, size) if mask.any() else np.zeros((size, size), np.uint8)


def component_areas(masks: Iterable[np.ndarray]) -> list[np.ndarray]:
    """Pixels of each 8-connected component: one int array (C,) per mask of shape (H, W), empty for an empty mask."""
    return [_areas(np.asarray(mask, np.uint8)) for mask in masks]


def curve(areas: Sequence[np.ndarray], removal_thresholds: Sequence[int] = REMOVAL_THRESHOLDS) -> pd.DataFrame:
    """What a predictor scores that predicts every mask exactly, after components below R-TH are removed.

    Args:
        areas: component areas in pixels, one array per image (`component_areas`).
        removal_thresholds: R-TH in pixels; a component stays where its area >= R-TH.

    Returns:
        DataFrame with one row per R-TH: `removal_threshold`; `dsc` and `stepwise_iou`, means over all images, 1 where
        both masks are empty; `positive_dsc`, the mean DSC of the images with a pneumothorax; `erased`, the share of
        those of which nothing is left. All in 0..1.

    Raises:
        SiimError: no image, or none with a pneumothorax.

    Source: our analysis; neither the paper nor the deck reports it. The rule is the deck's.
    """
    truth_px = np.array([one.sum() for one in areas], np.int64)
    if not truth_px.any():
        raise SiimError(f"None of the {len(areas)} masks has a pixel; pass a table with at least one pneumothorax.")
    rows = []
    for minimum in removal_thresholds:
        kept_px = np.array([one[one >= minimum].sum() for one in areas], np.int64)
        rows.append({"removal_threshold": int(minimum)} | _scores(kept_px, truth_px))
    return pd.DataFrame(rows)


def histogram(areas: Sequence[np.ndarray], edges: Sequence[float] | np.ndarray) -> pd.DataFrame:
    """How many components lie between neighbouring edges: columns `from_px` (included), `to_px` and `components`."""
    counts, limits = np.histogram(np.concatenate(list(areas)), np.asarray(edges))
    return pd.DataFrame({"from_px": limits[:-1], "to_px": limits[1:], "components": counts})


def baseline_error(baseline: float, images: int) -> float:
    """Half the 95 % interval of the empty-mask baseline on a random sample: 1.96 sqrt(p (1 - p) / n).

    Args:
        baseline: share of images without a pneumothorax, 0..1.
        images: size n of the sample, at least 1.
    """
    return _NORMAL_95 * sqrt(baseline * (1 - baseline) / images)


def _areas(mask: np.ndarray) -> np.ndarray:
    if not mask.any():
        return np.empty(0, np.int64)
    # The first row of the statistics is the background.
    return cv2.connectedComponentsWithStats(mask, connectivity=8)[2][1:, cv2.CC_STAT_AREA]


def _scores(kept_px: np.ndarray, truth_px: np.ndarray) -> dict[str, float]:
    """Means over images; what is kept lies within the truth, so it is the intersection too."""
    positive = truth_px > 0
    dsc = overlap.dsc_from_counts(kept_px, truth_px, kept_px)
    return {
        "dsc": dsc.mean(),
        "stepwise_iou": overlap.stepwise_iou_from_counts(kept_px, truth_px, kept_px).mean(),
        "positive_dsc": dsc[positive].mean(),
        "erased": (kept_px[positive] == 0).mean(),
    }


def main() -> None:
    path = annotations.packaged_table()
    if path is None or len(sys.argv) != 2:
        sys.exit(
            "usage: python -m pneumo_lib.evaluation.ceiling FOLDER; it needs torchxrayvision: pip install torchxrayvision"
        )
    write(annotations.read(path), Path(sys.argv[1]))


if __name__ == "__main__":
    main()
