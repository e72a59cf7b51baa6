"""How often each grey level occurs, in real X-rays and in a data set: numbers only, no X-ray can be told from them.

`real_grey_levels.csv` holds them for 800 X-rays of the challenge's stage-2 test set.
Anybody with X-rays of the challenge can make it again:

    python -m pneumo_lib.report.grey_levels FOLDER_WITH_DICOM_FILES
"""

import sys
from collections.abc import Iterable
from pathlib import Path

import cv2
import numpy as np
import pandas as pd

from pneumo_lib import atomic
from pneumo_lib.data import dicom

REAL = Path(__file__).with_name("real_grey_levels.csv")

BINS = 32

_SIDE = 256


def shares(images: Iterable[np.ndarray]) -> np.ndarray:
    """Share of the pixels in each of 32 equal bins of grey, (N, 32), of images uint8 (H, W) brought to 256 x 256."""
    rows = []
    for image in images:
        small = cv2.resize(image, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA)
        rows.append(np.bincount(small.ravel() // (256 // BINS), minlength=BINS) / small.size)
    return np.array(rows).reshape(-1, BINS)


def table(images: Iterable[np.ndarray]) -> pd.DataFrame:
    """One row a bin: its lowest `grey`, `mean` and standard deviation `sd` over the images, and how many `images`."""
    each = shares(images)
    columns = {"grey": np.arange(BINS) * (256 // BINS), "mean": each.mean(axis=0), "sd": each.std(axis=0)}
    return pd.DataFrame(columns).round(6).assign(images=len(each))


def overlap(one: np.ndarray, other: np.ndarray) -> float:
    """Common area of two mean histograms (32,): 1 where they are equal, 0 where they share no grey level."""
    return float(np.minimum(one, other).sum())


if __name__ == "__main__":
    files = sorted(path for path in Path(sys.argv[1]).rglob("*.dcm") if not path.name.startswith("."))
    atomic.write_csv(REAL, table(map(dicom.read_image, files)))
    print(f"{REAL}: {len(files)} X-rays")
