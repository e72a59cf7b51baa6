"""Data of the page on which a reader is the radiologist: phantoms as small pictures, with their masks."""

import base64
from collections.abc import Callable
from itertools import count, islice
from pathlib import Path

import cv2
import numpy as np

from pneumo_book.think import write_script
from pneumo_lib import phantom
from pneumo_lib.data import preprocessing, rle
from pneumo_lib.phantom.cohort import case

SEED = 2019
"""Of the phantoms shown; no run of the book trains on them."""

IMAGES = {True: 10, False: 10}
"""How many images with and without a pneumothorax are shown."""

SIZE = 448
QUALITY = 88
"""Of the WebP pictures, 0..100; high, because a pleural line is one or two pixels wide."""

LABEL = "Phantoms (synthetic X-rays)"

Predict = Callable[[np.ndarray], np.ndarray]


def write(path: Path, predict: Predict | None = None, network: str | None = None) -> None:
    """Writes the page's script; arguments as in `bundle`."""
    write_script(path, "pneumoRadiologist", bundle(predict, network))


def bundle(predict: Predict | None = None, network: str | None = None) -> dict:
    """Everything the page needs, as plain values.

    Args:
        predict: from an X-ray, uint8 (H, W), to the network's mask, bool (h, w) of any size; None leaves the network
            out, and the page says so.
        network: what stands above the network's scores, for example "exp4, demo profile, seed 0".

    Returns:
        `label`, `size` (pixels along a side of the pictures), `network` and `images`, one dict per image: `picture` (a
        data URL), `truth` (run-length encoded at `size`), `kind` and `side` of the pneumothorax, "" without one, and
        `predicted`, the network's mask in the same encoding, or None.
    """
    shown = [_image(index, predict) for index in chosen()]
    return {"label": LABEL, "size": SIZE, "network": network if predict else None, "images": shown}


def chosen(seed: int = SEED) -> list[int]:
    """Indices of the phantoms: the first ones of either kind, in an order that does not tell which is which."""
    found = [
        index
        for positive, wanted in IMAGES.items()
        for index in islice((i for i in count() if case(i, seed).positive == positive), wanted)
    ]
    return np.random.default_rng(seed).permutation(found).tolist()


def _image(index: int, predict: Predict | None) -> dict:
    one = phantom.draw(index, SEED)
    return {
        "picture": _picture(preprocessing.resize_image(one.image, SIZE)),
        "truth": rle.encode(preprocessing.resize_mask(one.mask, SIZE)),
        "kind": one.pneumothorax,
        "side": one.side,
        "predicted": rle.encode(preprocessing.resize_mask(predict(one.image), SIZE)) if predict else None,
    }


def _picture(image: np.ndarray) -> str:
    _, encoded = cv2.imencode(".webp", image, [cv2.IMWRITE_WEBP_QUALITY, QUALITY])
    return f"data:image/webp;base64,{base64.b64encode(encoded.tobytes()).decode()}"
