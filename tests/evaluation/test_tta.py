import errno
import io
import os
from pathlib import Path

import cv2
import numpy as np
import pytest
import segmentation_models_pytorch as smp
import torch
from torch import nn

from pneumo_lib.errors import TtaError, WriteError
from pneumo_lib.evaluation import transforms, tta
from pneumo_lib.evaluation.inference import InferenceNetwork, predict_to
from pneumo_lib.evaluation.transforms import TRANSFORMS
from pneumo_lib.model.unet import as_input

GEOMETRIC = ["crop", "elastic", "grid", "optical"]


class Echo(nn.Module):
    """A network that predicts the image itself: whatever TTA does must then be undone exactly."""

    channels = 1

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(()))
        self.batches = []

    def forward(self, x):
        assert not self.training and not torch.is_grad_enabled()
        self.batches.append(len(x))
        return torch.logit(0.1 + 0.8 * x.mean(1, keepdim=True)) * self.weight


def smooth(size):
    y, x = np.mgrid[:size, :size] / size
    return (0.5 + 0.3 * np.sin(6 * x + 1) * np.cos(5 * y) + 0.15 * x).astype(np.float32)


@pytest.mark.parametrize("size", [64, 200])
@pytest.mark.parametrize("name", GEOMETRIC)
def test_a_smooth_map_goes_there_and_back(name, size):
    truth, moved = smooth(size), []
    for seed in range(5):
        warped, undo = TRANSFORMS[name](np.random.default_rng(seed), truth)
        back, votes = undo(warped)
        moved.append(np.abs(warped - truth).max())
        assert np.abs(back - truth)[votes].max() < 0.01  # 1 % of the range
        assert votes.mean() > (0.6 if name == "crop" else 0.8)  # a crop shows (412/512)² = 65 % at least
    assert max(moved) > 0.02


def test_flip_is_undone_exactly():
    image = np.random.default_rng(0).integers(0, 256, (9, 8)).astype(np.uint8)
    flipped, undo = TRANSFORMS["flip"](None, image)
    assert (flipped == image[:, ::-1]).all()
    assert (undo(flipped)[0] == image).all()


@pytest.mark.parametrize("name", ["contrast", "brightness"])
def test_grey_values_change_in_place(name, images):
    changed, undo = TRANSFORMS[name](np.random.default_rng(0), images[0])
    assert changed.dtype == np.uint8 and not (changed == images[0]).all()
    change = changed.astype(float) - images[0]
    assert np.abs(change).max() <= 51.5  # a fifth of 255, and of at most 255 around the mean, rounded
    probability = smooth(64)
    assert undo(probability)[0] is probability


def test_contrast_keeps_the_mean_and_brightness_the_shape(images):
    image = images[0] // 2 + 64  # far enough from 0 and 255 that nothing is clipped
    contrast = TRANSFORMS["contrast"](np.random.default_rng(0), image)[0].astype(float)
    brightness = TRANSFORMS["brightness"](np.random.default_rng(1), image)[0].astype(float)
    assert contrast.mean() == pytest.approx(image.mean(), abs=0.5)  # rounding to grey values
    assert np.ptp(brightness - image) <= 1  # rounding
    assert contrast.std() != pytest.approx(image.std(), rel=0.01)


@pytest.mark.parametrize("transforms", [(), ("flip",), ("flip", "grid"), tuple(TRANSFORMS)])
def test_the_mean_over_an_echo_is_the_image(transforms, images):
    geometric = tuple(name for name in transforms if name not in ("contrast", "brightness"))
    expected = 0.1 + 0.8 * images / 255
    # Warps interpolate grey values twice; the image changes by up to 8 grey values per pixel.
    tolerance = 1e-6 if geometric in ((), ("flip",)) else 0.02
    np.testing.assert_allclose(tta.predict(Echo(), images, geometric), expected, rtol=0, atol=tolerance)


def test_flip_tta_is_the_mean_of_two_predictions(network, images):
    plain = tta.predict(network, images, ())
    flipped = tta.predict(network, np.ascontiguousarray(images[:, :, ::-1]), ())[:, :, ::-1]
    assert np.abs(plain - flipped).max() > 1e-3  # the network is not symmetric
    # Convolutions may sum in another order.
    np.testing.assert_allclose(tta.predict(network, images), (plain + flipped) / 2, rtol=0, atol=1e-6)


def test_pixels_that_a_copy_does_not_show_get_no_vote_from_it():
    class One(Echo):
        """Predicts 0 for the original and 1 for the cropped copy."""

        def forward(self, x):
            self.batches.append(len(x))
            return torch.full_like(x, -50.0 if len(self.batches) == 1 else 50.0)

    mean = tta.predict(One(), np.zeros((1, 64, 64), np.uint8), ("crop",), seed=4)[0]
    votes = transforms.random_sized_crop(np.random.default_rng([4, 0, list(TRANSFORMS).index("crop")]), 64, 64).votes
    assert 0 < votes.sum() < votes.size
    np.testing.assert_allclose(mean, np.where(votes, 0.5, 0), rtol=0, atol=1e-6)


