"""The surface of a threshold search as a figure: mean DSC over both thresholds, from the data of the explorer."""

import json
from pathlib import Path

import numpy as np
import seaborn as sns
from matplotlib.figure import Figure

from pneumo_book.markdown import figure
from pneumo_book.published_figures import BLANK
from pneumo_lib import records
from pneumo_lib.records import Record
from pneumo_lib.report.style import subplots
from pneumo_lib.report.sweep_figures import COLOURS, STYLES

NAME = "surface.svg"
NEAR = 0.005
"""Differences in mean DSC below this are smaller than half of the narrowest interval of a pipeline."""


def bundle(sets: dict[str, list[Record]]) -> dict | None:
    """The explorer's data of the best record that has any; None without one."""
    found = [one for records_ in sets.values() for one in records_ if (one.folder / records.EXPLORER).is_file()]
    return read(records.best(found).folder / records.EXPLORER) if found else None


def read(path: Path) -> dict:
    """The values of a script `window.<name> = {...};`."""
    return json.loads(path.read_text(encoding="utf-8").partition("=")[2].strip().rstrip(";"))


def block(sets: dict[str, list[Record]]) -> str:
    """The figure as Markdown, or how to make it."""
    data = bundle(sets)
    if data is None:
        return "**Not run.** `make book` runs the five pipelines on phantoms and shows a surface here.\n"
    alt = (
        "Mean DSC over the binarization threshold, one line per minimum component area, with the empty-mask baseline, "
        "the pair chosen on validation and the deck's pair."
    )
    means = np.array(data["mean"])
    near = (means >= means.max() - NEAR).mean()
    caption = (
        f"Mean DSC of {data['count']:,} test images ({data['positive']} positive) over B-TH, one line per R-TH. The star is "
        f"the pair chosen on validation images. {100 * near:.0f} % of the pairs "
        f"drawn score within {NEAR} of the best. {data['label']}."
    )
    return figure(NAME, alt, caption)


def draw(data: dict) -> Figure:
    """Mean DSC over B-TH, one line per R-TH, from the explorer's data; the chosen pair is marked."""
    picture, axis = subplots(figsize=(7.5, 4.4))
    for row, (minimum, means) in enumerate(zip(data["removal"], data["mean"], strict=True)):
        style, colour = STYLES[row // len(COLOURS) % len(STYLES)], COLOURS[row % len(COLOURS)]
        axis.plot(data["thresholds"], means, style, color=colour, label=f"R-TH {minimum}" if minimum else "no removal")
    axis.axhline(data["blank"], color=BLANK, linestyle="--", label="empty-mask baseline")
    bth, rth = data["chosen"]
    column = min(range(len(data["thresholds"])), key=lambda b: abs(data["thresholds"][b] - bth))
    line = data["mean"][min(range(len(data["removal"])), key=lambda r: abs(data["removal"][r] - rth))]
    axis.plot(bth, line[column], "*", color="black", markersize=14, label="chosen on validation")
    axis.set(xlabel="binarization threshold (B-TH)", ylabel="mean DSC, test images")
    axis.grid(alpha=0.3)
    picture.legend(loc="outside lower center", ncols=4, frameon=False, fontsize=10)
    sns.despine(picture)
    return picture
