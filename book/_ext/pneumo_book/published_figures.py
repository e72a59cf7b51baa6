"""Figures about scores: the paper's and the deck's numbers, and the records next to the empty-mask baseline."""

import numpy as np
import seaborn as sns
from matplotlib.figure import Figure

from pneumo_book import comparison
from pneumo_lib import challenge, metrics, published, records
from pneumo_lib.evaluation import scores
from pneumo_lib.experiments import EXPERIMENTS
from pneumo_lib.records import Record
from pneumo_lib.report.style import NEUTRAL, PREDICTED, TRUE, subplots

PAPER, DECK, BLANK = "#0072B2", "#D55E00", "0.35"


def against_blank() -> Figure:
    """Every IoU of the paper and the deck, with the empty-mask baseline."""
    figure, axes = subplots(1, 2, figsize=(9, 3.3), sharex=True, sharey=True)
    blank = challenge.EMPTY_MASK_BASELINE
    names = list(EXPERIMENTS)
    for number, axis in enumerate(axes, 1):
        for source, colour, marker in (("paper", PAPER, "o"), ("deck", DECK, "s")):
            found = [(published.values(f"stage{number}_iou", name).get(source), row) for row, name in enumerate(names)]
            points = [point for point in found if point[0] is not None]
            axis.plot(*zip(*points, strict=True), marker, color=colour, label=source, markersize=8)
        axis.axvline(blank, color=BLANK, linestyle="--", label=f"empty-mask baseline: {blank:.4f}")
        axis.set(
            title=f"after stage {number}", xlabel="IoU, challenge data", yticks=range(len(names)), yticklabels=names
        )
        axis.grid(axis="x", alpha=0.3)
    axes[0].invert_yaxis()
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=3, frameon=False)
    sns.despine(figure)
    return figure


def repeats() -> Figure:
    """Two runs of one configuration next to the differences between pipelines (stage 1)."""
    figure, axis = subplots(figsize=(8, 2.6))
    for row, (source, colour) in enumerate((("paper", PAPER), ("deck", DECK))):
        found = {name: published.values("stage1_iou", name)[source] for name in EXPERIMENTS}
        axis.plot(
            [found["exp3"], found["exp2"]], [row, row], color=colour, linewidth=9, alpha=0.3, solid_capstyle="butt"
        )
        axis.plot(list(found.values()), [row] * len(found), "o", color=colour, markersize=8)
        for name, value in found.items():
            axis.annotate(name, (value, row), xytext=(0, 9), textcoords="offset points", ha="center", fontsize=9)
    axis.set(yticks=[0, 1], yticklabels=["paper", "deck"], ylim=(1.5, -0.6), xlabel="IoU after stage 1, challenge data")
    axis.set_title("Shaded: exp2 and exp3, the same settings", fontsize=10)
    axis.grid(axis="x", alpha=0.3)
    sns.despine(figure, left=True)
    return figure


def staircase() -> Figure:
    """Stepwise IoU of one image over its IoU and its DSC."""
    figure, axes = subplots(1, 2, figsize=(8.5, 3.2), sharey=True)
    union = 20_000
    intersection = np.arange(union + 1)
    iou = intersection / union
    steps = metrics.stepwise_iou_from_counts(intersection, np.full_like(intersection, union), intersection)
    for axis, x, name in zip(axes, (iou, 2 * iou / (1 + iou)), ("IoU", "DSC"), strict=True):
        axis.plot(x, x, "--", color=BLANK, label=f"{name} itself")
        axis.plot(x, steps, color=PAPER, label="stepwise IoU")
        axis.set(xlabel=f"{name} of an image with a pneumothorax", xlim=(0, 1), ylim=(-0.02, 1.02))
        axis.grid(alpha=0.3)
        axis.legend(frameon=False)
    axes[0].set_ylabel("score of the image")
    sns.despine(figure)
    return figure


