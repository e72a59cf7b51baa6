"""Figures of a sweep: the mean score over the binarization threshold (B-TH) for each removal threshold (R-TH)."""

import textwrap
from collections.abc import Iterable

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pneumo_lib import metrics
from pneumo_lib.evaluation.postprocessing import Thresholds
from pneumo_lib.evaluation.sweep_result import SweepResult
from pneumo_lib.report.style import COLUMN, subplots

# Okabe and Ito's palette: told apart with every kind of colour blindness; line styles tell too.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")
STYLES = ("-", "--", "-.", ":")
NAMES = {"dsc": "DSC", "iou": "IoU", "stepwise_iou": "stepwise IoU"}

Point = Thresholds | tuple
"""(binarization threshold, removal threshold), and maybe more after them."""


def curve(
    result: SweepResult,
    metric: str = "dsc",
    chosen: Point | None = None,
    deck: Point | None = None,
    label: str = "",
    groups: Iterable | None = None,
) -> Figure:
    """Mean score over B-TH, one line per R-TH, over all images and over the positive and the negative ones apart.

    Args:
        result: of `sweep`.
        metric: "dsc", "iou" or "stepwise_iou".
        chosen: the pair of thresholds to mark; None: `result.best(metric)`.
        deck: the deck's pair at the maps' size, such as (0.48, 3072) at 512 pixels; None marks nothing.
        label: what the data are, such as "phantom, demo profile"; stands in the title.
        groups: (N,) patients, for the 95 % band around each line; that of the chosen R-TH is darker. None: over images.

    Returns:
        Figure with three panels.

    Raises:
        SweepError: a point that was not swept.
    """
    chosen = chosen or result.best(metric)
    groups = None if groups is None else np.asarray(groups)
    figure, axes = subplots(1, 3, figsize=(COLUMN, 5.6), width_ratios=(1.4, 1, 1))
    for ax, (name, images) in zip(axes, _parts(result), strict=True):
        ax.set_title(f"{name} images\n(n = {images.sum():,})", fontsize=10)
        ax.grid(alpha=0.3)
        if images.any():
            part = result.subset(images)
            _lines(ax, part, metric, chosen, None if groups is None else groups[images])
            _mark(ax, part, metric, chosen, "chosen", marker="*", markersize=17, color="white")
            if deck is not None:
                _mark(ax, part, metric, deck, "deck's point", marker="D", markersize=8, color="#F0E442")
    axes[0].set_ylabel(f"mean {NAMES[metric]}")
    axes[1].set_xlabel("binarization threshold (B-TH)")
    blank = metrics.empty_mask_baseline(result.truth_px)
    axes[0].axhline(blank, color="0.35", linestyle=(0, (6, 3)), label=f"empty masks: {blank:.3f}")
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=2, frameon=False)
    figure.suptitle(_title(f"{NAMES[metric]} over both thresholds", label))
    return figure


def heat_map(
    result: SweepResult, metric: str = "dsc", chosen: Point | None = None, deck: Point | None = None, label: str = ""
) -> Figure:
    """Mean score at every grid point, of all, positive and negative images; the chosen and the deck's pair are marked.

    Arguments as in `curve`.
    """
    chosen = chosen or result.best(metric)
    b, r = result.index(*chosen[:2])
    bs, labels = result.binarization_thresholds, _removal_labels(result)
    half = (bs[-1] - bs[0]) / max(len(bs) - 1, 1) / 2 or 0.5
    extent = (bs[0] - half, bs[-1] + half, -0.5, len(labels) - 0.5)
    figure, axes = subplots(3, 1, figsize=(COLUMN, 6.5), sharex=True)
    for ax, (name, images) in zip(axes, _parts(result), strict=True):
        ax.set_title(f"{name} images (n = {images.sum():,})", fontsize=10)
        ax.set_yticks(range(len(labels)), labels)
        if images.any():
            mean = result.subset(images).mean(metric).T
            drawn = ax.imshow(
                mean, aspect="auto", origin="lower", extent=extent, cmap="cividis", interpolation="nearest"
            )
            ax.plot(bs[b], r, "*", color="white", markeredgecolor="black", markersize=15)
            if deck is not None:
                at, row = result.index(*deck[:2])
                ax.plot(bs[at], row, "D", color="#F0E442", markeredgecolor="black", markersize=7)
            figure.colorbar(drawn, ax=ax, label=f"mean {NAMES[metric]}")
    axes[1].set_ylabel("minimum component area (R-TH), pixels")
    axes[-1].set_xlabel("binarization threshold (B-TH)")
    marks = "star: chosen" + ("" if deck is None else ", diamond: the deck's")
    figure.suptitle(_title(f"{NAMES[metric]} of every pair of thresholds; {marks}", label))
    return figure


def _parts(result: SweepResult) -> list[tuple[str, np.ndarray]]:
    """All, positive and negative images, bool (N,) each."""
    positive = result.positive
    return [("all", np.ones(len(positive), bool)), ("positive", positive), ("negative", ~positive)]


def _lines(ax: Axes, result: SweepResult, metric: str, chosen: Point, groups: Iterable | None) -> None:
    bs, mean = result.binarization_thresholds, result.mean(metric)
    _, at = result.index(*chosen[:2])
    for r, name in enumerate(_removal_labels(result)):
        colour, style = COLOURS[r % len(COLOURS)], STYLES[r % len(STYLES)]
        ax.plot(bs, mean[:, r], color=colour, linestyle=style, label=f"R-TH {name} px")
        _, low, high = metrics.mean_band(result.cell_scores(metric, r)[None], groups)
        chosen_line = {"alpha": 0.25, "label": "95 % interval, as for the others"} if r == at else {"alpha": 0.08}
        ax.fill_between(bs, low, high, color=colour, linewidth=0, **chosen_line)


def _mark(ax: Axes, result: SweepResult, metric: str, point: Point, name: str, **style) -> None:
    b, r = result.index(*point[:2])
    score = result.mean(metric)[b, r]
    text = f"{name}: B-TH {point[0]:.3f}, R-TH {_removal_labels(result)[r]}: {score:.3f}"
    ax.plot(point[0], score, label=text, linestyle="none", markeredgecolor="black", zorder=5, **style)


def _removal_labels(result: SweepResult) -> list[str]:
    if result.rule == "triplet":
        return [f"{top:g}/{int(area)}" for top, area in result.removal_thresholds]
    return [str(r) for r in result.removal_thresholds]


def _title(what: str, label: str) -> str:
    return textwrap.fill(f"{what} ({label})" if label else what, 75)
