"""Bones as bent tubes with a dense cortex: ribs, spine, clavicles, scapulae, upper arms.

Lengths in cm; attenuations per cm above soft tissue's (cortical bone about 0.35, spongy bone 0.1 at 70 keV).
"""

import numpy as np

from pneumo_lib.phantom.anatomy import Chest, Patient, Pose
from pneumo_lib.phantom.geometry import Tubes, spline

RIBS = 12

RIB_ENDS = (0.83, 0.82, 0.80, 0.78, 0.76, 0.74, 0.72, 0.70, 0.66, 0.60, 0.42, 0.30)
"""Where each rib's bone ends on its way from the spine (0) to the breastbone (1), as a share of the half turn."""


def spine_x(who: Patient, y: np.ndarray) -> np.ndarray:
    """Sideways course of the spine at heights y."""
    return who.scoliosis * np.sin(y / who.height * 3.1) * 1.2


def rib_lines(who: Patient, chest: Chest, r: np.random.Generator) -> np.ndarray:
    """Centre lines (24, n, 3) of the bony ribs from spine to cartilage: the right ones from the first down, then the left."""
    w, h = who.half_width / 14, who.height / 24
    side = np.repeat([-1, 1], RIBS)[:, None]
    number = np.tile(np.arange(1, RIBS + 1), 2)[:, None]
    y0 = (-1.2 + 2.18 * (number - 1) + 0.012 * number**2) * h + r.normal(0, 0.14, (24, 1))
    drop = (4.2 + 1.25 * np.minimum(number, 8)) * h * who.rib_drop * r.normal(1, 0.04, (24, 1))
    drop *= np.where(number > 9, 0.9, 1.0)
    end = np.tile(RIB_ENDS, 2)[:, None] + r.normal(0, 0.012, (24, 1))
    angle = 0.06 + (end * np.pi - 0.06) * np.linspace(0, 1, 60)
    sin, cos = np.sin(angle), np.cos(angle)
    hump = (0.55 + r.normal(0, 0.12, (24, 1))) * h * np.sin(np.clip(2 * angle, 0, np.pi))
    # Low ribs slope down from the spine on.
    slope = 0.28 * h * np.maximum(number - 5, 0) * sin
    wave = 0.07 * np.sin(5 * angle + r.uniform(0, 6.3, (24, 1)))
    y = y0 + drop * (1 - cos) / 2 - hump + slope + wave
    # A rib lies on the cage's wall all the way, so that the ribs together leave a smooth margin.
    level = y0 + 0.5 * drop
    reach = _reach(chest, level + 0.85 * (y - level)) + 0.35
    reach = np.where(number == 1, 5.8 * w, reach) + r.normal(0, 0.1, (24, 1))
    # Flat at the sides; the first two, which roof the apex, are rounder.
    across = sin.clip(0) ** np.where(number < 3, 0.95, 0.75)
    x = side * (1.5 * w * cos.clip(0) + reach * across) + spine_x(who, y0) * cos.clip(0)
    depth = who.depth * (0.62 + 0.38 * np.clip(number / 6, 0, 1))
    return np.stack([x, y, -depth * cos], axis=2)


def _reach(chest: Chest, y: np.ndarray) -> np.ndarray:
    """Distance of the inner wall from the midline at heights y (24, n), right ribs first."""
    sides = []
    for heights, wall in zip(np.split(y, 2), chest.wall, strict=True):
        lateral = wall[wall[:, 1].argmin() :]
        sides.append(np.interp(heights, lateral[:, 1], np.abs(lateral[:, 0])))
    return np.concatenate(sides)


