"""Calibration of probabilities: reliability curve and expected calibration error over pixels."""

from collections.abc import Iterable

import numpy as np
import pandas as pd

from pneumo_lib.errors import MetricError


def bin_counts(probability: Iterable[np.ndarray], truth: Iterable[np.ndarray], bins: int = 10) -> np.ndarray:
    """Pixels, sum of their probabilities and true pixels in each bin of probability, image by image.

    Args:
        probability: arrays of float in 0..1, such as maps (N, H, W), a memory map or an iterator of maps; read one by
            one.
        truth: arrays of bool or 0/1, alike.
        bins: equal intervals of 0..1, each with its lower edge and without its upper one; the last one has both.

    Returns:
        float64 (N, 3, bins); `reliability` reads it.

    Raises:
        MetricError: a probability is NaN or outside 0..1, shapes differ, or bins is below 1.
    """
    if bins < 1:
        raise MetricError(f"bins is {bins}; pass 1 or more.")
    edges, rows = np.linspace(0, 1, bins + 1), []
    for p, t in zip(probability, truth, strict=True):
        p, t = np.asarray(p, np.float64).ravel(), np.asarray(t).ravel()
        if p.shape != t.shape or not ((p >= 0) & (p <= 1)).all():
            raise MetricError("probability must lie in 0..1, without NaN, and have the shape of truth.")
        at = np.minimum(np.searchsorted(edges, p, side="right") - 1, bins - 1)
        rows.append([np.bincount(at, minlength=bins), np.bincount(at, p, bins), np.bincount(at, t, bins)])
    return np.array(rows, np.float64).reshape(-1, 3, bins)


def reliability(counts: np.ndarray) -> pd.DataFrame:
    """Reliability curve: how often pixels of a given probability are true.

    Args:
        counts: (N, 3, bins) of `bin_counts`.

    Returns:
        DataFrame with one row per bin: low, high (its edges), n (pixels), confidence (mean probability), frequency (share
        of true pixels); NaN in the last two where a bin is empty.
    """
    n, confidence, hits = counts.sum(axis=0)
    edges = np.linspace(0, 1, counts.shape[2] + 1)
    some = np.where(n > 0, n, np.nan)
    return pd.DataFrame(
        {
            "low": edges[:-1],
            "high": edges[1:],
            "n": n.astype(np.int64),
            "confidence": confidence / some,
            "frequency": hits / some,
        }
    )


def expected_calibration_error(counts: np.ndarray) -> float:
    """ECE: mean gap between confidence and frequency over the bins of `bin_counts`, weighted by their pixels.

    Most pixels of a chest X-ray are surely none of a pneumothorax; they dominate this mean, so read it with the curve.

    Raises:
        MetricError: no pixel.

    Reference: Naeini, Cooper, Hauskrecht, *Obtaining Well Calibrated Probabilities Using Bayesian Binning*, AAAI 2015.
    """
    n, confidence, hits = counts.sum(axis=0)
    if not n.sum():
        raise MetricError("the counts contain no pixels; pass at least one map.")
    return float(np.abs(confidence - hits).sum() / n.sum())
