"""One phantom from its index."""

from dataclasses import dataclass, field

import cv2
import numpy as np

from pneumo_lib.data.phantom import devices, exposure, findings, render
from pneumo_lib.data.phantom.anatomy import SIDES
from pneumo_lib.data.phantom.cohort import rng
from pneumo_lib.data.phantom.projection import SIZE, splat_lines
from pneumo_lib.data.phantom.scene import NAMES, compose


@dataclass(frozen=True)
class Phantom:
    """A synthetic chest X-ray.

    Attributes:
        image: uint8 (1024, 1024), air dark.
        mask: bool (1024, 1024), the pleural air.
        index: its number in the data set.
        patient: number of the patient.
        follow_up: number of the patient's examination, from 0.
        view: "PA" or "AP".
        sex: "M" or "F".
        age_years: at this image.
        pneumothorax: "" or "apical", "lateral", "basal", "apicolateral", "complete", "tension".
        side: "" or "right", "left": the patient's side of the pneumothorax.
        devices: names of the support devices in the image.
        mimics: what imitates a pleural line ("skin fold", "bulla").
        pixel_mm: pixel spacing in mm.
        outlines: structure → float (n, 2) pixel (x, y) of its outline, centre line or, for n = 1, a point.
    """

    image: np.ndarray
    mask: np.ndarray
    index: int
    patient: int
    follow_up: int
    view: str
    sex: str
    age_years: int
    pneumothorax: str
    side: str
    devices: tuple[str, ...]
    mimics: tuple[str, ...]
    pixel_mm: float
    outlines: dict[str, np.ndarray] = field(repr=False)


def draw(index: int, seed: int = 0) -> Phantom:
    """Draw the index-th phantom of the data set with this seed.

    A pure function of its arguments. Raises ValueError for a negative index or seed (NumPy's own check).
    """
    scene = compose(index, seed)
    who, where, side = scene.who, scene.where, scene.air.side
    r = rng(seed, "drawing", index)
    found = findings.choose(where, scene.chest, scene.lungs, side, rng(seed, "findings", index))
    soft, share = render.soft_tissue(scene, found, seed)
    bones, labels = render.bones_and_airways(scene, share)
    path = cv2.resize(soft + bones, (SIZE, SIZE), interpolation=cv2.INTER_CUBIC)
    splat_lines(path, render.fine(scene, share, r))
    splat_lines(path, findings.segments(found, where))
    present = devices.choose(who, where, scene.case.positive, r)
    drained = side or int(r.choice(SIDES))
    splat_lines(path, devices.segments(present, who, where, scene.chest, scene.lungs, drained, r))
    body = cv2.resize(soft, (64, 64), interpolation=cv2.INTER_AREA) > 0.6
    image = exposure.develop(path, body, exposure.choose(where.position, r), r)
    exposure.collimate(image, where.position, r)
    exposure.annotate(image, where.position, r)
    return Phantom(
        image=image,
        mask=scene.mask(),
        index=index,
        patient=scene.case.patient,
        follow_up=scene.case.follow_up,
        view=where.position,
        sex=who.sex,
        age_years=where.age_years,
        pneumothorax=scene.air.kind,
        side=NAMES[side],
        devices=present,
        mimics=found.mimics,
        pixel_mm=10 / where.view.scale,
        outlines=scene.outlines() | labels,
    )
