"""Projection: from patient coordinates (cm) to the detector, and line integrals of thin structures by splatting.

Patient coordinates: x to the patient's left (right in the image), y down, z towards the front; the origin lies in the
midline at the height of the lung apices. A structure is a cloud of small volumes; each adds volume x attenuation /
pixel area to the pixels that its ray meets. That is the line integral itself, so thin shells get bright edges and a rib
seen end-on along the lateral wall gets denser, without being told to.
"""

from dataclasses import dataclass

import numpy as np
from numba import njit

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
def splat_tube(grid, centre, across, deep, volume, shell):
    """Add the projection of a bent tube to `grid`.

    Args:
        grid: float32 (H, W) line integrals, changed in place.
        centre: float (n, 2) projected centre line in grid pixels, about one pixel apart.
        across, deep: float (n, 2) projected semi-axes of the elliptic cross-section.
        volume: float (n,) attenuation x volume of one step along the tube, in units of pixel area x line integral.
        shell: share of it in the outer tenth (cortical bone); the rest fills the inside evenly.
    """
    n = centre.shape[0]
    for i in range(n):
        size = max(np.hypot(across[i, 0], across[i, 1]), np.hypot(deep[i, 0], deep[i, 1]))
        count = max(8, int(6.3 * size / 0.9))
        phase = (i * 0.618034) % 1.0
        for k in range(count):
            angle = 2 * np.pi * (k + phase) / count
            cos, sin = np.cos(angle), np.sin(angle)
            dx = across[i, 0] * cos + deep[i, 0] * sin
            dy = across[i, 1] * cos + deep[i, 1] * sin
            weight = volume[i] / count
            _add(grid, centre[i, 0] + dx, centre[i, 1] + dy, weight * shell)
            inner = np.sqrt((k * 0.381966 + phase) % 1.0) * 0.95
            _add(grid, centre[i, 0] + inner * dx, centre[i, 1] + inner * dy, weight * (1 - shell))


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
        along = max(1, int(np.ceil(length / 0.8)))
        width = max(3, int(np.ceil(2 * drawn / 0.7)))
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


def tube(grid: np.ndarray, view: View, line: np.ndarray, height, depth, attenuation: float, shell: float) -> None:
    """Splat a 3-D tube with elliptic cross-section.

    Args:
        grid: float32 (H, H) with H = 512, changed in place.
        line: float (n, 3) centre line in cm.
        height, depth: semi-axes in cm, scalar or (n,): towards image-vertical and along the third direction.
        attenuation: mean over the cross-section, per cm, above that of the soft tissue around; scalar or (n,).
        shell: share of the mass in the cortex.
    """
    ratio = grid.shape[0] / SIZE
    step = np.linalg.norm(np.diff(line, axis=0), axis=1)
    position = np.concatenate([[0], np.cumsum(step)])
    count = max(4, int(position[-1] * view.scale * ratio / 0.9))
    at = np.linspace(0, position[-1], count)
    line = np.stack([np.interp(at, position, line[:, k]) for k in range(3)], axis=1)
    height, depth, attenuation = (
        np.interp(at, position, np.broadcast_to(value, len(position))) for value in (height, depth, attenuation)
    )
    tangent = np.gradient(line, axis=0)
    tangent /= np.linalg.norm(tangent, axis=1, keepdims=True) + 1e-9
    up = np.array([0.02, 1.0, 0.03]) - tangent * (tangent @ np.array([0.02, 1.0, 0.03]))[:, None]
    up /= np.linalg.norm(up, axis=1, keepdims=True) + 1e-9
    side = np.cross(tangent, up)
    centre = view.pixels(line) * ratio
    across = view.pixels(line + up * height[:, None]) * ratio - centre
    deep = view.pixels(line + side * depth[:, None]) * ratio - centre
    volume = attenuation * np.pi * height * depth * (position[-1] / count) * (view.scale * ratio) ** 2
    splat_tube(grid, centre, across, deep, volume.astype(np.float64), shell)
