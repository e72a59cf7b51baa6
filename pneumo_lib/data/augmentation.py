"""Training augmentation: the follow-up code's list, parameters in pixels scaled from 512 px to the stage's size."""

import os
import random
from collections.abc import Callable

import albumentations as A
import cv2
import numpy as np

# On import albumentations would ask a package index for newer versions; a training run has no business there.
os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")

REFERENCE_PX = 512
"""The size at which the follow-up code gives its parameters."""


class Pipeline(A.Compose):
    """Compose whose seed starts one random stream that all of its transforms draw from.

    albumentations' own gives every transform the same seed, so that all of them throw the same dice: transforms of equal
    probability then always come together, or not at all.
    """

    def set_random_seed(self, seed: int | None) -> None:
        self.seed = seed
        self.set_random_state(np.random.default_rng(seed), random.Random(seed))


def training(size: int, strength: float = 1.0, listed: str = "full") -> A.Compose:
    """Augmentation of one image and its mask: flip, one tone change, one warp, shift-scale-rotate, random sized crop.

    Call `compose(image=image, mask=mask)`; `compose.set_random_seed(n)` first makes the result depend on n alone.

    `strength` multiplies the probabilities of all but the flip; 1 is the follow-up code's, 0 leaves the flip alone.
    `listed`: "full", "flip" (the horizontal flip alone) or "none" (images stay as they are).

    **Shape**: image uint8 (size, size), mask uint8 (size, size); both keep shape and type. Masks are resampled by
    nearest neighbour and so keep their values.

    Reference: the follow-up code (`Ayat-Abedalla/Ens4B-UNet`). The deck only says that it augments, and names the same
    kinds of transforms for test time.

    The optical distortion is as strong as there (2): at its barrel end only the middle of the chest is left, and a
    lateral pneumothorax goes out of sight together with its mask. Measured on 60 masks, the transform alone empties
    16 % of the positive masks and the whole list 4 %.

    Differs from the follow-up code: lengths are scaled with the size; the elastic transform's extra affine warp
    (3.6 px) and the optical one's shift (0.5 px) have gone from albumentations 2 and are left out.
    """
    if listed == "none":
        return Pipeline([])
    if listed == "flip":
        return Pipeline([_horizontal_flip(size, p=0.5)])
    return Pipeline(
        [
            _horizontal_flip(size, p=0.5),
            A.OneOf([TRANSFORMS[name](size, p=0.5) for name in ("contrast", "gamma", "brightness")], p=0.3 * strength),
            A.OneOf([TRANSFORMS[name](size, p=0.5) for name in ("elastic", "grid", "optical")], p=0.3 * strength),
            _shift_scale_rotate(size, p=0.5 * strength),
            _random_sized_crop(size, p=0.25 * strength),
        ]
    )


def single(name: str, size: int) -> A.Compose:
    """One named transform of `TRANSFORMS` alone, always applied: for galleries and tests."""
    return Pipeline([TRANSFORMS[name](size, p=1.0)])


def _horizontal_flip(size: int, p: float) -> A.BasicTransform:
    return A.HorizontalFlip(p=p)


def _contrast(size: int, p: float) -> A.BasicTransform:
    return A.RandomBrightnessContrast(brightness_limit=0, contrast_limit=0.2, p=p)


def _brightness(size: int, p: float) -> A.BasicTransform:
    return A.RandomBrightnessContrast(brightness_limit=0.2, contrast_limit=0, p=p)


def _gamma(size: int, p: float) -> A.BasicTransform:
    return A.RandomGamma(gamma_limit=(80, 120), p=p)


def _elastic(size: int, p: float) -> A.BasicTransform:
    scale = size / REFERENCE_PX
    sigma = max(6 * scale, 1.0)  # albumentations takes no less
    # White noise smoothed with a Gaussian displaces by about alpha / sigma: that ratio is what scales with the size.
    return A.ElasticTransform(
        alpha=120 / 6 * scale * sigma,
        sigma=sigma,
        noise_distribution="uniform",
        border_mode=cv2.BORDER_REFLECT_101,
        p=p,
    )


def _grid(size: int, p: float) -> A.BasicTransform:
    return A.GridDistortion(num_steps=5, distort_limit=0.3, border_mode=cv2.BORDER_REFLECT_101, p=p)


def _optical(size: int, p: float) -> A.BasicTransform:
    return A.OpticalDistortion(distort_limit=2, border_mode=cv2.BORDER_REFLECT_101, p=p)


def _shift_scale_rotate(size: int, p: float) -> A.BasicTransform:
    return A.Affine(
        translate_percent=(-0.2, 0.2),
        scale=(0.8, 1.2),
        rotate=(-20, 20),
        keep_ratio=True,
        border_mode=cv2.BORDER_CONSTANT,
        fill=0,
        p=p,
    )


def _random_sized_crop(size: int, p: float) -> A.BasicTransform:
    return A.RandomSizedCrop(
        min_max_height=(round(412 * size / REFERENCE_PX), size),
        size=(size, size),
        # Plain nearest is shifted by half a pixel from the bilinear image.
        mask_interpolation=cv2.INTER_NEAREST_EXACT,
        p=p,
    )


TRANSFORMS: dict[str, Callable[..., A.BasicTransform]] = {
    "flip": _horizontal_flip,
    "contrast": _contrast,
    "gamma": _gamma,
    "brightness": _brightness,
    "elastic": _elastic,
    "grid": _grid,
    "optical": _optical,
    "shift, scale, rotate": _shift_scale_rotate,
    "random sized crop": _random_sized_crop,
}
"""Each transform by name: a function of (size, p)."""
