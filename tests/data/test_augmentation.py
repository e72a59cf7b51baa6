import numpy as np
import pytest

from pneumo_lib.data import augmentation

SIZES = (32, 64, 128, 256, 512)
GEOMETRIC = ("flip", "elastic", "grid", "optical", "shift, scale, rotate", "random sized crop")
TONE = ("contrast", "gamma", "brightness")


def checkerboard(size: int, field: int) -> np.ndarray:
    """uint8 0/1 with fields of `field` pixels."""
    rows, columns = np.indices((size, size)) // field
    return ((rows + columns) % 2).astype(np.uint8)


def test_every_transform_is_listed():
    assert set(augmentation.TRANSFORMS) == {*GEOMETRIC, *TONE}


@pytest.mark.parametrize("name", GEOMETRIC)
@pytest.mark.parametrize("size", [64, 512])
def test_an_image_that_is_its_own_mask_stays_its_mask(name, size):
    mask = checkerboard(size, size // 8)
    transform = augmentation.single(name, size)
    for seed in range(10):
        transform.set_random_seed(seed)
        result = transform(image=mask * 200, mask=mask)
        # Where the bilinear image is not on an edge between fields, it has to say the same as the nearest mask.
        apart = (result["image"] > 100) != (result["mask"] > 0)
        off_the_edge = np.abs(result["image"].astype(int) - 100) > 80
        assert off_the_edge.mean() > 0.5
        assert (apart & off_the_edge).mean() < 0.001


@pytest.mark.parametrize("name", GEOMETRIC)
def test_geometric_transforms_change_image_and_mask(name):
    mask = checkerboard(128, 16)
    mask[:, :40] = 0
    transform = augmentation.single(name, 128)
    transform.set_random_seed(3)
    result = transform(image=mask * 200, mask=mask)
    assert not np.array_equal(result["image"], mask * 200)
    assert not np.array_equal(result["mask"], mask)


@pytest.mark.parametrize("name", TONE)
def test_tone_changes_the_image_only(name):
    image = np.tile(np.arange(64, dtype=np.uint8) * 4, (64, 1))
    mask = checkerboard(64, 8)
    transform = augmentation.single(name, 64)
    transform.set_random_seed(1)
    result = transform(image=image, mask=mask)
    assert not np.array_equal(result["image"], image)
    assert np.array_equal(result["mask"], mask)
    assert (np.diff(result["image"][0].astype(int)) >= 0).all()  # a tone curve keeps the order of grays


def test_flip_by_hand():
    result = augmentation.single("flip", 2)(image=np.array([[1, 2], [3, 4]], np.uint8), mask=np.eye(2, dtype=np.uint8))
    assert result["image"].tolist() == [[2, 1], [4, 3]]
    assert result["mask"].tolist() == [[0, 1], [1, 0]]


@pytest.mark.parametrize("size", SIZES)
def test_training_keeps_shapes_types_and_binary_masks(size):
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (size, size), dtype=np.uint8)
    mask = checkerboard(size, max(1, size // 16))
    transform = augmentation.training(size)
    for seed in range(25):
        transform.set_random_seed(seed)
        result = transform(image=image, mask=mask)
        for array in result["image"], result["mask"]:
            assert array.shape == (size, size)
            assert array.dtype == np.uint8
        assert set(np.unique(result["mask"])) <= {0, 1}


def test_inputs_are_left_alone():
    image, mask = np.full((64, 64), 100, np.uint8), checkerboard(64, 8)
    transform = augmentation.training(64)
    for seed in range(20):
        transform.set_random_seed(seed)
        transform(image=image, mask=mask)
    assert (image == 100).all()
    assert np.array_equal(mask, checkerboard(64, 8))


def test_the_seed_alone_decides():
    image, mask = np.random.default_rng(0).integers(0, 256, (64, 64), dtype=np.uint8), checkerboard(64, 8)
    first, second = augmentation.training(64), augmentation.training(64)
    for seed in range(100, 0, -1):  # another order and another history
        second.set_random_seed(seed)
        second(image=image, mask=mask)
    seen = set()
    for seed in range(40):
        results = []
        for transform in (first, second):
            transform.set_random_seed(seed)
            results.append(transform(image=image, mask=mask))
        assert np.array_equal(results[0]["image"], results[1]["image"])
        assert np.array_equal(results[0]["mask"], results[1]["mask"])
        seen.add(results[0]["image"].tobytes())
    assert len(seen) > 25


def test_how_often_each_kind_comes_up():
    mask = np.zeros((64, 64), np.uint8)
    mask[10:50, 10:30] = 1
    image = mask * 100 + 50
    transform = augmentation.training(64)
    same_mask = same_image = 0
    for seed in range(600):
        transform.set_random_seed(seed)
        result = transform(image=image, mask=mask)
        same_mask += np.array_equal(result["mask"], mask)
        same_image += np.array_equal(result["image"], image)
    # No flip, warp, shift or crop: 0.5 * 0.7 * 0.5 * 0.75 = 0.131; and no tone change: 0.7 of that.
    assert same_mask / 600 == pytest.approx(0.131, abs=0.045)
    assert same_image / 600 == pytest.approx(0.131 * 0.7, abs=0.045)


def displacement(size: int) -> float:
    """Root mean square displacement by the elastic transform, as a share of the size, read off a ramp."""
    ramp = np.tile(np.linspace(0, 255, size).astype(np.float32), (size, 1))
    transform = augmentation.single("elastic", size)
    moved = []
    for seed in range(6):
        transform.set_random_seed(seed)
        moved.append(transform(image=ramp, mask=np.zeros((size, size), np.uint8))["image"] - ramp)
    inner = slice(size // 8, -size // 8)
    return float(np.sqrt(np.mean(np.square([one[inner, inner] for one in moved])))) / 255


def test_elastic_displacement_scales_with_the_size():
    reference = displacement(512)
    assert reference * 512 == pytest.approx(3.3, abs=0.7)  # pixels: 120 / 6 * 0.577 / (2 * sqrt(pi))
    for size in (64, 128, 256):
        assert displacement(size) == pytest.approx(reference, rel=0.25)


def test_shift_is_at_most_a_fifth_and_the_border_is_black():
    transform = augmentation.single("shift, scale, rotate", 100)
    mask = np.zeros((100, 100), np.uint8)
    mask[48:52, 48:52] = 1
    offsets = []
    for seed in range(100):
        transform.set_random_seed(seed)
        result = transform(image=np.full((100, 100), 200, np.uint8), mask=mask)
        offsets.append(np.argwhere(result["mask"]).mean(axis=0) - 49.5)
        assert set(np.unique(result["image"])) <= set(range(201))
    largest = np.abs(offsets).max()
    assert 15 < largest <= 20.6
