"""Loading of a trained model for prediction, and its probability maps, streamed into one file."""

import contextlib
import copy
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.fx.experimental.optimization import fuse
from torch.fx.proxy import TraceError
from tqdm import tqdm

from pneumo_lib import paths
from pneumo_lib.atomic import replacing
from pneumo_lib.errors import StepError
from pneumo_lib.evaluation import tta
from pneumo_lib.evaluation.postprocessing import read_thresholds
from pneumo_lib.model import weights


class InferenceNetwork(nn.Module):
    """A copy of a network with batch normalisation folded into the convolutions and pixels in channels-last order.

    Folding uses the running statistics, so it holds for prediction only. Where a network's control flow depends on its
    input it cannot be folded; the copy then differs in the order of the pixels alone.

    Args:
        model: the network; left as it is. Needs the attribute `channels`.
        bfloat16: compute in bfloat16, for GPUs; probabilities then move by some 0.01. Otherwise they differ by rounding,
            less than 0.001 (a test).

    Shape:
        As the network: float32 (N, channels, H, W) → logits float32 (N, 1, H, W).
    """

    def __init__(self, model: nn.Module, bfloat16: bool = False):
        super().__init__()
        self.channels = model.channels
        self.bfloat16 = bfloat16
        model = copy.deepcopy(model).eval()
        with contextlib.suppress(TraceError):
            model = fuse(model)
        self.model = model.to(memory_format=torch.channels_last)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x.contiguous(memory_format=torch.channels_last)
        with torch.autocast(x.device.type, torch.bfloat16, enabled=self.bfloat16):
            return self.model(x).float()


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
        fast: run `InferenceNetwork`, a copy of the model that gives the same up to rounding.

    Returns:
        Read-only memory map (N, H, W).

    Raises:
        TtaError: as in `tta.predict`.
        WriteError: the disk is full, or the folder cannot be written to.
    """
    maps = tta.stream(InferenceNetwork(model) if fast else model, images, transforms, batch_size, seed, device)
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


@dataclass(frozen=True)
class TrainedModel:
    """Everything that prediction needs.

    network: arranged for prediction, see `InferenceNetwork`.
    name: of the experiment.
    image_size: side in pixels of the network's input and of its maps.
    binarization_threshold, removal_threshold: B-TH, and R-TH in pixels of the common 512 x 512 grid (under rule "triplet" a
        pair).
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


def load_model(
    folder: str | os.PathLike,
    binarization_threshold: float | None = None,
    removal_threshold: int | None = None,
    device: torch.device | str | None = None,
) -> TrainedModel:
    """The model of a run's folder, or of a folder that holds an exported `.safetensors` file.

    Args:
        folder: with the weights of the last stage and `thresholds.json` (written by the sweep).
        binarization_threshold, removal_threshold: instead of those of `thresholds.json`, which is not needed if both
            are given. A removal threshold given here is one of rule "component".
        device: None: the GPU if there is one.

    Raises:
        StepError: no folder, no weights, training that stopped before its last stage, or no thresholds, and says how to
            get them; thresholds that are none.
        WeightsError: a damaged file.
    """
    folder = paths.given(folder)
    path = last_stage(folder)
    experiment = weights.metadata(path)["settings"]["experiment"]
    device = device or ("cuda" if torch.cuda.is_available() else "cpu")
    chosen = _thresholds(folder, binarization_threshold, removal_threshold)
    return TrainedModel(
        network=InferenceNetwork(weights.load_network(path)).to(device),
        name=experiment["name"],
        image_size=experiment["stages"][-1]["image_size"],
        binarization_threshold=chosen["binarization_threshold"],
        removal_threshold=chosen["removal_threshold"],
        transforms=tuple(chosen.get("transforms", ("flip",))),
        rule=chosen["rule"],
    )


def last_stage(folder: Path) -> Path:
    """The weights file of the last stage of a finished training in a folder.

    Raises:
        StepError: there is none, or training stopped before its last stage.
        WeightsError: a damaged file.
    """
    found = sorted(folder.glob("stage*.safetensors")) or sorted(folder.glob("*.safetensors"))
    if not found:
        raise StepError(
            f"no trained model (*.safetensors) in {folder}; train one, for example with "
            "papermill notebooks/train.ipynb runs/exp4.ipynb -p exp exp4, and pass its run folder."
        )
    path = found[-1]
    try:
        settings = weights.metadata(path)["settings"]
        experiment, stage = settings["experiment"], settings["stage"]
    except (KeyError, TypeError) as error:
        raise StepError(f"{path} does not say which experiment it belongs to; train it with this package.") from error
    if stage < len(experiment["stages"]):
        raise StepError(f"{folder} holds the first of two stages only; finish the training of {experiment['name']}.")
    return path


def _thresholds(folder: Path, binarization_threshold: float | None, removal_threshold: int | None) -> dict:
    """Thresholds, rule and augmentation: those given, the rest from the sweep's file."""
    given = {}
    if binarization_threshold is not None:
        if not 0 <= binarization_threshold <= 1:
            raise StepError(f"the binarization threshold must be from 0 to 1, not {binarization_threshold}.")
        given["binarization_threshold"] = binarization_threshold
    if removal_threshold is not None:
        if removal_threshold < 0:
            raise StepError(f"the minimum component area (R-TH) must be 0 pixels or more, not {removal_threshold}.")
        given |= {"removal_threshold": removal_threshold, "rule": "component"}
    if binarization_threshold is not None and removal_threshold is not None:
        return given
    path = folder / "thresholds.json"
    if not path.is_file():
        raise StepError(
            f"{folder} has no thresholds.json; run notebooks/sweep.ipynb for this model, or give both thresholds."
        )
    chosen, transforms = read_thresholds(path)
    return chosen._asdict() | {"transforms": transforms} | given
