"""Outlines of the chest in one pose: inner wall, diaphragm, mediastinum.

The coordinates are textbook proportions of an adult chest, set by eye against real X-rays (our choice).
"""

from dataclasses import dataclass

import numpy as np

from pneumo_lib.data.phantom.anatomy import SIDES, Patient, Pose
from pneumo_lib.data.phantom.curves import spline


@dataclass(frozen=True)
class Chest:
    """Outlines of one chest in one pose, in cm; index 0 is the patient's right side, 1 the left.

    Attributes:
        wall: two (n, 2) curves, the inner chest wall from the medial end of the apex to below the costophrenic angle.
        dome: two (n, 2) curves, the diaphragm from the midline out to the wall.
        dome_top: y of the two domes.
        border: two (n, 2) curves, the mediastinum's border from the neck down to the diaphragm.
        knob: (2,) centre of the aortic knob.
        shift: x of the mediastinum's displacement (tension).
    """

    wall: tuple[np.ndarray, np.ndarray]
    dome: tuple[np.ndarray, np.ndarray]
    dome_top: tuple[float, float]
    border: tuple[np.ndarray, np.ndarray]
    knob: np.ndarray
    shift: float


def _wall(who: Patient, side: int, r: np.random.Generator) -> np.ndarray:
    knots = np.array([
        (1.9, 3.6), (2.5, 1.5), (3.4, 0.35), (4.6, 0.0), (6.2, 0.55), (8.2, 2.2), (10.2, 4.8),
        (12.0, 8.5), (13.2, 13.0), (13.9, 18.0), (14.1, 22.5), (13.9, 27.0), (13.4, 32.0), (12.8, 42.0),
    ])  # fmt: skip
    knots[1:-1] += r.normal(0, 0.12, (len(knots) - 2, 2))
    return spline(knots * (side * who.half_width / 14, who.height / 24), 260)


def _dome(who: Patient, side: int, top: float, wall: np.ndarray, deep: float, r: np.random.Generator) -> np.ndarray:
    unit = who.half_width / 14
    sulcus = top + (4.6 + r.normal(0, 0.5)) * unit + deep
    out = np.interp(sulcus, wall[:, 1], np.abs(wall[:, 0]))
    peak = (6.3 + r.normal(0, 0.6)) * unit
    reach = out - peak
    knots = [
        (0.0, top + 1.7 * unit),
        (peak * 0.45, top + 0.75 * unit),
        (peak, top),
        (peak + 0.36 * reach, top + 0.09 * (sulcus - top)),
        (peak + 0.68 * reach, top + 0.36 * (sulcus - top)),
        (peak + 0.88 * reach, top + 0.68 * (sulcus - top)),
        (out, sulcus),
    ]
    return spline(np.array(knots) * (side, 1), 160)


def _border(who: Patient, where: Pose, side: int, base: float, shift: float, r: np.random.Generator) -> np.ndarray:
    """The mediastinum's border on one side, from the neck down below the dome at height `base`.

    Knots on the right: vena cava, azygos, right atrium; on the left: subclavian artery, aortic knob, pulmonary trunk,
    left atrial appendage, left ventricle, apex.
    """
    w = who.half_width / 14
    width = who.heart * 2 * who.half_width * (1.06 - 0.08 * where.inspiration)
    width *= 1.1 if where.position == "AP" else 1.0
    upper = w * (1.0 + (0.28 if where.position == "AP" else 0.0) + 0.12 * (1 - where.inspiration)) * r.normal(1, 0.12)
    if side < 0:
        reach = 0.31 * width * r.normal(1, 0.06)
        xs = [2.6 * upper, 2.5 * upper, 2.4 * upper, 2.5 * upper, 2.5 * upper, 2.5 * upper]
        xs += [
            0.35 * reach + 1.5 * upper,
            0.85 * reach + 0.3,
            reach,
            0.97 * reach,
            0.9 * reach,
            1.2 * reach,
            1.6 * reach,
        ]
        ys = [-0.65, -0.05, 0.12, 0.24, 0.33, 0.44, 0.55, 0.68, 0.80, 0.92, 1.0, 1.07, 1.6]
    else:
        reach = 0.68 * width * r.normal(1, 0.04)
        knob = (2.9 + 1.5 * who.aorta) * w
        xs = [2.5 * upper, 2.3 * upper, 2.3 * upper, 0.86 * knob, knob, 0.72 * knob + 0.1 * w]
        xs += [
            0.47 * reach,
            0.585 * reach,
            0.745 * reach,
            0.92 * reach,
            0.985 * reach,
            reach,
            1.15 * reach,
            1.4 * reach,
        ]
        ys = [-0.65, -0.05, 0.12, 0.245, 0.315, 0.385, 0.45, 0.56, 0.70, 0.86, 0.95, 1.02, 1.10, 1.6]
    knots = np.stack([side * np.array(xs), np.array(ys) * base], axis=1)
    knots[1:] += r.normal(0, (0.16, 0.1), (len(knots) - 1, 2)) * w
    # The heart lies in front: turning the patient moves its shadow more than the ribs'.
    knots[:, 0] += (shift + 3.5 * np.sin(where.view.rotation)) * np.clip(knots[:, 1] / (0.6 * base), 0.2, 1)
    return spline(knots, 220)


def chest_of(who: Patient, where: Pose, collapse: tuple[int, float, float] = (0, 0.0, 0.0)) -> Chest:
    """Outlines of the chest.

    Args:
        collapse: side of a pneumothorax (-1, 1; 0 for none), the depth in cm by which its costophrenic sulcus sinks,
            and the displacement of the mediastinum in cm away from it.
    """
    r = np.random.default_rng([who.seed, 1])
    side, sink, push = collapse
    height = who.height * (0.66 + 0.27 * where.inspiration)
    gap = r.normal(1.2, 0.9)
    walls = tuple(_wall(who, s, r) for s in SIDES)
    tops = tuple(height + (gap if s > 0 else 0.0) + (0.55 * sink if s == side else 0.0) for s in SIDES)
    domes = tuple(
        _dome(who, s, top, wall, sink if s == side else 0.0, r) for s, top, wall in zip(SIDES, tops, walls, strict=True)
    )
    shift = -side * push
    borders = tuple(
        _border(who, where, s, top + 0.8, shift, np.random.default_rng([who.seed, 5, s + 1]))
        for s, top in zip(SIDES, (min(tops), min(tops) + 0.5), strict=True)
    )
    left = borders[1]
    level = 0.315 * (min(tops) + 1.3)
    knob = np.array([np.interp(level, left[:, 1], left[:, 0]) - 1.6 * who.half_width / 14, level])
    return Chest(walls, domes, tops, borders, knob, shift)
