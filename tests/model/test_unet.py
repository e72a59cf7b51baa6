"""Shapes, channels, and weights on disk."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from pneumo_lib import experiments
from pneumo_lib.errors import WeightsError
from pneumo_lib.model import unet, weights

SMOKE = experiments.get("exp2", "smoke")


@pytest.mark.parametrize("name", ["exp1", "exp2"])
def test_maps_images_to_logits_of_their_size(name):
    experiment = experiments.get(name, "smoke")
    model = unet.build(experiment).eval()
    with torch.no_grad():
        images = np.random.default_rng(0).integers(0, 256, (2, 64, 96), np.uint8)
        logits = model(unet.as_input(images, model.channels))
    assert logits.shape == (2, 1, 64, 96) and model.channels == experiment.channels
    assert logits.min() < 0, "logits, not probabilities"


def test_the_decoder_is_the_follow_up_codes():
    sizes = [block.conv2[0].out_channels for block in unet.build(SMOKE).decoder.blocks]
    assert sizes == [256, 128, 64, 32, 16]


def test_grey_is_repeated_and_scaled_to_one():
    batch = unet.as_input(np.array([[[0, 51], [255, 102]]], np.uint8), 3)
    assert batch.shape == (1, 3, 2, 2)
    for channel in range(3):
        # 51 / 255 is not exact in float32.
        assert batch[0, channel].flatten().tolist() == pytest.approx([0, 0.2, 1, 0.4])


def test_one_channel_of_imagenet_equals_three_times_grey():
    """The library's rule for one input channel, checked on random filters instead of a download."""
    three, one = unet.build(SMOKE), unet.build(replace(SMOKE, channels=1))
    state = three.state_dict()
    state["encoder.conv1.weight"] = state["encoder.conv1.weight"].sum(1, keepdim=True)
    one.load_state_dict(state)
    images = np.random.default_rng(0).integers(0, 256, (1, 32, 32), np.uint8)
    with torch.no_grad():
        a, b = (model.eval()(unet.as_input(images, model.channels)) for model in (three, one))
    # 1e-4: 49 products are added in another order, through 40 layers.
    assert torch.allclose(a, b, atol=1e-4)


def test_weights_come_back_with_their_settings(tmp_path):
    model, other = unet.build(SMOKE), unet.build(SMOKE)
    weights.write(tmp_path / "w.safetensors", model, {"stage": 1})
    weights.load(tmp_path / "w.safetensors", other)
    assert all(torch.equal(a, b) for a, b in zip(model.state_dict().values(), other.state_dict().values(), strict=True))
    assert weights.metadata(tmp_path / "w.safetensors") == {"stage": 1}
    assert [path.name for path in tmp_path.iterdir()] == ["w.safetensors"]


def test_wrong_weights_are_one_sentence(tmp_path):
    path = tmp_path / "w.safetensors"
    with pytest.raises(WeightsError, match="missing"):
        weights.load(path, unet.build(SMOKE))
    path.write_bytes(b"no tensors")
    with pytest.raises(WeightsError, match="damaged"):
        weights.load(path, unet.build(SMOKE))
    with pytest.raises(WeightsError, match="no weights file"):
        weights.metadata(path)
    save_file({"a": torch.zeros(1)}, path)
    with pytest.raises(WeightsError, match="another network"):
        weights.load(path, unet.build(SMOKE))
