"""Projection: from patient coordinates (cm) to the detector, and line integrals of thin structures by splatting.

Patient coordinates: x to the patient's left (right in the image), y down, z towards the front; the origin lies in the
midline at the height of the lung apices. A structure is a cloud of small volumes; each adds volume x attenuation /
pixel area to the pixels that its ray meets. That is the line integral itself, so thin shells get bright edges and a rib
seen end-on along the lateral wall becomes denser as a consequence.
"""

from dataclasses import dataclass

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


SIZE = 1024
"""Side of the image in pixels, as in the challenge's files."""

HALF = SIZE // 2
"""Side of the grid for structures without sub-millimetre detail."""


@dataclass(frozen=True)
class View:
    """How the patient stands before the detector.

    Attributes:
        scale: pixels per cm in the plane z = 0.
        centre: pixel (x, y) of the origin.
        rotation: turn about the long axis in radians; the front goes to the image's right.
        roll: turn in the image plane in radians.
        tilt: shift in y per cm of z (beam angle; negative lifts the front, as in lordotic AP views).
        divergence: relative magnification per cm of z (positive where the front is farther from the detector: AP).
    """

    scale: float
    centre: tuple[float, float]
    rotation: float
    roll: float
    tilt: float
    divergence: float

    def pixels(self, points: np.ndarray) -> np.ndarray:
        """Points (..., 2) in the plane z = 0 or (..., 3), in cm → pixels (..., 2) at 1024 x 1024."""
        x, y = points[..., 0], points[..., 1]
        z = points[..., 2] if points.shape[-1] == 3 else np.zeros_like(x)
        factor = self.scale * (1 + z * self.divergence)
        u = factor * (x * np.cos(self.rotation) + z * np.sin(self.rotation))
        v = factor * (y + self.tilt * z)
        cos, sin = np.cos(self.roll), np.sin(self.roll)
        return np.stack([self.centre[0] + cos * u - sin * v, self.centre[1] + sin * u + cos * v], axis=-1)


@njit(cache=True, fastmath=True)
def _add(grid, x, y, weight):
    # Pixel centres lie at integer coordinates; the four neighbours share the weight bilinearly.
    i, j = int(np.floor(y)), int(np.floor(x))
    if i < 0 or j < 0 or i >= grid.shape[0] - 1 or j >= grid.shape[1] - 1:
        return
    fy, fx = y - i, x - j
    grid[i, j] += weight * (1 - fy) * (1 - fx)
    grid[i, j + 1] += weight * (1 - fy) * fx
    grid[i + 1, j] += weight * fy * (1 - fx)
    grid[i + 1, j + 1] += weight * fy * fx


@njit(cache=True, fastmath=True)
def _splat_tube(grid, centre, normal, across, deep, volume, shell):
    """One step along a tube: `volume` (line integral x pixel area) goes to its cortex and, for the rest, its inside.

    Points run round the cross-section. Evenly weighted they are the thin shell, whose projection is bright at its edges;
    weighted by the squared chord at their distance from the axis they are the solid inside.
    """
    extent = np.hypot(across[0] * normal[0] + across[1] * normal[1], deep[0] * normal[0] + deep[1] * normal[1])
    size = max(np.hypot(across[0], across[1]), np.hypot(deep[0], deep[1]))
    count = max(8, int(6.3 * size / 1.3))
    weight = volume / count
    step_cos, step_sin = np.cos(2 * np.pi / count), np.sin(2 * np.pi / count)
    cos, sin = np.cos(np.pi / count), np.sin(np.pi / count)
    for _ in range(count):
        dx = across[0] * cos + deep[0] * sin
        dy = across[1] * cos + deep[1] * sin
        offset = (dx * normal[0] + dy * normal[1]) / (extent + 1e-6)
        # The lower cortex is the thicker one, as in ribs.
        cortex = shell * (1 + 0.35 * cos)
        _add(grid, centre[0] + dx, centre[1] + dy, weight * (cortex + (1 - shell) * 2 * (1 - offset * offset)))
        cos, sin = cos * step_cos - sin * step_sin, sin * step_cos + cos * step_sin


@njit(cache=True, fastmath=True)
def _project(x, y, z, view):
    scale, cx, cy, rot_cos, rot_sin, roll_cos, roll_sin, tilt, divergence = view
    factor = scale * (1 + z * divergence)
    u, v = factor * (x * rot_cos + z * rot_sin), factor * (y + tilt * z)
    return cx + roll_cos * u - roll_sin * v, cy + roll_sin * u + roll_cos * v


