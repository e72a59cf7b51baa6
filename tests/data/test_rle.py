import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from pneumo_lib.data import rle
from pneumo_lib.errors import RleError

masks = arrays(bool, array_shapes(min_dims=2, max_dims=2, max_side=9))


def by_the_book(row: str, shape: tuple[int, int]) -> np.ndarray:
    """The challenge's decoder, pixel by pixel: walk down the columns, skip a gap, paint a run."""
    height, width = shape
    mask = np.zeros(shape, bool)
    position = 0
    numbers = [int(token) for token in row.split()]
    for gap, length in zip(numbers[::2], numbers[1::2], strict=True):
        position += gap
        for pixel in range(position, position + length):
            mask[pixel % height, pixel // height] = True
        position += length
    return mask


def test_counts_down_the_columns_from_the_end_of_the_last_run():
    #   0 3 6
    #   1 4 7     gap 1, two on (1, 2), gap 1 (3), three on (4, 5, 6)
    #   2 5 8
    expected = np.array([[0, 0, 1], [1, 1, 0], [1, 1, 0]], bool)
    assert np.array_equal(rle.decode("1 2 1 3", (3, 3)), expected)
    assert rle.encode(expected) == "1 2 1 3"


@pytest.mark.parametrize(
    ("pixels", "text"),
    [([(0, 0)], "0 1"), ([(2, 3)], "11 1"), ([(0, 0), (2, 3)], "0 1 10 1"), ([(2, 0), (0, 1)], "2 2"), ([], "-1")],
    ids=["first pixel", "last pixel", "both", "over a column's end", "none"],
)
def test_corners(pixels, text):
    mask = np.zeros((3, 4), bool)
    for pixel in pixels:
        mask[pixel] = True
    assert rle.encode(mask) == text
    assert np.array_equal(rle.decode(text, (3, 4)), mask)


def test_full_mask_is_one_run():
    assert rle.encode(np.ones((3, 4), bool)) == "0 12"
    assert rle.decode("0 12", (3, 4)).all()


def test_default_frame_is_the_challenges():
    mask = rle.decode("1048575 1")
    assert mask.shape == (1024, 1024)
    assert mask.dtype == bool
    assert mask.flags.c_contiguous
    assert np.argwhere(mask).tolist() == [[1023, 1023]]


@given(masks)
def test_round_trip(mask):
    assert np.array_equal(rle.decode(rle.encode(mask), mask.shape), mask)


@given(masks)
def test_agrees_with_a_pixelwise_decoder(mask):
    text = rle.encode(mask)
    assert np.array_equal(mask, by_the_book("" if text == "-1" else text, mask.shape))


@given(st.lists(arrays(bool, (6, 5)), max_size=4))
def test_rows_unite_overlapping_or_not(several):
    union = np.logical_or.reduce(several) if several else np.zeros((6, 5), bool)
    assert np.array_equal(rle.decode([rle.encode(mask) for mask in several], (6, 5)), union)


@pytest.mark.parametrize("row", ["-1", " -1", "-1 ", " -1\r"])
def test_minus_one_is_empty_whatever_the_spaces(row):
    assert not rle.decode(row, (4, 4)).any()
    assert rle.decode([row, "0 1"], (4, 4)).sum() == 1


def test_runs_may_touch():
    assert rle.decode("0 2 0 2", (2, 2)).all()


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("1 2 3", "3 numbers"),
        ("1 -2", "number 2 is '-2'"),
        ("1 two", "number 2 is 'two'"),
        ("1 2.0", "number 2 is '2.0'"),
        ("1 2 1e3 4", "number 3 is '1e3'"),
        ("1 1_0", "number 2 is '1_0'"),
        ("1 \u0662", "number 2"),
        ("1 2 nan 4", "number 3 is 'nan'"),
        ("0 17", "number 2 runs past the last pixel (16)"),
        ("0 4 20 1", "number 3 runs past the last pixel (16)"),
        ("0 " + "9" * 30, "number 2 runs past"),
        (f"{2**62} {2**62} {2**62} {2**62}", "number 1 runs past"),
        ("3 0", "number 2 is a run of no pixels"),
        ("", "is empty"),
        (float("nan"), "not text"),
        (None, "not text"),
    ],
)
def test_what_is_no_mask_is_refused_with_image_and_position(row, said):
    with pytest.raises(RleError) as caught:
        rle.decode(["0 1", row], (4, 4), image_id="ID_1")
    assert said in str(caught.value)
    assert "ID_1, row 2 of 2" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "mask", [np.zeros(4, bool), np.zeros((1, 2, 2), bool), np.full((2, 2), 255), np.full((2, 2), 0.5)]
)
def test_what_is_no_mask_is_not_encoded(mask):
    with pytest.raises(RleError):
        rle.encode(mask)


@pytest.mark.parametrize("dtype", [np.uint8, np.int64, np.float32])
def test_zeros_and_ones_of_any_type_are_encoded(dtype):
    assert rle.encode(np.eye(2, dtype=dtype)) == "0 1 2 1"
