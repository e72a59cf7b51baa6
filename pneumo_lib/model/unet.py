"""U-Net with a ResNet34 encoder (the paper, section on the network; the deck, phase 2)."""

import numpy as np
import segmentation_models_pytorch as smp
import torch
from huggingface_hub import constants
from huggingface_hub.errors import HfHubHTTPError
from safetensors import SafetensorError
from segmentation_models_pytorch.encoders import encoders
from torch import nn

from pneumo_lib.errors import WeightsError

ENCODER = "resnet34"


def build(experiment, pretrained: bool = True) -> nn.Module:
    """The network of an experiment, untrained or with the encoder weights that its profile names.

    Args:
        experiment: needs `channels` (1 or 3) and `encoder_weights` ("imagenet" or None).
        pretrained: False leaves the encoder random whatever the experiment says, for weights that are loaded over it.

    Returns:
        Module that maps float (N, C, H, W) in 0..1 to logits float (N, 1, H, W); H and W are multiples of 32.
        Its attribute `channels` is C.

    Raises:
        WeightsError: the ImageNet weights are neither in the local cache nor to be downloaded; says how to get them.

    Source: the deck names U-Net, ResNet-34 and ImageNet; decoder 256-128-64-32-16, nearest upsampling and batch norm come
    from the follow-up code and are the library's defaults. With one channel the library sums the ImageNet filters of the
    first layer over their three input channels, which equals feeding the grey image three times.

    Differs from the paper: the last layer gives logits, not probabilities; the loss takes them directly, which is the
    same function and numerically safer.
    """
    encoder_weights = experiment.encoder_weights if pretrained else None
    try:
        model = smp.Unet(ENCODER, encoder_weights=encoder_weights, in_channels=experiment.channels, classes=1)
    # ImportError: a SOCKS proxy without the package for it; ValueError: a proxy of an unknown kind.
    except (OSError, HfHubHTTPError, SafetensorError, ImportError, ValueError) as error:
        raise WeightsError(_how_to_get(encoder_weights, error)) from error
    model.channels = experiment.channels
    return model


def _how_to_get(encoder_weights: str, error: Exception) -> str:
    source = encoders[ENCODER]["pretrained_settings"][encoder_weights]
    folder = f"models--{source['repo_id'].replace('/', '--')}"
    return (
        f"the {encoder_weights} weights of {ENCODER} could not be loaded ({type(error).__name__}); where there is a network, "
        f"run `hf download {source['repo_id']} config.json model.safetensors --revision {source['revision']}`, copy the "
        f"folder {folder} from its cache (~/.cache/huggingface/hub) to {constants.HF_HUB_CACHE}, or choose other weights: "
        "-p weights none, or a .safetensors file."
    )


def as_input(images: np.ndarray, channels: int, device: torch.device | str = "cpu") -> torch.Tensor:
    """Grey images uint8 (N, H, W) → the network's input float32 (N, channels, H, W) in 0..1.

    Grey is repeated over the channels and divided by 255, without ImageNet's mean and deviation (follow-up code).
    """
    batch = torch.as_tensor(np.ascontiguousarray(images), device=device).float().div_(255).unsqueeze(1)
    return batch.expand(-1, channels, -1, -1)
