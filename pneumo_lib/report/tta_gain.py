"""What each transform of test-time augmentation adds, as a table and a figure."""

from collections.abc import Sequence

import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

from pneumo_lib.report import verdict
from pneumo_lib.report.markdown import figure as figure_block
from pneumo_lib.report.markdown import table as table_block
from pneumo_lib.report.records import Record
from pneumo_lib.report.scores import interval_text
from pneumo_lib.report.style import PREDICTED, TRUE, subplots


def table(found: pd.DataFrame | None) -> pd.DataFrame | str:
    """`tta_effects.table`'s result, or a record's `tta_effects`, to read; a sentence where it was not measured."""
    if found is None:
        return "not measured"
    found = pd.DataFrame(found).astype({"passes": int})
    columns = {
        "forward passes": found["passes"],
        "ms an image": (1000 * found["seconds"]).round().astype(int),
        "mean DSC": found["dsc"].map("{:.3f}".format),
        "gain": _intervals(found, "gain"),
        "positive-only DSC": found["positive_dsc"].map(lambda value: "–" if pd.isna(value) else f"{value:.3f}"),
        "gain, positive only": _intervals(found, "positive_gain"),
    }
    return pd.DataFrame(columns).set_index(pd.Index(found["transforms"], name="transforms"))


def draw(found: pd.DataFrame | None, label: str) -> Figure | None:
    """Gain over no augmentation with its 95 % interval, on all and on positive images, and the cost beside each name."""
    if found is None:
        return None
    found = pd.DataFrame(found).iloc[1:].reset_index(drop=True)
    figure, axes = subplots(1, 2, figsize=(10, 3.9), sharey=True)
    rows = range(len(found))
    for axis, prefix, colour, title in (
        (axes[0], "", PREDICTED, "all images"),
        (axes[1], "positive_", TRUE, "images with a pneumothorax"),
    ):
        axis.axvline(0, color="0.35", linestyle="--", linewidth=1)
        axis.hlines(rows, found[f"{prefix}gain_low"], found[f"{prefix}gain_high"], color=colour, linewidth=2.5)
        axis.plot(found[f"{prefix}gain"], rows, "o", color=colour, markersize=8)
        axis.set(title=title, xlabel="gain in mean DSC over no augmentation")
        axis.grid(axis="x", alpha=0.3)
        axis.locator_params(axis="x", nbins=5)
    names = [f"{row.transforms} ({row.passes:.0f} passes)" for row in found.itertuples()]
    axes[0].set(yticks=rows, yticklabels=names)
    axes[0].invert_yaxis()
    figure.suptitle(label, fontsize=11)
    sns.despine(figure, left=True)
    return figure


def shown(found: Sequence[Record]) -> Record | None:
    """The record whose effects the book shows: the best of those that measured them."""
    some = [record for record in found if record.values.get("tta_effects")]
    return verdict.best(some) if some else None


def block(found: Sequence[Record]) -> str:
    """The figure and the table of `shown`, as Markdown; a sentence where nothing was measured."""
    record = shown(found)
    if record is None:
        return (
            "**Not run.** `make book` runs the five experiments on the phantom, and this place shows what came out.\n"
        )
    title = f"{record.name}, test images, thresholds chosen with {', '.join(record.values['transforms']) or 'none'}"
    alt = (
        "Seven transforms and all seven together: points at the gain in mean DSC over no augmentation, with intervals."
    )
    what = f"What each transform adds: {title} ({record.label}). Lines: 95 % intervals of a paired bootstrap."
    device = record.values["stages"][-1]["cost"]["device"].replace("cpu", "the CPU")
    cost = f"The same with its cost; times on {device} ({record.label})."
    return "\n".join(
        [
            figure_block("tta-effects.svg", alt, what),
            table_block(table(record.values["tta_effects"]), cost, "transforms"),
        ]
    )


def _intervals(found: pd.DataFrame, name: str) -> list[str]:
    triples = found[[name, f"{name}_low", f"{name}_high"]].astype(float).itertuples(index=False)
    return [interval_text(None if pd.isna(triple[0]) else triple) for triple in triples]