def test_random_transforms_depend_on_seed_and_image_only(network, images):
    every = tuple(TRANSFORMS)
    expected = tta.predict(network, images, every, batch_size=7, seed=1)
    # Convolutions may sum in another order in batches of another size.
    np.testing.assert_allclose(tta.predict(network, images, every, batch_size=2, seed=1), expected, rtol=0, atol=1e-5)
    assert np.abs(tta.predict(network, images, every, seed=2) - expected).max() > 1e-3
    alone, together = tta.predict(Echo(), images, ("elastic",)), tta.predict(Echo(), images, ("crop", "elastic"))
    assert alone.shape == together.shape == images.shape and alone.dtype == np.float32


def test_batches_and_mode(images):
    model = Echo().train()
    model.part = nn.Dropout().eval()
    tta.predict(model, images, ("flip", "contrast"), batch_size=3)
    assert model.batches == [3, 3, 3] * 2 + [1, 1, 1]
    assert model.training and not model.part.training


def test_predict_to_streams_into_a_file(tmp_path, network, images, capsys):
    path = tmp_path / "new" / "maps.npy"
    maps = predict_to(path, network, images, ("flip",), fast=False)
    assert isinstance(maps, np.memmap) and not maps.flags.writeable
    np.testing.assert_array_equal(maps, tta.predict(network, images, ("flip",)))
    assert "predict" in capsys.readouterr().err
    half = predict_to(path, network, images, ("flip",), dtype=np.float16, progress=False, fast=False)
    np.testing.assert_array_equal(half, np.asarray(maps).astype(np.float16))
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("channels", [1, 3])
def test_the_fast_copy_predicts_the_same(channels, images):
    torch.manual_seed(0)
    model = smp.Unet("resnet34", encoder_weights=None, in_channels=channels).train()
    model.channels = channels
    with torch.no_grad():
        for _ in range(3):  # running statistics other than those of a new network
            model(as_input(images, channels))
        model.segmentation_head[0].weight.mul_(10)  # probabilities over the whole range, as of a trained network
    before = {name: value.clone() for name, value in model.state_dict().items()}
    expected = tta.predict(model, images)
    assert np.ptp(expected) > 0.5
    fast = InferenceNetwork(model)
    # Rounding of folded weights.
    np.testing.assert_allclose(tta.predict(fast, images), expected, rtol=0, atol=1e-4)
    assert model.training and all((value == before[name]).all() for name, value in model.state_dict().items())
    assert not any(isinstance(part, nn.BatchNorm2d) for part in fast.modules())


def test_a_network_that_cannot_be_folded_is_still_copied(images):
    class Branches(nn.Module):
        channels = 1

        def __init__(self):
            super().__init__()
            self.layer = nn.Conv2d(1, 1, 3, padding=1)

        def forward(self, x):
            return self.layer(x) if x.mean() > 0 else x

    model = Branches()
    np.testing.assert_allclose(
        tta.predict(InferenceNetwork(model), images), tta.predict(model, images), rtol=0, atol=1e-6
    )


def test_an_interrupted_prediction_leaves_nothing(tmp_path, images):
    class Broken(Echo):
        def forward(self, x):
            if self.batches:
                raise KeyboardInterrupt
            return super().forward(x)

    with pytest.raises(KeyboardInterrupt):
        predict_to(tmp_path / "maps.npy", Broken(), images, (), progress=False, fast=False)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("images", "transforms", "batch_size", "message"),
    [
        (np.zeros((1, 32, 32), np.uint8), ("rotate",), 5, "choose from flip, contrast, brightness, crop, elastic"),
        (np.zeros((1, 32, 32)), ("flip",), 5, "images is float64"),
        (np.zeros((32, 32), np.uint8), ("flip",), 5, r"pass uint8 \(N, H, W\)"),
        (np.zeros((1, 32, 32), np.uint8), ("flip",), 0, "batch_size is 0"),
    ],
)
def test_errors(images, transforms, batch_size, message):
    with pytest.raises(TtaError, match=message):
        tta.predict(Echo(), images, transforms, batch_size)


def test_the_follow_up_codes_elastic_transform_would_fold_the_image():
    """Why ours is another: alpha 120, sigma 6 at 512 pixels turns parts of the image inside out."""
    noise = np.random.default_rng(0).uniform(-1, 1, (512, 512, 2)).astype(np.float32)
    dx, dy = np.moveaxis(120 * cv2.GaussianBlur(noise, (0, 0), 6), -1, 0)
    determinant = (1 + np.gradient(dx, axis=1)) * (1 + np.gradient(dy, axis=0)) - np.gradient(dx, axis=0) * np.gradient(
        dy, axis=1
    )
    assert (determinant <= 0).mean() > 0.01
    for seed in range(5):
        there = transforms.elastic(np.random.default_rng(seed), 128, 128).there
        (xy, xx), (yy, yx) = np.gradient(there[..., 0]), np.gradient(there[..., 1])
        assert (xx * yy - xy * yx).min() > 0


def test_a_full_disk_ends_a_prediction_with_a_sentence(tmp_path, network, images, monkeypatch):
    """Writing goes through a file, whose write fails; into a memory map it would end the whole process."""

    class Full(io.BytesIO):
        def write(self, data):
            if self.tell() > 1000:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return super().write(data)

    monkeypatch.setattr(Path, "open", lambda self, mode: Full())
    with pytest.raises(WriteError, match="maps.npy could not be written .No space left"):
        predict_to(tmp_path / "maps.npy", network, images, (), progress=False, fast=False)
    assert not list(tmp_path.iterdir())
