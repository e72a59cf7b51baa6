"""Validation scores on the common grid after every epoch, comparable between networks of different image sizes."""

import math
from collections.abc import Sequence

import lightning.pytorch as lightning
import numpy as np
import torch
from torch.nn import functional

from pneumo_lib import metrics
from pneumo_lib.data import preprocessing, siim
from pneumo_lib.data.dataset import Dataset
from pneumo_lib.model import distributed

GRID = 512
"""Side in pixels of the grid, the deck's."""
THRESHOLD = 0.5
"""Binarization threshold of the curve, set in the plan of the studies; nothing is removed."""


def truth(data: Dataset, name: str, size: int, side: int = GRID) -> np.ndarray:
    """True masks of a subset on the common grid, bool (N, side, side).

    Args:
        data: the data set.
        name: "train", "validation" or "test".
        size: any prepared image size; it gives the order of the images.
        side: of the grid, in pixels.
    """
    part = data.part(name, size)
    if getattr(data, "index", None) is None:
        # A data set of arrays alone.
        return np.stack([preprocessing.resize_mask(np.asarray(part.masks[row]) > 0, side) for row in part.rows]) > 0
    images = part.index["image_id"]
    rows = {row.image_id: row for row in data.index.itertuples() if row.labelled}
    masks = np.zeros((len(images), side, side), bool)
    for number, image_id in enumerate(images):
        mask = siim.read_mask(rows[image_id])
        if mask.any():
            masks[number] = preprocessing.resize_mask(mask, side)
    return masks


class CommonGrid(lightning.Callback):
    """Logs mean DSC (`grid_dsc`) and positive-only DSC (`grid_positive_dsc`) of the validation images on the common grid.

    The network's probabilities are resized bilinearly and binarized at `THRESHOLD`; no component is removed.
    """

    def __init__(self, packed: np.ndarray, batches: Sequence[Sequence[int]]):
        """packed: true masks as bits, uint8 (N, S, S / 8). batches: the positions of the images in each batch."""
        self.packed, self.batches = packed, batches

    @classmethod
    def of(cls, data: Dataset, size: int, batches: Sequence[Sequence[int]]) -> "CommonGrid":
        """For a data set's validation images at `size` pixels, in these batches."""
        return cls(np.packbits(truth(data, "validation", size), axis=-1), batches)

    def on_validation_epoch_start(self, trainer, pl_module) -> None:
        self._counts: list[torch.Tensor] = []

    @torch.no_grad()
    def on_validation_batch_end(self, trainer, pl_module, outputs, batch, batch_idx, dataloader_idx=0) -> None:
        bits = np.unpackbits(self.packed[list(self.batches[batch_idx])], axis=-1)
        true = torch.from_numpy(bits).to(outputs.device).bool()
        side = true.shape[-1]
        resized = functional.interpolate(outputs.float(), (side, side), mode="bilinear", align_corners=False)
        predicted = resized[:, 0] > THRESHOLD
        self._counts.append(torch.stack([m.flatten(1).sum(1) for m in (predicted, true, predicted & true)]))

    def on_validation_epoch_end(self, trainer, pl_module) -> None:
        found = distributed.all_gather(torch.cat(self._counts, dim=1).cpu().numpy())
        counts = np.concatenate(found, axis=1)
        dsc, positive = metrics.dsc_from_counts(*counts), counts[1] > 0
        pl_module.log("grid_dsc", float(dsc.mean()))
        pl_module.log("grid_positive_dsc", float(dsc[positive].mean()) if positive.any() else math.nan)
