"""The same X-ray under two ids."""

import numpy as np
import pandas as pd

from pneumo_lib.data import splits

A, B, C = (np.full((4, 4), value, np.uint8) for value in (1, 2, 3))


def test_equal_images_share_a_number():
    assert splits.duplicates(np.stack([A, B, A, C, B])).tolist() == [0, 1, 0, 2, 1]


def test_one_other_pixel_is_another_image():
    other = A.copy()
    other[3, 3] += 1
    assert len(set(splits.duplicates(np.stack([A, other])))) == 2


def test_pairs_across_parts_are_counted():
    images = np.stack([A, A, B, B, C])
    split = pd.Series(["train", "test", "train", "train", "validation"], dtype="string")
    assert splits.report_duplicates(images, split).iloc[0].to_dict() == {
        "images": 5,
        "shown_twice": 2,
        "cross_parts": 1,
    }


def test_an_unlabelled_copy_crosses_nothing():
    split = pd.Series(["train", pd.NA, "test"], dtype="string")
    assert splits.report_duplicates(np.stack([A, A, B]), split).iloc[0].to_dict() == {
        "images": 2,
        "shown_twice": 0,
        "cross_parts": 0,
    }
