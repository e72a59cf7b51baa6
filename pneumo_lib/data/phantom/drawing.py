"""One phantom from its index: who, in which pose, with or without pleural air, and how it was exposed."""

from dataclasses import dataclass, field

import cv2
import numpy as np

from pneumo_lib.data.phantom import anatomy, devices, exposure, findings, pneumothorax, skeleton, tissue, vessels
from pneumo_lib.data.phantom.anatomy import SIDES, Chest, Patient, Pose
from pneumo_lib.data.phantom.cohort import Case, case, rng
from pneumo_lib.data.phantom.findings import Findings
from pneumo_lib.data.phantom.pneumothorax import Lung
from pneumo_lib.data.phantom.projection import HALF, SIZE, Tubes, polyline, splat_lines


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


@dataclass(frozen=True)
class _Air:
    kind: str = ""
    side: int = 0
    sink: float = 0.0
    push: float = 0.0


def _air(this: Case, seed: int) -> _Air:
    """What kind of pneumothorax the image has, before its geometry is known."""
    if not this.positive:
        return _Air()
    r = rng(seed, "air", this.index)
    kind = pneumothorax.kind_of(this.area_px, r)
    side = -1 if r.random() < 0.55 else 1
    if kind == "complete" and r.random() < 0.5:
        return _Air("tension", side, r.uniform(1.0, 2.5), r.uniform(1.2, 3.2))
    return _Air(kind, side, r.uniform(0.8, 2.0) if kind == "basal" else 0.0, 0.0)


def _lungs(chest: Chest, where: Pose, air: _Air, this: Case, seed: int) -> list[Lung]:
    lungs = [pneumothorax.lung(chest, where.view, side) for side in SIDES]
    if air.side:
        k = (air.side + 1) // 2
        kind = "complete" if air.kind == "tension" else air.kind
        lungs[k] = pneumothorax.collapse(lungs[k], kind, this.area_px, [seed, this.index, 7])
    return lungs


def _texture(r: np.random.Generator) -> np.ndarray:
    """Unevenness of lung tissue, float32 (512, 512) about 0."""
    total = np.zeros((HALF, HALF), np.float32)
    for size, strength in ((6, 0.08), (20, 0.05), (64, 0.02)):
        total += (
            cv2.resize(r.standard_normal((size, size), np.float32), (HALF, HALF), interpolation=cv2.INTER_CUBIC)
            * strength
        )
    return total


