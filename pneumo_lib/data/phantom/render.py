"""From a scene to line integrals: soft tissue, bones and everything thin, on one 1024-pixel grid."""

import cv2
import numpy as np
from numba import njit

from pneumo_lib.data.phantom import findings, pneumothorax, skeleton, tissue, vessels
from pneumo_lib.data.phantom.cohort import rng
from pneumo_lib.data.phantom.findings import Findings
from pneumo_lib.data.phantom.pneumothorax import Lung
from pneumo_lib.data.phantom.projection import HALF, SIZE, Tubes, polyline, splat_lines
from pneumo_lib.data.phantom.scene import Scene

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
    """Relative density of lung and pleural air together where a lung has come off the wall."""
    left = np.sum(lung.visceral**2) / np.sum(lung.radius**2)
    cavity, tissue_left = (pneumothorax.filled(lung.outline(visceral), HALF) for visceral in (False, True))
    ring = cv2.subtract(cavity, tissue_left).astype(np.float32)
    # The lung's surface is round: beside its outline the air in front of and behind it shows too; and some of the lung
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
    trachea, segments = vessels.airways(scene.who, scene.where, scene.chest)
    splat_lines(grid, segments)
    # The focal spot is no point, and the patient breathes: it also hides the sampling of the tubes.
    return cv2.GaussianBlur(grid, (0, 0), 0.75), labels | {"trachea": trachea}


def fine(scene: Scene, share: np.ndarray, r: np.random.Generator) -> np.ndarray:
    """Vessels and pleural line as segments for `splat_lines` at 1024 pixels."""
    scale = scene.where.view.scale
    share = cv2.blur(share, (17, 17))
    parts = []
    for lung in scene.lungs:
        tree = vessels.tree(lung, scale * scene.who.half_width / 14, scene.who.seed + lung.side, BLOOD)
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
