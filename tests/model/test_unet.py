"""Shapes, channels, input layers, and weights on disk."""

import itertools
import warnings

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from pneumo_lib.errors import ParameterError, WeightsError
from pneumo_lib.evaluation.inference import InferenceNetwork
from pneumo_lib.model import distributed, input_layers, lite, unet, weights

PLAIN = {
    "encoder": "resnet18",
    "channels": 3,
    "channel_mapping": "summed",
    "input_norm": "none",
    "encoder_weights": None,
}
GREY = np.random.default_rng(0).integers(0, 256, (2, 64, 96), np.uint8)


def built(**changes) -> unet.Network:
    torch.manual_seed(0)
    return unet.build(PLAIN | changes)


def logits(model: nn.Module, grey: np.ndarray = GREY) -> torch.Tensor:
    with torch.no_grad():
        return model.eval()(unet.as_input(grey, model.channels))


@pytest.mark.parametrize(
    ("channels", "mapping", "norm"),
    list(itertools.product((1, 3), ("learned", "summed"), ("batch", "imagenet", "none"))),
)
def test_maps_images_to_logits_of_their_size(channels, mapping, norm):
    model = built(channels=channels, channel_mapping=mapping, input_norm=norm)
    found = logits(model)
    assert found.shape == (2, 1, 64, 96) and model.channels == channels
    assert found.min() < 0, "logits, not probabilities"
    assert model.encoder.conv1.in_channels == (1 if (channels, mapping) == (1, "summed") else 3)


@pytest.mark.parametrize(
    "encoder", ["resnet34", "mobilenet_v2", "timm-tf_efficientnet_lite0", "tu-mobilenetv3_small_100"]
)
def test_any_encoder_and_its_folded_copy(encoder):
    model = built(encoder=encoder, channels=1, channel_mapping="learned", input_norm="batch")
    fast = InferenceNetwork(model)
    torch.testing.assert_close(fast(unet.as_input(GREY, 1)).detach(), logits(model), rtol=0, atol=1e-4)
    if "tu-" not in encoder:
        assert isinstance(fast.model, torch.fx.GraphModule), "folded"


def test_a_size_that_does_not_fit_is_refused():
    with pytest.raises(RuntimeError, match="multiples of 32"):
        built()(torch.zeros(1, 3, 40, 64))


def test_the_decoder_is_the_follow_up_codes():
    sizes = [block.conv2[0].out_channels for block in built(encoder="resnet34").decoder.blocks]
    assert sizes == [256, 128, 64, 32, 16]


@pytest.mark.parametrize("name", ["resnet43", 3, "tu-nothing"])
def test_an_unknown_encoder_is_one_sentence(name):
    with pytest.raises(ParameterError, match="unknown encoder=.*similar"):
        built(encoder=name)


def test_an_encoder_that_takes_no_single_channel_says_so():
    with pytest.raises(ParameterError, match="does not fit into a U-Net with 1 input channels"):
        built(encoder="tu-efficientvit_m0", channels=1)


def test_grey_is_repeated_and_scaled_to_one():
    batch = unet.as_input(np.array([[[0, 51], [255, 102]]], np.uint8), 3)
    assert batch.shape == (1, 3, 2, 2)
    for channel in range(3):
        # 51 / 255 is not exact in float32.
        assert batch[0, channel].flatten().tolist() == pytest.approx([0, 0.2, 1, 0.4])


def test_one_channel_of_imagenet_equals_three_times_grey():
    """The library's rule for one input channel, checked on random filters instead of a download."""
    three, one = built(), built(channels=1)
    state = three.state_dict()
    state["encoder.conv1.weight"] = state["encoder.conv1.weight"].sum(1, keepdim=True)
    one.load_state_dict(state)
    # 1e-4: 49 products are added in another order, through many layers.
    assert torch.allclose(logits(three), logits(one), atol=1e-4)


def test_the_learned_mapping_is_keras():
    """A 1x1 convolution to three channels, Glorot's uniform values, no bias yet; in front of the normalisation."""
    model = built(channels=1, channel_mapping="learned", input_norm="batch")
    assert [name for name, _ in model.input.named_children()] == ["map", "norm"]
    assert model.input.map.weight.shape == (3, 1, 1, 1) and not model.input.map.bias.any()
    assert model.input.map.weight.abs().max() <= (6 / 4) ** 0.5
    assert not hasattr(built(channels=3, channel_mapping="learned").input, "map")


def test_batch_norm_on_the_input_has_no_scale_and_makes_units_irrelevant():
    """Keras' bn_data: dividing by 255 or not is the same to the network."""
    model = built(input_norm="batch").train()
    assert not model.input.norm.weight.requires_grad and model.input.norm.bias.requires_grad
    images = unet.as_input(GREY, 3)
    with torch.no_grad():
        found, scaled = model.input(images), model.input(images * 255)
    assert found.mean().abs() < 1e-5 and abs(float(found.std()) - 1) < 1e-3
    torch.testing.assert_close(found, scaled, rtol=0, atol=1e-3)