def _soft_path(
    who: Patient, where: Pose, chest: Chest, lungs: list[Lung], found: Findings, this: Case, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Line integral of everything without fine detail but bones, and the share of the cavity that holds lung.

    Both float32 (512, 512).
    """
    r = rng(seed, "tissue", this.index)
    cavity = tissue.cavity(who, where, chest)
    share = (1 - tissue.mediastinum(who, where, chest)) * (1 - tissue.below_diaphragm(who, where, chest))
    effusion = findings.fluid(found, where, chest)
    if effusion is not None:
        share *= 1 - effusion
    inflated = cavity * share
    density = np.float32(who.lung_density * (1.25 - 0.25 * where.inspiration)) * (1 + _texture(r))
    density = findings.density(density, found)
    for lung in lungs:
        if lung.visceral is not lung.radius:
            density = _collapsed(density, lung, r)
    solid = tissue.body(who, where, r)
    np.maximum(solid, cavity * 1.05 + np.minimum(cavity, 1.5), out=solid)
    tissue.add_breasts(solid, who, where, this.index, seed)
    tissue.remove_gas(solid, where, chest, this.index, seed)
    solid -= inflated
    path = tissue.SOFT * (np.maximum(solid, 0) + inflated * np.clip(density, 0, 1))
    return path.astype(np.float32), share


def _collapsed(density: np.ndarray, lung: Lung, r: np.random.Generator) -> np.ndarray:
    """Relative density of lung and pleural air together where a lung has come off the wall."""
    left = np.sum(lung.visceral**2) / np.sum(lung.radius**2)
    inside = pneumothorax.filled(lung.outline(visceral=True), HALF).astype(np.float32) / 255
    ring = np.maximum(pneumothorax.filled(lung.outline(), HALF).astype(np.float32) / 255 - inside, 0)
    # The lung's surface is round: beside its outline the air in front of and behind it shows too; and some of the lung
    # lies before and behind the air.
    air = np.maximum(ring, cv2.GaussianBlur(ring, (0, 0), 5)) * np.float32(r.uniform(0.72, 0.97))
    # Collapsed lung keeps its blood, though flow falls: it gets denser.
    return density * (1 + inside * np.float32(min(left**-0.8, 2.0) - 1)) * (1 - air)


def _fine(lungs: list[Lung], who: Patient, where: Pose, share: np.ndarray, r: np.random.Generator) -> np.ndarray:
    """Segments of vessels and pleural lines at 1024 pixels."""
    parts = []
    for lung in lungs:
        tree = vessels.tree(lung, where.view.scale, who.seed + lung.side, 0.30)
        # A vessel shows by the lung around it: not within the mediastinum, little behind heart and dome.
        x, y = (np.clip(tree[:, k] / 2, 0, HALF - 1).astype(int) for k in (2, 3))
        tree[:, 5] *= np.clip(1.6 * share[y, x] - 0.25, 0, 1)
        parts.append(tree)
        gap = lung.radius - lung.visceral
        if lung.visceral is lung.radius:
            continue
        line = lung.outline(visceral=True)
        shown = (gap[:-2] > 2) & (gap[1:-1] > 2)
        strength = 0.12 * (1 + 0.3 * np.convolve(r.standard_normal(len(line) + 30), np.ones(31) / 5.5, "valid"))
        parts.append(polyline(line, 0.055 * where.view.scale, np.clip(strength[:-1], 0.03, 0.3))[shown])
    return np.concatenate(parts)


def _outlines(chest: Chest, where: Pose, lungs: list[Lung]) -> dict[str, np.ndarray]:
    found = {}
    for lung, name in zip(lungs, ("right", "left"), strict=True):
        k = (lung.side + 1) // 2
        found[f"{name} lung"] = lung.outline()
        found[f"{name} diaphragm"] = where.view.pixels(chest.dome[k])
        found[f"{name} costophrenic angle"] = where.view.pixels(chest.dome[k][-1:])
        found[f"{name} lung apex"] = found[f"{name} lung"][[found[f"{name} lung"][:, 1].argmin()]]
        if lung.visceral is not lung.radius:
            shown = lung.radius - lung.visceral > 2
            found["pleural line"] = lung.outline(visceral=True)[shown[:-1]]
            found["collapsed lung"] = lung.outline(visceral=True)
    for border, name in zip(chest.border, ("right", "left"), strict=True):
        found[f"{name} heart border"] = where.view.pixels(border[border[:, 1] > 0.5 * min(chest.dome_top)])
    found["aortic knob"] = where.view.pixels(chest.knob[None])
    return found


def draw(index: int, seed: int = 0) -> Phantom:
    """Draw the index-th phantom of the data set with this seed.

    A pure function of its arguments. Raises ValueError for a negative index or seed (NumPy's own check).
    """
    this = case(index, seed)
    who = anatomy.patient(this.patient, seed)
    where = anatomy.pose(this, who, seed)
    air = _air(this, seed)
    chest = anatomy.chest(who, where, (air.side, air.sink, air.push))
    r = rng(seed, "drawing", index)
    lungs = _lungs(chest, where, air, this, seed)
    mask = pneumothorax.mask(lungs[(air.side + 1) // 2]) if air.side else np.zeros((SIZE, SIZE), bool)
    found = findings.choose(where, chest, lungs, air.side, rng(seed, "findings", index))
    soft, share = _soft_path(who, where, chest, lungs, found, this, seed)
    bones = np.zeros((HALF, HALF), np.float32)
    outlines = _outlines(chest, where, lungs)
    tubes = Tubes()
    outlines |= skeleton.add_ribs(tubes, who, where, chest)
    outlines |= skeleton.add_shoulders(tubes, who, where)
    skeleton.add_spine(tubes, who)
    tubes.project(bones, where.view)
    bones = cv2.GaussianBlur(bones, (0, 0), 0.7)
    path = cv2.resize(soft + bones, (SIZE, SIZE), interpolation=cv2.INTER_CUBIC)
    splat_lines(path, _fine(lungs, who, where, share, r))
    splat_lines(path, vessels.airways(who, where, chest))
    splat_lines(path, findings.segments(found, where))
    present = devices.choose(who, where, this.positive, r)
    splat_lines(path, devices.segments(present, who, where, chest, lungs, air.side or int(r.choice(SIDES)), r))
    settings = exposure.choose(where.position, r)
    body = cv2.resize(soft, (64, 64), interpolation=cv2.INTER_AREA) > 0.6
    image = exposure.develop(path, body, settings, r)
    exposure.collimate(image, where.position, r)
    exposure.annotate(image, where.position, r)
    side = {-1: "right", 0: "", 1: "left"}[air.side]
    return Phantom(
        image, mask, index, this.patient, this.follow_up, where.position, who.sex, where.age_years, air.kind, side,
        present, found.mimics, 10 / where.view.scale, outlines,
    )  # fmt: skip
