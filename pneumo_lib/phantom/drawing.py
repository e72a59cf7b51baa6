"""One phantom from its index: the scene, its line integrals on a 1024-pixel grid, and the resulting image."""

from dataclasses import dataclass, field

import cv2
import numpy as np
from numba import njit

from pneumo_lib.phantom import anatomy, exposure, findings, pneumothorax, skeleton, tissue
from pneumo_lib.phantom.anatomy import SIDES, Chest, Patient, Pose, chest_of
from pneumo_lib.phantom.cohort import Case, case, rng
from pneumo_lib.phantom.findings import Findings
from pneumo_lib.phantom.geometry import HALF, SIZE, Tubes, polyline, splat_lines
from pneumo_lib.phantom.pneumothorax import Lung

NAMES = {-1: "right", 0: "", 1: "left"}
"""The patient's side by its sign."""


@dataclass(frozen=True)
class Air:
    """Description of a pneumothorax.

    Attributes:
        kind: "" (none), a key of `pneumothorax.PROFILES`, or "tension" (complete, and displacing the mediastinum).
        side: -1 the patient's right, 1 the left, 0 none.
        sink: how far the costophrenic sulcus is pushed down, in cm.
        push: how far the mediastinum is displaced, in cm.
    """

    kind: str = ""
    side: int = 0
    sink: float = 0.0
    push: float = 0.0


