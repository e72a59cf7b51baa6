"""One image's scene before anything is rendered: who, in which pose, and where the pleural air lies."""

from dataclasses import dataclass

import numpy as np

from pneumo_lib.data.phantom import anatomy, pneumothorax
from pneumo_lib.data.phantom.anatomy import SIDES, Patient, Pose
from pneumo_lib.data.phantom.chest import Chest, chest_of
from pneumo_lib.data.phantom.cohort import Case, case, rng
from pneumo_lib.data.phantom.pneumothorax import Lung
from pneumo_lib.data.phantom.projection import SIZE

NAMES = {-1: "right", 0: "", 1: "left"}
"""The patient's side by its sign."""


@dataclass(frozen=True)
class Air:
    """A pneumothorax in words.

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
