"""Lung vessels: random trees that branch from the hila and taper towards the pleura."""

import numpy as np
from numba import njit

from pneumo_lib.data.phantom.anatomy import Patient, Pose
from pneumo_lib.data.phantom.chest import Chest
from pneumo_lib.data.phantom.curves import spline
from pneumo_lib.data.phantom.pneumothorax import ANGLES, Lung
from pneumo_lib.data.phantom.projection import polyline

MOST = 12_000

DOTS = 20
"""Vessels seen end-on beside each hilum."""

CROSSED = 4
"""Short segments that cross to draw one dot round."""

ALONG_RAY = 2.2
"""Blood along the ray in a vessel seen end-on, relative to one of its width that lies across."""


@njit(cache=True)
def _grow(numbers, starts, extent, out):
    """Grow vessels in cm about a lung's pole.

    Args:
        numbers: float (k,) standard normal numbers, used in turn.
        starts: float (n, 5): x, y, direction, radius and length of the trunks.
        extent: float (m,) distance of the pleura from the pole at polar angles from -pi to pi.
        out: float (rows, 5), filled with x0, y0, x1, y1, radius.

    Returns:
        The number of rows filled.
    """
    stack = np.empty((2048, 6))
    top = starts.shape[0]
    stack[:top, :5] = starts
    stack[:top, 5] = 0
    rows, used, bins = 0, 0, extent.size - 1
    while top > 0:
        top -= 1
        x, y, angle, radius, length, order = stack[top]
        steps = max(3, int(length / 0.45))
        side = 1.0
        for k in range(steps):
            used = (used + 2) % (numbers.size - 2)
            size = radius * (1 - 0.7 * k / steps)
            angle += 0.16 * numbers[used] * min(1.0, 0.1 / size)
            x1, y1 = x + length / steps * np.cos(angle), y + length / steps * np.sin(angle)
            edge = extent[int((np.arctan2(y1, x1) + np.pi) / (2 * np.pi) * bins)]
            # The stems start behind the mediastinum, outside the outline.
            if np.hypot(x1, y1) > max(0.97 * edge, 3.2) or rows >= out.shape[0] or size < 0.017:
                break
            out[rows, 0], out[rows, 1], out[rows, 2], out[rows, 3], out[rows, 4] = x, y, x1, y1, size
            rows += 1
            x, y = x1, y1
            # Side branches leave alternately, at about 40 degrees.
            if order < 4 and k > 1 and top < 2040 and numbers[used + 1] > 0.12 * order:
                stack[top, 0], stack[top, 1] = x, y
                stack[top, 2] = angle + side * (0.65 + 0.15 * numbers[used])
                stack[top, 3], stack[top, 4] = size * 0.72, (1 - 0.6 * k / steps) * length * 0.55
                stack[top, 5] = order + 1
                top += 1
                side = -side
    return rows


def _end_on(r: np.random.Generator) -> np.ndarray:
    """Vessels about the hilum that run along the ray: dots, drawn as CROSSED short segments each; rows as of `_grow`."""
    angle, distance = r.uniform(-np.pi, np.pi, DOTS), 0.4 + 1.8 * np.abs(r.standard_normal(DOTS))
    x, y = distance * np.cos(angle) - 0.6, 1.25 * distance * np.sin(angle)
    radius = r.uniform(0.1, 0.24, DOTS) / (1 + 0.1 * distance)
    turn = r.uniform(0, np.pi, DOTS)
    parts = []
    for away in np.arange(CROSSED) * np.pi / CROSSED:
        dx, dy = 0.7 * radius * np.cos(turn + away), 0.7 * radius * np.sin(turn + away)
        parts.append(np.stack([x - dx, y - dy, x + dx, y + dy, radius], axis=1))
    return np.concatenate(parts)


