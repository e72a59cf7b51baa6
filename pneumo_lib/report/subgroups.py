"""One run's test scores by view, sex, age band and size of the pneumothorax."""

import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from pneumo_lib import metrics
from pneumo_lib.report.scores import interval_text
from pneumo_lib.report.style import PREDICTED, TRUE, subplots


def measure(dsc: ArrayLike, index: pd.DataFrame) -> pd.DataFrame:
    """Mean DSC of every subgroup, of all its images and of those with a pneumothorax.

    Args:
        dsc: float (N,), the DSC of each image.
        index: N rows as in `metrics.subgroups`, with mask_area_px.

    Returns:
        DataFrame, one row a group: attribute, group, n_images, n_positive, mean, low, high, and positive_mean,
        positive_low, positive_high (NaN without an image with a pneumothorax).
    """
    every = metrics.subgroups(dsc, index)
    positive = (index["mask_area_px"].fillna(0) > 0).to_numpy(bool)
    if not positive.any():
        return every.assign(positive_mean=float("nan"), positive_low=float("nan"), positive_high=float("nan"))
    shown = pd.Series(dsc)[positive].to_numpy()
    only = metrics.subgroups(shown, index[positive].reset_index(drop=True))
    only = only.rename(columns={name: f"positive_{name}" for name in ("mean", "low", "high")})
    return every.merge(only.drop(columns=["n_images", "n_positive"]), how="left", on=["attribute", "group"])


def table(found: pd.DataFrame) -> pd.DataFrame:
    """`measure`'s result to read, each group beside the score of predicting nothing on its images."""
    rows = {}
    for row in found.itertuples():
        only = (row.positive_mean, row.positive_low, row.positive_high)
        rows[f"{row.attribute}: {row.group}" if row.attribute != "all" else "all"] = {
            "images": row.n_images,
            "with pneumothorax": row.n_positive,
            "mean DSC": interval_text((row.mean, row.low, row.high)),
            "predict nothing": f"{1 - row.n_positive / row.n_images:.3f}",
            "positive-only DSC": interval_text(only if row.n_positive else None),
        }
    return pd.DataFrame.from_dict(rows, orient="index")


def draw(found: pd.DataFrame, label: str) -> Figure:
    """Mean and positive-only DSC of every group with their intervals, and the numbers of images."""
    names = [f"{row.attribute}: {row.group}" if row.attribute != "all" else "all" for row in found.itertuples()]
    figure, axes = subplots(1, 2, figsize=(10, 0.32 * len(found) + 1.6), sharey=True)
    for axis, prefix, count, colour, title in (
        (axes[0], "", "n_images", PREDICTED, "mean DSC, all images"),
        (axes[1], "positive_", "n_positive", TRUE, "DSC, images with a pneumothorax"),
    ):
        rows = range(len(found))
        axis.hlines(rows, found[f"{prefix}low"], found[f"{prefix}high"], color=colour, linewidth=2)
        axis.plot(found[f"{prefix}mean"], rows, "o", color=colour)
        for row, n in zip(rows, found[count], strict=True):
            axis.annotate(f"n = {n}", (1.02, row), va="center", fontsize=8, annotation_clip=False)
        axis.set(title=title, xlim=(-0.02, 1.02), yticks=rows, yticklabels=names)
        axis.grid(axis="x", alpha=0.3)
    blank = 1 - found["n_positive"] / found["n_images"]
    axes[0].plot(blank, range(len(found)), "|", color="0.35", markersize=12, label="predict nothing")
    figure.legend(frameon=False, loc="outside lower center", fontsize=8)
    axes[0].invert_yaxis()
    figure.suptitle(label, fontsize=11)
    sns.despine(figure, left=True)
    return figure
