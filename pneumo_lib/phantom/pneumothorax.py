"""Pleural air: the visceral pleura separated from the chest wall, with a given projected area.

The lung's outline is described in polar coordinates about a point near its hilum. A pneumothorax moves the outline
inwards by a gap that depends on the angle; the ring between the old and the new outline is the mask, exact by
construction, and the same factor contracts the lung's vessels.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from pneumo_lib.phantom.anatomy import Chest
from pneumo_lib.phantom.geometry import SIZE, View

ANGLES = np.linspace(-np.pi, np.pi, 721)
"""Polar angles, 0 outwards (lateral), -pi/2 up, on both sides of the body."""


@dataclass(frozen=True)
class Lung:
    """One lung's outline in pixels.

    Attributes:
        side: -1 the patient's right (image left), 1 the left.
        hilum: pixel (x, y) of the pole.
        radius: (721,) distance of the parietal pleura from the pole at ANGLES.
        visceral: (721,) distance of the lung's surface; equals `radius` where no air lies between.
    """

    side: int
    hilum: np.ndarray
    radius: np.ndarray
    visceral: np.ndarray

    @property
    def collapsed(self) -> bool:
        """Whether there is pleural air next to this lung."""
        return self.visceral is not self.radius

    def outline(self, visceral: bool = False) -> np.ndarray:
        """Closed outline (720, 2) in pixels of the pleural cavity, or of the lung."""
        radius = self.visceral if visceral else self.radius
        points = np.stack([self.side * np.cos(ANGLES), np.sin(ANGLES)], axis=1) * radius[:, None]
        return (self.hilum + points)[:-1]


def lung(chest: Chest, view: View, side: int) -> Lung:
    """The healthy lung of one side: bounded by wall, diaphragm and mediastinum."""
    k = (side + 1) // 2
    wall, dome = chest.wall[k], chest.dome[k]
    sulcus = dome[-1, 1]
    medial = chest.border[k]
    # Where border and diaphragm cross: the cardiophrenic angle.
    floor = np.interp(side * medial[:, 0], side * dome[:, 0], dome[:, 1])
    medial = medial[(medial[:, 1] < floor) & (medial[:, 1] > 0.3 * wall[0, 1])]
    dome = dome[side * dome[:, 0] > side * medial[-1, 0]]
    outline = view.pixels(np.concatenate([wall[wall[:, 1] < sulcus], dome[::-1], medial[::-1]]))
    apex, bottom = wall[:, 1].min(), chest.dome_top[k]
    y_hilum = apex + 0.5 * (bottom - apex)
    inner = np.interp(y_hilum, chest.border[k][:, 1], chest.border[k][:, 0])
    outer = np.interp(y_hilum, wall[60:, 1], wall[60:, 0])
    hilum = view.pixels(np.array([inner + 0.22 * (outer - inner), y_hilum]))
    offset = outline - hilum
    angle = np.arctan2(offset[:, 1], side * offset[:, 0])
    order = np.argsort(angle)
    radius = np.interp(ANGLES, angle[order], np.hypot(*offset.T)[order], period=2 * np.pi)
    kernel = np.hanning(7)[1:-1]
    radius = np.convolve(np.concatenate([radius[-3:-1], radius, radius[1:3]]), kernel / kernel.sum(), "valid")
    return Lung(side, hilum, radius, radius)


PROFILES = {
    # Centre and half-width of the gap in degrees (0 lateral, -90 up), and how blunt it is.
    "apical": ((-66, 8), (46, 10), 1.0),
    "lateral": ((-8, 14), (50, 12), 1.0),
    "basal": ((44, 6), (30, 6), 1.0),
    "apicolateral": ((-42, 8), (78, 12), 1.2),
    "complete": ((-22, 8), (108, 10), 2.0),
}


def kind_of(area_px: float, r: np.random.Generator) -> str:
    """A plausible kind for an area: small ones are at the apex, the largest surround the whole lung."""
    if area_px > 30_000:
        return "complete"
    if area_px > 11_000:
        return str(r.choice(["apicolateral", "lateral", "apical", "complete"], p=[0.6, 0.15, 0.1, 0.15]))
    return str(r.choice(["apical", "lateral", "basal", "apicolateral"], p=[0.58, 0.16, 0.13, 0.13]))


STEEPEST = 0.26
"""Deepest gap as a share of the lung's radius before it spreads: a soft lung does not dent."""


def _gap(kind: str, wider: float, r: np.random.Generator) -> np.ndarray:
    (centre, centre_sd), (half, half_sd), blunt = PROFILES[kind]
    centre = np.deg2rad(r.normal(centre, centre_sd))
    half = np.deg2rad(np.clip(r.normal(half, half_sd), 18, 130) * wider)
    x = np.clip((ANGLES - centre) / half, -1, 1)
    wave = 1 + 0.10 * np.sin(3 * ANGLES + r.uniform(0, 6.3)) + 0.05 * np.sin(7 * ANGLES + r.uniform(0, 6.3))
    # Towards the mediastinum and the middle of the dome the lung keeps touching.
    last = 1.25 if kind == "basal" else 0.95
    free = np.clip((ANGLES + 1.85) / 0.4, 0, 1) * np.clip((last - ANGLES) / 0.4, 0, 1)
    return np.maximum(1 - np.abs(x) ** (2 * blunt), 0) ** 1.4 * wave * free


def collapse(healthy: Lung, kind: str, area_px: float, seed: list[int]) -> Lung:
    """The lung with pleural air of a projected area of `area_px` pixels (less where the whole lung is smaller).

    Args:
        seed: of the gap's details.
    """
    reach = healthy.radius
    # Small ones are short rather than thinner than a pixel.
    short = min(1.0, (area_px / 3000) ** 0.4)
    for wider in (short, 1.25 * short, 1.55, 1.9, 2.4):
        gap = _gap(kind, wider, np.random.default_rng(seed))
        # Depth partly relative to the local radius, partly the same everywhere as in thin rims.
        visceral = _deepen(reach, gap * (0.4 * reach + 0.6 * np.median(reach)), area_px)
        if np.max((reach - visceral) / reach) < STEEPEST or kind == "complete":
            break
    return Lung(healthy.side, healthy.hilum, reach, visceral)


def _deepen(reach: np.ndarray, depth: np.ndarray, area_px: float) -> np.ndarray:
    """Scale the gap `depth` by bisection until the ring has the wanted area."""
    low, high = 0.0, 4.0
    for _ in range(30):
        middle = 0.5 * (low + high)
        visceral = np.maximum(reach - middle * depth, 0.3 * reach)
        area = 0.5 * np.sum((reach**2 - visceral**2)[:-1]) * (ANGLES[1] - ANGLES[0])
        low, high = (middle, high) if area < area_px else (low, middle)
    return visceral


def filled(points: np.ndarray, size: int = SIZE) -> np.ndarray:
    """Closed outline (n, 2) in pixels at 1024 → uint8 (size, size), 255 inside, edges anti-aliased."""
    canvas = np.zeros((size, size), np.uint8)
    scaled = np.round((points * (size / SIZE) + (0.5 * size / SIZE - 0.5)) * 64).astype(np.int32)
    cv2.fillPoly(canvas, [scaled], 255, lineType=cv2.LINE_AA, shift=6)
    return canvas


def mask(lung: Lung) -> np.ndarray:
    """Pleural air, bool (1024, 1024): inside the parietal and outside the visceral pleura."""
    return (filled(lung.outline()) > 127) & (filled(lung.outline(visceral=True)) <= 127)
