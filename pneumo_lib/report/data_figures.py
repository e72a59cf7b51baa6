"""Figures of a data set: samples, composition, and its grey levels next to those of real X-rays."""

from collections.abc import Iterable

import cv2
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

from pneumo_lib import challenge
from pneumo_lib.data.dataset import Subset
from pneumo_lib.report.style import COLUMN, NEUTRAL, PREDICTED, TRUE, subplots
from pneumo_lib.report.xray_figures import show_xray

GREY_BINS = 32

_GREY_SIDE = 256


def grey_shares(images: Iterable[np.ndarray]) -> np.ndarray:
    """Share of the pixels in each of 32 equal bins of grey, (N, 32), of images uint8 (H, W) brought to 256 x 256."""
    rows = []
    for image in images:
        small = cv2.resize(image, (_GREY_SIDE, _GREY_SIDE), interpolation=cv2.INTER_AREA)
        rows.append(np.bincount(small.ravel() // (256 // GREY_BINS), minlength=GREY_BINS) / small.size)
    return np.array(rows).reshape(-1, GREY_BINS)


def grey_table(images: Iterable[np.ndarray]) -> pd.DataFrame:
    """One row per bin: its lowest `grey`, `mean` and standard deviation `sd` over the images, and how many `images`."""
    each = grey_shares(images)
    columns = {"grey": np.arange(GREY_BINS) * (256 // GREY_BINS), "mean": each.mean(axis=0), "sd": each.std(axis=0)}
    return pd.DataFrame(columns).round(6).assign(images=len(each))


def grey_overlap(one: np.ndarray, other: np.ndarray) -> float:
    """Common area of two mean histograms (32,): 1 where they are equal, 0 where they share no grey level."""
    return float(np.minimum(one, other).sum())


_MOST_IMAGES = 300


def gallery(part: Subset, label: str, columns: int = 6, rows: int = 2) -> Figure:
    """Rows of images with a pneumothorax, as far as there are any, above rows without; the first ones of the subset."""
    positive = part.index["positive"].to_numpy(bool)
    figure, axes = subplots(2 * rows, columns, figsize=(COLUMN, 0.4 + 2 * rows * COLUMN / columns))
    for half, wanted in ((axes[:rows], positive), (axes[rows:], ~positive)):
        positions = np.flatnonzero(wanted)[: half.size]
        for axis in half.flat:
            axis.set_axis_off()
        for axis, position in zip(half.flat, positions, strict=False):
            row = part.rows[position]
            show_xray(axis, part.images[row], truth=part.masks[row])
    figure.suptitle(f"With a pneumothorax (outlined) and without ({label})", fontsize=11)
    return figure


def overview(index: pd.DataFrame, label: str) -> Figure:
    """Class balance, mask area, age, and view by sex of the labelled images."""
    labelled = index[index["labelled"]]
    figure, axes = subplots(2, 2, figsize=(COLUMN, 5.2))
    axes = axes.flat
    counts = labelled["positive"].value_counts().reindex([False, True], fill_value=0)
    bars = axes[0].bar(["no", "yes"], counts, color=[PREDICTED, TRUE])
    axes[0].bar_label(bars, [f"{count:,} ({count / max(1, len(labelled)):.0%})" for count in counts])
    axes[0].margins(y=0.12)
    axes[0].set(title="pneumothorax", ylabel="images")
    area = labelled.loc[labelled["positive"], "mask_area_px"].astype(float) / challenge.SIDE**2 * 100
    axes[1].hist(area, bins=np.geomspace(0.005, 20, 19), color=TRUE, edgecolor="white")
    axes[1].set(title="area of the mask", xlabel="% of the image (log scale)", ylabel="images", xscale="log")
    axes[1].set_xticks([0.01, 0.1, 1, 10], ["0.01", "0.1", "1", "10"])
    ages = labelled["age_years"].astype(float).dropna()
    sns.histplot(x=ages, binwidth=10, color=NEUTRAL, ax=axes[2])
    if ages.empty:
        axes[2].text(0.5, 0.5, "unknown", transform=axes[2].transAxes, ha="center", va="center")
        axes[2].set(xticks=[], yticks=[])
    axes[2].set(title="age", xlabel="years", ylabel="images")
    views = pd.crosstab(labelled["view"].fillna("unknown"), labelled["sex"].fillna("unknown"))
    views.plot.bar(ax=axes[3], color=[PREDICTED, TRUE, NEUTRAL], rot=0)
    axes[3].set(title="view and sex", xlabel="", ylabel="images")
    axes[3].legend(frameon=False, fontsize=9)
    figure.suptitle(f"{len(labelled):,} labelled images ({label})", fontsize=11)
    sns.despine(figure)
    return figure


def beside_real(index: pd.DataFrame, images: np.ndarray, label: str) -> Figure:
    """Mask areas and grey levels of a data set next to those of real X-rays, which are given as numbers only.

    Args:
        index: as `siim.load_index` gives it.
        images: uint8 (N, H, W), of which the first 300 count.
    """
    figure, (areas, greys) = subplots(1, 2, figsize=(COLUMN, 3.4))
    own = np.sort(index.loc[index["positive"].fillna(False).astype(bool), "mask_area_px"].to_numpy(float))
    if len(own):
        areas.step(own, np.linspace(0, 100, len(own)), where="post", color=PREDICTED, label=label)
    areas.plot(
        challenge.MASK_AREAS.values(),
        challenge.MASK_AREAS.keys(),
        "D",
        color=TRUE,
        label=f"real: the challenge's {challenge.POSITIVE:,} masks",
    )
    areas.set(
        xscale="log",
        title="area of the mask",
        xlabel="pixels at 1024 x 1024 (log scale)",
        ylabel="% with a smaller one",
    )
    real = pd.read_csv(challenge.GREY_LEVELS)
    mean = grey_shares(images[:_MOST_IMAGES]).mean(axis=0)
    x = real["grey"] + 4
    greys.fill_between(x, (real["mean"] - real["sd"]).clip(0), real["mean"] + real["sd"], color=TRUE, alpha=0.2, lw=0)
    greys.plot(x, real["mean"], color=TRUE, label=f"real: {real['images'][0]} X-rays, mean and spread")
    greys.plot(x, mean, color=PREDICTED, label=label)
    common = grey_overlap(mean, real["mean"].to_numpy())
    greys.set(title=f"grey levels ({common:.0%} in common)", xlabel="grey level", ylabel="share of the pixels", ylim=0)
    for axis in (areas, greys):
        axis.legend(frameon=False, fontsize=9)
    sns.despine(figure)
    return figure
