"""Data of the pages to think with, each as a small script: a page opened from a folder may run scripts, not read files."""

import json
from pathlib import Path

import pandas as pd

from pneumo_lib import atomic


def write_script(path: Path, name: str, values: dict) -> None:
    """Writes a script that sets `window.<name>` to plain values, unless the file holds it already."""
    text = f"window.{name} = {json.dumps(values, separators=(',', ':'), allow_nan=False)};\n"
    if not path.is_file() or path.read_text(encoding="utf-8") != text:
        with atomic.replacing(path) as temporary:
            temporary.write_text(text, encoding="utf-8")


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
