"""Sphinx extension for the pages to think with: their data, each as a small script, and the quiz.

A page that is opened from a folder may run scripts but not read files, so data are scripts too.
"""

import json
from pathlib import Path

import pandas as pd
from sphinx.errors import ExtensionError

from pneumo_book import quiz
from pneumo_lib import atomic, paths

COMMITTED = ("motion-data.js", "radiologist-data.js")
"""Scripts in `results/`, written by `make think`."""


def setup(app) -> dict:
    """Sphinx's entry point."""
    app.connect("config-inited", lambda app, config: write(Path(app.srcdir) / "book", paths.results()))
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def write(book: Path, results: Path) -> None:
    """Writes the data and the quiz below `book/generated`, from the committed results and `book/think/quiz.yml`.

    Raises:
        ExtensionError: committed data are missing; says how to make them.
    """
    static = book / "generated" / "static"
    write_ceiling(static / "ceiling-data.js", results / "challenge-masks")
    for name in COMMITTED:
        if not (results / name).is_file():
            command = "make think"
            raise ExtensionError(f"{paths.shown(results / name)} is missing; make it with: {command}")
        atomic.update_text(static / name, (results / name).read_text(encoding="utf-8"))
    atomic.update_text(book / "generated" / "quiz.html", quiz.render(quiz.read(book / "think" / "quiz.yml")))


def write_script(path: Path, name: str, values: dict) -> None:
    """Writes a script that sets `window.<name>` to plain values, unless the file holds it already."""
    atomic.update_text(path, f"window.{name} = {json.dumps(values, separators=(',', ':'), allow_nan=False)};\n")


def motion_numbers(results: Path) -> dict[str, str]:
    """The numbers that *Training in motion* tells of its run, as text, by the names of their substitutions.

    Raises:
        ExtensionError: the run's script is missing; says how to make it.
    """
    run = read_script(results / "motion-data.js")
    moments, images = run["moments"], run["images"]
    start = next(n for n, one in enumerate(moments) if one["empty"] < images)
    # The epoch of stage 1 with the lowest mean DSC: masks are drawn, most of them wrongly.
    first = [one for one in moments if one["stage"] == 1 and one["epoch"]]
    lowest = min(first, key=lambda one: one["scores"]["val_dsc"])
    second = next(one for one in moments if one["stage"] == 2)
    return {
        "motion_images": f"{images:,}",
        "motion_positive": f"{run['positive']:,}",
        "motion_baseline": f"{run['baseline']:.2f}",
        "motion_empty_epochs": str(start),
        "motion_loss_from": f"{moments[0]['scores']['val_loss']:.2f}",
        "motion_loss_to": f"{moments[start - 1]['scores']['val_loss']:.2f}",
        "motion_lowest_epoch": str(lowest["epoch"]),
        "motion_lowest_masks": str(images - lowest["empty"]),
        "motion_lowest_positive": f"{lowest['scores']['val_positive_dsc']:.2f}",
        "motion_lowest_dsc": f"{lowest['scores']['val_dsc']:.2f}",
        "motion_lowest_found": str(run["positive"] - lowest["missed"]),
        "motion_second_dsc": f"{second['scores']['val_dsc']:.2f}",
        "motion_second_masks": str(images - second["empty"]),
        "motion_last_dsc": f"{moments[-2]['scores']['val_dsc']:.2f}",
        "motion_averaged_dsc": f"{moments[-1]['scores']['val_dsc']:.2f}",
    }


def read_script(path: Path) -> dict:
    """The values of a script that `write_script` wrote.

    Raises:
        ExtensionError: the script is missing; says how to make it.
    """
    if not path.is_file():
        raise ExtensionError(f"{paths.shown(path)} is missing; make it with: make think")
    return json.loads(path.read_text(encoding="utf-8").partition(" = ")[2].rstrip(";\n"))


def write_ceiling(path: Path, folder: Path) -> None:
    """The script of the ceiling's page, from the tables of `results/challenge-masks`."""
    write_script(path, "pneumoCeiling", ceiling_data(folder))


def ceiling_data(folder: Path) -> dict:
    """Plain values for ceiling.js from the three tables that `pneumo_lib.evaluation.ceiling.write` leaves in a folder.

    The baseline's error is that of the first sample, a 10 % hold-out: half its 95 % interval.
    """
    curve, areas, baseline = (
        pd.read_csv(folder / f"{name}.csv", encoding="utf-8") for name in ("ceiling", "areas", "baseline")
    )
    sample = baseline.iloc[0]
    return {
        "removal": curve["removal_threshold"].tolist(),
        "dsc": curve["dsc"].tolist(),
        "stepwise": curve["stepwise_iou"].tolist(),
        "positive": curve["positive_dsc"].tolist(),
        "erased": curve["erased"].tolist(),
        "areas": areas[["from_px", "to_px", "components"]].to_numpy().tolist(),
        "baseline": float(sample["baseline"]),
        "error": float(sample["error_95"]),
        "images": int(sample["images"]),
    }
