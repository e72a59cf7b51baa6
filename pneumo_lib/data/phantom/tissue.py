"""Soft tissue and air: thickness maps of body, cavity, mediastinum and diaphragm on the 512-pixel grid."""

import cv2
import numpy as np
from numba import njit

from pneumo_lib.data.phantom.anatomy import SIDES, Chest, Patient, Pose, spline
from pneumo_lib.data.phantom.cohort import rng
from pneumo_lib.data.phantom.pneumothorax import filled
from pneumo_lib.data.phantom.projection import HALF, SIZE

SOFT = 0.195
"""Attenuation of soft tissue per cm, at about 70 keV."""


def rounded(outline: np.ndarray, reach: float, size: int) -> np.ndarray:
    """Thickness profile 0..1 of a rounded body: rises like an ellipse over `reach` pixels (at 1024) from the outline."""
    inside = filled(outline, size)
    distance = cv2.distanceTransform((inside > 127).astype(np.uint8), cv2.DIST_L2, 5)
    # The fraction of the border pixel that is covered makes up for the transform's whole-pixel steps.
    distance = cv2.GaussianBlur(distance, (0, 0), 1.0)
    rise = np.clip(distance / (reach * size / SIZE), 0, 1)
    return np.sqrt(np.maximum(1 - (1 - rise) ** 2, 0))


def body(who: Patient, where: Pose, index_rng: np.random.Generator) -> np.ndarray:
    """Thickness of trunk, neck, shoulders and arms in cm, float32 (512, 512), without the cavity taken out."""
    w, h = who.half_width / 14, who.height / 24
    fat, size, px = who.fat, 256, where.view.scale
    muscle = 1.12 if who.sex == "M" else 1.0
    spread = 1.3 * where.arm
    half = np.array([
        (5.4 * muscle, -30), (5.3 * muscle, -9), (5.7 * muscle, -5.6), (7.6, -3.4), (11.5, -2.1), (15.5, -1.5),
        (18.6 + spread, -0.8), (20.6 + spread, 1.6), (21.2 + spread, 4.8), (18.6, 8.4),
        (16.3, 11.5), (15.9, 15), (16.0, 20), (15.9, 26), (15.8, 34), (16.2, 60),
    ])  # fmt: skip
    half[:, 0] += fat * np.interp(half[:, 1], [-30, -5, 5, 12, 34], [0.3, 0.3, 0.5, 0.8, 1.1])
    outline = []
    for side in SIDES:
        knots = half + index_rng.normal(0, 0.15, half.shape)
        outline.append(spline(knots * (side * w, h if h < w else w), 200))
    trunk = where.view.pixels(np.concatenate([outline[0], outline[1][::-1]]))
    profile = rounded(trunk, 8.5 * w * px, size)
    y = (np.arange(size) * (SIZE / size) - where.view.centre[1]) / px / h
    thick = np.interp(y, [-12, -6, -2, 3, 9, 16, 24, 34], [10.5, 11, 12.5, 16, 20, 22.5, 23, 23])
    thick = (thick * who.depth / 9.3 + 1.6 * fat).astype(np.float32)
    total = profile.astype(np.float32) * thick[:, None]
    for side in SIDES:
        total = np.maximum(total, _arm(who, where, side, size, index_rng))
    return cv2.resize(total, (HALF, HALF), interpolation=cv2.INTER_CUBIC)


def _arm(who: Patient, where: Pose, side: int, size: int, r: np.random.Generator) -> np.ndarray:
    w = who.half_width / 14
    radius = (4.3 if who.sex == "M" else 3.9) * w + 0.45 * who.fat
    start = np.array([18.6 + 0.5 * where.arm, 3.0])
    away = np.array([2.2 + 8 * where.arm, 18.0])
    along = away / np.hypot(*away)
    normal = np.array([along[1], -along[0]])
    knots = [
        start - 3.2 * along - 1.2 * normal,
        start + 2 * along - radius * normal,
        start + away - 0.85 * radius * normal,
    ]
    back = [
        start + 2.5 * away + 0.8 * radius * normal,
        start + 0.3 * away + radius * normal,
        start - 2.8 * along + normal,
    ]
    far = [start + 2.5 * away - 0.8 * radius * normal]
    outline = where.view.pixels(spline(np.array(knots + far + back), 120) * (side * w, w))
    return rounded(outline, radius * where.view.scale * w, size).astype(np.float32) * 1.85 * radius


@njit(cache=True, fastmath=True)
def _mediastinum(size, scale, cx, cy, cos, sin, ellipsoids):
    out = np.zeros((size, size), np.float32)
    for i in range(size):
        for j in range(size):
            px, py = j * 2 + 0.5 - cx, i * 2 + 0.5 - cy
            x, y = (cos * px + sin * py) / scale, (cos * py - sin * px) / scale
            total = 0.0
            for e in range(ellipsoids.shape[0]):
                dx, dy = x - ellipsoids[e, 0], y - ellipsoids[e, 1]
                if abs(dx) > 13 or abs(dy) > 13:
                    continue
                c, s = np.cos(ellipsoids[e, 4]), np.sin(ellipsoids[e, 4])
                u, v = (c * dx + s * dy) / ellipsoids[e, 2], (c * dy - s * dx) / ellipsoids[e, 3]
                rest = 1 - u * u - v * v
                if rest > 0:
                    # The cube norm melts the bodies into one another without a seam.
                    total += (np.sqrt(rest) * ellipsoids[e, 5]) ** 3
            out[i, j] = min(total ** (1 / 3), 0.97)
    return out