def add_ribs(tubes: Tubes, who: Patient, where: Pose, chest: Chest) -> dict[str, np.ndarray]:
    """All ribs; returns the pixel centre lines of the fifth ones."""
    r = np.random.default_rng([who.seed, 2])
    lines = rib_lines(who, chest, r)
    first = (np.arange(24) % RIBS == 0)[:, None]
    t = np.linspace(0, 1, lines.shape[1])
    tall = 1.05 + 0.1 * np.sin(3 * t + np.arange(24)[:, None]) - 0.2 * t**3
    tall = (tall + 0.06 * np.sin(11 * t + r.uniform(0, 6, (24, 1)))) * r.normal(1, 0.05, (24, 1))
    tall *= np.where(first, 1.25, 1.0) * (0.68 if who.sex == "M" else 0.60) * who.height / 24
    # Towards the cartilage the cortex thins and fades.
    density = 0.46 * who.bone * np.clip((1.01 - t) / 0.2, 0, 1) * (1 - 0.35 * t) * np.clip(t / 0.06, 0, 1)
    # Seen along its length at the side, a rib is not a solid bar: marrow and gaps make it less dense.
    density = density * (1 - 0.78 * np.exp(-(((t - 0.6) / 0.22) ** 2)))
    density = density * r.normal(1, 0.08, (24, 1)) * np.where(first, 0.22, 1.0)
    rows = np.concatenate(
        [lines, tall[..., None], np.full((*tall.shape, 1), 0.34 * who.height / 24), density[..., None]], 2
    )
    tubes.add_rows(rows.reshape(-1, 6), [lines.shape[1]] * 24, [0.78] * 24)
    return {"right rib": where.view.pixels(lines[4]), "left rib": where.view.pixels(lines[RIBS + 4])}


def add_spine(tubes: Tubes, who: Patient) -> None:
    """Vertebral bodies with end plates, pedicles and processes, from the neck to the loin."""
    r = np.random.default_rng([who.seed, 3])
    w, h = who.half_width / 14, who.height / 24
    heights = np.linspace(-16, 19, 50) * 2.4 * h
    column = np.stack([spine_x(who, heights), heights, 0 * heights - 0.62 * who.depth], axis=1)
    tubes.add(column, np.interp(heights, [-10, 40], [1.1 * w, 1.9 * w]), 1.4, 0.045 * who.bone, 0.02)
    for level in range(-6, 19):
        y = (-1.4 + (2.2 + 0.024 * level) * level) * h
        centre = np.array(
            [spine_x(who, np.array([y]))[0] + r.normal(0, 0.03), y + r.normal(0, 0.04), -0.62 * who.depth]
        )
        half = (1.25 + 0.05 * level) * w * r.normal(1, 0.03)
        tall = (0.90 + 0.014 * level) * h
        _add_vertebra(tubes, centre, half, tall, who.bone * r.normal(1, 0.1), r)


def _vertebra() -> tuple[np.ndarray, list[int], list[float]]:
    """A vertebra's tubes: rows of x, y, z, height, depth, attenuation as multiples of (half width, half height, 1 cm).

    Returns coefficients float (3, n, 6), and each tube's length and shell.
    """
    tubes: list[tuple[np.ndarray, float]] = []

    def add(half=(), tall=(), unit=(), shell=0.1, count=6):
        rows = np.zeros((3, count, 6))
        for part, columns in zip(rows, (half, tall, unit), strict=True):
            for column, values in dict(columns).items():
                part[:, column] = values
        tubes.append((rows, shell))

    t, turn = np.linspace(-1, 1, 7), np.linspace(0, 2 * np.pi, 12)
    add({3: 0.98}, {1: t}, {4: 1.5, 5: 0.035}, 0.05, 7)
    for edge in (-1, 1):
        # End plate, side of the body, pedicle, transverse process.
        add({0: t}, {1: edge}, {1: edge * 0.07 * np.abs(t) ** 3, 3: 0.13, 4: 1.0, 5: 0.055}, 0.1, 7)
        add({0: 0.97 * edge}, {1: t}, {0: -0.14 * edge * (1 - t**2), 3: 0.8, 4: 0.12, 5: 0.09}, 0.1, 7)
        ring = {0: 0.22 * np.cos(turn), 1: 0.36 * np.sin(turn), 2: -1.8, 3: 0.14, 4: 0.4, 5: 0.07}
        add({0: 0.62 * edge}, {1: -0.25}, ring, 0.1, 12)
        out = np.linspace(0, 1, 6)
        process = {
            0: edge * 1.2 * out,
            1: -0.2 - 0.15 * out,
            2: -2.2,
            3: 0.38 - 0.18 * out,
            4: 0.35,
            5: 0.1 - 0.08 * out,
        }
        add({0: edge * (0.7 + 0.25 * out)}, {}, process, 0.4, 6)
    add({}, {1: 1.3 * out}, {2: -2.5 - 1.5 * out, 3: 0.5, 4: 0.18, 5: 0.1}, 0.4, 6)
    rows = np.concatenate([rows for rows, _ in tubes], axis=1)
    return rows, [rows.shape[1] for rows, _ in tubes], [shell for _, shell in tubes]


