"""Patient and pose: the parameters of every structure.

Ranges are our choice, after textbook dimensions of the adult chest, unless a source is named.
"""

from dataclasses import dataclass

import numpy as np

from pneumo_lib.phantom.cohort import Case, rng
from pneumo_lib.phantom.geometry import SIZE, View, spline

SIDES = (-1, 1)
"""The patient's right lung (image left, x < 0) and left lung."""


@dataclass(frozen=True)
class Patient:
    """Parameters that are the same in all images of one patient; lengths in cm.

    Attributes:
        sex: "M" or "F".
        age_years: at the first image.
        half_width: of the thoracic cavity at its widest.
        height: of the right lung in full inspiration.
        depth: half of the cavity's depth, front to back.
        fat: extra thickness of the chest wall.
        breast: thickness of the breast shadow, 0 in men.
        heart: heart width relative to the cavity's (cardiothoracic ratio).
        aorta: 0..1, how far the aortic knob stands out.
        bone: bone density relative to a young adult's.
        rib_drop: how steeply the ribs fall to the front.
        scoliosis: sideways amplitude of the spine.
        lung_density: attenuation of lung relative to soft tissue.
        seed: for details (rib shapes, vessel trees).
    """

    sex: str
    age_years: int
    half_width: float
    height: float
    depth: float
    fat: float
    breast: float
    heart: float
    aorta: float
    bone: float
    rib_drop: float
    scoliosis: float
    lung_density: float
    seed: int


def patient(number: int, seed: int) -> Patient:
    """The number-th patient of the data set with this seed."""
    r = rng(seed, "patient", number)
    sex = "M" if r.random() < 0.56 else "F"
    # Mean 47 and deviation 17 years: the published ages of NIH ChestX-ray14, children included.
    age = int(np.clip(r.normal(47, 17), 6, 90))
    child = np.clip((age - 4) / 13, 0.35, 1)
    size = r.normal(1, 0.05) * (1 if sex == "M" else 0.91) * (0.62 + 0.38 * child)
    fat = r.gamma(2.2, 0.75) * child
    return Patient(
        sex=sex,
        age_years=age,
        half_width=14.0 * size * r.normal(1, 0.035),
        height=22.3 * size * r.normal(1, 0.06),
        depth=9.3 * size * r.normal(1, 0.06) * (1 + 0.002 * (age - 45)),
        fat=fat,
        breast=0.0 if sex == "M" or age < 13 else r.uniform(1.5, 4.0) + 0.5 * fat,
        heart=np.clip(r.normal(0.465, 0.05) + 0.0008 * (age - 45), 0.37, 0.62),
        aorta=np.clip(0.35 + 0.009 * (age - 45) + r.normal(0, 0.15), 0, 1),
        bone=np.clip(r.normal(1.0, 0.12) - 0.004 * max(age - 55, 0), 0.6, 1.3),
        rib_drop=r.normal(1, 0.12),
        scoliosis=r.standard_t(4) * 0.3,
        lung_density=np.clip(r.normal(0.33, 0.035), 0.22, 0.42),
        seed=int(r.integers(2**31)),
    )


@dataclass(frozen=True)
class Pose:
    """Parameters that differ between the images of one patient.

    Attributes:
        position: "PA" (standing, back to the tube) or "AP" (in bed).
        inspiration: 0..1; ribs 8 to 10 above the dome.
        view: the projection.
        arm: 0 (arms hang) .. 1 (rolled forward, out of the image).
        age_years: age at this image.
    """

    position: str
    inspiration: float
    view: View
    arm: float
    age_years: int


def pose(case: Case, who: Patient, seed: int) -> Pose:
    """The pose of one image."""
    r = rng(seed, "pose", case.index)
    position = "PA" if r.random() < 0.6 else "AP"
    erect = position == "PA"
    width = np.clip(r.normal(0.79 if erect else 0.75, 0.055), 0.5, 0.9)
    scale = width * SIZE / (2 * who.half_width)
    top = np.clip(r.normal(0.10, 0.035), 0.03, 0.25) if erect else np.clip(r.normal(0.15, 0.05), 0.05, 0.33)
    view = View(
        scale=scale,
        centre=(SIZE * (0.5 + r.normal(0, 0.018)), SIZE * top),
        rotation=np.deg2rad(r.normal(0, 2.2 if erect else 5.0)),
        roll=np.deg2rad(r.normal(0, 1.0 if erect else 2.5)),
        tilt=r.normal(0.0, 0.03) if erect else r.normal(-0.06, 0.08),
        divergence=-0.0055 if erect else 0.009,
    )
    inspiration = np.clip(r.normal(0.75, 0.17) if erect else r.normal(0.45, 0.22), 0, 1)
    arm = np.clip(r.normal(0.75 if erect else 0.25, 0.2), 0, 1)
    return Pose(position, float(inspiration), view, float(arm), who.age_years + case.follow_up // 6)


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

    wall: tuple[np.ndarray, ...]
    dome: tuple[np.ndarray, ...]
    dome_top: tuple[float, ...]
    border: tuple[np.ndarray, ...]
    knob: np.ndarray
    shift: float


def _wall(who: Patient, side: int, r: np.random.Generator) -> np.ndarray:
    knots = np.array([
        (1.7, 4.4), (2.2, 1.9), (3.0, 0.5), (4.2, 0.0), (5.6, 0.5), (7.2, 2.1), (9.1, 4.9),
        (11.1, 8.9), (12.6, 13.6), (13.6, 18.5), (14.1, 23.0), (14.0, 27.0), (13.5, 32.0), (12.8, 42.0),
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
        reach = 0.275 * width * r.normal(1, 0.07)
        # Against the lung at the apex stands its own dome: the vessels of the neck lie within it.
        vein = [1.5 * upper, 1.6 * upper, 1.9 * upper, 2.2 * upper, 2.4 * upper, 2.2 * upper]
        atrium = [0.52, 0.71, 0.89, 0.99, 1.0, 0.90, 0.95, 1.6]
        xs = [*vein, *(np.maximum(share * reach, 2.0 * upper) for share in atrium)]
        ys = [-0.65, -0.05, 0.12, 0.24, 0.33, 0.43, 0.53, 0.61, 0.70, 0.80, 0.91, 1.0, 1.07, 1.6]
    else:
        reach = 0.68 * width * r.normal(1, 0.04)
        knob = (2.9 + 1.5 * who.aorta) * w
        artery = [1.5 * upper, 1.6 * upper, 1.95 * upper, 0.83 * knob, knob, 0.9 * knob, 0.71 * knob + 0.1 * w]
        trunk = np.maximum(0.43 * reach, 0.74 * knob) * r.normal(1, 0.07)
        ventricle = [0.53, 0.65, 0.77, 0.88, 0.96, 1.0, 0.97, 0.86, 1.4]
        xs = [*artery, trunk, 0.98 * trunk, *(np.maximum(share * reach, 0.97 * trunk) for share in ventricle)]
        ys = [-0.65, -0.05, 0.12, 0.235, 0.29, 0.335, 0.375, 0.43, 0.49]
        ys += [0.565, 0.64, 0.72, 0.80, 0.88, 0.95, 1.03, 1.12, 1.6]
    knots = np.stack([side * np.array(xs), np.array(ys) * base], axis=1)
    knots[1:] += r.normal(0, (0.13, 0.08), (len(knots) - 1, 2)) * w
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
    level = 0.29 * (min(tops) + 1.3)
    knob = np.array([np.interp(level, left[:, 1], left[:, 0]) - 1.6 * who.half_width / 14, level])
    return Chest(walls, domes, tops, borders, knob, shift)
