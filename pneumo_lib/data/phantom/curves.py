"""Smooth curves through a few points."""

import numpy as np
from numba import njit


@njit(cache=True)
def _hermite(at, knots, count):
    n, columns = knots.shape
    out = np.empty((count, columns))
    slopes = np.zeros(n)
    for c in range(columns):
        rise = (knots[1:, c] - knots[:-1, c]) / (at[1:] - at[:-1])
        slopes[0], slopes[-1] = rise[0], rise[-1]
        for k in range(1, n - 1):
            # Harmonic mean of the neighbouring slopes, flat at a turning point (Fritsch and Butland).
            product = rise[k - 1] * rise[k]
            slopes[k] = 2 * product / (rise[k - 1] + rise[k]) if product > 0 else 0.0
        k = 0
        for i in range(count):
            x = at[-1] * i / (count - 1)
            while k < n - 2 and x > at[k + 1]:
                k += 1
            width = at[k + 1] - at[k]
            t = (x - at[k]) / width
            low = (1 + 2 * t) * (1 - t) ** 2 * knots[k, c] + t * (1 - t) ** 2 * width * slopes[k]
            out[i, c] = low + t**2 * (3 - 2 * t) * knots[k + 1, c] + t**2 * (t - 1) * width * slopes[k + 1]
    return out


def spline(knots: np.ndarray, count: int) -> np.ndarray:
    """A smooth open curve through knots (k, d) → (count, d); shape-preserving, so it never overshoots a knot."""
    at = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(knots, axis=0), axis=1))])
    return _hermite(at, np.ascontiguousarray(knots, float), count)
