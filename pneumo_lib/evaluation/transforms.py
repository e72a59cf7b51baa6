"""Random geometric changes of an image that can be undone: each is a pair of coordinate maps, there and back.

A map is float32 (H, W, 2): where (x, y) in the source each pixel of the result is read. Pixel centres are whole
numbers, so an image can be read between 0 and W - 1.

Every one is kept free of folds, because a fold shows two places of the lung on one pixel and no inverse can tell them
apart. Hence the differences from the training augmentation of the follow-up code: its elastic transform (alpha 120,
sigma 6) and its optical distortion (limit 2) fold the image.
"""

from collections.abc import Callable

import cv2
import numpy as np

ITERATIONS = 30
CONVERGED_PX = 0.05  # OpenCV rounds coordinates to 1/32 pixel, so the iteration cannot do much better
EDGE_PX = 0.01  # rounding of coordinates that lie on the edge itself


class Warp:
    """A coordinate map and its inverse: `forward` of an image, `backward` of the probabilities predicted on it."""

    def __init__(self, there: np.ndarray, back: np.ndarray, votes: np.ndarray | None = None):
        """there: (H, W, 2), read by the warped image. back: its inverse. votes: bool (H, W), where `back` holds."""
        self.there, self.back = there, back
        # Next to the edge a pixel may be interpolated from one that shows mirrored content; it does not vote either.
        source = _read_at(_inside(there).astype(np.float32), back)
        shown = _inside(back) & (source > 0.999)
        self.votes = shown if votes is None else shown & votes

    def forward(self, image: np.ndarray) -> np.ndarray:
        """The warped image; beyond the source's edge it is mirrored."""
        return _read_at(image, self.there, cv2.BORDER_REFLECT_101)

    def backward(self, probability: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Probabilities (H, W) back at their places, and bool (H, W): where the warped image showed the pixel."""
        return _read_at(probability, self.back), self.votes


def _read_at(image: np.ndarray, where: np.ndarray, border: int = cv2.BORDER_REPLICATE) -> np.ndarray:
    """The image (H, W, ...) at the (x, y) of `where` (H, W, 2), interpolated linearly."""
    # OpenCV's own types do not know that there is no second map where the first holds both coordinates.
    return cv2.remap(image, where, None, cv2.INTER_LINEAR, borderMode=border)  # type: ignore[call-overload]


def grid(height: int, width: int) -> np.ndarray:
    """The map that changes nothing, float32 (H, W, 2)."""
    return np.stack(np.meshgrid(np.arange(width), np.arange(height)), axis=-1).astype(np.float32)


def inverse(there: np.ndarray) -> Warp:
    """The warp of a map, its inverse found by fixed-point iteration on the displacement field.

    The result v of u = v + d(v) is the limit of v ← u - d(v) where d changes by less than a pixel a pixel. Pixels that
    the iteration does not bring home to within 0.05 pixels do not vote.
    """
    here = grid(*there.shape[:2])
    displacement = there - here
    back = here.copy()
    for _ in range(ITERATIONS):
        moved = _read_at(displacement, back)
        step = here - moved - back
        back += step
        if max(step.max(), -step.min()) < CONVERGED_PX:
            break
    x, y = np.moveaxis(np.abs(step), -1, 0)
    return Warp(there, back, np.maximum(x, y) < CONVERGED_PX)


def random_sized_crop(rng: np.random.Generator, height: int, width: int) -> Warp:
    """A random window of 80 to 100 % of each side, enlarged to the full size (follow-up code: 412 to 512 of 512)."""
    share = rng.uniform(412 / 512, 1)
    size = np.array([width, height])
    window = np.maximum(np.round(size * share), 1)
    corner = np.floor(rng.random(2) * (size - window + 1))
    zoom = (size / window).astype(np.float32)
    here = grid(height, width)
    there = (here + 0.5) / zoom - 0.5 + corner.astype(np.float32)
    back = (here - corner.astype(np.float32) + 0.5) * zoom - 0.5
    return Warp(there, back)


def elastic(rng: np.random.Generator, height: int, width: int) -> Warp:
    """A smooth random displacement: Gaussian noise over 6 % of the side, deviation 1 % of it (5 pixels at 512)."""
    sigma = 0.06 * max(height, width)
    # Blurring a small field and enlarging it is as smooth and far faster than blurring with a wide kernel.
    coarse = max(int(sigma / 4), 1)
    small = rng.standard_normal((-(-height // coarse) + 1, -(-width // coarse) + 1, 2)).astype(np.float32)
    field = cv2.GaussianBlur(small, (0, 0), sigma / coarse)
    field = cv2.resize(field, (width, height), interpolation=cv2.INTER_CUBIC)
    field *= 0.01 * max(height, width) / field.std()
    return inverse(grid(height, width) + _without_folds(field))


def grid_distortion(rng: np.random.Generator, height: int, width: int, steps: int = 5, limit: float = 0.3) -> Warp:
    """Rows and columns of a 5x5 grid, each wider or narrower by up to 30 % (albumentations' defaults), edges kept."""
    axes = []
    for length in (width, height):
        edges = np.concatenate([[0], np.cumsum(1 + rng.uniform(-limit, limit, steps))])
        source = edges / edges[-1] * (length - 1)
        regular = np.linspace(0, length - 1, steps + 1)
        here = np.arange(length)
        axes.append((np.interp(here, regular, source), np.interp(here, source, regular)))
    there, back = (np.stack(np.meshgrid(x, y), axis=-1).astype(np.float32) for x, y in zip(*axes, strict=True))
    return Warp(there, back)


def optical_distortion(rng: np.random.Generator, height: int, width: int, limit: float = 0.15) -> Warp:
    """A lens: the radius r from the centre is read at r (1 + k r²), k up to 0.15 either way, r = 1 in the corners."""
    k = rng.uniform(-limit, limit)
    centre = np.array([(width - 1) / 2, (height - 1) / 2], np.float32)
    offset = grid(height, width) - centre
    squared = (offset**2).sum(axis=-1, keepdims=True) / (centre**2).sum()
    return inverse(centre + offset * (1 + np.float32(k) * squared))


def _inside(positions: np.ndarray) -> np.ndarray:
    """bool (H, W): whether a position (x, y) lies between the centres of the image's outermost pixels."""
    height, width = positions.shape[:2]
    x, y = positions[..., 0], positions[..., 1]
    return (np.minimum(x, y) >= -EDGE_PX) & (x <= width - 1 + EDGE_PX) & (y <= height - 1 + EDGE_PX)


def _without_folds(field: np.ndarray, steepest: float = 0.5) -> np.ndarray:
    """Scales a displacement field down where needed, so that it changes by at most half a pixel per pixel."""
    change = max(np.abs(np.diff(field, axis=axis)).sum(axis=-1).max(initial=0) for axis in (0, 1))
    return field * min(1, steepest / max(change, 1e-12))


Undo = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray | float]]
"""Takes the probabilities of a changed copy (H, W) back to the image: (probability, weight of the vote a pixel)."""


