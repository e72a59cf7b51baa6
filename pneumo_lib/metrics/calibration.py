"""Do probabilities mean what they say: reliability curve and expected calibration error over pixels."""

from collections.abc import Iterable

import numpy as np
import pandas as pd

from pneumo_lib.metrics.overlap import MetricError


def reliability(probability: Iterable[np.ndarray], truth: Iterable[np.ndarray], bins: int = 10) -> pd.DataFrame:
    """Reliability curve: how often pixels of a given probability are true.

    Args:
        probability: arrays of float in 0..1, such as maps (N, H, W), a memory map or an iterator of maps; read one by
            one.
        truth: arrays of bool or 0/1, alike.
        bins: equal intervals of 0..1, each with its lower edge and without its upper one; the last one has both.

    Returns:
        DataFrame with one row a bin: low, high (its edges), n (pixels), confidence (mean probability), frequency (share
        of true pixels); NaN in the last two where a bin is empty.

    Raises:
        MetricError: a probability is NaN or outside 0..1, shapes differ, or bins is below 1.
    """
    if bins < 1:
        raise MetricError(f"bins is {bins}; pass 1 or more.")
    edges = np.linspace(0, 1, bins + 1)
    n, confidence, hits = np.zeros(bins), np.zeros(bins), np.zeros(bins)
    for p, t in zip(probability, truth, strict=True):
        p, t = np.asarray(p, np.float64).ravel(), np.asarray(t).ravel()
        if p.shape != t.shape or not ((p >= 0) & (p <= 1)).all():
            raise MetricError("probability must lie in 0..1, without NaN, and have the shape of truth.")
        at = np.minimum(np.searchsorted(edges, p, side="right") - 1, bins - 1)
        n += np.bincount(at, minlength=bins)
        confidence += np.bincount(at, p, bins)
        hits += np.bincount(at, t, bins)
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


def expected_calibration_error(curve: pd.DataFrame) -> float:
    """ECE: mean gap between confidence and frequency over the bins of `reliability`, weighted by their pixels.

    Most pixels of a chest X-ray are surely none of a pneumothorax; they dominate this mean, so read it with the curve.

    Raises:
        MetricError: the curve holds no pixel.

    Reference: Naeini, Cooper, Hauskrecht, *Obtaining Well Calibrated Probabilities Using Bayesian Binning*, AAAI 2015.
    """
    if not curve["n"].sum():
        raise MetricError("the reliability curve holds no pixel; pass at least one map.")
    gap = (curve["confidence"] - curve["frequency"]).abs().fillna(0)
    return float((gap * curve["n"]).sum() / curve["n"].sum())
