"""Probability maps scored on the common grid, with thresholds chosen on one subset and applied to another."""

from collections.abc import Iterator
from typing import NamedTuple

import cv2
import numpy as np
import pandas as pd

from pneumo_lib import atomic, metrics
from pneumo_lib.evaluation import sweep
from pneumo_lib.evaluation.postprocessing import Thresholds, removal_grid
from pneumo_lib.evaluation.sweep_result import SweepResult
from pneumo_lib.runs import Run
from pneumo_lib.training import common_grid

GRID = common_grid.GRID


class Scored(NamedTuple):
    """thresholds: chosen on validation (or test). dsc: of each test image, (N,)."""

    thresholds: Thresholds
    dsc: np.ndarray


def on_grid(probability: np.ndarray, side: int = GRID) -> Iterator[np.ndarray]:
    """Maps (N, H, W) one after the other, resized bilinearly to float32 (side, side)."""
    for one in probability:
        yield cv2.resize(np.asarray(one, np.float32), (side, side), interpolation=cv2.INTER_LINEAR).clip(0, 1)


def swept(probability: np.ndarray, truth: np.ndarray, rule: str = "component") -> SweepResult:
    """All pairs of thresholds on the common grid.

    Args:
        probability: float (N, H, W) at the network's size.
        truth: bool (N, S, S) on the grid.
        rule: of removal.
    """
    return sweep.sweep(on_grid(probability), truth, removal_thresholds=removal_grid(rule), rule=rule)


def scored(test: SweepResult, thresholds: Thresholds) -> Scored:
    """The test images' DSC at a pair of thresholds."""
    return Scored(thresholds, metrics.dsc_from_counts(*test.at(*thresholds[:2])))


def images_of(run: Run, truth: np.ndarray) -> pd.DataFrame:
    """`image_id`, `patient_id`, `truth_px` of the test images, in the order of the part."""
    index = run.dataset.part("test", run.experiment.image_size).index
    return index[["image_id", "patient_id"]].assign(truth_px=truth.sum(axis=(1, 2)))


def truths(run: Run) -> tuple[np.ndarray, np.ndarray]:
    """True masks of validation and test images on the grid, bool (N, S, S) each."""
    size = run.experiment.image_size
    return tuple(common_grid.truth(run.dataset, part, size) for part in ("validation", "test"))


def thresholds_table(found: dict[str, Scored], column: str) -> pd.DataFrame:
    """One row for each ending or choice: its thresholds, the score that they were chosen by, mean DSC on test."""
    rows = [
        {column: name, "rule": one.thresholds.rule, "binarization_threshold": one.thresholds.binarization_threshold}
        | {"removal_threshold": str(one.thresholds.removal_threshold), "chosen_by_score": one.thresholds.score}
        | {"dsc": one.dsc.mean()}
        for name, one in found.items()
    ]
    return pd.DataFrame(rows).round(4)


def complete(run: Run) -> None:
    """Gives a tested run's tables of images their scores on the common grid, where the test step did not.

    `per_image.csv` gets `truth_px`, `dsc` and `max_probability` with thresholds chosen on validation, `validation.csv` the
    scores of the validation images at the same thresholds.
    """
    if is_complete(run):
        return
    size, results = run.experiment.image_size, []
    maps = [np.load(run.folder / f"{part}.npy", mmap_mode="r") for part in ("validation", "test")]
    for probability, truth in zip(maps, truths(run), strict=True):
        results.append(swept(probability, truth))
    chosen = results[0].best("dsc")
    index = run.dataset.part("validation", size).index[["image_id", "patient_id"]]
    validation = index.assign(truth_px=results[0].truth_px, dsc=scored(results[0], chosen).dsc)
    atomic.write_csv(run.folder / "validation.csv", validation)
    highest = [one.max() for one in on_grid(maps[1])]
    per_image = pd.read_csv(run.folder / "per_image.csv", dtype={"patient_id": "string"})
    scores = {"truth_px": results[1].truth_px, "dsc": scored(results[1], chosen).dsc, "max_probability": highest}
    atomic.write_csv(run.folder / "per_image.csv", per_image.assign(**scores))


def is_complete(run: Run) -> bool:
    """Whether a run's table of test images has the scores of the common grid."""
    path = run.folder / "per_image.csv"
    return path.is_file() and "max_probability" in path.open(encoding="utf-8").readline()
