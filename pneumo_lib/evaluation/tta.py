"""Test-time augmentation: the mean prediction over an image and changed copies of it (the deck, phase 3)."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import nn

from pneumo_lib.errors import TtaError
from pneumo_lib.evaluation.transforms import TRANSFORMS
from pneumo_lib.model.unet import as_input


def predict(
    model: nn.Module,
    images: np.ndarray,
    transforms: Iterable[str] = ("flip",),
    batch_size: int = 5,
    seed: int = 0,
    device: torch.device | str | None = None,
) -> np.ndarray:
    """Mean probability of a pneumothorax over each image and its changed copies.

    Args:
        model: maps float32 (n, model.channels, H, W) in 0..1 to logits (n, 1, H, W).
        images: uint8 (N, H, W), an array or a memory map.
        transforms: names out of `TRANSFORMS`; the unchanged image always votes too, so () is no augmentation.
        batch_size: images a forward pass; 5 in the deck.
        seed: of the random transforms. What an image meets depends on the seed, its number and the transform alone,
            not on the batch or the other transforms.
        device: where to run; the model is moved there. None: where the model is.

    Returns:
        float32 (N, H, W) in 0..1.

    Raises:
        TtaError: an unknown transform, or images that are not uint8 (N, H, W).

    Differs from the paper: nothing is said there on how a moved prediction is put back. Here every geometric transform
    is undone before the mean, and a pixel that a copy does not show gets no vote from it.
    """
    result = np.empty(np.shape(images), np.float32)
    for n, probability in enumerate(stream(model, images, transforms, batch_size, seed, device)):
        result[n] = probability
    return result


def stream(
    model: nn.Module,
    images: np.ndarray,
    transforms: Iterable[str] = ("flip",),
    batch_size: int = 5,
    seed: int = 0,
    device: torch.device | str | None = None,
) -> Iterator[np.ndarray]:
    """As `predict`, one map float32 (H, W) after the other; memory does not depend on the number of images."""
    transforms = _checked(images, transforms, batch_size)
    device = torch.device(device) if device is not None else next(model.parameters()).device
    model.to(device)
    for start in range(0, len(images), batch_size):
        batch = np.asarray(images[start : start + batch_size])
        yield from mean_of_batch(model, batch, transforms, seed, start, device)


def mean_of_batch(
    model: nn.Module, batch: np.ndarray, transforms: Iterable[str], seed: int, start: int, device: torch.device
) -> np.ndarray:
    """The mean over the images of a batch, uint8 (n, H, W), and their changed copies; float32 (n, H, W).

    `start` is the number of the batch's first image: the random transforms of an image depend on its number.
    """
    total = plain(model, batch, device)
    votes = np.ones_like(total)
    for name in transforms:
        probability, weight = vote(model, batch, name, seed, start, device)
        total += probability * weight
        votes += weight
    return total / votes


def vote(
    model: nn.Module, batch: np.ndarray, name: str, seed: int, start: int, device: torch.device
) -> tuple[np.ndarray, np.ndarray]:
    """What one transform adds: probabilities of the changed copies, put back, and each pixel's weight; (n, H, W) both."""
    number = list(TRANSFORMS).index(name)
    changed = [
        TRANSFORMS[name](np.random.default_rng([seed, start + i, number]), image) for i, image in enumerate(batch)
    ]
    predicted = plain(model, np.stack([image for image, _ in changed]), device)
    weight = np.empty_like(predicted)
    for i, (_, undo) in enumerate(changed):
        predicted[i], weight[i] = undo(predicted[i].copy())
    return predicted, weight


def plain(model: nn.Module, images: np.ndarray, device: torch.device) -> np.ndarray:
    """Probabilities float32 (n, H, W) of images uint8 (n, H, W), in one forward pass and without augmentation."""
    with evaluating(model), torch.inference_mode():
        logits = model(as_input(images, model.channels, device))
        return torch.sigmoid(logits.float())[:, 0].cpu().numpy()


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """The model in evaluation mode (batch normalisation with its running statistics), each part put back after."""
    training = [part for part in model.modules() if part.training]
    model.eval()
    try:
        yield
    finally:
        for part in training:
            part.training = True


def _checked(images: np.ndarray, transforms: Iterable[str], batch_size: int) -> list[str]:
    transforms = [transforms] if isinstance(transforms, str) else list(transforms)
    for name in transforms:
        if name not in TRANSFORMS:
            raise TtaError(f"unknown transform {name!r}; choose from {', '.join(TRANSFORMS)}.")
    if np.ndim(images) != 3 or images.dtype != np.uint8:
        raise TtaError(f"images is {getattr(images, 'dtype', '?')} {np.shape(images)}; pass uint8 (N, H, W).")
    if batch_size < 1:
        raise TtaError(f"batch_size is {batch_size}; pass 1 or more.")
    return transforms