@njit(cache=True, fastmath=True)
def _splat_tubes(grid, points, first, shell, view):
    for tube in range(first.size - 1):
        for i in range(first[tube], first[tube + 1] - 1):
            p, q = points[i], points[i + 1]
            t = q[:3] - p[:3]
            length = np.sqrt(t[0] ** 2 + t[1] ** 2 + t[2] ** 2)
            if length < 1e-9 or p[5] + q[5] == 0:
                continue
            t /= length
            # The cross-section stands upright as far as the tube's direction allows.
            up = np.array([0.02, 1.0, 0.03])
            up -= t * (up[0] * t[0] + up[1] * t[1] + up[2] * t[2])
            up /= np.sqrt(up[0] ** 2 + up[1] ** 2 + up[2] ** 2) + 1e-12
            side = np.array([t[1] * up[2] - t[2] * up[1], t[2] * up[0] - t[0] * up[2], t[0] * up[1] - t[1] * up[0]])
            x0, y0 = _project(p[0], p[1], p[2], view)
            x1, y1 = _project(q[0], q[1], q[2], view)
            margin = 4 + max(p[3], q[3], p[4], q[4]) * view[0]
            if max(x0, x1) < -margin or max(y0, y1) < -margin:
                continue
            if min(x0, x1) > grid.shape[1] + margin or min(y0, y1) > grid.shape[0] + margin:
                continue
            ax, ay = _project(p[0] + up[0], p[1] + up[1], p[2] + up[2], view)
            dx, dy = _project(p[0] + side[0], p[1] + side[1], p[2] + side[2], view)
            seen = np.hypot(x1 - x0, y1 - y0) + 1e-9
            normal = ((y0 - y1) / seen, (x1 - x0) / seen)
            steps = max(1, int(np.ceil(seen / 1.5)), int(length * view[0] / 3))
            for k in range(steps):
                f = (k + 0.5) / steps
                high, deep = p[3] + f * (q[3] - p[3]), p[4] + f * (q[4] - p[4])
                mass = (p[5] + f * (q[5] - p[5])) * np.pi * high * deep * length / steps * view[0] ** 2
                centre = (x0 + f * (x1 - x0), y0 + f * (y1 - y0))
                across, depth = ((ax - x0) * high, (ay - y0) * high), ((dx - x0) * deep, (dy - y0) * deep)
                _splat_tube(grid, centre, normal, across, depth, mass, shell[tube])


@njit(cache=True, fastmath=True)
def splat_lines(grid, segments):
    """Add thin solid cylinders lying in the image plane to `grid`: vessels, wires, pleural lines.

    Args:
        grid: float32 (H, W) line integrals, changed in place.
        segments: float (n, 6): x0, y0, x1, y1, radius in grid pixels, and the line integral through the axis.
            Where the radius is below 0.7 pixels it is drawn at 0.7 with its mass kept.
    """
    for s in range(segments.shape[0]):
        x0, y0, x1, y1 = segments[s, 0], segments[s, 1], segments[s, 2], segments[s, 3]
        radius, peak = segments[s, 4], segments[s, 5]
        length = np.hypot(x1 - x0, y1 - y0)
        if length < 1e-6:
            continue
        drawn = max(radius, 0.7)
        peak *= (radius / drawn) ** 2
        nx, ny = -(y1 - y0) / length, (x1 - x0) / length
        # Wide flat ones need a finer grid of points, or its beat with the pixels shows as ladders.
        step = 0.9 if drawn < 1.5 else 0.7 if drawn < 5 else 0.5
        along = max(1, int(np.ceil(length / step)))
        width = max(3, int(np.ceil(2 * drawn / step)))
        area = (length / along) * (2 * drawn / width)
        for a in range(along):
            t = (a + 0.5) / along
            for w in range(width):
                offset = drawn * (2 * (w + 0.5) / width - 1)
                chord = np.sqrt(max(0.0, 1 - (offset / drawn) ** 2))
                _add(grid, x0 + t * (x1 - x0) + offset * nx, y0 + t * (y1 - y0) + offset * ny, peak * chord * area)


def polyline(points: np.ndarray, radius, peak) -> np.ndarray:
    """Segments for `splat_lines` along points (n, 2) in grid pixels; radius and peak are scalars or (n - 1,)."""
    columns = [
        points[:-1],
        points[1:],
        np.broadcast_to(radius, len(points) - 1),
        np.broadcast_to(peak, len(points) - 1),
    ]
    return np.column_stack(columns)


class Tubes:
    """Bent tubes with elliptic cross-sections, collected to be projected in one go."""

    def __init__(self) -> None:
        self._points: list[np.ndarray] = []
        self._lengths: list[int] = []
        self._shells: list[float] = []

    def add(self, line: np.ndarray, height, depth, attenuation, shell: float) -> None:
        """Add a tube.

        Args:
            line: float (n, 3) centre line in cm.
            height, depth: semi-axes in cm, scalar or (n,): towards image-vertical and along the third direction.
            attenuation: mean over the cross-section, per cm, above that of the tissue around; scalar or (n,).
            shell: share of the mass in the cortex.
        """
        rows = np.empty((len(line), 6))
        rows[:, :3], rows[:, 3], rows[:, 4], rows[:, 5] = line, height, depth, attenuation
        self.add_rows(rows, [len(line)], [shell])

    def add_rows(self, rows: np.ndarray, lengths: list[int], shells: list[float]) -> None:
        """Add several tubes at once: their points' x, y, z, height, depth, attenuation one after the other."""
        self._points.append(rows)
        self._lengths += lengths
        self._shells += shells

    def project(self, grid: np.ndarray, view: View) -> None:
        """Add the line integrals of all tubes to `grid`, float32 (512, 512), in place."""
        ratio = grid.shape[0] / SIZE
        first = np.concatenate([[0], np.cumsum(self._lengths)])
        turns = (np.cos(view.rotation), np.sin(view.rotation), np.cos(view.roll), np.sin(view.roll))
        # Pixel centres are at whole numbers: the first of the small grid lies between two of the large one.
        centre = (view.centre[0] * ratio + 0.5 * ratio - 0.5, view.centre[1] * ratio + 0.5 * ratio - 0.5)
        numbers = (view.scale * ratio, *centre, *turns, view.tilt, view.divergence)
        _splat_tubes(
            grid,
            np.concatenate(self._points),
            first,
            np.array(self._shells),
            tuple(float(number) for number in numbers),
        )
