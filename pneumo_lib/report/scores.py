"""The scores of one set of predicted masks, and of the ways to choose the thresholds, side by side."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from pneumo_lib import metrics
from pneumo_lib.data.source import Part
from pneumo_lib.evaluation.sweep import DECK_REMOVAL_THRESHOLDS, scale_removal
from pneumo_lib.evaluation.sweep_result import METRICS, Choice, Counts, SweepResult
from pneumo_lib.experiments import Experiment
from pneumo_lib.report import paper

WITHOUT_REMOVAL = "the pipeline's B-TH, no removal"
HONEST = "chosen on validation"
AS_DECK = "chosen on test, as in the deck"
DECK_POINT = "the deck's thresholds"
BLANK = "predict nothing"


def score(counts: Counts, patients: np.ndarray | None = None) -> dict[str, metrics.Interval | None]:
    """Mean and 95 % bootstrap interval (by patient, where known) of each metric over the images.

    `positive_dsc` is over the images with a pneumothorax only; `None` where there is none.
    """
    scores = {name: metrics.bootstrap_interval(METRICS[name](*counts), patients) for name in METRICS}
    positive = np.asarray(counts.truth_px) > 0
    values = metrics.positive_only(METRICS["dsc"](*counts), positive)
    groups = None if patients is None else np.asarray(patients)[positive]
    scores["positive_dsc"] = metrics.bootstrap_interval(values, groups) if len(values) else None
    return scores


def deck_choice(size: int, rule: str = "component") -> tuple[float, int] | None:
    """The deck's best pair (B-TH, R-TH), the latter scaled from 512 pixels to `size`; None under another rule than its."""
    if rule != "component":
        return None
    best = paper.values("sweep", "best")
    return best["binarization_threshold"], int(scale_removal([int(best["removal_threshold"])], size)[0])


def compare(
    result: SweepResult, without_removal: Counts, chosen: Choice, experiment: Experiment, part: Part
) -> dict[str, dict]:
    """Way of choosing the thresholds → thresholds and scores on the test images; the deck's point under its rule only.

    Args:
        result: the sweep over the test images.
        without_removal: counts at the pipeline's own binarization threshold with every component kept (the deck's way to
            its mean DSC).
        chosen: the pair chosen on validation.
        experiment: names that threshold.
        part: the test images.
    """
    on_test, deck = result.best("dsc"), deck_choice(experiment.image_size, result.rule)
    nothing = Counts(np.zeros_like(result.truth_px), result.truth_px, np.zeros_like(result.truth_px))
    ways = {
        HONEST: (*chosen[:2], result.at(*chosen[:2])),
        AS_DECK: (*on_test[:2], result.at(*on_test[:2])),
        **({DECK_POINT: (*deck, result.at(*deck))} if deck else {}),
        WITHOUT_REMOVAL: (experiment.binarization_threshold, None, without_removal),
        BLANK: (None, None, nothing),
    }
    return {
        name: {"binarization_threshold": b, "removal_threshold": r, "scores": score(counts, part.patients)}
        for name, (b, r, counts) in ways.items()
    }


def optimism(result: SweepResult, chosen: Choice, part: Part, metric: str = "dsc") -> metrics.Interval:
    """How much higher the score is when the thresholds are chosen on the images it is reported on, with its interval."""
    on_test = result.best(metric)
    values = [METRICS[metric](*result.at(*pair[:2])) for pair in (on_test, chosen)]
    return metrics.paired_bootstrap(*values, part.patients)


def table(ways: dict[str, dict]) -> pd.DataFrame:
    """`compare`'s result (or a record's `test`) to read: one row a way, scores as `mean (low-high)`."""
    rows = {}
    for way, found in ways.items():
        row = {
            "B-TH": _plain(found["binarization_threshold"], "{:.3f}"),
            "R-TH": _removal(found["removal_threshold"]),
        }
        rows[way] = row | {_TITLES[name]: interval_text(value) for name, value in found["scores"].items()}
    return pd.DataFrame.from_dict(rows, orient="index")


_TITLES = {"dsc": "mean DSC", "iou": "IoU", "stepwise_iou": "stepwise IoU", "positive_dsc": "positive-only DSC"}


def interval_text(interval) -> str:
    """`mean (low-high)` to three places, `mean (–)` where it has no interval, or a dash where there is no number."""
    if interval is None:
        return "–"
    value, low, high = interval
    return f"{value:z.3f} (–)" if low is None or np.isnan(low) else f"{value:z.3f} ({low:z.3f}–{high:z.3f})"


def _plain(value, form: str) -> str:
    return "–" if value is None else form.format(value)


def _removal(value: int | Sequence | None) -> str:
    return f"{value[0]:g}/{value[1]:d}" if isinstance(value, Sequence) else _plain(value, "{:d}")


TRIPLET_TOPS = (0.5, 0.7, 0.9)
"""Top thresholds of rule triplet; the challenge's first place found 0.7 best."""

TRIPLET_AREAS = (150, 200, 1024)
"""Its minimum areas at 512 pixels: the first place's 600 and 800 at 1024 pixels, and the deck's smallest."""


def removal_grid(size: int, rule: str = "component") -> np.ndarray:
    """The removal thresholds (R-TH) that are swept on maps of `size` pixels a side.

    The deck's for rules "component" and "mask", (R,); for "triplet" pairs (top threshold, minimum area), (R, 2).
    """
    if rule != "triplet":
        return scale_removal(DECK_REMOVAL_THRESHOLDS, size)
    return np.array([(top, area) for top in TRIPLET_TOPS for area in np.unique(scale_removal(TRIPLET_AREAS, size))])
