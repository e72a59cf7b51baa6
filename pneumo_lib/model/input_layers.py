"""Layers in front of a U-Net: from grey values in 0..1 to the input of its encoder. The only place that normalises."""

import copy
from collections import OrderedDict

import segmentation_models_pytorch as smp
import torch
from torch import nn

_IMAGENET = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_HALF = (0.5,) * 3, (0.5,) * 3
_DPN = (124 / 255, 117 / 255, 104 / 255), (1 / (0.0167 * 255),) * 3
_OTHERS = {"inception": _HALF, "xception": _HALF, "tf_efficientnet_lite": _HALF, "dpn": _DPN}


def statistics(encoder: str) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation of each of the three channels (range 0..1) that an encoder's ImageNet weights expect.

    Source: timm's configuration for its encoders (`tu-`); for the others segmentation-models-pytorch, whose own files lie
    on the hub: ImageNet's statistics but for the encoders of `_OTHERS`.
    """
    if encoder.startswith("tu-"):
        try:
            found = smp.encoders.get_preprocessing_params(encoder)
            return tuple(found["mean"]), tuple(found["std"])
        except (ValueError, RuntimeError):  # a model of timm without pretrained weights
            return _IMAGENET
    return next((values for name, values in _OTHERS.items() if name in encoder), _IMAGENET)


class Normalise(nn.Module):
    """Subtracts a fixed mean from each channel of (N, C, H, W) and divides by a fixed standard deviation."""

    def __init__(self, mean: tuple[float, ...], deviation: tuple[float, ...]):
        super().__init__()
        self.register_buffer("mean", torch.tensor(mean))
        self.register_buffer("deviation", torch.tensor(deviation))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return (x - self.mean[:, None, None]) / self.deviation[:, None, None]


def build(encoder: str, channels: int, mapping: str, norm: str) -> nn.Sequential:
    """The layers between an image and the encoder; empty where there are none.

    Args:
        encoder: whose weights' mean and deviation `norm="imagenet"` takes.
        channels: of the image, 1 or 3.
        mapping: of one channel: "learned", a 1x1 convolution to three channels, or "summed", none: the encoder's first
            layer then takes one channel.
        norm: "batch", batch norm without a scale; "imagenet", fixed mean and deviation; "none".

    Source: the learned mapping is the way of Keras' segmentation_models (its tutorial on other than three channels), with
    Keras' initial values; batch norm without a scale is the first layer of its ResNet34, `bn_data`. Its momentum is that
    of all other layers here, as Keras' 0.99 needs more steps than a small profile has.
    """
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    if channels == 1 and mapping == "learned":
        layers["map"] = nn.Conv2d(1, 3, 1)
        nn.init.xavier_uniform_(layers["map"].weight)
        nn.init.zeros_(layers["map"].bias)
    width = encoder_channels(channels, mapping)
    if norm == "batch":
        layers["norm"] = nn.BatchNorm2d(width, eps=2e-5)
        layers["norm"].weight.requires_grad_(False)
    elif norm == "imagenet":
        mean, deviation = statistics(encoder)
        if width == 1:  # for filters that were summed over the three channels
            mean, deviation = (sum(mean) / 3,), (sum(deviation) / 3,)
        layers["norm"] = Normalise(mean, deviation)
    return nn.Sequential(layers)


def encoder_channels(channels: int, mapping: str) -> int:
    """Channels that the encoder's first layer takes."""
    return 3 if channels == 1 and mapping == "learned" else channels


def affine(layers: nn.Sequential, channels: int) -> tuple[torch.Tensor, torch.Tensor]:
    """What the layers do to a pixel in prediction: weight (K, C) and bias (K,), float64; output = weight @ pixel + bias."""
    probe = torch.cat([torch.zeros(1, channels), torch.eye(channels)]).double()[:, :, None, None]
    with torch.no_grad():
        found = copy.deepcopy(layers).cpu().double().eval()(probe)[:, :, 0, 0]
    return (found[1:] - found[:1]).T, found[0]
