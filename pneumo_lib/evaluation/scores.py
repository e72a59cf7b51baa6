"""The scores of one set of predicted masks, and of the ways to choose the thresholds, side by side."""

import numpy as np

from pneumo_lib import metrics
from pneumo_lib.data.dataset import Subset
from pneumo_lib.evaluation import postprocessing
from pneumo_lib.evaluation.postprocessing import Thresholds
from pneumo_lib.evaluation.sweep_result import METRICS, Counts, SweepResult
from pneumo_lib.experiments import Experiment
from pneumo_lib.metrics import Interval

HEADLINE = "chosen on validation"

WITHOUT_REMOVAL = "the pipeline's B-TH, no removal"
AS_DECK = "chosen on test, as in the deck"
DECK_POINT = "the deck's thresholds"
BLANK = "predict nothing"


def score(counts: Counts, patients: np.ndarray | None = None) -> dict[str, Interval | None]:
    """Mean and 95 % bootstrap interval (by patient, where known) of each metric over the images.

    `positive_dsc` is over the images with a pneumothorax only; `None` where there is none.
    """
    scores = {name: metrics.bootstrap_interval(METRICS[name](*counts), patients) for name in METRICS}
    positive = np.asarray(counts.truth_px) > 0
    values = metrics.positive_only(METRICS["dsc"](*counts), positive)
    groups = None if patients is None else np.asarray(patients)[positive]
    scores["positive_dsc"] = metrics.bootstrap_interval(values, groups) if len(values) else None
    return scores


def compare(
    result: SweepResult, without_removal: Counts, chosen: Thresholds, experiment: Experiment, part: Subset
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
    on_test, deck = result.best("dsc"), postprocessing.deck_thresholds(experiment.image_size, result.rule)
    nothing = Counts(np.zeros_like(result.truth_px), result.truth_px, np.zeros_like(result.truth_px))
    ways = {
        HEADLINE: (*chosen[:2], result.at(*chosen[:2])),
        AS_DECK: (*on_test[:2], result.at(*on_test[:2])),
        **({DECK_POINT: (*deck, result.at(*deck))} if deck else {}),
        WITHOUT_REMOVAL: (experiment.binarization_threshold, None, without_removal),
        BLANK: (None, None, nothing),
    }
    return {
        name: {"binarization_threshold": b, "removal_threshold": r, "scores": score(counts, part.patients)}
        for name, (b, r, counts) in ways.items()
    }


def optimism(result: SweepResult, chosen: Thresholds, part: Subset, metric: str = "dsc") -> Interval:
    """How much higher the score is when the thresholds are chosen on the images it is reported on, with its interval."""
    on_test = result.best(metric)
    values = [METRICS[metric](*result.at(*pair[:2])) for pair in (on_test, chosen)]
    return metrics.paired_bootstrap(*values, part.patients)
