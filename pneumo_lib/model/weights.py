"""Weights: what training starts from, and what it leaves: safetensors with their configuration, nothing unpickled."""

import hashlib
import json
import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save
from torch import nn

from pneumo_lib import atomic, paths
from pneumo_lib.errors import WeightsError
from pneumo_lib.experiments import Experiment
from pneumo_lib.model import onnx_export, unet

_FIRST = "conv1.weight"


def write(path: Path, model: nn.Module, about: dict) -> None:
    """Writes the network's weights, and `about` (plain values) in the file's header."""
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()}
    with atomic.replacing(path) as temporary:
        temporary.write_bytes(save(tensors, metadata={"about": json.dumps(about), "format": "pt"}))


def metadata(path: Path) -> dict:
    """What `write` was told about the weights.

    Raises:
        WeightsError: not a weights file of this package.
    """
    try:
        with safe_open(path, framework="pt") as file:
            return json.loads((file.metadata() or {})["about"])
    except (OSError, SafetensorError, KeyError, json.JSONDecodeError) as error:
        raise WeightsError(
            f"{paths.shown(path)} is no weights file written by this package ({error}); train it again."
        ) from error


def load(path: Path, model: nn.Module) -> nn.Module:
    """Puts the weights of a file into `model` and returns it.

    Raises:
        WeightsError: missing, damaged, or of a network with other layers or channels.
    """
    state = _read(path)
    try:
        model.load_state_dict(state)
    except RuntimeError as error:
        raise WeightsError(
            f"{paths.shown(path)} holds weights of another network; check the experiment's channels."
        ) from error
    return model


def load_pretrained(path: Path, model: nn.Module) -> nn.Module:
    """Puts weights to start training from into `model`: those of the whole network, or of a ResNet34 encoder alone.

    Accepted names: the network's own (`encoder.*`, `decoder.*`, `segmentation_head.*`, as `write` writes them) or the
    encoder's, with `encoder.` before them or not (`conv1.weight`, `layer1.0.bn1.bias`, ..., as torchvision and
    segmentation-models-pytorch have them); a classifier, `fc.*`, is left out. Three input channels are summed where the
    network has one, as `unet.build` does.

    Raises:
        WeightsError: missing, damaged, or other names or shapes.
    """
    state = {name.removeprefix("encoder."): tensor for name, tensor in _read(path).items()}
    whole = any(name.startswith("decoder.") for name in state)
    state = {name: tensor for name, tensor in state.items() if not name.startswith("fc.")}
    first = state.get(_FIRST)
    if first is not None and first.ndim == 4 and first.shape[1] == 3 and model.channels == 1:
        state[_FIRST] = first.sum(1, keepdim=True)
    outside = ("decoder.", "segmentation_head.")
    try:
        if whole:
            model.load_state_dict({n if n.startswith(outside) else f"encoder.{n}": t for n, t in state.items()})
        else:
            model.encoder.load_state_dict(state)
    except RuntimeError as error:
        raise WeightsError(
            f"{paths.shown(path)} holds neither the weights of this network (encoder.*, decoder.*, segmentation_head.*) "
            f"nor those of a {unet.ENCODER} encoder (conv1.weight, layer1.0.conv1.weight, ...), in its shapes."
        ) from error
    return model


def export(source, folder: Path, onnx: bool = False) -> Path:
    """Weights as segmentation-models-pytorch keeps them, for `smp.from_pretrained(folder)` and for this package alike.

    Args:
        source: a run, or a weights file of this package; thresholds chosen beside it come along.
        folder: gets `model.safetensors` and `config.json`.
        onnx: also write `model.onnx`, see `onnx_export.write_onnx`.

    Raises:
        WeightsError: see `metadata`, `load` and `onnx_export.write_onnx`.
    """
    path, folder = Path(getattr(source, "final_weights", source)), Path(folder)
    found = metadata(path)
    channels = found["settings"]["experiment"]["channels"]
    model = load(path, unet.build(SimpleNamespace(channels=channels), pretrained=False))
    if onnx:
        onnx_export.write_onnx(folder / "model.onnx", model)
    write(folder / "model.safetensors", model, found)
    atomic.write_json(folder / "config.json", model.config | {"_model_class": type(model).__name__})
    thresholds = path.with_name("thresholds.json")
    if thresholds.is_file():
        with atomic.replacing(folder / thresholds.name) as temporary:
            shutil.copyfile(thresholds, temporary)
    return folder


def _read(path: Path) -> dict[str, torch.Tensor]:
    try:
        return load_file(path)
    except FileNotFoundError as error:
        raise WeightsError(f"{paths.shown(path)} is missing; train the experiment first.") from error
    except (OSError, SafetensorError) as error:
        raise WeightsError(f"{paths.shown(path)} is damaged ({error}); delete it and train again.") from error


@dataclass(frozen=True)
class InitialWeights:
    """Initial weights of the first stage.

    encoder: "imagenet" or `None`, random, as `Experiment.encoder_weights`.
    file: safetensors with weights of the encoder or of the whole network, instead.
    """

    encoder: str | None = None
    file: Path | None = None

    @property
    def title(self) -> str:
        """As a plan shows it."""
        return f"weights: {self.file.name}" if self.file else f"encoder: {self.encoder or 'random'}"

    def settings(self, experiment: Experiment) -> dict:
        """What sets a run's weights apart from the experiment's own; empty where they are those.

        The experiment itself stays as the registry has it, so that a record of the run can still be compared with it.
        """
        if self.file:
            with self.file.open("rb") as file:
                return {"weights": {"file": self.file.name, "sha256": hashlib.file_digest(file, "sha256").hexdigest()}}
        return {} if self.encoder == experiment.encoder_weights else {"weights": self.encoder or "none"}

    def build(self, experiment: Experiment) -> nn.Module:
        """The network, see `unet.build`, with these weights.

        Raises:
            WeightsError: they cannot be had, or are another network's.
        """
        model = unet.build(replace(experiment, encoder_weights=self.encoder))
        return load_pretrained(self.file, model) if self.file else model
