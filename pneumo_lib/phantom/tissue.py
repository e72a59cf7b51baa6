"""Soft tissue and air: thickness maps of body, cavity, mediastinum and diaphragm, and the lung vessels."""

import cv2
import numpy as np
from numba import njit

from pneumo_lib.phantom.anatomy import SIDES, Chest, Patient, Pose
from pneumo_lib.phantom.cohort import rng
from pneumo_lib.phantom.geometry import HALF, SIZE, polyline, spline
from pneumo_lib.phantom.pneumothorax import ANGLES, Lung, filled

SOFT = 0.195
"""Attenuation of soft tissue per cm, at about 70 keV."""


def rounded(outline: np.ndarray, reach: float, size: int, pad: int = 0) -> np.ndarray:
    """Thickness profile of a rounded body, float32 (size, size) in 0..1.

    It rises like an ellipse from the outline (pixels at 1024) over `reach` pixels, then stays flat. `pad` more pixels of
    the grid around the image let outlines beyond its border count.
    """
    shift = pad * SIZE / size
    inside = filled((outline + shift) * (size / (size + 2 * pad)), size + 2 * pad)
    distance = cv2.distanceTransform((inside > 127).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5)
    # The transform counts from pixel centres; smoothing hides its steps along slanted edges.
    distance = cv2.GaussianBlur(distance, (0, 0), 1.5)[pad : pad + size, pad : pad + size]
    return _ellipse(distance, np.float32(SIZE / size / reach))


@njit(cache=True, fastmath=True)
def _ellipse(distance, factor):
    out = np.empty_like(distance)
    for i in range(distance.shape[0]):
        for j in range(distance.shape[1]):
            missing = np.float32(1) - min(distance[i, j] * factor, np.float32(1))
            out[i, j] = np.sqrt(np.float32(1) - missing * missing)
    return out


def body(who: Patient, where: Pose, r: np.random.Generator) -> np.ndarray:
    """Thickness of trunk, neck, shoulders and arms in cm, float32 (512, 512), without the cavity taken out."""
    w, h = who.half_width / 14, who.height / 24
    fat, size, pad, px = who.fat, 192, 64, where.view.scale
    muscle = 1.12 if who.sex == "M" else 1.0
    chin = chin_height(where)
    spread = 1.3 * where.arm
    half = np.array([
        (7.4, -40), (7.2, chin - 4.0), (6.4, chin - 1.0), (5.3 * muscle, min(chin + 1.6, -6.3)), (5.7 * muscle, -5.6),
        (7.6, -3.4), (11.5, -2.1), (15.5, -1.5),
        (18.6 + spread, -0.8), (20.6 + spread, 1.6), (21.2 + spread, 4.8), (18.8, 8.4),
        (16.5, 12.0), (15.9, 16), (15.9, 24), (15.8, 34), (16.4, 60),
    ])  # fmt: skip
    half[:, 0] += fat * np.interp(half[:, 1], [-30, -5, 5, 12, 34], [0.3, 0.3, 0.5, 0.8, 1.1])
    outline = [spline((half + r.normal(0, 0.05, half.shape)) * (side * w, w), 200) for side in SIDES]
    trunk = where.view.pixels(np.concatenate([outline[0], outline[1][::-1]]))
    profile = rounded(trunk, 5.8 * w * px, size, pad)
    depth = 5.8 * w * (1 - np.sqrt(1 - np.minimum(profile, 1) ** 2))
    y = (np.arange(size) * (SIZE / size) - where.view.centre[1]) / px / h
    heights = [chin - 2, min(chin + 1, -6.5), -6, -2, 3, 9, 16, 24, 34]
    thick = np.interp(y, heights, [16, 10.5, 11, 12.5, 15.5, 19, 21.5, 22, 22])
    thick = (thick * who.depth / 9.3 + 1.5 * fat).astype(np.float32)
    total = profile * thick[:, None] * _layers(depth, fat, r)
    for side in SIDES:
        total = np.maximum(total, _arm(who, where, side, size, pad))
    return cv2.resize(cv2.GaussianBlur(total, (0, 0), 1.5), (HALF, HALF), interpolation=cv2.INTER_CUBIC)


