"""The scores of one set of predicted masks, and of the protocols that choose the thresholds, side by side."""

from typing import Any

import numpy as np
import pandas as pd

from pneumo_lib import metrics, published
from pneumo_lib.evaluation import postprocessing
from pneumo_lib.evaluation.postprocessing import Thresholds
from pneumo_lib.evaluation.sweep_result import METRICS, Counts, SweepResult
from pneumo_lib.experiments import Experiment
from pneumo_lib.metrics import Interval

PROTOCOLS = {
    "validation": "chosen on validation (headline)",
    "validation_deck_grid": "chosen on validation, over the deck's R-TH",
    "test": "chosen on test",
    "test_deck_grid": "chosen on test, over the deck's R-TH (the deck's protocol)",
    "deck_pair": "the deck's best pair",
    "no_removal": "the pipeline's B-TH, no removal",
    "empty": "empty masks",
}
"""Protocol -> how its thresholds were chosen, as tables show it. Under rules other than "component" the deck's are missing."""


def score(counts: Counts, patients: np.ndarray | None = None) -> dict[str, Interval | None]:
    """Mean of each metric over the images with its 95 % interval, over patients where they are known.

    `positive_dsc` is over the images with a pneumothorax only; `None` where there is none.
    """
    values = {name: METRICS[name](*counts) for name in METRICS}
    found: dict[str, Interval | None] = {name: metrics.mean_interval(value, patients) for name, value in values.items()}
    positive = np.asarray(counts.truth_px) > 0
    found["positive_dsc"] = metrics.mean_interval(values["dsc"], patients, positive) if positive.any() else None
    return found


def deck_grid(result: SweepResult) -> SweepResult:
    """The grid points of a sweep that belong to the deck's own grid of R-TH."""
    return result.at_removal(np.isin(result.removal_thresholds, published.DECK_REMOVAL_THRESHOLDS))


def choose(result: SweepResult, criterion: str = "dsc") -> dict[str, Thresholds]:
    """The pairs chosen on validation images: over the full grid, and over the deck's R-TH under its rule."""
    chosen = {"validation": result.best(criterion)}
    if result.rule == "component":
        chosen["validation_deck_grid"] = deck_grid(result).best(criterion)
    return chosen


def protocols(
    result: SweepResult,
    without_removal: Counts,
    chosen: dict[str, Thresholds],
    experiment: Experiment,
    criterion: str = "dsc",
) -> dict[str, tuple[dict[str, Any] | None, Counts]]:
    """Protocol -> its thresholds and the counts of every test image, in the order of `PROTOCOLS`.

    Args:
        result: the sweep over the test images.
        without_removal: counts at the pipeline's own binarization threshold with every component kept (the deck's way to
            its mean DSC).
        chosen: of `choose`, on the validation images.
        experiment: names that threshold.
        criterion: by which thresholds are chosen on test.
    """
    pairs: dict[str, tuple] = {name: pair[:2] for name, pair in chosen.items()}
    pairs["test"] = result.best(criterion)[:2]
    if result.rule == "component":
        pairs["test_deck_grid"] = deck_grid(result).best(criterion)[:2]
        pairs["deck_pair"] = postprocessing.deck_thresholds() or ()
    found = {name: (_named(*pair, result.rule), result.at(*pair)) for name, pair in pairs.items()}
    nothing = np.zeros_like(result.truth_px)
    found["no_removal"] = (_named(experiment.binarization_threshold, 0, "component"), without_removal)
    found["empty"] = (None, Counts(nothing, result.truth_px, nothing))
    return {name: found[name] for name in PROTOCOLS if name in found}


def _named(binarization_threshold: float, removal_threshold, rule: str) -> dict[str, Any]:
    return {"binarization_threshold": binarization_threshold, "removal_threshold": removal_threshold, "rule": rule}


def compare(found: dict[str, tuple[dict[str, Any] | None, Counts]], patients: np.ndarray | None) -> dict[str, dict]:
    """Protocol -> its `thresholds` and `scores` with intervals, from `protocols`."""
    return {
        name: {"thresholds": thresholds, "scores": score(counts, patients)}
        for name, (thresholds, counts) in found.items()
    }


def per_image_counts(found: dict[str, tuple[dict[str, Any] | None, Counts]]) -> pd.DataFrame:
    """`predicted_px_<protocol>` and `intersection_px_<protocol>` of every image; empty masks need none."""
    columns = {}
    for name, (_, counts) in found.items():
        if name != "empty":
            columns[f"predicted_px_{name}"], columns[f"intersection_px_{name}"] = counts[0], counts[2]
    return pd.DataFrame(columns)


def selection_gap(found: dict, patients: np.ndarray | None, criterion: str = "dsc") -> Interval:
    """Mean score with thresholds chosen on test minus that with thresholds chosen on validation, both scored on test."""
    on_test, on_validation = (METRICS[criterion](*found[name][1]) for name in ("test", "validation"))
    return metrics.selection_gap(on_test, on_validation, patients)


def optimism(result: SweepResult, patients: np.ndarray | None, criterion: str = "dsc") -> metrics.Optimism:
    """How much the best mean score over the grid promises too much: the choice is made anew in each resample of patients."""
    values = np.empty((len(result.truth_px), result.predicted_px[0].size), np.float32)
    for start in range(0, len(values), 64):
        part = slice(start, start + 64)
        values[part] = result.subset(part).score(criterion).reshape(-1, values.shape[1])
    return metrics.optimism(values, patients)
