"""U-Net with a ResNet34 encoder (the paper, section on the network; the deck, phase 2)."""

import numpy as np
import segmentation_models_pytorch as smp
import torch
from torch import nn


def build(experiment, pretrained: bool = True) -> nn.Module:
    """The network of an experiment, untrained or with the encoder weights that its profile names.

    Args:
        experiment: needs `channels` (1 or 3) and `encoder_weights` ("imagenet" or None).
        pretrained: False leaves the encoder random whatever the experiment says, for weights that are loaded over it.

    Returns:
        Module that maps float (N, C, H, W) in 0..1 to logits float (N, 1, H, W); H and W are multiples of 32.
        Its attribute `channels` is C.

    Source: the deck names U-Net, ResNet-34 and ImageNet; decoder 256-128-64-32-16, nearest upsampling and batch norm come
    from the follow-up code and are the library's defaults. With one channel the library sums the ImageNet filters of the
    first layer over their three input channels, which equals feeding the grey image three times.

    Differs from the paper: the last layer gives logits, not probabilities; the loss takes them directly, which is the
    same function and numerically safer.
    """
    encoder_weights = experiment.encoder_weights if pretrained else None
    model = smp.Unet("resnet34", encoder_weights=encoder_weights, in_channels=experiment.channels, classes=1)
    model.channels = experiment.channels
    return model


def as_input(images: np.ndarray, channels: int, device: torch.device | str = "cpu") -> torch.Tensor:
    """Grey images uint8 (N, H, W) → the network's input float32 (N, channels, H, W) in 0..1.

    Grey is repeated over the channels and divided by 255, without ImageNet's mean and deviation (follow-up code).
    """
    batch = torch.as_tensor(np.ascontiguousarray(images), device=device).float().div_(255).unsqueeze(1)
    return batch.expand(-1, channels, -1, -1)
