"""ONNX files: what ONNX Runtime computes from them, and what keeps one from being written."""

import copy
import shutil
from types import SimpleNamespace

import numpy as np
import pytest
import segmentation_models_pytorch as smp
import torch
from torch import nn

from pneumo_lib import experiments
from pneumo_lib.errors import WeightsError
from pneumo_lib.model import onnx_export, unet

onnxruntime = pytest.importorskip("onnxruntime")


@pytest.fixture(scope="module")
def network():
    """A small U-Net of random weights that takes one channel."""
    torch.manual_seed(0)
    model = smp.Unet("resnet18", encoder_weights=None, encoder_depth=3, decoder_channels=(16, 8, 8), in_channels=1)
    model.channels = 1
    return model


@pytest.fixture(scope="module")
def written(network, tmp_path_factory):
    return onnx_export.write_onnx(tmp_path_factory.mktemp("onnx") / "model.onnx", network)


@pytest.mark.parametrize("shape", [(1, 1, 32, 32), (4, 1, 64, 64), (2, 1, 96, 160)])
def test_onnx_runtime_computes_pytorchs_logits_at_any_size(network, written, shape):
    images = torch.rand(*shape, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        expected = network.eval()(images).numpy()
    session = onnxruntime.InferenceSession(written, providers=["CPUExecutionProvider"])
    (logits,) = session.run(["logits"], {"images": images.numpy()})
    # Float32 sums in another order: measured 3e-6 of logits up to 1.
    np.testing.assert_allclose(logits, expected, rtol=0, atol=1e-4)


def test_only_the_file_is_left(written):
    assert [path.name for path in written.parent.iterdir()] == ["model.onnx"]


def test_logits_that_differ_leave_no_file(network, written, tmp_path, monkeypatch):
    """A file whose weights are not the network's."""
    program = SimpleNamespace(save=lambda path: shutil.copyfile(written, path))
    monkeypatch.setattr(torch.onnx, "export", lambda *_, **__: program)
    network = copy.deepcopy(network)
    nn.init.ones_(network.segmentation_head[0].bias)
    with pytest.raises(WeightsError, match="model.onnx is not written: ONNX Runtime's logits differ"):
        onnx_export.write_onnx(tmp_path / "model.onnx", network)
    assert not list(tmp_path.iterdir())


def test_a_missing_package_is_named(network, tmp_path, monkeypatch):
    monkeypatch.setattr(onnx_export, "PACKAGES", ("onnx", "onnx_that_is_missing"))
    with pytest.raises(WeightsError, match=r"needs onnx_that_is_missing, which .* pip install 'pneumo-lib\[onnx\]'"):
        onnx_export.write_onnx(tmp_path / "model.onnx", network)


@pytest.mark.parametrize("name", ["exp1", "exp4+tu-tf_efficientnet_lite0+random"])
def test_input_layers_and_other_encoders_are_in_the_file(name, tmp_path):
    """A learned mapping to three channels and batch norm on the input (exp1), and an encoder of timm's."""
    torch.manual_seed(0)
    model = unet.build(experiments.get(name, "smoke"), pretrained=False)
    # As after training: statistics that are not those of an untrained layer.
    for layer in model.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.running_mean.uniform_(-0.1, 0.1)
            layer.running_var.uniform_(0.5, 2)
    path = onnx_export.write_onnx(tmp_path / "model.onnx", model)
    images = torch.rand(1, model.channels, 32, 96, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        expected = model(images).numpy()
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    (logits,) = session.run(["logits"], {"images": images.numpy()})
    np.testing.assert_allclose(logits, expected, rtol=0, atol=onnx_export.TOLERANCE * np.abs(expected).max())
