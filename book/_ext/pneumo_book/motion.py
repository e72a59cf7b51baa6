"""Data of the page on which training moves: one run of exp4, with its predictions after every epoch."""

import base64
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import torch

from pneumo_book.think import write_script
from pneumo_lib import runs, training
from pneumo_lib.data.preprocessing import resize_image
from pneumo_lib.evaluation import postprocessing
from pneumo_lib.evaluation.common_grid import CommonGridMaps, TrueMasks, enlarge
from pneumo_lib.evaluation.postprocessing import removal_grid
from pneumo_lib.evaluation.sweep import sweep
from pneumo_lib.model import unet, weights

SHOWN = {True: 4, False: 2}
"""How many validation images with and without a pneumothorax the page shows."""

LEVELS = np.arange(1, 16, dtype=np.float32) / 16
"""Probabilities are kept as the number of these that they exceed: B-TH 0.75 is one of them, so masks stay exact."""

QUALITY = 80
"""Of the WebP pictures, 0..100."""

SCORES = ("val_loss", "val_dsc", "val_positive_dsc", "val_stepwise_iou")


@dataclass(frozen=True)
class Moment:
    """The network at the end of an epoch, or after its weights were averaged (`epoch` is None).

    probability: float32 (N, H, W) in 0..1, of all validation images at the stage's size.
    train_loss: mean over the epoch; None for averaged weights.
    scores: by the names in `SCORES`, on all validation images at the experiment's B-TH.
    """

    stage: int
    epoch: int | None
    train_loss: float | None
    scores: dict[str, float]
    probability: np.ndarray


@dataclass(frozen=True)
class Recording:
    """A run and its moments, in order; `folder` holds the weights."""

    run: runs.Run
    folder: Path
    moments: list[Moment]


def record(run: runs.Run, folder: Path) -> Recording:
    """Trains a run from the beginning and keeps what it predicts on validation images; `folder` is replaced.

    Nothing is computed twice: a stage validates after every epoch and once more after averaging, and each time
    the network's outputs are kept.
    """
    shutil.rmtree(folder, ignore_errors=True)
    with _outputs() as outputs:
        trained = training.train(run.experiment, run.dataset, folder, run.seed)
    probability = iter(_passes(outputs, int((run.dataset.split == "validation").sum())))
    moments = []
    for number, stage in enumerate(trained.stages, 1):
        for row in trained.history.query("stage == @number").to_dict("records"):
            scores = {name: row[name] for name in SCORES}
            moments.append(Moment(number, row["epoch"], row["train_loss"], scores, next(probability)))
        scores = {name: stage["validation"][name] for name in SCORES}
        moments.append(Moment(number, None, None, scores, next(probability)))
    return Recording(run, folder, moments)


@contextmanager
def _outputs() -> Iterator[list[torch.Tensor]]:
    """The outputs of every U-Net that predicts within the block, in order; those of training are left out."""
    found = []

    def keep(module, inputs, output) -> None:
        if isinstance(module, unet.Network) and not module.training:
            found.append(output.detach().float().cpu())

    handle = torch.nn.modules.module.register_module_forward_hook(keep)
    try:
        yield found
    finally:
        handle.remove()


def _passes(outputs: list[torch.Tensor], images: int) -> list[np.ndarray]:
    """Logits (n, 1, H, W) of batches → probabilities (N, H, W) of each pass over all images."""
    passes, pending = [], []
    for batch in outputs:
        pending.append(batch)
        if sum(map(len, pending)) == images:
            passes.append(torch.sigmoid(torch.cat(pending))[:, 0].numpy())
            pending = []
    return passes


def predictor(recording: Recording) -> Callable[[np.ndarray], np.ndarray]:
    """The finished network with the thresholds of the highest mean DSC on validation: X-ray uint8 (H, W) → bool mask.

    The mask lies on the common grid.
    """
    experiment = recording.run.experiment
    network = weights.load(
        recording.folder / f"stage{len(experiment.stages)}.safetensors", unet.build(experiment, pretrained=False)
    ).eval()
    size = experiment.image_size
    truth = TrueMasks(recording.run.dataset.labels("validation", size))
    maps = CommonGridMaps(recording.moments[-1].probability)
    chosen = sweep(maps, truth, removal_thresholds=removal_grid()).best("dsc")

    @torch.inference_mode()
    def predict(xray: np.ndarray) -> np.ndarray:
        logits = network(unet.as_input(resize_image(xray, size)[None], experiment.channels))
        probability = torch.sigmoid(logits)[0, 0].numpy()
        return postprocessing.apply(enlarge(probability), chosen.binarization_threshold, chosen.removal_threshold)

    return predict