def chin_height(where: Pose) -> float:
    """y of the chin in cm: raised when standing before the detector, sunk in bed."""
    return -10.5 if where.position == "PA" else -6.2 - 4.0 * where.inspiration


def _layers(depth: np.ndarray, fat: float, r: np.random.Generator) -> np.ndarray:
    """Unevenness of fat and muscle about 1: below the skin a layer of fat, a seventh thinner to X-rays than muscle.

    Args:
        depth: float (n, n) distance from the skin in cm.
    """
    size = depth.shape[0]

    def noise(rows: int, columns: int) -> np.ndarray:
        return cv2.resize(r.standard_normal((rows, columns), np.float32), (size, size), interpolation=cv2.INTER_CUBIC)

    # Muscles run down the trunk: what separates them does too.
    strands = 0.014 * noise(14, 14) + (0.014 * noise(20, 56) + 0.009 * noise(64, 110)) * (
        0.3 + 0.7 * np.exp(-depth / 2)
    )
    skin_fat = np.float32(0.5 + 0.45 * fat) * (1 + 0.25 * noise(12, 12))
    muscle = np.clip((depth - skin_fat) / 0.45, 0, 1)
    gap = np.exp(-(((depth - 2.1 * skin_fat - 0.8) / 0.35) ** 2)) * (0.5 + 0.5 * np.tanh(noise(9, 9)))
    return (1 + strands - 0.13 * (1 - muscle) - 0.045 * gap).astype(np.float32)


def _arm(who: Patient, where: Pose, side: int, size: int, pad: int) -> np.ndarray:
    w = who.half_width / 14
    radius = (4.4 if who.sex == "M" else 4.0) + 0.45 * who.fat
    start = np.array([18.4 + 0.5 * where.arm, 2.5])
    away = np.array([2.4 + 7 * where.arm, 18.0])
    along = away / np.hypot(*away)
    normal = np.array([along[1], -along[0]])
    ends = [start + 3 * along, start + away, start + 3 * away]
    outer, inner = [p + radius * normal for p in ends], [p - radius * normal for p in ends]
    outline = where.view.pixels(spline(np.array([start - radius * along, *outer, *inner[::-1]]), 90) * (side * w, w))
    return rounded(outline, 0.9 * radius * where.view.scale * w, size, pad) * np.float32(1.9 * radius * w)


def mediastinum(who: Patient, where: Pose, chest: Chest) -> np.ndarray:
    """Share of the cavity's depth that heart and vessels fill, float32 (512, 512) in 0..0.97."""
    outline = where.view.pixels(np.concatenate([chest.border[0], chest.border[1][::-1]]))
    profile = rounded(outline, 0.22 * who.half_width * where.view.scale, HALF)
    y = (np.arange(HALF) * 2 - where.view.centre[1]) / where.view.scale / who.height * 24
    # Deepest where it joins the neck; thin above the heart, where only vessels and fat lie between the lungs.
    share = np.interp(y, [-2, 3, 5.5, 9, 13, 18, 22], [0.97, 0.94, 0.80, 0.62, 0.62, 0.74, 0.8])
    return (profile * share[:, None]).astype(np.float32)


def cavity(who: Patient, where: Pose, chest: Chest) -> np.ndarray:
    """Depth of the thoracic cavity in cm, float32 (512, 512), as if it continued below the diaphragm."""
    outline = where.view.pixels(np.concatenate([chest.wall[0], chest.wall[1][::-1]]))
    profile = rounded(outline, 0.34 * who.half_width * where.view.scale, HALF)
    y = (np.arange(HALF) * 2 - where.view.centre[1]) / where.view.scale / who.height * 24
    depth = np.interp(y, [0, 4, 10, 18, 30], [0.48, 0.74, 0.95, 1.0, 0.97]) * 2 * who.depth
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


def _patch(where: Pose, centre, reach: float):
    """Slices of the 512-pixel grid around a point, with the offsets (dx, dy) in cm; `centre` and `reach` in cm."""
    x, y = where.view.pixels(np.asarray(centre, float)) / 2
    radius = int(reach * where.view.scale / 2) + 2
    i, j = int(np.clip(y - radius, 0, HALF)), int(np.clip(x - radius, 0, HALF))
    end_i, end_j = int(np.clip(y + radius, 0, HALF)), int(np.clip(x + radius, 0, HALF))
    v, u = np.mgrid[i:end_i, j:end_j].astype(np.float32)
    return (slice(i, end_i), slice(j, end_j)), (u - x) * 2 / where.view.scale, (v - y) * 2 / where.view.scale