@dataclass(frozen=True)
class Scene:
    """Geometry of one image; `lungs` are the right and the left one."""

    case: Case
    who: Patient
    where: Pose
    air: Air
    chest: Chest
    lungs: tuple[Lung, Lung]

    def mask(self) -> np.ndarray:
        """The pleural air, bool (1024, 1024): exact, since the same outlines are rendered."""
        if not self.air.side:
            return np.zeros((SIZE, SIZE), bool)
        return pneumothorax.mask(self.lungs[(self.air.side + 1) // 2])

    def outlines(self) -> dict[str, np.ndarray]:
        """Structure → float (n, 2) pixel (x, y) of its outline or, for n = 1, a point."""
        found = {}
        view, chest = self.where.view, self.chest
        for lung, name, dome, border in zip(self.lungs, ("right", "left"), chest.dome, chest.border, strict=True):
            outline = lung.outline()
            found[f"{name} lung"] = outline
            found[f"{name} lung apex"] = outline[[outline[:, 1].argmin()]]
            found[f"{name} diaphragm"] = view.pixels(dome)
            found[f"{name} costophrenic angle"] = view.pixels(dome[-1:])
            found[f"{name} heart border"] = view.pixels(
                border[(border[:, 1] > 0.5 * min(chest.dome_top)) & (border[:, 1] < min(chest.dome_top) + 1)]
            )
            if lung.collapsed:
                found["collapsed lung"] = lung.outline(visceral=True)
                found["pleural line"] = lung.outline(visceral=True)[(lung.radius - lung.visceral > 1)[:-1]]
        found["aortic knob"] = view.pixels(chest.knob[None])
        return found


def compose(index: int, seed: int) -> Scene:
    """The scene of the index-th image of the data set with this seed."""
    this = case(index, seed)
    who = anatomy.patient(this.patient, seed)
    where = anatomy.pose(this, who, seed)
    air = _air(this, seed)
    chest = chest_of(who, where, (air.side, air.sink, air.push))
    lungs = [pneumothorax.lung(chest, where.view, side) for side in SIDES]
    if air.side:
        k = (air.side + 1) // 2
        kind = "complete" if air.kind == "tension" else air.kind
        lungs[k] = pneumothorax.collapse(lungs[k], kind, this.area_px, [seed, this.index, 7])
    return Scene(this, who, where, air, chest, (lungs[0], lungs[1]))


def _air(this: Case, seed: int) -> Air:
    if not this.positive:
        return Air()
    r = rng(seed, "air", this.index)
    kind = pneumothorax.kind_of(this.area_px, r)
    # Somewhat more often on the right, and mostly on the same side in one patient.
    side = -1 if rng(seed, "side", this.patient).random() < 0.55 else 1
    side = -side if r.random() < 0.12 else side
    if kind == "complete" and r.random() < 0.5:
        return Air("tension", side, r.uniform(1.0, 2.5), r.uniform(1.2, 3.2))
    return Air(kind, side, r.uniform(0.8, 2.0) if kind == "basal" else 0.0)


BLOOD = 0.35
"""Attenuation of vessels above lung per cm: blood's, raised by half as the edge enhancement of real processing does."""


def soft_tissue(scene: Scene, found: Findings, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Line integrals of everything soft, and the share of the cavity that holds lung; both float32 (512, 512)."""
    who, where, chest, index = scene.who, scene.where, scene.chest, scene.case.index
    r = rng(seed, "tissue", index)
    cavity = tissue.cavity(who, where, chest)
    share = (1 - tissue.mediastinum(who, where, chest)) * (1 - tissue.below_diaphragm(who, where, chest))
    effusion = findings.fluid(found, where, chest)
    if effusion is not None:
        share *= 1 - effusion
    density = np.float32(who.lung_density * (1.25 - 0.25 * where.inspiration)) * (1 + _texture(r))
    density = findings.density(density, found)
    for lung in scene.lungs:
        if lung.collapsed:
            density = _collapsed(density, lung, r)
    solid = tissue.body(who, where, r)
    # Ribs and muscle cover the cavity all round.
    np.maximum(solid, cavity * 1.05 + np.minimum(cavity, 1.5), out=solid)
    tissue.add_breasts(solid, who, where)
    tissue.remove_gas(solid, where, chest, index, seed)
    return _line_integrals(solid, cavity, share, density, np.float32(tissue.SOFT)), share


@njit(cache=True, fastmath=True)
def _line_integrals(solid, cavity, share, density, soft):
    """Attenuation along each ray: what is solid without the lung, and the lung at its own density."""
    out = np.empty_like(solid)
    zero, one = np.float32(0), np.float32(1)
    for i in range(solid.shape[0]):
        for j in range(solid.shape[1]):
            lung = cavity[i, j] * share[i, j]
            out[i, j] = soft * (max(solid[i, j] - lung, zero) + lung * min(max(density[i, j], zero), one))
    return out


def _texture(r: np.random.Generator) -> np.ndarray:
    """Unevenness of lung tissue, float32 (512, 512) about 0."""
    total = np.zeros((256, 256), np.float32)
    for size, strength in ((6, 0.09), (20, 0.05), (64, 0.03), (128, 0.03), (256, 0.035)):
        noise = r.standard_normal((size, size), np.float32)
        total += cv2.resize(noise, (256, 256), interpolation=cv2.INTER_CUBIC) * strength
    return cv2.resize(total, (HALF, HALF))


def _collapsed(density: np.ndarray, lung: Lung, r: np.random.Generator) -> np.ndarray:
    """Relative density of lung and pleural air together where a lung has separated from the wall."""
    left = np.sum(lung.visceral**2) / np.sum(lung.radius**2)
    cavity, tissue_left = (pneumothorax.filled(lung.outline(visceral), HALF) for visceral in (False, True))
    ring = cv2.subtract(cavity, tissue_left).astype(np.float32)
    # The lung's surface is round: near its outline the air in front of and behind it shows too; and some of the lung
    # lies before and behind the air.
    air = np.maximum(ring, cv2.GaussianBlur(ring, (0, 0), 5)) * np.float32(r.uniform(0.88, 1.0) / 255)
    # Collapsed lung keeps its blood, though flow falls: it gets denser, over its whole half of the chest.
    middle = lung.hilum[0] / 2 - lung.side * 0.12 * lung.radius.max() / 2
    half = 0.5 + 0.5 * np.tanh(lung.side * (np.arange(HALF, dtype=np.float32) - np.float32(middle)) / 8)
    return density * (1 + half * np.float32(min(1.06 * left**-0.9, 2.0) - 1)) * (1 - air)


def bones_and_airways(scene: Scene, share: np.ndarray) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Line integrals above soft tissue, float32 (512, 512), and labelled centre lines in pixels at 1024.

    Args:
        share: as `soft_tissue` returns it.
    """
    grid = np.zeros((HALF, HALF), np.float32)
    tubes = Tubes()
    labels = skeleton.add_ribs(tubes, scene.who, scene.where, scene.chest)
    labels |= skeleton.add_shoulders(tubes, scene.who, scene.where)
    skeleton.add_spine(tubes, scene.who)
    skeleton.add_jaw(tubes, scene.who, tissue.chin_height(scene.where))
    tubes.project(grid, scene.where.view)
    # Behind heart and abdomen scatter and the hardened beam leave bones little contrast.
    grid *= np.float32(0.25) + np.float32(0.75) * share
    trachea, segments = tissue.airways(scene.who, scene.where, scene.chest)
    splat_lines(grid, segments)
    # The focal spot has an extent and the patient breathes; this blur also hides the sampling of the tubes.
    return cv2.GaussianBlur(grid, (0, 0), 0.75), labels | {"trachea": trachea}


def fine(scene: Scene, share: np.ndarray, r: np.random.Generator) -> np.ndarray:
    """Vessels and pleural line as segments for `splat_lines` at 1024 pixels."""
    scale = scene.where.view.scale
    share = cv2.blur(share, (17, 17))
    parts = []
    for lung in scene.lungs:
        tree = tissue.tree(lung, scale * scene.who.half_width / 14, scene.who.seed + lung.side, BLOOD)
        # A vessel shows by the lung around it: not within the mediastinum, little behind heart and dome.
        x, y = (np.clip(tree[:, k] * HALF / SIZE, 0, HALF - 1).astype(int) for k in (2, 3))
        tree[:, 5] *= np.clip(1.7 * share[y, x] - 0.45, 0, 1)
        # A lung that has lost most of its air is dense and little perfused: its vessels drown.
        tree[:, 5] *= min(1.0, 1.3 * (np.sum(lung.visceral**2) / np.sum(lung.radius**2)) ** 1.5)
        parts.append(tree[tree[:, 5] > 0.002])
        if lung.collapsed:
            parts.append(_pleural_line(lung, scale, r))
    return np.concatenate(parts)


def _pleural_line(lung: Lung, scale: float, r: np.random.Generator) -> np.ndarray:
    """The visceral pleura seen edge on, half a millimetre thick, stronger in some places than in others."""
    gap = lung.radius - lung.visceral
    line = lung.outline(visceral=True)
    strength = 0.16 * (1 + 0.3 * np.convolve(r.standard_normal(len(line) + 30), np.ones(31) / 5.5, "valid"))
    shown = (gap[:-2] > 1) & (gap[1:-1] > 1)
    return polyline(line, 0.06 * scale, np.clip(strength[:-1], 0.04, 0.35))[shown]


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
    found = findings.choose(where, scene.lungs, side, rng(seed, "findings", index))
    soft, share = soft_tissue(scene, found, seed)
    bones, labels = bones_and_airways(scene, share)
    path = cv2.resize(soft + bones, (SIZE, SIZE), interpolation=cv2.INTER_CUBIC)
    splat_lines(path, fine(scene, share, r))
    splat_lines(path, findings.segments(found, where))
    present = findings.choose_devices(who, where, scene.case.positive, r)
    drained = side or int(r.choice(SIDES))
    splat_lines(path, findings.device_segments(present, who, where, scene.chest, scene.lungs, drained, r))
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
