"""Where weights come from: the hub's cache, a file, chance on request; and where finished ones go."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

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
SETTINGS = encoders[unet.ENCODER]["pretrained_settings"]["imagenet"]
BUILD = """
from pneumo_lib import experiments
from pneumo_lib import parameters
from pneumo_lib.model import weights
from pneumo_lib.errors import WeightsError
import sys
try:
    for name in ("exp1", "exp2"):
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
    one, three = (load_file(tmp_path / f"{name}.safetensors") for name in ("exp1", "exp2"))
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
@pytest.mark.parametrize("name", ["exp1", "exp2"])
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
    ("name", "match"), [("image-net", "auto, imagenet, none"), (3, "auto"), ("gone.safetensors", "no file")]
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
    assert sorted(file.name for file in folder.iterdir()) == ["config.json", "model.safetensors", "thresholds.json"]
    theirs, ours = (
        smp.from_pretrained(folder).eval(),
        weights.load(folder / "model.safetensors", unet.build(SMOKE)).eval(),
    )
    images = torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        expected = model(images)
        assert torch.equal(theirs(images), expected) and torch.equal(ours(images), expected)
    assert weights.metadata(folder / "model.safetensors") == weights.metadata(path)


def test_a_first_layer_of_another_shape_is_named(tmp_path):
    save_file({"conv1.weight": torch.zeros(3)}, tmp_path / "w.safetensors")
    model = unet.build(SimpleNamespace(channels=1), pretrained=False)
    with pytest.raises(WeightsError, match="in its shapes"):
        weights.load_pretrained(tmp_path / "w.safetensors", model)
