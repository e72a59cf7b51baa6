"""Probability maps scored on the common grid, with thresholds chosen on one subset and applied to another."""

from typing import NamedTuple

import numpy as np
import pandas as pd

from pneumo_lib import metrics, workflow
from pneumo_lib.evaluation.common_grid import CommonGridMaps, TrueMasks
from pneumo_lib.evaluation.postprocessing import Thresholds
from pneumo_lib.evaluation.sweep_result import SweepResult
from pneumo_lib.runs import Run


class Scored(NamedTuple):
    """thresholds: chosen on validation (or test). dsc: of each test image, (N,)."""

    thresholds: Thresholds
    dsc: np.ndarray


def swept(probability: np.ndarray, truth: TrueMasks, rule: str = "component") -> SweepResult:
    """`workflow.swept` of maps (N, H, W) at the network's size."""
    return workflow.swept(CommonGridMaps(probability), truth, rule)


def scored(test: SweepResult, thresholds: Thresholds) -> Scored:
    """The test images' DSC at a pair of thresholds."""
    return Scored(thresholds, metrics.dsc_from_counts(*test.at(*thresholds[:2])))


def images_of(run: Run, truth: TrueMasks) -> pd.DataFrame:
    """`image_id`, `patient_id`, `truth_px` of the test images, in the order of the subset."""
    index = run.dataset.part("test", run.experiment.image_size).index
    return index[["image_id", "patient_id"]].assign(truth_px=[int(mask.sum()) for mask in truth])


def truths(run: Run) -> tuple[TrueMasks, TrueMasks]:
    """True masks of validation and test images on the grid."""
    return workflow.true_masks(run, "validation"), workflow.true_masks(run, "test")


def thresholds_table(found: dict[str, Scored], column: str) -> pd.DataFrame:
    """One row for each ending or choice: its thresholds, the score that they were chosen by, mean DSC on test."""
    rows = [
        {column: name, "rule": one.thresholds.rule, "binarization_threshold": one.thresholds.binarization_threshold}
        | {"removal_threshold": str(one.thresholds.removal_threshold), "chosen_by_score": one.thresholds.score}
        | {"dsc": one.dsc.mean()}
        for name, one in found.items()
    ]
    return pd.DataFrame(rows).round(4)
