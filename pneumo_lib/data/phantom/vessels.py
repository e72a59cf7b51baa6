"""Lung vessels: random trees that branch from the hila and taper towards the pleura."""

import numpy as np
from numba import njit

from pneumo_lib.data.phantom.pneumothorax import ANGLES, Lung

MOST = 12_000


@njit(cache=True)
def _grow(seed, angles, radii, lengths, extent, out):
    """Grow trees in polar coordinates scaled to cm; rows of `out`: x0, y0, x1, y1, radius. Returns the row count."""
    np.random.seed(seed)
    stack = np.empty((4096, 5))
    top = 0
    for i in range(angles.size):
        stack[top] = (0.25 * np.cos(angles[i]), 0.35 * np.sin(angles[i]), angles[i], radii[i], lengths[i])
        top += 1
    rows = 0
    bins = extent.size - 1
    while top > 0:
        top -= 1
        x, y, angle, radius, length = stack[top]
        steps = 4
        bend = np.random.normal(0.0, 0.10)
        alive = True
        for k in range(steps):
            angle += bend + np.random.normal(0.0, 0.07)
            x1 = x + length / steps * np.cos(angle)
            y1 = y + length / steps * np.sin(angle)
            polar = np.arctan2(y1, x1)
            edge = extent[int((polar + np.pi) / (2 * np.pi) * bins)]
            if np.hypot(x1, y1) > 0.97 * edge or rows >= out.shape[0]:
                alive = False
                break
            out[rows, 0], out[rows, 1], out[rows, 2], out[rows, 3], out[rows, 4] = x, y, x1, y1, radius * (1 - 0.05 * k)
            rows += 1
            x, y = x1, y1
        if not alive or radius < 0.022 or top > 4000:
            continue
        # Murray's law with an uneven split: the cubes of the daughters' radii add up to the mother's.
        share = np.random.uniform(0.5, 0.88)
        turn = np.random.uniform(0.25, 0.6) * (1.0 if np.random.random() < 0.5 else -1.0)
        for part, sign in ((share, 1.0 - share), (1 - share, -share)):
            if np.random.random() < 0.04:
                continue
            small = radius * part ** (1 / 3) * 0.96
            stack[top] = (x, y, angle + turn * sign * 1.6, small, np.random.uniform(0.7, 1.3) * (0.55 + 5.2 * small))
            top += 1
    return rows


def tree(lung: Lung, scale: float, seed: int, attenuation: float) -> np.ndarray:
    """One lung's vessels as segments for `projection.splat_lines` in pixels at 1024.

    Args:
        scale: pixels per cm.
        seed: the same lung of the same patient has the same tree.
        attenuation: of blood above lung, per cm.

    The tree grows in the whole lung and then follows the lung's surface where air has pushed it in.
    """
    r = np.random.default_rng(seed)
    count = 13
    angles = np.concatenate([np.linspace(-1.75, 1.75, count), [2.2, 2.6, -2.3]]) + r.normal(0, 0.10, count + 3)
    radii = r.uniform(0.20, 0.34, angles.size) * (1 + 0.25 * np.sin(angles))
    lengths = r.uniform(1.2, 2.6, angles.size)
    out = np.empty((MOST, 5))
    rows = _grow(int(r.integers(2**31)), angles, radii, lengths, lung.radius / scale, out)
    segments = out[:rows]
    ends = np.concatenate([segments[:, :2], segments[:, 2:4]])
    polar = np.arctan2(ends[:, 1], ends[:, 0])
    ends *= np.interp(polar, ANGLES, lung.visceral / lung.radius)[:, None]
    ends = lung.hilum + ends * (lung.side * scale, scale)
    radius = segments[:, 4]
    return np.column_stack([ends[:rows], ends[rows:], radius * scale, 2 * radius * attenuation])
