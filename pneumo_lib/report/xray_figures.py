"""Figures with X-rays: a batch, a gallery of predictions, outlines, and what test-time augmentation changes."""

import math
import textwrap
from collections.abc import Sequence
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from pneumo_lib.data.batches import TrainingImages
from pneumo_lib.data.dataset import Subset
from pneumo_lib.report.style import COLUMN, PREDICTED, TRUE, subplots


def batch(part: Subset, label: str, n: int = 6, seed: int = 0, strength: float = 1.0, listed: str = "full") -> Figure:
    """n training images, plain above and augmented below."""
    positions = positives_first(part, n)
    augmented = TrainingImages(part, seed, stage=1, strength=strength, listed=listed)
    figure, axes = subplots(2, len(positions), figsize=(COLUMN, 0.7 + 2 * COLUMN / len(positions)), squeeze=False)
    for column, position in enumerate(positions):
        row = part.rows[position]
        show_xray(axes[0, column], part.images[row], truth=part.masks[row])
        image, mask = augmented[(0, int(position))]
        show_xray(axes[1, column], image[0].numpy(), truth=mask[0].numpy())
    _row_titles(axes, ["preprocessed", "augmented"])
    figure.suptitle(f"Training images with their true masks ({label})", fontsize=11)
    return figure


def pick(per_image: pd.DataFrame) -> dict[str, int]:
    """Examples, title → position: best, median and worst true positive, a false negative, a false positive, a true negative.

    Args:
        per_image: columns dsc, truth_px, predicted_px. Kinds that do not occur are left out.
    """
    positive, predicted = per_image["truth_px"] > 0, per_image["predicted_px"] > 0
    hits = per_image[positive & predicted].sort_values("dsc", ascending=False).index
    kinds: dict[str, int] = {}
    if len(hits):
        kinds |= {"best": hits[0], "median": hits[len(hits) // 2], "worst": hits[-1]}
    misses = per_image[positive & ~predicted].sort_values("truth_px").index
    alarms = per_image[~positive & predicted].sort_values("predicted_px").index
    negatives = per_image[~positive & ~predicted].index
    for title, found in (
        ("largest false negative", misses[::-1]),
        ("largest false positive", alarms[::-1]),
        ("true negative", negatives),
    ):
        if len(found):
            kinds[title] = found[0]
    return {title: int(position) for title, position in kinds.items()}


def gallery(
    images: Sequence[np.ndarray],
    truth: Sequence[np.ndarray],
    predicted: Sequence[np.ndarray],
    titles: Sequence[str],
    label: str,
) -> Figure:
    """Rows *original, ground truth, predicted*, as in the deck; one column per image, (H, W) each."""
    side = min(2.1, COLUMN / len(images))
    figure, axes = subplots(3, len(images), figsize=(max(4.2, side * len(images)), 3 * side + 1.2), squeeze=False)
    for column, (image, true, found, title) in enumerate(zip(images, truth, predicted, titles, strict=True)):
        show_xray(axes[0, column], image)
        show_xray(axes[1, column], image, truth=true)
        show_xray(axes[2, column], image, truth=true, predicted=found)
        axes[0, column].set_title(_wrapped(title, side), fontsize=9)
    _row_titles(axes, ["original", "ground truth", "predicted"])
    figure.legend(
        handles=[Line2D([], [], color=TRUE, label="ground truth"), Line2D([], [], color=PREDICTED, label="predicted")],
        loc="outside lower center", ncols=2, frameon=False, fontsize=9,
    )  # fmt: skip
    figure.suptitle(label, fontsize=11)
    return figure


def overlays(folder: Path, predictions: pd.DataFrame, n: int = 8) -> Figure:
    """The X-rays with the largest predicted areas, outlined, as `predict_files` wrote them."""
    shown = predictions.sort_values("area_px", ascending=False).head(n)
    rows = math.ceil(len(shown) / 4)
    figure, axes = subplots(rows, 4, figsize=(COLUMN, 2.1 * rows + 0.4), squeeze=False)
    for axis in axes.flat[len(shown) :]:
        axis.set_axis_off()
    for axis, row in zip(axes.flat, shown.itertuples(), strict=False):
        axis.imshow(plt.imread(folder / "overlay" / f"{row.name}.png"))
        axis.set(xticks=[], yticks=[], title=f"{row.area_px} px" if row.pneumothorax else "no region predicted")
    figure.suptitle("Largest predicted regions; not for clinical use", fontsize=11)
    return figure


def show_xray(axis, image: np.ndarray, truth: np.ndarray | None = None, predicted: np.ndarray | None = None) -> None:
    """Draws a grey image (H, W) with the outlines of its true and its predicted mask, each (H, W) or `None`."""
    axis.imshow(image, cmap="gray", vmin=0, vmax=255)
    for mask, colour in ((truth, TRUE), (predicted, PREDICTED)):
        if mask is not None and np.any(mask):
            axis.contour(np.asarray(mask, float), [0.5], colors=[colour], linewidths=1.3)
    axis.set(xticks=[], yticks=[])


def positives_first(part: Subset, n: int) -> np.ndarray:
    """Positions of the first n images with a pneumothorax, filled up with others where there are fewer."""
    positive = part.index["positive"].to_numpy(bool)
    return np.argsort(~positive, kind="stable")[:n]


def _wrapped(text: str, inches: float) -> str:
    """Each line of a text, broken to fit a width in a font of 9 points."""
    return "\n".join(textwrap.fill(line, int(11 * inches)) for line in text.splitlines())


def _row_titles(axes, titles: Sequence[str]) -> None:
    for row, title in zip(axes, titles, strict=True):
        row[0].set_ylabel(title, fontsize=9)


def tta_side_by_side(
    images: np.ndarray,
    truths: np.ndarray,
    maps: dict[str, dict[str, np.ndarray]],
    binarization_threshold: float,
    label: str,
) -> Figure:
    """Images in rows: original, the probability with each set of transforms, and the last minus the first.

    Args:
        images, truths: uint8 (N, H, W) and masks of 0 and 1 (N, H, W).
        maps: title of each image → name of each set → probabilities float32 (H, W); from none to all transforms.
        binarization_threshold: outlined, small regions included.
        label: what the data are.
    """
    names = list(next(iter(maps.values())))
    figure, axes = subplots(len(maps), len(names) + 2, figsize=(COLUMN, 1.25 * len(maps) + 1.1), squeeze=False)
    for row, image, truth, (title, shown_maps) in zip(axes, images, truths, maps.items(), strict=True):
        show_xray(row[0], image, truth=truth)
        row[0].set_ylabel(title, fontsize=9)
        for axis, probability in zip(row[1:], shown_maps.values(), strict=False):
            shown = axis.imshow(probability, cmap="cividis", vmin=0, vmax=1)
            above = probability > np.float32(binarization_threshold)
            if above.any() and not above.all():
                axis.contour(above.astype(float), [0.5], colors=["white"], linewidths=1)
        figure.colorbar(shown, ax=row[-2], shrink=0.8)
        _difference(figure, row[-1], shown_maps[names[-1]] - shown_maps[names[0]])
    for axis in axes.flat:
        axis.set(xticks=[], yticks=[])
    for axis, name in zip(axes[0], ["original, true outline", *names, f"{names[-1]} minus {names[0]}"], strict=True):
        axis.set_title(_wrapped(name, COLUMN / (len(names) + 2)), fontsize=9)
    figure.suptitle(textwrap.fill(f"Test-time augmentation; white: above B-TH ({label})", 75), fontsize=11)
    return figure


def _difference(figure: Figure, axis: Axes, change: np.ndarray) -> None:
    limit = max(float(np.abs(change).max()), 0.01)
    shown = axis.imshow(change, cmap="RdBu_r", vmin=-limit, vmax=limit)
    figure.colorbar(shown, ax=axis, shrink=0.8)
