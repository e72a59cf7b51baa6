"""Validation scores along a training, on one grid for every image size: 512 x 512 pixels, binarization threshold 0.5."""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch.nn import functional

from pneumo_lib.data import preprocessing, rle
from pneumo_lib.data.dataset import Subset

DECK_GRID = 512

THRESHOLD = 0.5


class GridTruth:
    """True masks of a subset on the grid, one bit a pixel.

    Args:
        part: the images.
        codes: image id → its mask as run-length codes at 1024 pixels, to be resized by area; images without: the subset's
            own masks, enlarged.
    """

    def __init__(self, part: Subset, codes: Mapping[str, Sequence[str]] | None = None, side: int = DECK_GRID):
        self.side = side
        self._packed = []
        for position, image_id in enumerate(part.index["image_id"]):
            found = (codes or {}).get(image_id)
            mask = rle.decode(found, image_id=image_id) if found else np.asarray(part.masks[part.rows[position]]) > 0
            self._packed.append(np.packbits(preprocessing.resize_mask(mask, side)))

    def __getitem__(self, position: int) -> np.ndarray:
        """bool (side, side)."""
        bits = np.unpackbits(self._packed[position], count=self.side**2)
        return bits.reshape(self.side, self.side).view(bool)


def counts(logits: torch.Tensor, positions: torch.Tensor, truth: GridTruth) -> torch.Tensor:
    """Predicted, true and common pixels on the grid, int64 (3, N), of logits float (N, 1, H, W) at any size."""
    probability = torch.sigmoid(logits)
    found = []
    for one, position in zip(probability, positions.tolist(), strict=True):
        # Image by image, so that a batch of small maps takes no memory of large ones.
        enlarged = functional.interpolate(one[None], (truth.side, truth.side), mode="bilinear", align_corners=False)
        predicted = enlarged[0, 0] > THRESHOLD
        true = torch.from_numpy(truth[position]).to(predicted.device)
        found.append(torch.stack([mask.sum() for mask in (predicted, true, predicted & true)]))
    return torch.stack(found, dim=1)
