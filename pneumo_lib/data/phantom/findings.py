"""What else X-rays show: opacities, effusions, and the two mimics of a pleural line, skin folds and bullae.

Shares of the images are our choice.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from pneumo_lib.data.phantom.anatomy import SIDES, Pose
from pneumo_lib.data.phantom.chest import Chest
from pneumo_lib.data.phantom.curves import spline
from pneumo_lib.data.phantom.pneumothorax import ANGLES, Lung
from pneumo_lib.data.phantom.projection import HALF, polyline


@dataclass(frozen=True)
class Findings:
    """Findings of one image.

    Attributes:
        opacities: (n, 5) centre x, y and radii in pixels at 1024, relative density.
        bulla: (x, y, radius) in pixels at 1024, or empty.
        folds: outlines (n, 2) in pixels of skin folds.
        effusion: side (-1, 1, or 0) and height in cm of fluid above the costophrenic angle.
    """

    opacities: np.ndarray
    bulla: tuple[float, ...]
    folds: tuple[np.ndarray, ...]
    effusion: tuple[int, float]

    @property
    def mimics(self) -> tuple[str, ...]:
        """Names of what imitates a pleural line."""
        return ("bulla",) * bool(self.bulla) + ("skin fold",) * bool(self.folds)


def choose(where: Pose, chest: Chest, lungs: tuple[Lung, Lung], air_side: int, r: np.random.Generator) -> Findings:
    """Findings of one image; none of them touches the pleural air of a pneumothorax on side `air_side`."""
    bed = where.position == "AP"
    opacities = []
    for lung in lungs:
        for _ in range(r.poisson(0.9 if bed else 0.35)):
            angle, share = r.uniform(-1.2, 1.4), r.uniform(0.1, 0.7)
            reach = share * np.interp(angle, ANGLES, lung.visceral)
            centre = lung.hilum + reach * np.array([lung.side * np.cos(angle), np.sin(angle)])
            opacities.append((*centre, *(r.uniform(1.2, 5.0, 2) * where.view.scale), r.uniform(0.04, 0.2)))
    bulla: tuple[float, ...] = ()
    if r.random() < 0.07:
        lung = lungs[int(r.integers(2))]
        if lung.side != air_side:
            angle, radius = r.uniform(-1.4, 0.2), r.uniform(1.5, 4.0) * where.view.scale
            reach = np.interp(angle, ANGLES, lung.radius) - 0.9 * radius
            bulla = (*(lung.hilum + reach * np.array([lung.side * np.cos(angle), np.sin(angle)])), radius)
    folds = tuple(_fold(where, lungs, r) for _ in range(int(r.random() < (0.16 if bed else 0.03))))
    side = int(r.choice(SIDES))
    fluid = r.uniform(1.0, 6.0) if r.random() < (0.22 if bed else 0.08) and side != air_side else 0.0
    return Findings(np.array(opacities).reshape(-1, 5), bulla, folds, (side if fluid else 0, fluid))


def _fold(where: Pose, lungs: tuple[Lung, Lung], r: np.random.Generator) -> np.ndarray:
    """A fold of skin under the patient: a long, nearly straight line that does not stop at the chest wall."""
    lung = lungs[int(r.integers(2))]
    unit = where.view.scale
    x = lung.hilum[0] + lung.side * r.uniform(2, 6) * unit
    top, bottom = lung.hilum[1] - r.uniform(5, 13) * unit, lung.hilum[1] + r.uniform(6, 16) * unit
    middle = x + lung.side * r.normal(0.8, 0.8) * unit
    return spline(
        np.array([(x - lung.side * r.uniform(0, 3) * unit, top), (middle, (top + bottom) / 2), (x, bottom)]), 100
    )


def density(base: np.ndarray, found: Findings) -> np.ndarray:
    """Apply opacities and bulla to the lung's relative density, float32 (512, 512)."""
    out = base
    v, u = np.mgrid[0:128, 0:128].astype(np.float32) * 8
    if len(found.opacities):
        extra = np.zeros((128, 128), np.float32)
        for x, y, a, b, strength in found.opacities:
            extra += np.float32(strength) * np.exp(-(((u - x) / a) ** 2 + ((v - y) / b) ** 2))
        # Patchy, as alveoli fill unevenly: the existing texture is amplified where it is dense.
        out = out + cv2.resize(extra, (HALF, HALF)) * np.square(np.square(base / base.mean()))
    if found.bulla:
        x, y, radius = (value / 2 for value in found.bulla)
        disc = np.zeros((HALF, HALF), np.uint8)
        cv2.ellipse(disc, (int(x), int(y)), (int(radius), int(0.85 * radius)), 25, 0, 360, 255, -1, cv2.LINE_AA)
        out = out * (1 - cv2.GaussianBlur(disc, (0, 0), 3).astype(np.float32) / 255 * 0.4)
    return out


def fluid(found: Findings, where: Pose, chest: Chest) -> np.ndarray | None:
    """Share of the cavity that an effusion fills, float32 (512, 512), or None; it climbs along the wall."""
    side, height = found.effusion
    if not side:
        return None
    k = (side + 1) // 2
    wall = abs(chest.wall[k][:, 0]).max()
    level = chest.dome[k][-1, 1] - height
    v, u = np.mgrid[0:128, 0:128].astype(np.float32) * 8
    x, y = (u - where.view.centre[0]) / where.view.scale * side, (v - where.view.centre[1]) / where.view.scale
    rim = level + 2.5 * np.clip(1 - x / wall, 0, 1) - 1.8 * np.clip(x / wall, 0, 1) ** 6
    share = 1 / (1 + np.exp(-(y - rim) / 0.45)) * (x > 0)
    return cv2.resize(share.astype(np.float32), (HALF, HALF))


def segments(found: Findings, where: Pose) -> np.ndarray:
    """The bulla's wall and the skin folds as segments for `projection.splat_lines`."""
    parts = [np.zeros((0, 6))]
    scale = where.view.scale
    if found.bulla:
        x, y, radius = found.bulla
        turn = np.linspace(0, 2 * np.pi, 90)
        wobble = radius * (1 + 0.04 * np.sin(3 * turn))
        ring = np.stack([x + wobble * np.cos(turn), y + wobble * np.sin(turn)], axis=1)
        parts.append(polyline(ring, 0.045 * scale, 0.07))
    for fold in found.folds:
        fade = np.sin(np.linspace(0.05, np.pi - 0.05, len(fold) - 1))
        # Skin doubled up: dense at its edge, thinning out to one side.
        for k in range(28):
            parts.append(polyline(fold + (k * 0.07 * scale, 0), 0.06 * scale, 0.10 * fade * (1 - k / 28) ** 1.5))
    return np.concatenate(parts)
