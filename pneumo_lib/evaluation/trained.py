"""A trained model in a folder: its network, the size it works at and the thresholds chosen for it."""

import os
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import torch
from torch import nn

from pneumo_lib import paths
from pneumo_lib.errors import PneumoError
from pneumo_lib.evaluation.fast import Fast
from pneumo_lib.evaluation.sweep_result import read_choice
from pneumo_lib.model import unet, weights


class ModelError(PneumoError):
    """A folder without a finished model or without its thresholds."""


@dataclass(frozen=True)
class Trained:
    """What it takes to predict.

    network: arranged for prediction, see `fast.Fast`.
    name: of the experiment.
    image_size: side in pixels of the network's input and of its maps.
    binarization_threshold, removal_threshold: B-TH, and R-TH in pixels of a map (under rule "triplet" a pair).
    rule: see `sweep.sweep`.
    transforms: the test-time augmentation that the thresholds were chosen with.
    """

    network: nn.Module
    name: str
    image_size: int
    binarization_threshold: float
    removal_threshold: int | tuple[float, int]
    transforms: tuple[str, ...]
    rule: str = "component"


def load(
    folder: str | os.PathLike,
    binarization_threshold: float | None = None,
    removal_threshold: int | None = None,
    device: torch.device | str | None = None,
) -> Trained:
    """The model of a run's folder, or of a folder that holds an exported `.safetensors` file.

    Args:
        folder: with the weights of the last stage and `thresholds.json` (written by the sweep).
        binarization_threshold, removal_threshold: instead of those of `thresholds.json`, which is not needed if both
            are given. A removal threshold given here is one of rule "component".
        device: None: the GPU if there is one.

    Raises:
        ModelError: no folder, no weights, training that stopped before its last stage, or no thresholds, and says how to
            get them; thresholds that are none.
        WeightsError: a damaged file.
    """
    folder = paths.given(folder)
    path = _last_stage(folder)
    try:
        settings = weights.about(path)["settings"]
        experiment, stage = settings["experiment"], settings["stage"]
    except (KeyError, TypeError) as error:
        raise ModelError(f"{path} does not say which experiment it is of; train it with this package.") from error
    if stage == 1 and experiment["stage2"]:
        raise ModelError(f"{folder} holds the first of two stages only; finish the training of {experiment['name']}.")
    network = unet.build(SimpleNamespace(channels=experiment["channels"]), pretrained=False)
    device = device or ("cuda" if torch.cuda.is_available() else "cpu")
    chosen = _thresholds(folder, binarization_threshold, removal_threshold)
    return Trained(
        network=Fast(weights.load(path, network)).to(device),
        name=experiment["name"],
        image_size=experiment[f"stage{stage}"]["image_size"],
        binarization_threshold=chosen["binarization_threshold"],
        removal_threshold=chosen["removal_threshold"],
        transforms=tuple(chosen.get("transforms", ("flip",))),
        rule=chosen["rule"],
    )


def _last_stage(folder: Path) -> Path:
    found = sorted(folder.glob("stage*.safetensors")) or sorted(folder.glob("*.safetensors"))
    if not found:
        raise ModelError(
            f"{folder} holds no trained model (*.safetensors); train one, for example with "
            "papermill notebooks/train.ipynb runs/exp4.ipynb -p exp exp4, and pass its run folder."
        )
    return found[-1]


def _thresholds(folder: Path, binarization_threshold: float | None, removal_threshold: int | None) -> dict:
    """Thresholds, rule and augmentation: those given, the rest from the sweep's file."""
    given = {}
    if binarization_threshold is not None:
        if not 0 <= binarization_threshold <= 1:
            raise ModelError(f"binarization threshold {binarization_threshold} is none; give a number from 0 to 1.")
        given["binarization_threshold"] = binarization_threshold
    if removal_threshold is not None:
        if removal_threshold < 0:
            raise ModelError(f"removal threshold {removal_threshold} is none; give a number of pixels, 0 or more.")
        given |= {"removal_threshold": removal_threshold, "rule": "component"}
    if binarization_threshold is not None and removal_threshold is not None:
        return given
    path = folder / "thresholds.json"
    if not path.is_file():
        raise ModelError(
            f"{folder} has no thresholds.json; run notebooks/sweep.ipynb for this model, or give both thresholds."
        )
    chosen, transforms = read_choice(path)
    return chosen._asdict() | {"transforms": transforms} | given
