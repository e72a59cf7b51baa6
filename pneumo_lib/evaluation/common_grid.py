"""The grid on which everything is scored: 512 x 512 pixels, the deck's, whatever size a network predicts at.

Maps and masks are brought to it one at a time, so memory does not grow with the number of images.
"""

from collections.abc import Iterator, Sequence

import cv2
import numpy as np
import pandas as pd

from pneumo_lib.data import siim
from pneumo_lib.data.preprocessing import resize_mask
from pneumo_lib.published import DECK_GRID


def enlarge(probability: np.ndarray) -> np.ndarray:
    """A probability map (H, W) on the common grid: float32 (512, 512) in 0..1, bilinear between pixel centres.

    Source: our choice. The deck tests all pipelines at 512 pixels, so it has no need to resize.
    """
    probability = np.asarray(probability, np.float32)
    if probability.shape == (DECK_GRID, DECK_GRID):
        return probability
    method = cv2.INTER_AREA if probability.shape[0] > DECK_GRID else cv2.INTER_LINEAR
    # Rounding may leave the range by one part in ten million.
    return np.clip(cv2.resize(probability, (DECK_GRID, DECK_GRID), interpolation=method), 0, 1)


class CommonGridMaps(Sequence):
    """Probability maps (N, h, w), each enlarged when it is asked for: items are float32 (512, 512), slices (n, 512, 512)."""

    dtype = np.dtype(np.float32)

    def __init__(self, probability: np.ndarray):
        self.probability = probability
        self.shape = (len(probability), DECK_GRID, DECK_GRID)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, n):
        if isinstance(n, int | np.integer):
            return enlarge(self.probability[n])
        rows = np.arange(len(self))[n]
        return np.stack([self[row] for row in rows]) if len(rows) else np.empty((0, *self.shape[1:]), np.float32)

    def __iter__(self) -> Iterator[np.ndarray]:
        return (enlarge(one) for one in self.probability)


class TrueMasks(Sequence):
    """The true masks of labelled images on the common grid: items are bool (512, 512), slices bool (n, 512, 512).

    A pixel is on where at least half of its area is, counted in the challenge's own mask of 1024 x 1024 pixels, so all
    pipelines and profiles are scored against the same masks. Masks that were asked for are kept, one bit per pixel.

    Args:
        index: rows of `siim.load_index`, all labelled.

    Raises:
        SiimError: an image without a label, when it is asked for.
    """

    dtype = np.dtype(bool)

    def __init__(self, index: pd.DataFrame):
        self.rows = list(index.itertuples(index=False))
        self.shape = (len(self.rows), DECK_GRID, DECK_GRID)
        self.kept: dict[int, np.ndarray] = {}

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, n):
        if isinstance(n, int | np.integer):
            return self._one(int(n) % len(self) if n < 0 else int(n))
        rows = np.arange(len(self))[n]
        return np.stack([self._one(int(row)) for row in rows]) if len(rows) else np.empty((0, *self.shape[1:]), bool)

    def __iter__(self) -> Iterator[np.ndarray]:
        return (self._one(n) for n in range(len(self)))

    def _one(self, n: int) -> np.ndarray:
        if n >= len(self.rows):
            raise IndexError(n)
        if n not in self.kept:
            # Most images are negative: these are not decoded.
            row = self.rows[n]
            mask = siim.read_mask(row)
            small = resize_mask(mask.astype(np.uint8), DECK_GRID) if mask.any() else np.zeros(self.shape[1:], bool)
            self.kept[n] = np.packbits(small.astype(bool))
        return np.unpackbits(self.kept[n], count=DECK_GRID**2).reshape(self.shape[1:]).view(bool)

    def any_pixel(self) -> np.ndarray:
        """bool (N,), the images with a true pixel on the grid."""
        return np.array([mask.any() for mask in self], bool)