def tree(lung: Lung, scale: float, seed: int, attenuation: float) -> np.ndarray:
    """One lung's vessels as segments for `projection.splat_lines` in pixels at 1024.

    Args:
        scale: pixels per cm of an adult; smaller for a child's lung.
        seed: the same lung of the same patient has the same tree.
        attenuation: of blood above lung, per cm.

    The tree grows in the whole lung and then follows the lung's surface where air has pushed it in.
    """
    r = np.random.default_rng(seed)
    # More and thicker vessels run down than up; the last ones are the lower lobe's artery and the hilar stems.
    angles = np.concatenate([np.linspace(-1.7, 1.75, 18) + r.normal(0, 0.15, 18), [1.3, 0.8, -0.9]])
    reach = np.interp(angles, ANGLES, lung.radius) / scale + 2.0
    starts = np.empty((angles.size, 5))
    starts[:, 0] = -2.6 + 0.4 * np.cos(angles) + r.normal(0, 0.15, angles.size)
    starts[:, 1] = 1.7 * np.sin(angles) + r.normal(0, 0.3, angles.size)
    starts[:, 2] = angles
    starts[:, 3] = r.uniform(0.14, 0.27, angles.size) * (1 + 0.3 * np.sin(angles))
    starts[:, 4] = r.uniform(0.55, 1.05, angles.size) * reach
    starts[-3:, 3] = r.uniform((0.34, 0.28, 0.26), (0.48, 0.36, 0.34))
    starts[-3:, 4] = r.uniform(6.0, 9.0, 3)
    out = np.empty((MOST, 5))
    rows = _grow(r.standard_normal(4096), starts, lung.radius / scale, out)
    segments = np.concatenate([out[:rows], _end_on(r)])
    rows = len(segments)
    ends = np.concatenate([segments[:, :2], segments[:, 2:4]])
    polar = np.arctan2(ends[:, 1], ends[:, 0])
    ends *= np.interp(polar, ANGLES, lung.visceral / lung.radius)[:, None]
    ends = lung.hilum + ends * (lung.side * scale, scale)
    radius = segments[:, 4]
    # A wide one replaces lung that is dense with its own fine branches.
    peak = 2 * attenuation * np.minimum(radius, 0.2 * (radius / 0.2) ** 0.4)
    peak[-CROSSED * DOTS :] *= ALONG_RAY / CROSSED
    return np.column_stack([ends[:rows], ends[rows:], radius * scale, peak])


def airways(who: Patient, where: Pose, chest: Chest) -> tuple[np.ndarray, np.ndarray]:
    """The trachea's centre line (n, 2) in pixels, and segments (of negative line integral) for the 512-pixel grid."""
    h, scale = who.height / 24, where.view.scale
    bend = 0.4 * who.aorta
    carina = np.array([-0.2 + 0.5 * chest.shift, 8.2 * h])
    trachea = np.array(
        [(0.0, -14 * h), (0.0, -4 * h), (-0.1 + 0.3 * chest.shift, 2 * h), (-bend + 0.4 * chest.shift, 6 * h)]
    )
    radius = (0.85 if who.sex == "M" else 0.72) * h
    parts = []
    for knots, size, contrast in (
        ([*trachea, carina], radius, 0.16),
        ([carina + (0, -0.3), carina + (-1.6, 2.0), carina + (-2.8, 3.2)], 0.66 * radius, 0.09),
        ([carina + (0, -0.3), carina + (2.2, 1.6), carina + (3.6, 2.5)], 0.6 * radius, 0.09),
    ):
        line = where.view.pixels(spline(np.array(knots), 40)) / 2 - 0.25
        t = np.arange(39)
        # Towards the carina more and more lies in front; cartilage rings and the larynx make the wall uneven.
        fade = np.clip((39 - t) / 22, 0, 1) * np.clip(t / 6, 0.3, 1)
        width = size * (1 + 0.05 * np.sin(0.9 * t) + 0.04 * np.sin(0.37 * t + who.seed % 6))
        parts.append(polyline(line, width * scale / 2, -contrast * 2 * size * fade))
    return where.view.pixels(trachea), np.concatenate(parts)
