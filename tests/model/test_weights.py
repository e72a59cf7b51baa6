"""Where weights come from: the hub's cache, a file, chance on request; and where finished ones go."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import segmentation_models_pytorch as smp
import torch
from safetensors.torch import load_file, save_file
from segmentation_models_pytorch.encoders import encoders

from pneumo_lib import experiments
from pneumo_lib.errors import WeightsError
from pneumo_lib.model import unet, weights
from pneumo_lib.model.weights import InitialWeights
from pneumo_lib.parameters import checked_weights

SMOKE = experiments.get("exp2", "smoke")
SETTINGS = encoders["resnet34"]["pretrained_settings"]["imagenet"]
BUILD = """
from pneumo_lib import experiments
from pneumo_lib import parameters
from pneumo_lib.model import weights
from pneumo_lib.errors import WeightsError
import sys
try:
    for name in ("exp1-summed", "exp2"):
        model = parameters.checked_weights("imagenet").build(experiments.get(name, "smoke"))
        weights.write(weights.Path(sys.argv[1]) / f"{name}.safetensors", model, {})
except WeightsError as error:
    print(error)
"""


def fake_encoder() -> dict[str, torch.Tensor]:
    """As the hub has it: an encoder's names, and a classifier's."""
    state = dict(unet.build(SMOKE).encoder.state_dict())
    return state | {"fc.weight": torch.zeros(1000, 512), "fc.bias": torch.zeros(1000)}


def hub_cache(home: Path, state: dict[str, torch.Tensor]) -> None:
    folder = home / "hub" / f"models--{SETTINGS['repo_id'].replace('/', '--')}"
    snapshot = folder / "snapshots" / SETTINGS["revision"]
    snapshot.mkdir(parents=True)
    (snapshot / "config.json").write_text("{}")
    save_file(state, snapshot / "model.safetensors")


def build_offline(home: Path, out: Path) -> str:
    """In a process of its own, as the hub's library reads these variables when it is imported."""
    command = [sys.executable, "-c", BUILD, str(out)]
    environment = os.environ | {"HF_HUB_OFFLINE": "1", "HF_HOME": str(home)}
    environment.pop("HF_HUB_CACHE", None)
    return subprocess.run(command, check=True, capture_output=True, text=True, env=environment).stdout


def test_imagenet_comes_through_the_hubs_cache(tmp_path):
    """Into three channels as it is, into one summed over the three."""
    state = fake_encoder()
    hub_cache(tmp_path / "home", state)
    assert build_offline(tmp_path / "home", tmp_path) == ""
    one, three = (load_file(tmp_path / f"{name}.safetensors") for name in ("exp1-summed", "exp2"))
    for name, tensor in state.items():
        if not name.startswith("fc."):
            assert torch.equal(three[f"encoder.{name}"], tensor)
    assert torch.allclose(one["encoder.conv1.weight"], state["conv1.weight"].sum(1, keepdim=True))


def test_without_a_network_the_error_says_what_to_put_where(tmp_path):
    message = build_offline(tmp_path, tmp_path)
    assert f"hf download {SETTINGS['repo_id']}" in message and SETTINGS["revision"] in message
    assert str(tmp_path / "hub") in message and "models--smp-hub--resnet34.imagenet" in message
    assert len(message.splitlines()) == 1 and not list(tmp_path.glob("*.safetensors"))


@pytest.mark.parametrize("prefix", ["", "encoder."])
@pytest.mark.parametrize("name", ["exp1-summed", "exp2"])
def test_a_file_of_an_encoder(tmp_path, prefix, name):
    state = fake_encoder()
    save_file(
        {prefix + key if not key.startswith("fc.") else key: value for key, value in state.items()},
        tmp_path / "e.safetensors",
    )
    model = checked_weights(str(tmp_path / "e.safetensors")).build(experiments.get(name, "smoke"))
    expected = state["conv1.weight"] if name == "exp2" else state["conv1.weight"].sum(1, keepdim=True)
    assert torch.equal(model.encoder.conv1.weight, expected)
    assert torch.equal(model.encoder.layer4[2].conv2.weight, state["layer4.2.conv2.weight"])


def test_a_file_of_a_whole_network(tmp_path):
    model = unet.build(SMOKE)
    weights.write(tmp_path / "w.safetensors", model, {})
    other = checked_weights(str(tmp_path / "w.safetensors")).build(SMOKE)
    assert all(torch.equal(a, b) for a, b in zip(model.state_dict().values(), other.state_dict().values(), strict=True))


def test_a_file_of_something_else(tmp_path):
    save_file({"conv1.weight": torch.zeros(1, 3, 1, 1)}, tmp_path / "w.safetensors")
    with pytest.raises(WeightsError, match="neither the weights of this network"):
        checked_weights(str(tmp_path / "w.safetensors")).build(SMOKE)