@dataclass(frozen=True)
class _Validation:
    images: np.ndarray
    masks: np.ndarray


def _validation(run: runs.Run, size: int) -> _Validation:
    part = run.dataset.part("validation", size)
    return _Validation(part.images[part.rows], part.masks[part.rows])


def write(path: Path, recording: Recording) -> None:
    """Writes the page's script."""
    write_script(path, "pneumoMotion", bundle(recording))


def bundle(recording: Recording) -> dict:
    """Everything the page needs, as plain values.

    Returns:
        `label`; `threshold`, B-TH; `baseline`, the empty prediction's mean DSC on the validation images; `images` and
        `positive`, how many there are; `size` of the pictures; `shown`, one dict per image: `picture` (data URL) and
        `truth` (bits, row by row, base64); `sizes`, of the stages; `epochs` of the stages; `moments`: `stage`, `epoch`,
        `train_loss` and `scores` as in `Moment`, `empty` and `missed`, how many masks of all and of the positive images
        are empty, and `levels`, a PNG (data URL) with the shown images side by side in which a grey value is 17 times
        the number of sixteenths that the probability exceeds.
    """
    experiment = recording.run.experiment
    data = _validation(recording.run, experiment.image_size)
    area = data.masks.reshape(len(data.masks), -1).sum(1)
    shown = pick(area)
    return {
        "label": f"Phantoms (synthetic X-rays); {experiment.name}, {recording.run.label}, validation images",
        "threshold": experiment.binarization_threshold,
        "baseline": float((area == 0).mean()),
        "images": len(area),
        "positive": int((area > 0).sum()),
        "size": experiment.image_size,
        "sizes": [stage.image_size for stage in experiment.stages],
        "epochs": [stage.epochs for stage in experiment.stages],
        "averaged": [experiment.averaging_window(stage) for stage in experiment.stages],
        "shown": [
            {
                "picture": _url(".webp", data.images[k], [cv2.IMWRITE_WEBP_QUALITY, QUALITY]),
                "truth": _bits(data.masks[k]),
            }
            for k in shown
        ],
        "moments": [_moment(one, shown, area > 0, experiment.binarization_threshold) for one in recording.moments],
    }


def pick(area: np.ndarray) -> list[int]:
    """The images shown: positive ones from the largest to the smallest area, evenly spread, then the first negative ones."""
    positive = np.flatnonzero(area)
    ordered = positive[np.argsort(-area[positive], kind="stable")]
    spread = np.linspace(0, len(ordered) - 1, min(SHOWN[True], len(ordered))).round().astype(int)
    return [*ordered[spread].tolist(), *np.flatnonzero(area == 0)[: SHOWN[False]].tolist()]


def _moment(one: Moment, shown: list[int], positive: np.ndarray, threshold: float) -> dict:
    empty = ~(one.probability > np.float32(threshold)).any((1, 2))
    levels = np.searchsorted(LEVELS, np.hstack(one.probability[shown]), side="left").astype(np.uint8)
    return {
        "stage": one.stage,
        "epoch": one.epoch,
        "train_loss": _rounded(one.train_loss),
        "scores": {name: _rounded(value) for name, value in one.scores.items()},
        "empty": int(empty.sum()),
        "missed": int((empty & positive).sum()),
        "levels": _url(".png", levels * 17, [cv2.IMWRITE_PNG_COMPRESSION, 9]),
    }


def _rounded(value: float | None) -> float | None:
    return None if pd.isna(value) else round(value, 4)


def _url(kind: str, image: np.ndarray, options: list[int]) -> str:
    _, encoded = cv2.imencode(kind, image, options)
    return f"data:image/{kind[1:]};base64,{base64.b64encode(encoded.tobytes()).decode()}"


def _bits(mask: np.ndarray) -> str:
    return base64.b64encode(np.packbits(mask.astype(bool)).tobytes()).decode()