def mediastinum(chest: Chest, where: Pose) -> np.ndarray:
    """Share of the cavity's depth that heart and vessels fill, float32 (512, 512) in 0..0.97."""
    view = where.view
    return _mediastinum(
        HALF, view.scale, *view.centre, np.cos(view.roll), np.sin(view.roll), chest.ellipsoids.astype(np.float64)
    )


def cavity(who: Patient, where: Pose, chest: Chest) -> np.ndarray:
    """Depth of the thoracic cavity in cm, float32 (512, 512), as if it went on below the diaphragm."""
    outline = where.view.pixels(np.concatenate([chest.wall[0], chest.wall[1][::-1]]))
    profile = rounded(outline, 0.46 * who.half_width * where.view.scale, HALF)
    y = (np.arange(HALF) * 2 - where.view.centre[1]) / where.view.scale / who.height * 24
    depth = np.interp(y, [0, 4, 10, 18, 30], [0.55, 0.78, 0.95, 1.0, 0.97]) * 2 * who.depth
    return (profile * depth[:, None]).astype(np.float32)


def below_diaphragm(who: Patient, where: Pose, chest: Chest) -> np.ndarray:
    """Share of the cavity's depth that liver, spleen and bowel fill, float32 (512, 512) in 0..1.

    A dome is cut tangentially by the rays at its top: the share rises like a square root below its outline, and a little
    lung stays behind the dome.
    """
    left, right = chest.dome[0][::-1], chest.dome[1]
    bottom = np.array([[right[-1, 0] + 12, right[-1, 1] + 2], [60, 90], [-60, 90], [left[0, 0] - 12, left[0, 1] + 2]])
    outline = where.view.pixels(np.concatenate([left, right, bottom]))
    reach = 0.30 * who.height * where.view.scale
    return (rounded(outline, reach, HALF) * 0.985).astype(np.float32)


def breasts(who: Patient, where: Pose, index: int, seed: int) -> np.ndarray:
    """Thickness of the breasts in cm, float32 (512, 512); their lower edge is crisp, the upper one fades."""
    total = np.zeros((HALF, HALF), np.float32)
    if who.breast <= 0 and who.fat < 2.4:
        return total
    r = rng(seed, "breast", index)
    w = who.half_width / 14
    thick = who.breast if who.breast > 0 else 0.7 * (who.fat - 1.4)
    v, u = np.mgrid[0:HALF, 0:HALF].astype(np.float32) * 2
    for side in SIDES:
        sag = r.normal(0, 0.5) + (0.3 * thick if where.position == "PA" else 0)
        x, y = where.view.pixels(np.array([side * (8.2 + 0.25 * thick + r.normal(0, 0.4)) * w, (16.0 + sag) * w]))
        a, down, up = (4.2 + 0.75 * thick) * w, (2.9 + 0.55 * thick) * w, (7.5 + 0.5 * thick) * w
        dx, dy = (u - x) / (a * where.view.scale), (v - y) / where.view.scale
        dy = np.where(dy > 0, dy / down, dy / up)
        rest = np.maximum(1 - np.abs(dx) ** 2.2 - dy * dy, 0)
        total += thick * np.where(dy > 0, np.sqrt(rest), rest**0.9)
    return total


def gas(where: Pose, chest: Chest, who: Patient, index: int, seed: int) -> np.ndarray:
    """Thickness of gas in stomach and bowel below the left dome in cm, float32 (512, 512)."""
    r = rng(seed, "gas", index)
    canvas = np.zeros((HALF, HALF), np.float32)
    v, u = np.mgrid[0:HALF, 0:HALF].astype(np.float32) * 2
    erect = where.position == "PA"
    spots = []
    if r.random() < 0.75:
        spots.append(
            (r.uniform(3.5, 8), chest.dome_top[1] + r.uniform(1.6, 3.2), r.uniform(1.2, 3.2), r.uniform(0.8, 2.0))
        )
    for _ in range(r.poisson(2.0)):
        spots.append(
            (r.uniform(-9, 10), chest.dome_top[1] + r.uniform(5, 14), r.uniform(0.7, 2.0), r.uniform(0.6, 1.6))
        )
    for x, y, a, b in spots:
        px, py = where.view.pixels(np.array([x, y]))
        dx, dy = (u - px) / (a * where.view.scale), (v - py) / (b * where.view.scale)
        angle = np.arctan2(dy, dx)
        wobble = 1 + 0.18 * np.sin(3 * angle + r.uniform(0, 6)) + 0.08 * np.sin(5 * angle + r.uniform(0, 6))
        rest = np.maximum(1 - (dx * dx + dy * dy) / wobble**2, 0)
        if erect and r.random() < 0.5:
            # Standing, the stomach's fluid level cuts the bubble off flat.
            rest = np.where(dy < 0.35, rest, 0)
        canvas += min(a, b) * 1.5 * np.sqrt(rest)
    return canvas