@pytest.mark.parametrize(
    ("name", "match"), [("image-net", "auto, imagenet, none"), (3, "auto"), ("gone.safetensors", "is not a file")]
)
def test_a_wrong_choice_lists_the_right_ones(name, match):
    with pytest.raises(WeightsError, match=match):
        checked_weights(name)


def test_only_another_choice_than_the_experiments_is_a_setting(tmp_path):
    """A record's experiment stays the registry's; another file under the same name is another setting."""
    assert checked_weights("auto") is None
    assert InitialWeights(None).settings(SMOKE) == {} and InitialWeights("imagenet").settings(SMOKE) == {
        "weights": "imagenet"
    }
    assert InitialWeights(None).settings(replace(SMOKE, encoder_weights="imagenet")) == {"weights": "none"}
    path = tmp_path / "w.safetensors"
    found = []
    for content in (b"a", b"b"):
        path.write_bytes(content)
        found.append(InitialWeights(file=path).settings(SMOKE))
    assert found[0]["weights"]["file"] == path.name and found[0] != found[1]
    assert json.loads(json.dumps(found)) == found


def test_exported_weights_load_in_both_libraries(tmp_path):
    model = unet.build(SMOKE).eval()
    path = tmp_path / "run" / "stage1.safetensors"
    weights.write(path, model, {"settings": {"experiment": SMOKE.as_dict()}})
    path.with_name("thresholds.json").write_text("{}")
    folder = weights.export(path, tmp_path / "out")
    names = ["config.json", "input.json", "model.safetensors", "thresholds.json"]
    assert sorted(file.name for file in folder.iterdir()) == names
    theirs, ours = smp.from_pretrained(folder).eval(), weights.load_network(folder / "model.safetensors").eval()
    images = torch.rand(1, model.channels, 32, 32, generator=torch.Generator().manual_seed(0))
    layers = json.loads((folder / "input.json").read_text())
    pixels = torch.einsum("kc,nchw->nkhw", torch.tensor(layers["weight"]), images)
    pixels = pixels + torch.tensor(layers["bias"])[:, None, None]
    with torch.no_grad():
        expected = model(images)
        assert torch.equal(ours(images), expected)
        torch.testing.assert_close(theirs(pixels), expected, rtol=0, atol=1e-4)
    assert weights.metadata(folder / "model.safetensors")["settings"] == weights.metadata(path)["settings"]


def test_half_is_half_the_size_and_reads_back(tmp_path):
    settings = {
        "encoder": "tu-tf_efficientnet_lite0",
        "channels": 1,
        "channel_mapping": "learned",
        "input_norm": "batch",
    }
    model = unet.build(settings, pretrained=False).eval()
    weights.write(tmp_path / "stage1.safetensors", model, {"settings": {"experiment": settings}})
    folder = weights.export(tmp_path / "stage1.safetensors", tmp_path / "half", half=True)
    sizes = [path.stat().st_size for path in (tmp_path / "stage1.safetensors", folder / "model.safetensors")]
    assert sizes[1] < 0.53 * sizes[0] and sizes[1] < 13e6
    images = torch.rand(1, 1, 64, 64, generator=torch.Generator().manual_seed(0))
    other = weights.load_network(folder / "model.safetensors").eval()
    assert all(tensor.dtype in (torch.float32, torch.int64) for tensor in other.state_dict().values())
    with torch.no_grad():
        torch.testing.assert_close(other(images), model(images), rtol=0, atol=0.02)
    assert smp.from_pretrained(folder).config["encoder_name"] == "tu-tf_efficientnet_lite0"


@pytest.mark.parametrize("encoder", ["resnet18", "timm-tf_efficientnet_lite0"])
def test_a_trained_network_of_any_encoder_is_a_start(tmp_path, encoder):
    """From three channels to three, to one summed and back: the encoder computes the same of a grey image."""
    settings = {"encoder": encoder, "channels": 3, "channel_mapping": "summed", "input_norm": "none"}
    three = unet.build(settings, pretrained=False).eval()
    weights.write(tmp_path / "three.safetensors", three, {})
    one = unet.build(settings | {"channels": 1}, pretrained=False).eval()
    weights.load_pretrained(tmp_path / "three.safetensors", one)
    weights.write(tmp_path / "one.safetensors", one, {})
    again = weights.load_pretrained(tmp_path / "one.safetensors", unet.build(settings, pretrained=False)).eval()
    grey = torch.rand(1, 1, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        expected = three(grey.expand(-1, 3, -1, -1))
        torch.testing.assert_close(one(grey), expected, rtol=0, atol=1e-4)
        torch.testing.assert_close(again(grey.expand(-1, 3, -1, -1)), expected, rtol=0, atol=1e-4)


def test_a_first_layer_of_another_shape_is_named(tmp_path):
    save_file({"conv1.weight": torch.zeros(3)}, tmp_path / "w.safetensors")
    model = unet.build({"channels": 1}, pretrained=False)
    with pytest.raises(WeightsError, match="in its shapes"):
        weights.load_pretrained(tmp_path / "w.safetensors", model)
