"""Initial and trained weights: safetensors files with their configuration; nothing is unpickled."""

import hashlib
import json
import shutil
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save
from torch import nn

from pneumo_lib import atomic, paths
from pneumo_lib.errors import WeightsError
from pneumo_lib.experiments import Experiment
from pneumo_lib.model import fitting, input_layers, onnx_export, unet

_INPUT = "input."


def write(path: Path, model: nn.Module, about: dict) -> None:
    """Writes the network's weights, and `about` (plain values) in the file's header."""
    _save(path, model.state_dict(), about)


def _save(path: Path, state: dict[str, torch.Tensor], about: dict) -> None:
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in state.items()}
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
            f"{paths.shown(path)} is not a weights file written by this package ({error}); train it again."
        ) from error


def load(path: Path, model: nn.Module) -> nn.Module:
    """Puts the weights of a file into `model` and returns it; those of an exported file too, in float16 or not.

    Raises:
        WeightsError: missing, damaged, or of a network with other layers or channels.
    """
    state = _read(path)
    try:
        model.load_state_dict(state)
    except RuntimeError as error:
        raise WeightsError(
            f"{paths.shown(path)} holds weights of another network; check the experiment's encoder and channels."
        ) from error
    return model


def load_network(path: Path) -> unet.Network:
    """The network of a weights file of this package, built from the file's own settings: encoder, channels, input layers.

    Raises:
        WeightsError: missing, damaged, or without settings.
        ParameterError: its encoder does not exist in the installed libraries.
    """
    settings = metadata(path).get("settings") or {}
    if not isinstance(settings.get("experiment"), dict):
        raise WeightsError(
            f"{paths.shown(path)} does not say which experiment it belongs to; train it with this package."
        )
    return load(path, unet.build(settings["experiment"], pretrained=False))


def load_pretrained(path: Path, model: nn.Module) -> nn.Module:
    """Puts weights to start training from into `model`: those of the whole network, or of its encoder alone.

    Accepted names: the network's own (`encoder.*`, `decoder.*`, `segmentation_head.*`, as `write` writes them) or the
    encoder's, with `encoder.` before them or not (`conv1.weight`, `layer1.0.bn1.bias`, ..., as torchvision, timm and
    segmentation-models-pytorch have them); a classifier is left out. Three input channels are summed where the network has
    one, and the other way round, see `fitting.in_channels_of`. Input layers of another kind than the network's are not
    taken over.

    Raises:
        WeightsError: missing, damaged, or other names or shapes.
    """
    state = _read(path)
    whole = any(name.startswith("decoder.") for name in state)
    try:
        (fitting.load_whole if whole else fitting.load_encoder)(state, model)
    except RuntimeError as error:
        raise WeightsError(
            f"{paths.shown(path)} holds neither the weights of this network (encoder.*, decoder.*, segmentation_head.*) "
            f"nor those of a {model.architecture.encoder} encoder ({', '.join(list(model.encoder.state_dict())[:2])}, ...), "
            "in its shapes."
        ) from error
    return model


def export(source, folder: Path, onnx: bool = False, half: bool = False) -> Path:
    """Weights as segmentation-models-pytorch keeps them, for `smp.from_pretrained(folder)` and for this package alike.

    Args:
        source: a run, or a weights file of this package; its thresholds are copied as well.
        folder: gets `model.safetensors` and `config.json`, the U-Net without its input layers, and `input.json`: what those
            do to each pixel before the U-Net sees it (input = weight @ grey + bias, grey in 0..1). Our own loader finds them
            in the header of `model.safetensors`, exactly.
        onnx: also write `model.onnx`, the whole network in float32, see `onnx_export.write_onnx`.
        half: filters in float16, half the size; logits move by about a thousandth.

    Raises:
        WeightsError: see `load_network` and `onnx_export.write_onnx`.
    """
    path, folder = Path(getattr(source, "final_weights", source)), Path(folder)
    found, model = metadata(path), load_network(path)
    if onnx:
        onnx_export.write_onnx(folder / "model.onnx", model)
    state = model.state_dict()
    own = {name: state.pop(name) for name in list(state) if name.startswith(_INPUT)}
    about = found | ({"input": {name: tensor.tolist() for name, tensor in own.items()}} if own else {})
    _save(folder / "model.safetensors", {n: _halved(t) for n, t in state.items()} if half else state, about)
    atomic.write_json(folder / "config.json", model.config | {"_model_class": "Unet"})
    atomic.write_json(folder / "input.json", _input_format(model))
    thresholds = path.with_name("thresholds.json")
    if thresholds.is_file():
        with atomic.replacing(folder / thresholds.name) as temporary:
            shutil.copyfile(thresholds, temporary)
    return folder


def _halved(tensor: torch.Tensor) -> torch.Tensor:
    """Filters in float16; biases and batch norm's statistics, which are small and may be out of its range, as they are."""
    half = tensor.half() if tensor.is_floating_point() and tensor.ndim > 1 else tensor
    return half if bool(torch.isfinite(half).all()) else tensor


def _input_format(model: unet.Network) -> dict:
    weight, bias = input_layers.affine(model.input, model.channels)
    return {
        "channels": model.channels,
        "range": [0, 1],
        "meaning": "input of the U-Net = weight @ grey + bias, for each pixel",
        "weight": weight.tolist(),
        "bias": bias.tolist(),
    }


def _read(path: Path) -> dict[str, torch.Tensor]:
    try:
        state = load_file(path)
        with safe_open(path, framework="pt") as file:
            about = json.loads((file.metadata() or {}).get("about", "{}"))
    except FileNotFoundError as error:
        raise WeightsError(f"{paths.shown(path)} is missing; train the experiment first.") from error
    except (OSError, SafetensorError, json.JSONDecodeError) as error:
        raise WeightsError(f"{paths.shown(path)} is damaged ({error}); delete it and train again.") from error
    return state | {name: torch.tensor(values) for name, values in about.get("input", {}).items()}


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

    @property
    def label(self) -> str:
        """In the name of a run, see `starts`."""
        if self.file:
            return f"{paths.slug(self.file.stem)}-{self._digest()[:8]}"
        return self.encoder or "random"

    def settings(self, experiment: Experiment) -> dict:
        """What sets a run's weights apart from the experiment's own; empty where they are those.

        The experiment itself stays as the registry has it, so that a record of the run can still be compared with it.
        """
        if self.file:
            return {"weights": {"file": self.file.name, "sha256": self._digest()}}
        return {} if self.encoder == experiment.encoder_weights else {"weights": self.encoder or "none"}

    def _digest(self) -> str:
        with self.file.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()

    def build(self, experiment: Experiment) -> nn.Module:
        """The network, see `unet.build`, with these weights.

        Raises:
            WeightsError: they cannot be had, or are another network's.
        """
        if self.file:
            return load_pretrained(self.file, unet.build(experiment, pretrained=False))
        return unet.build(replace(experiment, encoder_weights=self.encoder))
