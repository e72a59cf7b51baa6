"""Figures about scores: the paper's and the deck's numbers, and the records next to the empty-mask baseline."""

import numpy as np
import seaborn as sns
from matplotlib.figure import Figure

from pneumo_book import comparison
from pneumo_lib import challenge, metrics, published, records
from pneumo_lib.experiments import EXPERIMENTS
from pneumo_lib.records import Record
from pneumo_lib.report import pipelines
from pneumo_lib.report.style import COLUMN, NEUTRAL, PREDICTED, TRUE, panels, subplots

PAPER, DECK, BLANK = "#0072B2", "#D55E00", "0.35"


def against_blank(*, stacked: bool = False) -> Figure:
    """Every IoU of the paper and the deck, with the empty-mask baseline."""
    figure, axes = panels(2, (9, 3.3), stacked=stacked, sharex=True, sharey=True)
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
    figure.legend(
        *axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=1 if stacked else 3, frameon=False
    )
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


def staircase(*, stacked: bool = False) -> Figure:
    """Stepwise IoU of one image over its IoU and its DSC."""
    figure, axes = panels(2, (8.5, 3.2), stacked=stacked, sharey=True)
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
    height = 0.3 * len(found) + 1.2
    figure, axes = subplots(2, 1, figsize=(COLUMN, height + 3.6), height_ratios=(height, 3.2))
    _outcome_bars(axes[0], found)
    _sorted_dsc(axes[1], found)
    # Over the whole figure: long names of runs leave the axes little width.
    figure.legend(
        *axes[0].get_legend_handles_labels(),
        loc="outside upper center",
        ncols=4,
        frameon=False,
        title=comparison.label(found),
        title_fontsize=10,
    )
    sns.despine(figure)
    return figure


def _outcome_bars(axis, found: list[Record]) -> None:
    left = np.zeros(len(found))
    for (kind, count), colour in zip(_OUTCOMES.items(), (PREDICTED, TRUE, DECK, NEUTRAL), strict=True):
        values = [int(count(record.per_image)) for record in found]
        axis.barh([_title(record) for record in found], values, left=left, color=colour, label=kind, edgecolor="white")
        for row, (start, value) in enumerate(zip(left, values, strict=True)):
            if value:
                # Beside a segment that is too thin for it.
                thin = value < 0.04 * len(found[row].per_image)
                x, side = (start + value, "left") if thin else (start + value / 2, "center")
                axis.text(x, row, f" {value}" if thin else value, ha=side, va="center", fontsize=9)
        left += values
    axis.set(xlabel="test images")
    axis.invert_yaxis()


_OUTCOMES = {
    "true positive": lambda images: ((images.truth_px > 0) & (images.intersection_px_validation > 0)).sum(),
    "false negative": lambda images: ((images.truth_px > 0) & (images.intersection_px_validation == 0)).sum(),
    "false positive": lambda images: ((images.truth_px == 0) & (images.predicted_px_validation > 0)).sum(),
    "true negative": lambda images: ((images.truth_px == 0) & (images.predicted_px_validation == 0)).sum(),
}


def _sorted_dsc(axis, found: list[Record]) -> None:
    """One line per run, one colour and line style per pipeline."""
    names = list(dict.fromkeys(record.name for record in found))
    for record in found:
        values = np.sort(record.per_image.loc[record.per_image.truth_px > 0, "dsc"])[::-1]
        number, label = names.index(record.name), record.name
        if record is not next(one for one in found if one.name == record.name):
            label = None
        axis.plot(
            np.arange(1, len(values) + 1),
            values,
            color=f"C{number}",
            linestyle=_STYLES[number % len(_STYLES)],
            label=label,
        )
    axis.set(xlabel="images with a pneumothorax, from the best", ylabel="DSC", ylim=(-0.03, 1))
    axis.legend(loc="lower center", bbox_to_anchor=(0.45, 1), ncols=5, frameon=False)


_STYLES = ("-", "--", "-.", ":", (0, (5, 1)))


def optimism(found: list[Record]) -> Figure:
    """Mean DSC with thresholds chosen on validation and on test, and the empty-mask baseline; one row per pipeline."""
    pipelines_ = records.by_pipeline(found)
    figure, axis = subplots(figsize=(8, 0.55 * len(pipelines_) + 1.6))
    for row, seeds in enumerate(pipelines_.values()):
        chosen, on_test, empty = (
            pipelines.interval(seeds, protocol=protocol)
            for protocol in (records.HEADLINE, pipelines.ON_TEST, pipelines.EMPTY)
        )
        labels = ("chosen on validation, 95 % interval", "chosen on test", "empty-mask baseline")
        first, second, third = labels if not row else (None, None, None)
        axis.plot([chosen.low, chosen.high], [row, row], color=PAPER, linewidth=2, label=first)
        axis.plot(chosen.value, row, "o", color=PAPER, markersize=8)
        axis.plot(on_test.value, row, "s", color=DECK, markersize=8, label=second)
        axis.plot([empty.value] * 2, [row - 0.4, row + 0.4], color=BLANK, linestyle="--", label=third)
    axis.set(yticks=range(len(pipelines_)), yticklabels=list(pipelines_), xlabel="mean DSC on test")
    axis.invert_yaxis()
    axis.grid(axis="x", alpha=0.3)
    figure.legend(loc="outside lower center", ncols=3, frameon=False, fontsize=9)
    axis.set_title(comparison.label(found), fontsize=10)
    sns.despine(figure, left=True)
    return figure


def _title(record: Record) -> str:
    return record.name if record.values["seed"] == 0 else f"{record.name}, seed {record.values['seed']}"