def leakage() -> Figure:
    """Share of validation and test images whose patient also has training images, in the challenge's data."""
    figure, axis = subplots(figsize=(8, 2))
    shares = {"validation images, 10 % hold-out": 0.635, "stage-1 test images": 0.64}
    axis.barh(list(shares), list(shares.values()), color=DECK, label="patient also in training")
    axis.barh(
        list(shares),
        [1 - share for share in shares.values()],
        left=list(shares.values()),
        color="0.85",
        label="patient not in training",
    )
    for row, share in enumerate(shares.values()):
        axis.text(share / 2, row, f"{share:.1%}", ha="center", va="center", color="white", fontweight="bold")
    axis.set(xlim=(0, 1), xlabel="share of the images, challenge data")
    axis.invert_yaxis()
    axis.legend(frameon=False, loc="upper center", bbox_to_anchor=(0.5, 1.35), ncols=2)
    sns.despine(figure)
    return figure


def outcomes(found: list[Record]) -> Figure:
    """Image-level outcomes of the test images, and the DSC of the positive ones."""
    figure, axes = subplots(1, 2, figsize=(10, 3.4))
    names = [_title(record) for record in found]
    counts = {
        "true positive": [int(((r.per_image.truth_px > 0) & (r.per_image.intersection_px > 0)).sum()) for r in found],
        "false negative": [int(((r.per_image.truth_px > 0) & (r.per_image.intersection_px == 0)).sum()) for r in found],
        "false positive": [int(((r.per_image.truth_px == 0) & (r.per_image.predicted_px > 0)).sum()) for r in found],
        "true negative": [int(((r.per_image.truth_px == 0) & (r.per_image.predicted_px == 0)).sum()) for r in found],
    }
    left = np.zeros(len(found))
    for (kind, values), colour in zip(counts.items(), (PREDICTED, TRUE, DECK, NEUTRAL), strict=True):
        axes[0].barh(names, values, left=left, color=colour, label=kind, edgecolor="white")
        for row, (start, value) in enumerate(zip(left, values, strict=True)):
            if value:
                axes[0].text(start + value / 2, row, str(value), ha="center", va="center", fontsize=8)
        left += values
    axes[0].set(xlabel="test images", title="image-level outcome")
    axes[0].invert_yaxis()
    axes[0].legend(loc="upper center", bbox_to_anchor=(0.5, -0.2), ncols=4, frameon=False, fontsize=8)
    for record, name, style in zip(found, names, ("-", "--", "-.", ":", (0, (5, 1))) * len(found), strict=False):
        values = np.sort(record.per_image.loc[record.per_image.truth_px > 0, "dsc"])[::-1]
        axes[1].plot(np.arange(1, len(values) + 1), values, linestyle=style, label=name)
    axes[1].set(
        xlabel="images with a pneumothorax, from the best",
        ylabel="DSC",
        ylim=(-0.03, 1),
        title="quality of the outlines",
    )
    axes[1].legend(frameon=False, fontsize=8)
    figure.suptitle(comparison.label(found), fontsize=10)
    sns.despine(figure)
    return figure


def optimism(found: list[Record]) -> Figure:
    """Mean DSC with thresholds chosen on validation and on test, and the empty-mask baseline."""
    figure, axis = subplots(figsize=(8, 0.55 * len(found) + 1.6))
    for row, record in enumerate(found):
        ways = record.values["test"]
        mean, low, high = ways[records.HEADLINE]["scores"]["dsc"]
        axis.plot(
            [low, high],
            [row, row],
            color=PAPER,
            linewidth=2,
            label="chosen on validation, 95 % interval" if not row else None,
        )
        axis.plot(mean, row, "o", color=PAPER, markersize=8)
        on_test, blank = (ways[way]["scores"]["dsc"][0] for way in (scores.AS_DECK, scores.BLANK))
        axis.plot(
            on_test, row, "s", color=DECK, markersize=8, label="chosen on test, as in the deck" if not row else None
        )
        axis.plot(
            [blank, blank],
            [row - 0.4, row + 0.4],
            color=BLANK,
            linestyle="--",
            label="empty-mask baseline" if not row else None,
        )
    axis.set(yticks=range(len(found)), yticklabels=[_title(record) for record in found], xlabel="mean DSC on test")
    axis.invert_yaxis()
    axis.grid(axis="x", alpha=0.3)
    figure.legend(loc="outside lower center", ncols=3, frameon=False, fontsize=9)
    axis.set_title(comparison.label(found), fontsize=10)
    sns.despine(figure, left=True)
    return figure


def _title(record: Record) -> str:
    return record.name if record.values["seed"] == 0 else f"{record.name}, seed {record.values['seed']}"
