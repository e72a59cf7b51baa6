"""Pictures of a run: a batch, the learning curves, a gallery of predictions."""

from collections.abc import Sequence
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from pneumo_lib import metrics
from pneumo_lib.data.batches import TrainingImages
from pneumo_lib.data.source import Part
from pneumo_lib.evaluation import steps, tta
from pneumo_lib.report.style import NEUTRAL, PREDICTED, TRUE, subplots
from pneumo_lib.runs import Run


def batch(part: Part, label: str, n: int = 6, seed: int = 0, strength: float = 1.0) -> Figure:
    """n training images, plain above and augmented below."""
    positions = _positives_first(part, n)
    augmented = TrainingImages(part, seed, stage=1, strength=strength)
    figure, axes = subplots(2, len(positions), figsize=(1.9 * len(positions), 4.3), squeeze=False)
    for column, position in enumerate(positions):
        row = part.rows[position]
        show_xray(axes[0, column], part.images[row], truth=part.masks[row])
        image, mask = augmented[(0, int(position))]
        show_xray(axes[1, column], image[0].numpy(), truth=mask[0].numpy())
    _row_titles(axes, ["as prepared", "as trained on"])
    figure.suptitle(f"Training images with their true masks ({label})", fontsize=11)
    return figure


def curves(history: pd.DataFrame, label: str) -> Figure:
    """Loss, DSC and IoU on validation, and learning rate, over the epochs of all stages; averaging shaded."""
    history = history.reset_index(drop=True)
    step = history.index.to_numpy() + 1
    panels = {
        "loss (BCE + Dice)": {"train_loss": "training", "val_loss": "validation"},
        "DSC on validation": {"val_dsc": "all images", "val_positive_dsc": "positive only"},
        "IoU on validation": {"val_stepwise_iou": "stepwise", "val_iou": "plain"},
        "learning rate": {"learning_rate": "learning rate"},
    }
    figure, axes = subplots(2, 2, figsize=(9, 5.6))
    for axis, (title, lines) in zip(axes.flat, panels.items(), strict=True):
        for colour, (column, name) in zip((PREDICTED, TRUE), lines.items(), strict=False):
            axis.plot(step, history[column], "o-", color=colour, markersize=3, label=name)
        axis.set_title(title, loc="left", fontsize=11)
        axis.set_xlabel("epoch")
        axis.xaxis.get_major_locator().set_params(integer=True)
        if len(lines) > 1:
            # Beside the title, where no curve is.
            axis.legend(frameon=False, fontsize=9, ncols=2, loc="lower right", bbox_to_anchor=(1.02, 0.98))
        for stage, rows in history.groupby("stage"):
            first, last = rows.index[0] + 1, rows.index[-1] + 1
            if rows["averaged"].any():
                axis.axvspan(last - rows["averaged"].sum() + 0.6, last + 0.4, color=NEUTRAL, alpha=0.12, linewidth=0)
            if stage > 1:
                axis.axvline(first - 0.5, color="grey", linestyle=":", linewidth=1)
    axes[-1, -1].set_yscale("log")
    stages = " → ".join(f"{size} px" for size in history.drop_duplicates("stage")["image_size"])
    shaded = "; shaded: epochs whose weights are averaged" if history["averaged"].any() else ""
    figure.suptitle(f"{label}: {stages}{shaded}", fontsize=11)
    sns.despine(figure)
    return figure


def first_predictions(run: Run, n: int = 6) -> Figure:
    """n validation images, at the pipeline's own binarization threshold."""
    part = run.source.part("validation", run.experiment.image_size)
    rows = part.rows[_positives_first(part, n)]
    images, truth = part.images[rows], part.masks[rows] > 0
    predicted = tta.predict(steps.model(run), images) > np.float32(run.experiment.binarization_threshold)
    titles = [f"DSC {value:.2f}" for value in metrics.dsc(predicted, truth)]
    return gallery(images, truth, predicted, titles, f"{run.experiment.name}, validation, {run.label}")


def pick(per_image: pd.DataFrame) -> dict[str, int]:
    """Telling images, title → position: best, median and worst hit, a miss, a false alarm, a right negative.

    Args:
        per_image: columns dsc, truth_px, predicted_px. Kinds that do not occur are left out.
    """
    positive, predicted = per_image["truth_px"] > 0, per_image["predicted_px"] > 0
    hits = per_image[positive & predicted].sort_values("dsc", ascending=False).index
    kinds = {}
    if len(hits):
        kinds |= {"best": hits[0], "median": hits[len(hits) // 2], "worst overlap": hits[-1]}
    misses = per_image[positive & ~predicted].sort_values("truth_px").index
    alarms = per_image[~positive & predicted].sort_values("predicted_px").index
    negatives = per_image[~positive & ~predicted].index
    for title, found in (
        ("largest missed", misses[::-1]),
        ("largest false alarm", alarms[::-1]),
        ("right negative", negatives),
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
    """Rows *original, ground truth, predicted*, as in the deck; one column an image, (H, W) each."""
    figure, axes = subplots(3, len(images), figsize=(2.1 * len(images), 6.7), squeeze=False)
    for column, (image, true, found, title) in enumerate(zip(images, truth, predicted, titles, strict=True)):
        show_xray(axes[0, column], image)
        show_xray(axes[1, column], image, truth=true)
        show_xray(axes[2, column], image, truth=true, predicted=found)
        axes[0, column].set_title(title, fontsize=9)
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
    figure, axes = subplots(1, len(shown), figsize=(2.3 * len(shown), 2.9), squeeze=False)
    for axis, row in zip(axes[0], shown.itertuples(), strict=True):
        axis.imshow(plt.imread(folder / "overlay" / f"{row.name}.png"))
        axis.set(xticks=[], yticks=[], title=f"{row.area_px} px" if row.pneumothorax else "nothing found")
    figure.suptitle("Largest predicted regions; not for clinical use", fontsize=11)
    return figure


def show_xray(axis, image: np.ndarray, truth: np.ndarray | None = None, predicted: np.ndarray | None = None) -> None:
    """Draws a grey image (H, W) with the outlines of its true and its predicted mask, each (H, W) or `None`."""
    axis.imshow(image, cmap="gray", vmin=0, vmax=255)
    for mask, colour in ((truth, TRUE), (predicted, PREDICTED)):
        if mask is not None and np.any(mask):
            axis.contour(np.asarray(mask, float), [0.5], colors=[colour], linewidths=1.3)
    axis.set(xticks=[], yticks=[])


def _positives_first(part: Part, n: int) -> np.ndarray:
    """Positions of the first n images with a pneumothorax, filled up with others where there are fewer."""
    positive = part.index["positive"].to_numpy(bool)
    return np.argsort(~positive, kind="stable")[:n]


def _row_titles(axes, titles: Sequence[str]) -> None:
    for row, title in zip(axes, titles, strict=True):
        row[0].set_ylabel(title, fontsize=9)
