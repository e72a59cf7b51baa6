"""The work of preparing: decode, resize and append, in order, with the next chunk already being decoded."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd
from tqdm import tqdm

from pneumo_lib.data import siim
from pneumo_lib.data.resize import resize_image, resize_mask
from pneumo_lib.data.store import Store
from pneumo_lib.errors import PneumoError

CHUNK = 64
"""Images that are decoded, written and journalled together: 32 MB at 512 px."""


def fill(
    index: pd.DataFrame, stores: dict[int, Store], workers: int, on_error: str, progress: bool, mask_rule: str
) -> None:
    if not stores:
        return
    rows = list(index.itertuples())
    chunks = [rows[first : first + CHUNK] for first in range(0, len(rows), CHUNK)]
    done = min(len(store.chunks) for store in stores.values())
    for store in stores.values():
        store.check_space(len(rows) - len(store.chunks) * CHUNK)
    # tqdm's None: a bar in a terminal only, so that no frame of it ends up in a rendered page.
    bar = tqdm(total=len(rows), initial=min(done * CHUNK, len(rows)), unit="image", disable=None if progress else True)
    with bar, ThreadPoolExecutor(workers) as pool:
        ahead = _submit(pool, chunks, done, list(stores), mask_rule)
        for number in range(done, len(chunks)):
            futures, ahead = ahead, _submit(pool, chunks, number + 1, list(stores), mask_rule)
            try:
                _append(stores, number, chunks[number], futures, on_error)
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise
            bar.update(len(chunks[number]))


def _submit(pool: ThreadPoolExecutor, chunks: list, number: int, sizes: list[int], mask_rule: str) -> list:
    return [pool.submit(_decode, row, sizes, mask_rule) for row in chunks[number]] if number < len(chunks) else []


def _decode(row, sizes: list[int], mask_rule: str) -> dict[int, tuple[np.ndarray, np.ndarray]]:
    image = siim.read_image(row.path)
    mask = siim.read_mask(row) if row.labelled else None
    empty = mask is None or not mask.any()
    return {
        size: (
            resize_image(image, size),
            np.zeros((size, size), np.uint8) if empty else resize_mask(mask, size, mask_rule),
        )
        for size in sizes
    }


def _append(stores: dict[int, Store], number: int, rows: list, futures: list, on_error: str) -> None:
    kept, skipped = [], []
    for row, future in zip(rows, futures, strict=True):
        try:
            kept.append(future.result())
        except PneumoError as error:
            if on_error == "stop":
                raise
            skipped.append([row.image_id, str(error)])
    for size, store in stores.items():
        if len(store.chunks) == number:  # a store that is further on than another has this chunk already
            images, masks = np.empty((2, len(kept), size, size), np.uint8)
            for position, sizes in enumerate(kept):
                images[position], masks[position] = sizes[size]
            store.append(images, masks, skipped)
