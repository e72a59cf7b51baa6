"""Whether a run's probabilities mean what they say: the reliability curve of its test pixels."""

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

from pneumo_lib import metrics
from pneumo_lib.report.scores import interval_text
from pneumo_lib.report.style import NEUTRAL, PREDICTED, subplots


def measure(probability: np.ndarray, truth: np.ndarray, patients: np.ndarray | None = None, bins: int = 10) -> dict:
    """Reliability curve and expected calibration error (ECE) with 95 % bootstrap intervals over patients.

    Args:
        probability: (N, H, W) in 0..1, read one map at a time.
        truth: bool (N, H, W).
        patients: (N,) whose image it is.
        bins: of probability.

    Returns:
        `ece`, an Interval, and `curve`, one dict a bin: the columns of `metrics.reliability` and frequency_low,
        frequency_high; plain enough for a record.
    """
    counts = metrics.bin_counts(probability, truth, bins)
    curve = metrics.reliability(counts)
    shares = [metrics.bootstrap_statistic(_share(b), counts, groups=patients, n=500) for b in range(bins)]
    curve["frequency_low"], curve["frequency_high"] = [s.low for s in shares], [s.high for s in shares]
    ece = metrics.bootstrap_statistic(metrics.expected_calibration_error, counts, groups=patients, n=500)
    return {"ece": ece, "curve": curve.to_dict("records")}


def draw(found: dict, label: str) -> Figure:
    """The curve of `measure`, or of a record's `calibration`, over how many pixels each of its points stands for."""
    curve = pd.DataFrame(found["curve"]).astype(float)
    some = curve[curve["n"] > 0]
    figure, axes = subplots(2, 1, figsize=(5.6, 6), sharex=True, height_ratios=(3, 1))
    axes[0].plot([0, 1], [0, 1], "--", color="0.35", label="as it should be")
    axes[0].plot(some["confidence"], some["frequency"], "o-", color=PREDICTED, label="pixels of the test images")
    axes[0].vlines(some["confidence"], some["frequency_low"], some["frequency_high"], color=PREDICTED, linewidth=2)
    axes[0].set(ylabel="share of these pixels that are true", xlim=(0, 1), ylim=(0, 1))
    axes[0].legend(frameon=False, loc="upper left")
    axes[1].bar((some["low"] + some["high"]) / 2, some["n"], width=0.09, color=NEUTRAL)
    axes[1].set(yscale="log", ylabel="pixels", xlabel="predicted probability")
    figure.suptitle(f"Reliability, {label}\nexpected calibration error {interval_text(found['ece'])}", fontsize=10)
    sns.despine(figure)
    return figure


def _share(position: int):
    """The share of true pixels in one bin of `metrics.bin_counts`; NaN where it is empty."""

    def share(counts: np.ndarray) -> float:
        n, _, hits = counts[:, :, position].sum(axis=0)
        return hits / n if n else float("nan")

    return share
