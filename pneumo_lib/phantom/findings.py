"""Other findings: opacities, effusions, and the two mimics of a pleural line, skin folds and bullae.

Shares of the images are our choice.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from pneumo_lib.phantom.anatomy import SIDES, Chest, Patient, Pose
from pneumo_lib.phantom.geometry import HALF, polyline, spline
from pneumo_lib.phantom.pneumothorax import ANGLES, Lung


def choose_devices(who: Patient, where: Pose, positive: bool, r: np.random.Generator) -> tuple[str, ...]:
    """Names of the devices in one image; a chest tube is far more frequent with a pneumothorax, but occurs without one."""
    bed = where.position == "AP"
    old = who.age_years > 45
    chances = {
        "chest tube": (0.45 if bed else 0.25) if positive else (0.08 if bed else 0.02),
        "ECG leads": 0.6 if bed else 0.03,
        "central line": 0.35 if bed else 0.05,
        "endotracheal tube": 0.18 if bed else 0.0,
        "gastric tube": 0.2 if bed else 0.01,
        "pacemaker": 0.07 if old else 0.005,
        "sternal wires": 0.1 if old else 0.01,
    }
    return tuple(name for name, chance in chances.items() if r.random() < chance)


def device_segments(
    names: tuple[str, ...],
    who: Patient,
    where: Pose,
    chest: Chest,
    lungs: tuple[Lung, Lung],
    side: int,
    r: np.random.Generator,
) -> np.ndarray:
    """All devices in one image, float (n, 6); `side` is the side that a chest tube drains."""
    draw = {
        "chest tube": lambda: _chest_tube(where, lungs[(side + 1) // 2], r),
        "ECG leads": lambda: _leads(where, r),
        "central line": lambda: _central_line(who, where, chest, r),
        "endotracheal tube": lambda: _airway_tube(who, where, r),
        "gastric tube": lambda: _gastric_tube(who, where, chest, r),
        "pacemaker": lambda: _pacemaker(who, where, r),
        "sternal wires": lambda: _sternal_wires(who, where, r),
    }
    return np.concatenate([np.zeros((0, 6)), *(part for name in names for part in draw[name]())])


def _line(where: Pose, knots, radius: float, peak: float, count: int = 120) -> np.ndarray:
    """A wire or thread through knots in cm, with radius in cm."""
    return polyline(where.view.pixels(spline(np.array(knots, float), count)), radius * where.view.scale, peak)


def _hollow(where: Pose, pixels: np.ndarray, radius: float, wall: float, thread: float) -> list[np.ndarray]:
    """A plastic tube along pixels (n, 2): two walls and a radiopaque thread."""
    normal = np.gradient(pixels, axis=0)[:, ::-1] * (1, -1)
    normal /= np.linalg.norm(normal, axis=1, keepdims=True) + 1e-9
    scale = where.view.scale
    return [
        polyline(pixels, radius * scale, wall * 0.6),
        *(polyline(pixels + s * radius * 0.9 * scale * normal, 0.05 * scale, wall) for s in (-1, 1)),
        polyline(pixels + 0.5 * radius * scale * normal, 0.045 * scale, thread),
    ]


def _chest_tube(where: Pose, lung: Lung, r: np.random.Generator) -> list[np.ndarray]:
    up, right = r.uniform(-1.5, -0.9), r.uniform(0.1, 0.5)

    def at(angle, share):
        reach = np.interp(angle, np.linspace(-np.pi, np.pi, 721), lung.radius) * share
        return lung.hilum + reach * np.array([lung.side * np.cos(angle), np.sin(angle)])

    way = [
        at(right + 0.25, 1.9),
        at(right, 1.06),
        at(right - 0.35, 0.9),
        at((up + right) / 2 - 0.1, 0.85),
        at(up, 0.78),
    ]
    way.append(way[-1] + (way[-1] - way[-2]) * 0.15)
    return _hollow(where, spline(np.array(way), 160), r.uniform(0.28, 0.42), 0.10, 0.55)


def _leads(where: Pose, r: np.random.Generator) -> list[np.ndarray]:
    parts = []
    spots = np.array([(-9, 3), (9, 3), (-10, 17), (10, 18), (1, 12), (5, 16)], float)
    out = r.choice([-1, 1])
    for spot in spots[r.permutation(6)[: int(r.integers(2, 5))]] + r.normal(0, 1.6, (6, 2))[:1]:
        turn = np.linspace(0, 2 * np.pi, 24)
        ring = spot + 0.38 * np.stack([np.cos(turn), np.sin(turn)], axis=1)
        parts.append(polyline(where.view.pixels(ring), 0.10 * where.view.scale, 0.5))
        parts.append(_line(where, [spot, spot + r.normal(0, 0.1, 2) + (0.8, 0.2)], 0.22, 0.6, 8))
        away = spot + np.array([out * r.uniform(4, 9), r.uniform(-4, 5)])
        far = np.array([out * r.uniform(17, 30), r.uniform(6, 34)])
        parts.append(
            _line(where, [spot + (0.8, 0.2), spot + (out * 2.5, 0.8) + r.normal(0, 0.8, 2), away, far], 0.055, 0.5)
        )
    if r.random() < 0.4:
        knots = np.cumsum(r.normal((3.5, 2.0), (4, 4), (6, 2)), axis=0) + (-18, r.uniform(-6, 20))
        parts.append(_line(where, knots, 0.09, 0.28, 160))
    return parts


def _central_line(who: Patient, where: Pose, chest: Chest, r: np.random.Generator) -> list[np.ndarray]:
    h = who.height / 24
    end = (-1.9 + chest.shift * 0.5, r.uniform(7, 12) * h)
    if r.random() < 0.6:
        knots = [(-4.5, -9 * h), (-3.6, -3 * h), (-2.3, 2 * h), (-2.0, 5 * h), end]
    else:
        side = r.choice([-1, 1])
        knots = [(side * 13, 4 * h), (side * 8, 1.6 * h), (side * 3.5, 2.2 * h), (-0.8, 4.5 * h), end]
    return [_line(where, np.array(knots) + r.normal(0, 0.3, (5, 2)), 0.09, 0.28)]


def _airway_tube(who: Patient, where: Pose, r: np.random.Generator) -> list[np.ndarray]:
    h = who.height / 24
    knots = np.array([(0.6, -16 * h), (0.3, -8 * h), (0.0, -1 * h), (-0.1, r.uniform(3.5, 6.5) * h)])
    return _hollow(where, where.view.pixels(spline(knots, 80)), 0.42, 0.07, 0.4)


def _gastric_tube(who: Patient, where: Pose, chest: Chest, r: np.random.Generator) -> list[np.ndarray]:
    h, floor = who.height / 24, chest.dome_top[1]
    knots = [(0.2, -16 * h), (0.5, 0), (0.3, 9 * h), (0.9, 17 * h), (2.2, floor + 2), (r.uniform(4, 7), floor + 6)]
    return [_line(where, np.array(knots) + r.normal(0, 0.2, (6, 2)), 0.13, 0.24)]


def _pacemaker(who: Patient, where: Pose, r: np.random.Generator) -> list[np.ndarray]:
    w, side = who.half_width / 14, 1 if r.random() < 0.8 else -1
    x, y = side * r.uniform(8.5, 10.5) * w, r.uniform(2.5, 4.5) * w
    rows = np.linspace(-2.1, 2.1, 90)
    half = 2.3 * np.sqrt(np.clip(1 - np.abs(rows / 2.2) ** 3, 0, 1))
    # A box of battery and electronics: horizontal strokes side by side.
    parts = []
    for dy, reach in zip(rows, half, strict=True):
        ends = where.view.pixels(np.array([(x - reach, y + dy), (x + reach, y + dy)]))
        parts.append(polyline(ends, 0.028 * where.view.scale, 0.9 if dy < -1 else 1.25))
    tip = (r.uniform(3.5, 6.5) * w, r.uniform(16, 19) * w)
    knots = [(x, y - 2), (x - side * 4 * w, 1.8 * w), (side * 1.5, 3.5 * w), (-1.8 * w, 8 * w), (-2.6 * w, 14 * w), tip]
    parts.append(_line(where, knots, 0.085, 0.42))
    if r.random() < 0.5:
        knots[-1] = (-2.2 * w, 12.5 * w)
        parts.append(_line(where, np.array(knots) + (0.3, 0.2), 0.085, 0.42))
    return parts


def _sternal_wires(who: Patient, where: Pose, r: np.random.Generator) -> list[np.ndarray]:
    h, parts = who.height / 24, []
    for y in np.arange(5, 16, 2.4) * h + r.normal(0, 0.3):
        turn = np.linspace(0, 2 * np.pi * 1.1, 26) + r.uniform(0, 6)
        loop = np.stack(
            [1.1 * np.cos(turn) + r.normal(0, 0.2), y + 0.55 * np.sin(turn) + 0.2 * np.sin(2 * turn), 0 * turn + 8], 1
        )
        parts.append(polyline(where.view.pixels(loop), 0.05 * where.view.scale, 0.8))
    return parts


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


def choose(where: Pose, lungs: tuple[Lung, Lung], air_side: int, r: np.random.Generator) -> Findings:
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
    """The bulla's wall and the skin folds as segments for `geometry.splat_lines`."""
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