def add_breasts(total: np.ndarray, who: Patient, where: Pose) -> None:
    """Add the breasts' thickness in cm to float32 (512, 512); their lower edge is crisp, the upper one fades."""
    if who.breast <= 0 and who.fat < 2.4:
        return
    r = np.random.default_rng([who.seed, 6])
    w = who.half_width / 14
    thick = who.breast if who.breast > 0 else 0.7 * (who.fat - 1.4)
    for side in SIDES:
        sag = r.normal(0, 0.5) + (0.3 * thick if where.position == "PA" else 0)
        centre = (side * (8.2 + 0.25 * thick + r.normal(0, 0.4)) * w, (16.0 + sag) * w)
        wide, down, up = (4.2 + 0.75 * thick) * w, (2.9 + 0.55 * thick) * w, (7.5 + 0.5 * thick) * w
        place, dx, dy = _patch(where, centre, max(wide, up))
        _add_breast(total[place], dx[0] / np.float32(wide), dy[:, 0], thick, down, up)


@njit(cache=True, fastmath=True)
def _add_breast(total, across, dy, thick, down, up):
    for j in range(across.size):
        # Towards the breastbone the breast thins out without an edge.
        base = max(1 - across[j] * across[j], 0.0)
        height, most = max(base**0.25, 1e-3), thick * base**0.8
        for i in range(dy.size):
            if dy[i] > 0:
                total[i, j] += most * np.sqrt(max(1 - (dy[i] / (down * height)) ** 2, 0.0))
            else:
                total[i, j] += most * max(1 - (dy[i] / up) ** 2, 0.0) ** 2


def remove_gas(total: np.ndarray, where: Pose, chest: Chest, index: int, seed: int) -> None:
    """Take the gas in stomach and bowel, below the domes, out of a thickness in cm, float32 (512, 512)."""
    r = rng(seed, "gas", index)
    erect = where.position == "PA"
    floor = chest.dome_top[1]
    bubbles = []
    if r.random() < 0.8:
        bubbles.append((r.uniform(3.5, 8), floor + r.uniform(1.8, 3.5), r.uniform(1.4, 3.8), r.uniform(1.0, 2.4)))
    x, y = r.uniform(-9, 10), floor + r.uniform(5, 12)
    for _ in range(r.poisson(6.0) if r.random() < 0.55 else 0):
        # Bowel: rows of small pockets.
        x, y = x + r.normal(0, 1.6), y + r.normal(0, 1.2)
        bubbles.append((x, max(y, floor + 4), r.uniform(0.6, 2.0), r.uniform(0.6, 1.5)))
    gas = np.zeros_like(total)
    # Folds and contents: gas is ragged, and denser in some places than in others.
    folds = 0.16 * cv2.resize(r.standard_normal((40, 40), np.float32), gas.shape, interpolation=cv2.INTER_CUBIC)
    for x, y, a, b in bubbles:
        place, dx, dy = _patch(where, (x, y), 1.4 * max(a, b))
        angle = np.arctan2(dy, dx)
        wobble = 1 + 0.12 * np.sin(2 * angle + r.uniform(0, 6)) + 0.07 * np.sin(3 * angle + r.uniform(0, 6))
        rest = np.maximum(1 - ((dx / a) ** 2 + (dy / b) ** 2) / wobble**2 + folds[place], 0)
        if erect and y < floor + 4 and r.random() < 0.6:
            # Standing, the stomach's fluid level cuts the bubble off flat.
            rest *= np.clip((0.35 * b - dy) / 0.15, 0, 1)
        gas[place] = np.maximum(gas[place], min(a, b) * 1.6 * rest**0.8)
    total -= gas


MOST_VESSELS = 12_000

DOTS = 20
"""Vessels seen end-on next to each hilum."""

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
    """One lung's vessels as segments for `geometry.splat_lines` in pixels at 1024.

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
    out = np.empty((MOST_VESSELS, 5))
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
