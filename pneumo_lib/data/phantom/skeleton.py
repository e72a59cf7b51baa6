"""Bones as bent tubes with a dense cortex: ribs, spine, clavicles, scapulae, upper arms.

Lengths in cm; attenuations per cm above soft tissue's (cortical bone about 0.35, spongy bone 0.1 at 70 keV).
"""

import numpy as np

from pneumo_lib.data.phantom.anatomy import Chest, Patient, Pose, spline
from pneumo_lib.data.phantom.projection import View, tube

RIBS = 12


def spine_x(who: Patient, y: np.ndarray) -> np.ndarray:
    """Sideways course of the spine at heights y."""
    return who.scoliosis * np.sin(y / who.height * 3.1) * 1.2


def rib_line(who: Patient, chest: Chest, side: int, number: int, r: np.random.Generator) -> np.ndarray:
    """Centre line (n, 3) of a bony rib from the spine to its cartilage; number from 1."""
    w, h = who.half_width / 14, who.height / 24
    y0 = (-1.2 + 2.18 * (number - 1) + 0.012 * number**2) * h + r.normal(0, 0.12)
    drop = (4.2 + 1.25 * min(number, 8)) * h * who.rib_drop * r.normal(1, 0.04)
    if number > 9:
        drop *= 0.9
    wall = chest.wall[(side + 1) // 2]
    level = y0 + 0.5 * drop
    reach = np.interp(level, wall[60:, 1], np.abs(wall[60:, 0])) + 0.45
    if number == 1:
        reach = 5.9 * w
    if number == 2:
        reach = min(reach, 9.4 * w)
    end = {1: 0.83, 2: 0.82, 3: 0.8, 4: 0.78, 5: 0.76, 6: 0.74, 7: 0.72, 8: 0.70, 9: 0.66, 10: 0.6, 11: 0.42, 12: 0.3}[
        number
    ]
    angle = np.linspace(0.10, (end + r.normal(0, 0.012)) * np.pi, 90)
    depth = who.depth * (0.62 + 0.38 * np.clip(number / 6, 0, 1))
    x0 = 1.5 * w
    sin = np.sign(np.sin(angle)) * np.abs(np.sin(angle)) ** 0.88
    x = side * (x0 * np.cos(angle).clip(0) + reach * sin) + spine_x(who, np.array([y0]))[0] * np.cos(angle).clip(0)
    hump = (0.55 + r.normal(0, 0.1)) * h * np.sin(np.clip(angle / (0.5 * np.pi), 0, 1) * np.pi)
    y = y0 + drop * (1 - np.cos(angle)) / 2 - hump
    return np.stack([x, y, -depth * np.cos(angle)], axis=1)


def draw_ribs(grid: np.ndarray, who: Patient, where: Pose, chest: Chest) -> dict[str, np.ndarray]:
    """Draw all ribs; returns the pixel centre line of the posterior right and left fifth rib."""
    r = np.random.default_rng([who.seed, 2])
    labels = {}
    height = (0.62 if who.sex == "M" else 0.55) * who.height / 24
    for side, name in ((-1, "right"), (1, "left")):
        for number in range(1, RIBS + 1):
            line = rib_line(who, chest, side, number, r)
            t = np.linspace(0, 1, len(line))
            tall = height * (1.05 + 0.15 * np.sin(3 * t + number) - 0.25 * t**3) * r.normal(1, 0.05)
            # Towards the cartilage the cortex thins and the rib flares and fades.
            density = 0.21 * who.bone * np.clip((1.03 - t) / 0.1, 0, 1) ** 0.7 * (1 - 0.25 * t)
            tube(grid, where.view, line, tall, 0.36 * who.half_width / 14, density, 0.55)
            if number == 5:
                labels[f"rib {name}"] = where.view.pixels(line)
    return labels


def draw_spine(grid: np.ndarray, who: Patient, where: Pose) -> None:
    """Vertebral bodies with end plates, pedicles and spinous processes, from the neck to the loin."""
    r = np.random.default_rng([who.seed, 3])
    w, h = who.half_width / 14, who.height / 24
    z = -0.62 * who.depth
    for level in range(-6, 19):
        pitch = 2.2 + 0.024 * level
        y = (-1.4 + pitch * level) * h
        x = spine_x(who, np.array([y]))[0]
        half = (1.25 + 0.05 * level) * w * r.normal(1, 0.03)
        tall = (0.78 + 0.012 * level) * h
        density = who.bone * r.normal(1, 0.06)
        box = np.array([[x, y - tall, z], [x, y + tall, z]])
        tube(grid, where.view, _stretch(box), half * 0.98, 1.5 * w, 0.10 * density, 0.25)
        _vertebra_details(grid, where.view, x, y, z, half, tall, density, r)


def _stretch(box: np.ndarray) -> np.ndarray:
    return np.linspace(box[0], box[1], 12)


def _vertebra_details(grid, view: View, x, y, z, half, tall, density, r) -> None:
    for edge in (-1, 1):
        waist = np.linspace(-1, 1, 14)
        plate = np.stack([x + half * waist, y + edge * (tall + 0.06 * np.abs(waist) ** 3), np.full(14, z)], axis=1)
        tube(grid, view, plate, 0.10, 0.9, 0.24 * density, 0.2)
        side = np.stack([np.full(8, x + edge * half * 0.96), y + np.linspace(-tall, tall, 8), np.full(8, z)], axis=1)
        side[:, 0] -= edge * 0.12 * (1 - np.linspace(-1, 1, 8) ** 2)
        tube(grid, view, side, 0.09, 0.7, 0.26 * density, 0.2)
        turn = np.linspace(0, 2 * np.pi, 16)
        pedicle = np.stack([
            x + edge * half * 0.62 + 0.25 * np.cos(turn), y - 0.25 * tall + 0.36 * np.sin(turn), np.full(16, z - 1.8)
        ], axis=1)  # fmt: skip
        tube(grid, view, pedicle, 0.09, 0.5, 0.26 * density, 0.2)
        reach = np.linspace(half * 0.7, half * 1.0 + 1.2, 10)
        process = np.stack([x + edge * reach, y - 0.2 - 0.12 * (reach - half), z - 2.2 + 0 * reach], axis=1)
        tube(grid, view, process, 0.32, 0.35, 0.13 * density, 0.6)
    tip = np.array([[x, y, z - 2.5], [x + r.normal(0, 0.05), y + 1.3 * tall, z - 4.0]])
    tube(grid, view, _stretch(tip), 0.5, 0.18, 0.14 * density, 0.6)


def draw_shoulders(grid: np.ndarray, who: Patient, where: Pose) -> dict[str, np.ndarray]:
    """Clavicles, scapulae, upper arms; returns the clavicles' pixel centre lines."""
    labels = {}
    w, h = who.half_width / 14, who.height / 24
    for side, name in ((-1, "right"), (1, "left")):
        r = np.random.default_rng([who.seed, 4, side + 1])
        lift = r.normal(0, 0.5) + (0.6 if where.position == "AP" else 0)
        clavicle = _clavicle(who, where, side, lift)
        t = np.linspace(0, 1, len(clavicle))
        flare = 0.52 + 0.28 * np.exp(-((t / 0.12) ** 2)) + 0.1 * np.exp(-(((t - 1) / 0.2) ** 2))
        tube(grid, where.view, clavicle, flare * w, 0.5 * w, 0.16 * who.bone, 0.5)
        labels[f"clavicle {name}"] = where.view.pixels(clavicle)
        _scapula(grid, who, where, side, lift, r)
        _humerus(grid, who, where, side, lift)
    del h
    return labels


def _clavicle(who: Patient, where: Pose, side: int, lift: float) -> np.ndarray:
    w, d = who.half_width / 14, who.depth / 9.3
    knots = np.array([
        (1.6, 3.0, 7.4), (4.2, 2.4, 7.8), (7.6, 1.4, 6.6), (11.0, 0.4, 3.6), (14.2, -0.3, 0.6), (16.6, 0.1, -1.2),
    ])  # fmt: skip
    knots[:, 1] += lift * np.array([0, -0.2, -0.5, -0.9, -1.1, -1.1]) - 0.6 * where.arm * np.array(
        [0, 0, 0.2, 0.6, 1, 1]
    )
    return spline(knots * (side * w, w, d), 70)


def _scapula(grid, who: Patient, where: Pose, side: int, lift: float, r) -> None:
    w = who.half_width / 14
    out = 1.9 * where.arm + r.normal(0, 0.4)
    glenoid = np.array([15.6 + 0.5 * out, 3.2 - lift, -2.2])
    upper = np.array([9.3 + 1.2 * out, 1.2 - lift, -6.2])
    lower = np.array([11.0 + 1.9 * out, 15.0 - 0.6 * lift, -6.8])
    acromion = np.array([17.3 + 0.5 * out, -0.2 - lift, -2.6])
    scale = np.array([side * w, w, who.depth / 9.3])
    density = who.bone

    def line(*knots):
        return spline(np.array(knots) * scale, 40)

    lateral = line(glenoid + (-0.6, 1.2, 0), 0.5 * (glenoid + lower) + (-0.5, 1.0, 0), lower)
    medial = line(upper, 0.5 * (upper + lower) + (-0.4, 0, 0), lower)
    tube(grid, where.view, lateral, 0.33, 0.45, 0.17 * density, 0.5)
    tube(grid, where.view, medial, 0.16, 0.22, 0.16 * density, 0.4)
    tube(
        grid,
        where.view,
        line(upper, 0.5 * (upper + glenoid) + (0, -0.7, 0), glenoid + (-1.2, -1.4, 0.4)),
        0.16,
        0.3,
        0.16 * density,
        0.4,
    )
    tube(
        grid,
        where.view,
        line(upper + (0.8, 1.6, -0.6), 0.5 * (upper + acromion) + (0.4, 0.6, -1), acromion),
        0.42,
        0.3,
        0.15 * density,
        0.5,
    )
    turn = np.linspace(0, 2 * np.pi, 24)[:, None]
    ring = (glenoid + np.cos(turn) * (0.55, 0, 0.4) + np.sin(turn) * (0.1, 1.7, 0)) * scale
    tube(grid, where.view, ring, 0.14, 0.25, 0.2 * density, 0.4)
    coracoid = line(glenoid + (-1.2, -1.4, 0.4), glenoid + (-1.3, -1.9, 2.0), glenoid + (-0.2, -1.3, 3.4))
    tube(grid, where.view, coracoid, 0.45, 0.45, 0.16 * density, 0.5)
    # The blade: a sheet of two millimetres, drawn as flat tubes side by side.
    for share in np.linspace(0.12, 0.88, 9):
        top = upper + share * (glenoid - upper)
        sheet = np.linspace((top + (0, 0.6, 0)) * scale, (lower + share * (lateral[-8] / scale - lower)) * scale, 20)
        tube(grid, where.view, sheet, 0.2, 0.55, 0.045 * density, 0.1)


def _humerus(grid, who: Patient, where: Pose, side: int, lift: float) -> None:
    w = who.half_width / 14
    out = 0.9 * where.arm
    head = np.array([17.9 + out, 3.0 - lift, -1.6])
    away = np.array([1.6 + 6.5 * where.arm, 16.0 - 2.0 * where.arm, 0.0])
    scale = np.array([side * w, w, who.depth / 9.3])
    knots = np.array([head + (-0.4, -1.9, 0), head, head + (0.7, 2.2, 0), head + 0.45 * away, head + 1.6 * away])
    line = spline(knots * scale, 80)
    t = np.linspace(0, 1, 80)
    radius = w * (1.05 + 1.35 * np.exp(-(((t - 0.055) / 0.06) ** 2)))
    radius[0] *= 0.4
    tube(
        grid,
        where.view,
        line,
        radius,
        radius,
        who.bone * (0.10 + 0.07 * np.clip(t / 0.2, 0, 1)),
        0.35 + 0.35 * np.clip(t / 0.2, 0, 1).mean(),
    )
