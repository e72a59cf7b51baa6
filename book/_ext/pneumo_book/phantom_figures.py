"""Figures with phantom X-rays: what a pneumothorax looks like, and what augmentation and thresholds do to it."""

from functools import cache

import cv2
import numpy as np
from matplotlib.figure import Figure

from pneumo_lib import phantom
from pneumo_lib.data import augmentation
from pneumo_lib.evaluation import postprocessing
from pneumo_lib.evaluation.transforms import TRANSFORMS
from pneumo_lib.phantom import Phantom, cohort
from pneumo_lib.report.style import PREDICTED, TRUE, subplots
from pneumo_lib.report.xray_figures import show_xray

_SEED = 0
_SIZE = 512


@cache
def _drawn(index: int) -> Phantom:
    return phantom.draw(index, _SEED)


@cache
def _large(smallest: float = 12_000, largest: float = 30_000) -> Phantom:
    """The first phantom with a mask of a size that shows well."""
    index = next(i for i in range(1000) if smallest < cohort.case(i, _SEED).area_px < largest)
    return _drawn(index)


def _small(one: Phantom, size: int = _SIZE) -> tuple[np.ndarray, np.ndarray]:
    image = cv2.resize(one.image, (size, size), interpolation=cv2.INTER_AREA)
    mask = cv2.resize(one.mask.astype(np.float32), (size, size), interpolation=cv2.INTER_AREA) >= 0.5
    return image, mask


def kinds() -> Figure:
    """No pneumothorax, a small, a middling and a large one, plain above and outlined below."""
    areas = (None, (1_500, 4_000), (8_000, 16_000), (25_000, 60_000))
    titles = ("none", "small", "middling", "large")
    figure, axes = subplots(2, 4, figsize=(11, 5.9))
    for column, (limits, title) in zip(axes.T, zip(areas, titles, strict=True), strict=True):
        cases = (cohort.case(index, _SEED) for index in range(1000))
        one = next(_drawn(c.index) for c in cases if (limits[0] < c.area_px < limits[1] if limits else not c.positive))
        image, mask = _small(one)
        show_xray(column[0], image)
        show_xray(column[1], image, truth=mask)
        share = mask.mean()
        column[0].set_title(f"{title}: {100 * share:.1f} %" if share else title, fontsize=10)
    figure.suptitle("Phantoms; share of the image that the pneumothorax covers", fontsize=11)
    return figure


def anatomy() -> Figure:
    """One phantom with its structures named."""
    one = _large()
    # Narrow enough that a phone shows it nearly at its size.
    figure, axis = subplots(figsize=(4.9, 6.2))
    show_xray(axis, one.image, truth=one.mask)
    shown = {
        "pleural line": "the lung's edge (pleural line)",
        f"{one.side} diaphragm": "diaphragm",
        "left heart border": "border of the heart",
    }
    for (name, text), colour in zip(shown.items(), (PREDICTED, "#009E73", "#CC79A7"), strict=True):
        line = one.outlines[name]
        line = line[(line >= 0).all(axis=1) & (line < len(one.image)).all(axis=1)]
        axis.plot(*line.T, color=colour, linewidth=1.5, label=text)
    axis.plot([], [], color=TRUE, label="air between lung and chest wall: the pneumothorax")
    figure.legend(loc="outside lower center", frameon=False, fontsize=10)
    axis.set(xlim=(0, 1024), ylim=(1024, 0))
    figure.suptitle(f"Phantom: {one.pneumothorax} pneumothorax\non the patient's {one.side} side", fontsize=11)
    return figure


def augmentation_names() -> list[str]:
    """The transforms of the gallery, in order."""
    return list(augmentation.TRANSFORMS)


def augmented() -> Figure:
    """One phantom under each training transform alone, with the mask that moves with it."""
    image, mask = _small(_large())
    names = augmentation_names()
    figure, axes = subplots(2, 5, figsize=(12, 5.4))
    show_xray(axes.flat[0], image, truth=mask)
    axes.flat[0].set_title("unchanged", fontsize=10)
    for axis, name in zip(axes.flat[1:], names, strict=True):
        transform = augmentation.single(name, _SIZE)
        transform.set_random_seed(4)
        made = transform(image=image, mask=mask.astype(np.uint8))
        show_xray(axis, made["image"], truth=made["mask"])
        axis.set_title(name, fontsize=10)
    figure.suptitle("Training augmentation on a phantom, the true mask outlined", fontsize=11)
    return figure


def test_time() -> Figure:
    """The input of the network under each test-time transform (above), and a mask after transform and inverse (below)."""
    image, mask = _small(_large())
    names = list(TRANSFORMS)
    figure, axes = subplots(2, len(names), figsize=(13, 4.8))
    for column, name in zip(axes.T, names, strict=True):
        changed, _ = TRANSFORMS[name](np.random.default_rng(2), image)
        moved, undo = TRANSFORMS[name](np.random.default_rng(2), mask.astype(np.uint8) * 255)
        # Brightness and contrast leave a mask where it is.
        found = (
            mask.astype(np.float32) if name in ("contrast", "brightness") else undo(moved.astype(np.float32) / 255)[0]
        )
        show_xray(column[0], changed)
        show_xray(column[1], image, truth=mask, predicted=found > 0.5)
        column[0].set_title(name, fontsize=10)
    axes[0, 0].set_ylabel("input")
    axes[1, 0].set_ylabel("mask")
    figure.suptitle("Test-time augmentation on a phantom; orange: true mask, blue: moved and put back", fontsize=11)
    return figure


def probability_map() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A phantom, its mask, and an invented probability map of the kind that networks give: soft edges and a false spot."""
    image, mask = _small(_large(), 256)
    soft = cv2.GaussianBlur(mask.astype(np.float32), (0, 0), 4)
    y, x = np.mgrid[:256, :256]
    centre = np.argwhere(mask).mean(axis=0)
    spot = 0.62 * np.exp(-((x - (256 - centre[1])) ** 2 + (y - 60) ** 2) / (2 * 6.5**2))
    return image, mask, np.clip(0.95 * soft + spot, 0, 1).astype(np.float32)


def thresholds() -> Figure:
    """One invented probability map, binarized at three thresholds and with small components removed."""
    image, mask, probability = probability_map()
    figure, axes = subplots(1, 5, figsize=(13, 3.9))
    shown = axes[0].imshow(probability, cmap="cividis", vmin=0, vmax=1)
    figure.colorbar(shown, ax=axes[0], shrink=0.7)
    axes[0].set_title("probability\n(invented)", fontsize=10)
    axes[0].set(xticks=[], yticks=[])
    cells = [(0.2, 0), (0.5, 0), (0.8, 0), (0.5, 300)]
    for axis, (bth, rth) in zip(axes[1:], cells, strict=True):
        found = postprocessing.apply(probability, bth, rth)
        show_xray(axis, image, truth=mask, predicted=found)
        overlap = 2 * (found & mask).sum() / (found.sum() + mask.sum())
        axis.set_title(f"B-TH {bth}\nR-TH {rth}\nDSC {overlap:.2f}", fontsize=10)
    return figure