def flip(rng: np.random.Generator, image: np.ndarray) -> tuple[np.ndarray, Undo]:
    """Left and right exchanged; undone exactly."""
    return image[:, ::-1], lambda probability: (probability[:, ::-1], 1)


def contrast(rng: np.random.Generator, image: np.ndarray, limit: float = 0.2) -> tuple[np.ndarray, Undo]:
    """Grey values spread around their mean by a factor of 0.8 to 1.2 (albumentations' limit)."""
    mean = image.mean()
    return _as_grey(mean + (image - mean) * (1 + rng.uniform(-limit, limit))), _in_place


def brightness(rng: np.random.Generator, image: np.ndarray, limit: float = 0.2) -> tuple[np.ndarray, Undo]:
    """Grey values shifted by up to a fifth of their range (albumentations' limit)."""
    return _as_grey(image + 255 * rng.uniform(-limit, limit)), _in_place


def _warped(make: Callable[[np.random.Generator, int, int], Warp]) -> Callable:
    def transform(rng: np.random.Generator, image: np.ndarray) -> tuple[np.ndarray, Undo]:
        warp = make(rng, *image.shape)
        return warp.forward(image), warp.backward

    transform.__doc__ = make.__doc__
    return transform


def _as_grey(values: np.ndarray) -> np.ndarray:
    return np.clip(np.round(values), 0, 255).astype(np.uint8)


def _in_place(probability: np.ndarray) -> tuple[np.ndarray, float]:
    return probability, 1


TRANSFORMS: dict[str, Callable[[np.random.Generator, np.ndarray], tuple[np.ndarray, Undo]]] = {
    "flip": flip,
    "contrast": contrast,
    "brightness": brightness,
    "crop": _warped(random_sized_crop),
    "elastic": _warped(elastic),
    "grid": _warped(grid_distortion),
    "optical": _warped(optical_distortion),
}
"""The deck's seven transforms by name: a generator and an image uint8 (H, W) → the changed image and how to undo it."""