VERTEBRA = _vertebra()


def _add_vertebra(tubes: Tubes, centre: np.ndarray, half: float, tall: float, density: float, r) -> None:
    coefficients, lengths, shells = VERTEBRA
    rows = half * coefficients[0] + tall * coefficients[1] + coefficients[2]
    rows[:, :3] += centre
    rows[:, 5] *= np.repeat(density * r.normal(1, 0.25, len(lengths)).clip(0.2), lengths)
    tubes.add_rows(rows, lengths, shells)


def add_jaw(tubes: Tubes, who: Patient, chin: float) -> None:
    """The lower jaw with its teeth, seen where the image reaches up to the chin at height `chin`."""
    scale = who.half_width / 14
    turn = np.linspace(-1, 1, 40)
    arch = np.stack([5.2 * np.sin(1.45 * turn), chin - 1.2 - 4.2 * np.abs(turn) ** 2.2, 7 - 7 * turn**2], axis=1)
    tubes.add(arch * scale, 1.1 * scale, 0.6, 0.2 * who.bone, 0.55)
    for place in np.linspace(-0.62, 0.62, 10):
        root = np.array([5.0 * np.sin(1.45 * place), chin - 2.2 - 4.2 * abs(place) ** 2.2, 6.8 - 7 * place**2])
        tubes.add(np.linspace(root, root + (0, -1.9, 0), 4) * scale, 0.3, 0.3, 0.35 * who.bone, 0.2)


def add_shoulders(tubes: Tubes, who: Patient, where: Pose) -> dict[str, np.ndarray]:
    """Clavicles, scapulae, upper arms; returns the clavicles' pixel centre lines."""
    labels = {}
    for side, name in ((-1, "right"), (1, "left")):
        r = np.random.default_rng([who.seed, 4, side + 1])
        lift = r.normal(0, 0.5) + (0.6 if where.position == "AP" else 0)
        scale = who.half_width / 14 * np.array([side, 1, 1])
        clavicle = _clavicle(where, lift, r) * scale
        t = np.linspace(0, 1, len(clavicle))
        flare = 0.50 + 0.30 * np.exp(-((t / 0.12) ** 2)) + 0.12 * np.exp(-(((t - 1) / 0.2) ** 2))
        ends = np.clip(np.minimum(t + 0.01, 1.01 - t) / 0.06, 0.05, 1)
        tubes.add(clavicle, flare * ends**0.5, 0.5 * ends**0.5, 0.29 * who.bone * ends, 0.6)
        labels[f"{name} clavicle"] = where.view.pixels(clavicle)
        _add_scapula(tubes, who, where, scale, lift, r)
        _add_humerus(tubes, who, where, scale, lift)
    return labels


def _clavicle(where: Pose, lift: float, r: np.random.Generator) -> np.ndarray:
    knots = np.array([
        (1.7, 3.2, 7.4), (4.2, 2.5, 7.8), (7.6, 1.4, 6.6), (11.0, 0.3, 3.6), (14.2, -0.5, 0.6), (16.6, -0.2, -1.2),
    ])  # fmt: skip
    knots[:, 1] -= lift * np.array([0, 0.2, 0.5, 0.9, 1.1, 1.1]) + 0.6 * where.arm * np.array([0, 0, 0.2, 0.6, 1, 1])
    knots[1:, 1] += r.normal(0, 0.15, 5)
    return spline(knots, 60)


