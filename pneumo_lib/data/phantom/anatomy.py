"""The patient and the pose: numbers that every structure is built from.

Ranges are our choice, after textbook dimensions of the adult chest, unless a source is named.
"""

from dataclasses import dataclass

import numpy as np

from pneumo_lib.data.phantom.cohort import Case, rng
from pneumo_lib.data.phantom.projection import SIZE, View

SIDES = (-1, 1)
"""The patient's right lung (image left, x < 0) and left lung."""


@dataclass(frozen=True)
class Patient:
    """What stays the same in all images of one patient; lengths in cm.

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
    """What differs between images of one patient.

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