def test_imagenet_statistics_are_the_weights_own():
    assert input_layers.statistics("resnet34")[0] == (0.485, 0.456, 0.406)
    for name in ("timm-tf_efficientnet_lite0", "tu-tf_efficientnet_lite2", "inceptionv4", "xception"):
        assert input_layers.statistics(name) == ((0.5,) * 3, (0.5,) * 3)
    layers = input_layers.build("resnet34", 3, "learned", "imagenet")
    found = layers(torch.tensor([0.485, 0.456, 0.406 + 0.225])[None, :, None, None]).flatten()
    assert found.tolist() == pytest.approx([0, 0, 1], abs=1e-6)


@pytest.mark.parametrize("norm", ["batch", "imagenet", "none"])
@pytest.mark.parametrize("channels", [1, 3])
def test_the_input_layers_are_affine(channels, norm):
    layers = input_layers.build("resnet34", channels, "learned", norm).train()
    pixels = torch.rand(8, channels, 4, 4)
    layers(pixels)
    weight, bias = input_layers.affine(layers.eval(), channels)
    expected = torch.einsum("kc,nchw->nkhw", weight.float(), pixels) + bias.float()[:, None, None]
    torch.testing.assert_close(layers(pixels).detach(), expected, rtol=0, atol=1e-5)


def test_synchronised_keeps_weights_activations_and_what_is_frozen():
    model = built(encoder="tu-tf_efficientnet_lite0", input_norm="batch")
    expected, trainable = logits(model), [p.requires_grad for p in model.parameters()]
    names = list(model.state_dict())
    other = distributed.synchronised(model, "cpu")
    assert list(other.state_dict()) == names and [p.requires_grad for p in other.parameters()] == trainable
    assert torch.equal(logits(other), expected)
    assert sum(isinstance(layer, distributed.BatchNorm) for layer in other.modules()) > 50
    again = built(encoder="tu-tf_efficientnet_lite0", input_norm="batch")
    assert torch.equal(logits(distributed.synchronised(again, "cuda")), expected)


def test_even_padding_is_timms():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ours = built(encoder="tu-tf_efficientnet_lite0")
        theirs = unet.smp.Unet("tu-tf_efficientnet_lite0", encoder_weights=None, in_channels=3, classes=1)
    theirs.load_state_dict(ours.state_dict())
    assert sum(isinstance(layer, lite.EvenConv2d) for layer in ours.modules()) == 5
    with torch.no_grad():
        assert torch.allclose(theirs.eval()(unet.as_input(GREY, 3)), logits(ours), atol=1e-5)


def test_weights_come_back_with_their_settings(tmp_path):
    model, other = (
        built(channels=1, channel_mapping="learned", input_norm="batch"),
        built(channels=1, channel_mapping="learned", input_norm="batch"),
    )
    nn.init.ones_(model.input.norm.bias)
    weights.write(tmp_path / "w.safetensors", model, {"stage": 1})
    weights.load(tmp_path / "w.safetensors", other)
    assert all(torch.equal(a, b) for a, b in zip(model.state_dict().values(), other.state_dict().values(), strict=True))
    assert weights.metadata(tmp_path / "w.safetensors") == {"stage": 1}
    assert [path.name for path in tmp_path.iterdir()] == ["w.safetensors"]


def test_a_file_says_which_network_it_is(tmp_path):
    settings = PLAIN | {
        "encoder": "mobilenet_v2",
        "channels": 1,
        "channel_mapping": "learned",
        "input_norm": "imagenet",
    }
    model = unet.build(settings)
    weights.write(tmp_path / "w.safetensors", model, {"settings": {"experiment": settings}})
    other = weights.load_network(tmp_path / "w.safetensors")
    assert other.architecture == unet.Architecture("mobilenet_v2", 1, "learned", "imagenet") and other.channels == 1
    assert torch.equal(logits(model), logits(other))


def test_a_file_from_before_these_settings_is_resnet34_without_input_layers(tmp_path):
    weights.write(tmp_path / "w.safetensors", built(encoder="resnet34"), {"settings": {"experiment": {"channels": 3}}})
    assert weights.load_network(tmp_path / "w.safetensors").architecture == unet.Architecture()


def test_a_file_without_settings_is_refused(tmp_path):
    weights.write(tmp_path / "w.safetensors", nn.Linear(1, 1), {})
    with pytest.raises(WeightsError, match="which experiment"):
        weights.load_network(tmp_path / "w.safetensors")


def test_wrong_weights_are_one_sentence(tmp_path):
    path = tmp_path / "w.safetensors"
    with pytest.raises(WeightsError, match="missing"):
        weights.load(path, built())
    path.write_bytes(b"no tensors")
    with pytest.raises(WeightsError, match="damaged"):
        weights.load(path, built())
    with pytest.raises(WeightsError, match="not a weights file"):
        weights.metadata(path)
    save_file({"a": torch.zeros(1)}, path)
    with pytest.raises(WeightsError, match="another network"):
        weights.load(path, built())