def _add_scapula(tubes: Tubes, who: Patient, where: Pose, scale: np.ndarray, lift: float, r) -> None:
    out = 1.9 * where.arm + r.normal(0, 0.4)
    glenoid = np.array([15.6 + 0.5 * out, 3.2 - lift, -2.2])
    upper = np.array([9.3 + 1.2 * out, 1.2 - lift, -6.2])
    lower = np.array([11.0 + 1.9 * out, 15.0 - 0.6 * lift, -6.8])
    acromion = np.array([17.3 + 0.5 * out, -0.4 - lift, -2.6])
    bone = who.bone
    lateral = spline(np.array([glenoid + (-0.6, 1.2, 0), (glenoid + lower) / 2 + (-0.5, 1.0, 0), lower]), 30)
    medial = spline(np.array([upper, (upper + lower) / 2 + (-0.4, 0, 0), lower]), 30)
    top = spline(np.array([upper, (upper + glenoid) / 2 + (0, -0.7, 0), glenoid + (-1.2, -1.4, 0.4)]), 20)
    crest = spline(np.array([upper + (0.8, 1.6, -0.6), (upper + acromion) / 2 + (0.4, 0.6, -1), acromion]), 30)
    coracoid = spline(glenoid + np.array([(-1.3, -1.2, 0.4), (-1.1, -2.1, 1.4), (0.5, -1.2, 2.4)]), 16)
    turn = np.linspace(0, 2 * np.pi, 20)[:, None]
    ring = glenoid + np.cos(turn) * (0.55, 0, 0.4) + np.sin(turn) * (0.1, 1.7, 0)
    for line, height, depth, density, shell in (
        (lateral, 0.36, 0.45, 0.24, 0.45),
        (medial, 0.16, 0.24, 0.2, 0.3),
        (top, 0.16, 0.3, 0.2, 0.3),
        (crest, 0.42, 0.3, 0.2, 0.45),
        (coracoid, 0.45, 0.45, 0.12, 0.4),
        (ring, 0.16, 0.25, 0.22, 0.3),
    ):
        ends = np.minimum(1, 0.15 + np.minimum(np.arange(len(line)), np.arange(len(line))[::-1]) / (0.12 * len(line)))
        tubes.add(line * scale, height, depth, density * bone * (1 if line is ring else ends), shell)
    # The blade: a sheet of two millimetres, drawn as flat tubes side by side.
    for share in np.linspace(0.1, 0.9, 9):
        start = upper + share * (glenoid - upper) + (0, 0.6, 0)
        end = lower + 0.12 * share * (glenoid - lower)
        tubes.add(np.linspace(start, end, 8) * scale, 0.2, np.linspace(0.6, 0.2, 8), 0.07 * bone, 0.05)


def _add_humerus(tubes: Tubes, who: Patient, where: Pose, scale: np.ndarray, lift: float) -> None:
    head = np.array([17.9 + 0.9 * where.arm, 2.9 - lift, -1.6])
    away = np.array([1.6 + 6.5 * where.arm, 16.0 - 2.0 * where.arm, 0.0])
    along = away / np.linalg.norm(away)
    line = np.linspace(head - 2.2 * along, head + 1.6 * away, 70)
    distance = np.linspace(-2.2, 1.6 * np.linalg.norm(away), 70)
    ball = 2.35 * np.sqrt(np.clip(1 - (distance / 2.35) ** 2, 0, 1))
    neck = 1.1 + 0.9 * np.exp(-((distance / 2.6) ** 2))
    radius = np.where(distance < 0, np.maximum(ball, 0.3), np.maximum(ball, neck)) * who.half_width / 14
    shaft = np.clip(distance / 5, 0, 1)
    tubes.add(line * scale, radius, radius, who.bone * (0.09 + 0.11 * shaft), 0.3)
