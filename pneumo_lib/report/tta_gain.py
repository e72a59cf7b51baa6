"""What each transform of test-time augmentation adds, as a table, a figure, and side by side on one image."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pneumo_lib.evaluation import steps, tta
from pneumo_lib.evaluation.fast import Fast
from pneumo_lib.evaluation.sweep_result import Choice
from pneumo_lib.report import comparison
from pneumo_lib.report.figures import show_xray
from pneumo_lib.report.markdown import figure as figure_block
from pneumo_lib.report.markdown import table as table_block
from pneumo_lib.report.records import Record
from pneumo_lib.report.scores import interval_text
from pneumo_lib.report.style import PREDICTED, TRUE, subplots
from pneumo_lib.runs import Run


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
    names = [f"{row.transforms} ({row.passes:.0f} passes)" for row in found.itertuples()]
    axes[0].set(yticks=rows, yticklabels=names)
    axes[0].invert_yaxis()
    figure.suptitle(label, fontsize=11)
    sns.despine(figure, left=True)
    return figure


def side_by_side(run: Run, positions: dict[str, int], transforms: Sequence[str], chosen: Choice, label: str) -> Figure:
    """Test images in rows: original, probability without, with the run's and with all augmentation, and the difference.

    Args:
        run: whose finished model predicts.
        positions: title → position in the test part, one row each.
        transforms: the run's own augmentation.
        chosen: whose binarization threshold is outlined, small regions included.
        label: what the data are.
    """
    part = run.source.part("test", run.experiment.image_size)
    model = Fast(steps.model(run))
    device = next(model.parameters()).device
    sets = {"none": [], ", ".join(transforms) or "none": transforms, "all seven": list(tta.TRANSFORMS)}
    figure, axes = subplots(len(positions), len(sets) + 2, figsize=(12, 2.7 * len(positions) + 0.7), squeeze=False)
    for row, (title, position) in zip(axes, positions.items(), strict=True):
        image, truth = np.array(part.images[part.rows[position]]), part.masks[part.rows[position]]
        # The image's own number, so that random transforms do as in the run's predictions.
        maps = {
            name: tta.mean_of_batch(model, image[None], names, 0, position, device)[0] for name, names in sets.items()
        }
        show_xray(row[0], image, truth=truth)
        row[0].set_ylabel(title, fontsize=9)
        for axis, probability in zip(row[1:], maps.values(), strict=False):
            shown = axis.imshow(probability, cmap="cividis", vmin=0, vmax=1)
            above = probability > np.float32(chosen.binarization_threshold)
            if above.any() and not above.all():
                axis.contour(above.astype(float), [0.5], colors=["white"], linewidths=1)
        figure.colorbar(shown, ax=row[-2], shrink=0.8)
        _difference(figure, row[-1], maps["all seven"] - maps["none"])
    for axis in axes.flat:
        axis.set(xticks=[], yticks=[])
    for axis, name in zip(axes[0], ["original, true outline", *sets, "all seven minus none"], strict=True):
        axis.set_title(name, fontsize=9)
    figure.suptitle(f"Test-time augmentation; white: above B-TH ({label})", fontsize=11)
    return figure


def _difference(figure: Figure, axis: Axes, change: np.ndarray) -> None:
    limit = max(float(np.abs(change).max()), 0.01)
    shown = axis.imshow(change, cmap="RdBu_r", vmin=-limit, vmax=limit)
    figure.colorbar(shown, ax=axis, shrink=0.8)


def shown(found: Sequence[Record]) -> Record | None:
    """The record whose effects the book shows: the best of those that measured them."""
    some = [record for record in found if record.values.get("tta_effects")]
    return comparison.best(some) if some else None


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
    cost = f"The same with its cost; times on {record.values['stages'][-1]['cost']['device']} ({record.label})."
    return "\n".join(
        [
            figure_block("tta-effects.svg", alt, what),
            table_block(table(record.values["tta_effects"]), cost, "transforms"),
        ]
    )


def _intervals(found: pd.DataFrame, name: str) -> list[str]:
    triples = found[[name, f"{name}_low", f"{name}_high"]].astype(float).itertuples(index=False)
    return [interval_text(None if pd.isna(triple[0]) else triple) for triple in triples]
