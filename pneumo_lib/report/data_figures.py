"""Pictures of a data set: samples, and who and how much is in it."""

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

from pneumo_lib.data.source import Part
from pneumo_lib.report.figures import show_xray
from pneumo_lib.report.style import NEUTRAL, PREDICTED, TRUE, subplots

# The challenge counts mask areas at this many pixels a side.
_PIXELS = 1024**2


def gallery(part: Part, label: str, columns: int = 6, rows: int = 2) -> Figure:
    """Rows of images with a pneumothorax, as far as there are any, above rows without; the first ones of the part."""
    positive = part.index["positive"].to_numpy(bool)
    figure, axes = subplots(2 * rows, columns, figsize=(2 * columns, 4.1 * rows))
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
    figure, axes = subplots(1, 4, figsize=(13, 3.1))
    counts = labelled["positive"].value_counts().reindex([False, True], fill_value=0)
    bars = axes[0].bar(["no", "yes"], counts, color=[PREDICTED, TRUE])
    axes[0].bar_label(bars, [f"{count} ({count / max(1, len(labelled)):.0%})" for count in counts])
    axes[0].margins(y=0.12)
    axes[0].set(title="pneumothorax", ylabel="images")
    area = labelled.loc[labelled["positive"], "mask_area_px"].astype(float) / _PIXELS * 100
    axes[1].hist(area, bins=np.geomspace(0.005, 20, 19), color=TRUE, edgecolor="white")
    axes[1].set(title="area of the mask", xlabel="% of the image (log scale)", ylabel="images", xscale="log")
    axes[1].set_xticks([0.01, 0.1, 1, 10], ["0.01", "0.1", "1", "10"])
    sns.histplot(x=labelled["age_years"].astype(float).dropna(), binwidth=10, color=NEUTRAL, ax=axes[2])
    axes[2].set(title="age", xlabel="years", ylabel="images")
    views = pd.crosstab(labelled["view"].fillna("unknown"), labelled["sex"].fillna("unknown"))
    views.plot.bar(ax=axes[3], color=[PREDICTED, TRUE, NEUTRAL], rot=0)
    axes[3].set(title="view and sex", xlabel="", ylabel="images")
    axes[3].legend(frameon=False, fontsize=8)
    figure.suptitle(f"{len(labelled)} labelled images ({label})", fontsize=11)
    sns.despine(figure)
    return figure
