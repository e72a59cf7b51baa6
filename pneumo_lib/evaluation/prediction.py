"""Probability maps of a whole data set, streamed into one file."""

import os
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import torch
from torch import nn
from tqdm import tqdm

from pneumo_lib.atomic import replacing
from pneumo_lib.evaluation import tta
from pneumo_lib.evaluation.fast import Fast


def predict_to(
    path: str | os.PathLike,
    model: nn.Module,
    images: np.ndarray,
    transforms: Iterable[str] = ("flip",),
    batch_size: int = 5,
    seed: int = 0,
    device: torch.device | str | None = None,
    dtype: type = np.float32,
    progress: bool = True,
    fast: bool = True,
) -> np.ndarray:
    """Writes the mean probability of every image into a .npy file and opens it.

    The file appears under its name only when it is whole; an interrupted run leaves nothing there. Memory does not
    depend on the number of images.

    Args:
        path: of the file; replaced if it exists.
        model, images, transforms, batch_size, seed, device: as in `tta.predict`.
        dtype: float32, or float16 for half the space; float16 resolves 0.0005 around 0.5 to 1, half of the deck's
            step of the binarization threshold.
        progress: a bar on stderr.
        fast: run `fast.Fast`, a copy of the model that gives the same up to rounding.

    Returns:
        Read-only memory map (N, H, W).

    Raises:
        TtaError: as in `tta.predict`.
        WriteError: the disk is full, or the folder cannot be written to.
    """
    maps = tta.stream(Fast(model) if fast else model, images, transforms, batch_size, seed, device)
    header = {
        "descr": np.lib.format.dtype_to_descr(np.dtype(dtype)),
        "fortran_order": False,
        "shape": tuple(images.shape),
    }
    # Written plainly: on a full disk a write ends with an error, writing into a memory map with the end of the process.
    with replacing(Path(path)) as temporary, temporary.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, header)
        for probability in tqdm(maps, "predict", len(images), unit="image", disable=not progress):
            file.write(np.ascontiguousarray(probability, dtype).data)
    return np.load(path, mmap_mode="r")
