"""Figures of a run's scores: learning curves, subgroups, reliability, and what test-time augmentation adds."""

import textwrap

import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

from pneumo_lib.report.style import COLUMN, NEUTRAL, PREDICTED, TRUE, interval_text, panels, subplots


def reliability_diagram(found: dict, label: str) -> Figure:
    """The curve of `measure`, or of a record's `calibration`, over how many pixels each of its points stands for."""
    curve = pd.DataFrame(found["curve"]).astype(float)
    some = curve[curve["n"] > 0]
    figure, axes = subplots(2, 1, figsize=(5.6, 6), sharex=True, height_ratios=(3, 1))
    axes[0].plot([0, 1], [0, 1], "--", color="0.35", label="perfect calibration")
    axes[0].plot(some["confidence"], some["frequency"], "o-", color=PREDICTED, label="pixels of the test images")
    axes[0].vlines(some["confidence"], some["frequency_low"], some["frequency_high"], color=PREDICTED, linewidth=2)
    axes[0].set(ylabel="share of these pixels that are true", xlim=(0, 1), ylim=(0, 1))
    axes[0].legend(frameon=False, loc="upper left")
    axes[1].bar((some["low"] + some["high"]) / 2, some["n"], width=0.09, color=NEUTRAL)
    axes[1].set(yscale="log", ylabel="pixels", xlabel="predicted probability")
    figure.suptitle(f"Reliability, {label}\nexpected calibration error {interval_text(found['ece'])}", fontsize=10)
    sns.despine(figure)
    return figure


def curves(history: pd.DataFrame, label: str, *, stacked: bool = False) -> Figure:
    """Loss, DSC and IoU on validation, and learning rate, over the epochs of all stages; averaging shaded."""
    history = history.reset_index(drop=True)
    step = history.index.to_numpy() + 1
    shown = {
        "loss (BCE + Dice)": {"train_loss": "training", "val_loss": "validation"},
        "DSC on validation": {"val_dsc": "all images", "val_positive_dsc": "positive only"},
        "IoU on validation": {"val_stepwise_iou": "stepwise", "val_iou": "plain"},
        "learning rate": {"learning_rate": "learning rate"},
    }
    figure, axes = panels((2, 2), (COLUMN, 5.8), stacked=stacked)
    for axis, (title, lines) in zip(axes, shown.items(), strict=True):
        for colour, (column, name) in zip((PREDICTED, TRUE), lines.items(), strict=False):
            axis.plot(step, history[column], "o-", color=colour, markersize=3, label=name)
        axis.set_title(title, loc="left", fontsize=11, pad=22)
        axis.set_xlabel("epoch")
        axis.xaxis.get_major_locator().set_params(integer=True)
        if len(lines) > 1:
            # Between title and axes, where no curve is.
            axis.legend(frameon=False, fontsize=9, ncols=2, loc="lower left", bbox_to_anchor=(-0.02, 0.98))
        for _, rows in history.groupby("stage"):
            first, last = rows.index[0] + 1, rows.index[-1] + 1
            if rows["averaged"].any():
                axis.axvspan(last - rows["averaged"].sum() + 0.6, last + 0.4, color=NEUTRAL, alpha=0.12, linewidth=0)
            if first > 1:
                axis.axvline(first - 0.5, color="grey", linestyle=":", linewidth=1)
    axes[-1].set_yscale("log")
    stages = " → ".join(f"{size} px" for size in history.drop_duplicates("stage")["image_size"])
    shaded = "\nshaded: epochs whose weights are averaged" if history["averaged"].any() else ""
    figure.suptitle(textwrap.fill(f"{label}: {stages}", 40 if stacked else 80) + shaded, fontsize=11)
    sns.despine(figure)
    return figure


def subgroup_chart(found: pd.DataFrame, label: str) -> Figure:
    """Mean and positive-only DSC of every group with their intervals, and the numbers of images."""
    names = [f"{row.attribute}: {row.group}" if row.attribute != "all" else "all" for row in found.itertuples()]
    figure, axes = subplots(1, 2, figsize=(COLUMN, 0.32 * len(found) + 1.6), sharey=True)
    for axis, prefix, count, colour, title in (
        (axes[0], "", "n_images", PREDICTED, "mean DSC, all images"),
        (axes[1], "positive_", "n_positive", TRUE, "DSC, images with a pneumothorax"),
    ):
        rows = range(len(found))
        axis.hlines(rows, found[f"{prefix}low"], found[f"{prefix}high"], color=colour, linewidth=2)
        axis.plot(found[f"{prefix}mean"], rows, "o", color=colour)
        for row, n in zip(rows, found[count], strict=True):
            axis.annotate(f"n = {n:,}", (1.02, row), va="center", fontsize=9, annotation_clip=False)
        axis.set_title(title, fontsize=10)
        axis.set(xlim=(-0.02, 1.02), yticks=rows, yticklabels=names)
        axis.grid(axis="x", alpha=0.3)
    blank = 1 - found["n_positive"] / found["n_images"]
    axes[0].plot(blank, range(len(found)), "|", color="0.35", markersize=12, label="empty-mask baseline")
    figure.legend(frameon=False, loc="outside lower center", fontsize=9)
    axes[0].invert_yaxis()
    figure.suptitle(label, fontsize=11)
    sns.despine(figure, left=True)
    return figure


def tta_gain_chart(found: pd.DataFrame | None, label: str, *, stacked: bool = False) -> Figure | None:
    """Gain over no augmentation with its 95 % interval, on all and on positive images, and the cost after each name."""
    if found is None:
        return None
    found = pd.DataFrame(found).iloc[1:].reset_index(drop=True)
    figure, axes = panels(2, (COLUMN, 5.2 if stacked else 4.2), stacked=stacked, sharey=True)
    rows = range(len(found))
    for axis, prefix, colour, title in (
        (axes[0], "", PREDICTED, "all images"),
        (axes[1], "positive_", TRUE, "images with a pneumothorax"),
    ):
        axis.axvline(0, color="0.35", linestyle="--", linewidth=1)
        axis.hlines(rows, found[f"{prefix}gain_low"], found[f"{prefix}gain_high"], color=colour, linewidth=2.5)
        axis.plot(found[f"{prefix}gain"], rows, "o", color=colour, markersize=8)
        axis.set(title=textwrap.fill(title, 20) if stacked else title)
        axis.grid(axis="x", alpha=0.3)
        axis.locator_params(axis="x", nbins=5)
    names = [f"{row.transforms} ({row.passes:.0f}\N{NO-BREAK SPACE}passes)" for row in found.itertuples()]
    names = [textwrap.fill(name, 18 if stacked else 24) for name in names]
    axes[0].set(yticks=rows, yticklabels=names)
    axes[0].invert_yaxis()
    figure.supxlabel("gain in mean DSC over no augmentation", fontsize=11)
    figure.suptitle(textwrap.fill(label, 40) if stacked else label, fontsize=11)
    sns.despine(figure, left=True)
    return figure
