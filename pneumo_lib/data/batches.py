"""Batches for training: shuffled and augmented as a function of seed, stage, epoch and image alone.

Neither the number of loader workers nor an interruption changes what an epoch sees.
"""

from collections.abc import Iterator

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset, Sampler

from pneumo_lib.data import augmentation
from pneumo_lib.data.dataset import Subset
from pneumo_lib.hardware import affordable_workers, usable_cores

Key = tuple[int, int]
_AHEAD = 4
"""Batches that a loader process prepares ahead."""


def used_images(n_images: int, batch_size: int, world: int = 1) -> int:
    """Images an epoch, of all processes: whole batches, see `EpochOrder`."""
    return n_images - n_images % (batch_size if n_images >= batch_size else world)


class EpochOrder(Sampler[Key]):
    """(epoch, position) in an order of its own for each epoch; Lightning calls `set_epoch`.

    An incomplete last batch is left out of an epoch unless it is the only one. (Our choice: its batch norm statistics would
    come from few images, and the shuffle leaves out others each time.) Several processes share out each batch.

    Attributes:
        used: images per epoch, of all processes.
    """

    def __init__(self, n_images: int, batch_size: int, seed: int, stage: int, rank: int = 0, world: int = 1):
        self.n_images, self.seed, self.stage, self.rank, self.world, self.epoch = n_images, seed, stage, rank, world, 0
        self.used = used_images(n_images, batch_size, world)

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def __len__(self) -> int:
        return self.used // self.world

    def __iter__(self) -> Iterator[Key]:
        order = np.random.default_rng((self.seed, self.stage, self.epoch)).permutation(self.n_images)
        return iter([(self.epoch, int(position)) for position in order[self.rank : self.used : self.world]])


class TrainingImages(Dataset):
    """Augmented image and mask, uint8 (1, H, W) each, for a key (epoch, position)."""

    def __init__(self, part: Subset, seed: int, stage: int, strength: float = 1.0, listed: str = "full"):
        self.part, self.seed, self.stage = part, seed, stage
        self.augment = augmentation.training(part.images.shape[-1], strength, listed)

    def __getitem__(self, key: Key) -> tuple[torch.Tensor, torch.Tensor]:
        epoch, position = key
        row = self.part.rows[position]
        state = np.random.SeedSequence((self.seed, self.stage, epoch, position)).generate_state(1)
        self.augment.set_random_seed(int(state[0]))
        out = self.augment(image=np.array(self.part.images[row]), mask=np.array(self.part.masks[row]))
        return torch.from_numpy(out["image"])[None], torch.from_numpy(out["mask"])[None]


class PlainImages(Dataset):
    """Image and mask as they are, uint8 (1, H, W) each, for a position in the subset."""

    def __init__(self, part: Subset):
        self.part = part

    def __len__(self) -> int:
        return len(self.part)

    def __getitem__(self, position: int) -> tuple[torch.Tensor, torch.Tensor]:
        row = self.part.rows[position]
        image, mask = (torch.from_numpy(np.array(array[row]))[None] for array in (self.part.images, self.part.masks))
        return image, mask


def training_loader(
    part: Subset,
    batch_size: int,
    seed: int,
    stage: int,
    workers: int,
    strength: float = 1.0,
    listed: str = "full",
    rank: int = 0,
    world: int = 1,
    accumulate: int = 1,
) -> DataLoader:
    """Shuffled, augmented batches, see `EpochOrder`.

    Args:
        batch_size: images an optimiser step, of all processes and all accumulated passes together.
        workers: loader processes.
        strength, listed: of the augmentation, see `augmentation.training`.
        rank, world: which process of how many this is.
        accumulate: forward passes an optimiser step.
    """
    passed = batch_size // (world * accumulate)
    side = part.images.shape[-1]
    return DataLoader(
        TrainingImages(part, seed, stage, strength, listed),
        batch_size=passed,
        sampler=EpochOrder(len(part), batch_size, seed, stage, rank, world),
        # An image and its mask, one byte per pixel each.
        **_worker_options(affordable_workers(workers, 2 * passed * side * side * world, _AHEAD)),
    )


def validation_loader(part: Subset, batch_size: int, rank: int = 0, world: int = 1) -> DataLoader:
    """Plain batches in the order of the subset; several processes take turns, and each has one at least."""
    size = max(1, min(batch_size, len(part) // world))
    batches = [list(range(first, min(first + size, len(part)))) for first in range(0, len(part), size)]
    return DataLoader(PlainImages(part), batch_sampler=batches[rank::world])


def default_workers(device: str) -> int:
    """Loader processes: enough to keep a GPU fed; one if the CPU trains."""
    cores = usable_cores()
    return max(1, min(cores - 1, 16)) if device == "cuda" else min(1, cores - 1)


def _worker_options(workers: int) -> dict:
    if workers == 0:
        return {"num_workers": 0}
    return {
        "num_workers": workers,
        "persistent_workers": True,
        "prefetch_factor": _AHEAD,
        "pin_memory": torch.cuda.is_available(),
        "worker_init_fn": _one_thread,
    }


def _one_thread(worker: int) -> None:
    # The training process has the cores; OpenCV's own threads in every worker would fight over them.
    import cv2

    cv2.setNumThreads(0)
