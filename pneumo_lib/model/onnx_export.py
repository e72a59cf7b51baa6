"""A network as an ONNX file, for programs without PyTorch; needs the extra `onnx`."""

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
from torch import nn

from pneumo_lib import atomic, paths
from pneumo_lib.errors import WeightsError

PACKAGES = ("onnx", "onnxscript", "onnxruntime")

TOLERANCE = 1e-4
"""Largest difference of a logit from PyTorch's, in units of the largest logit: the same float32 sums in another order differ
by 5e-6 (ResNet34, 64 to 256 px)."""


def write_onnx(path: Path, model: nn.Module) -> Path:
    """Writes a network to `path` and checks ONNX Runtime's logits against PyTorch's before the file appears there.

    Args:
        model: from `unet.build`, on the CPU. In the file its input `images` is float32 (N, C, H, W) in 0..1, its output
            `logits` float32 (N, 1, H, W), for any N and multiples of 32 as H and W.

    Raises:
        WeightsError: packages of the extra are missing, or the logits differ by more than `TOLERANCE`.
    """
    missing = [name for name in PACKAGES if find_spec(name) is None]
    if missing:
        raise WeightsError(
            f"ONNX export needs {', '.join(missing)}, which is not installed; pip install 'pneumo-lib[onnx]' or export "
            "without --onnx."
        )
    model.eval()
    rows, columns = (32 * torch.export.Dim(name, min=1) for name in ("rows", "columns"))
    # Sizes other than those of the check; torch.export would take a side of one unit, or two equal ones, for constants.
    program = torch.onnx.export(
        model,
        (torch.zeros(2, model.channels, 64, 96),),
        input_names=["images"],
        output_names=["logits"],
        dynamic_shapes=({0: torch.export.Dim("images", min=1), 2: rows, 3: columns},),
        dynamo=True,
        verbose=False,
    )
    with atomic.replacing(path) as temporary:
        program.save(temporary)
        found = _largest_difference(temporary, model)
        if found > TOLERANCE:
            raise WeightsError(
                f"{paths.shown(path)} is not written: ONNX Runtime's logits differ from PyTorch's by {found:.1e} of the "
                f"largest one, more than {TOLERANCE:.0e}; install the tested versions (constraints.txt)."
            )
    return path


def _largest_difference(path: Path, model: nn.Module) -> float:
    import onnxruntime

    images = torch.rand(3, model.channels, 128, 64, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        expected = model(images).numpy()
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    (logits,) = session.run(None, {"images": images.numpy()})
    return float(np.abs(logits - expected).max() / np.abs(expected).max())
