"""What prepared arrays are made from, so that arrays of another source are never taken for one's own."""

import hashlib
import json
import os
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pandas as pd

from pneumo_lib.cores import usable_cores

_SAMPLE_BYTES = 4096


def describe(index: pd.DataFrame, mask_rule: str) -> dict:
    """What the arrays depend on. `content` covers ids, masks and a sample of each file, but not where the files lie."""
    with ThreadPoolExecutor(usable_cores()) as pool:
        samples = list(pool.map(_sample, index.path))
    digest = hashlib.sha256()
    for row, sample in zip(index.itertuples(), samples, strict=True):
        digest.update(json.dumps([row.image_id, bool(row.labelled), list(row.rle), sample]).encode())
    source = os.path.commonpath([str(Path(path).parent) for path in index.path])
    return {"source": source, "images": len(index), "mask_rule": mask_rule, "content": digest.hexdigest()}


def _sample(path: str) -> list[int]:
    """Size of a file and CRC-32 of its middle and end: tells two versions apart without reading all of them."""
    try:
        with Path(path).open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(size // 2)
            middle = zlib.crc32(file.read(_SAMPLE_BYTES))
            file.seek(max(0, size - _SAMPLE_BYTES))
            return [size, middle, zlib.crc32(file.read())]
    except OSError:
        return []  # decoding it says what is wrong, or skips it


def same(there: dict, asked: dict) -> bool:
    """Whether two origins are of one content, size and mask rule; a copy of the data elsewhere is the same data."""
    return {**there, "source": ""} == {**asked, "source": ""}


def words(origin: dict) -> str:
    """An origin as an error names it."""
    return (
        f"{origin['source']} ({origin['images']} images, {origin['size']} px, mask rule {origin['mask_rule']}, "
        f"content {origin['content'][:8]})"
    )
