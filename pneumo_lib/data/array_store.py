"""Prepared arrays on disk: written image by image, complete with the manifest, checked when they are loaded.

A folder holds `images.npy`, `masks.npy`, `index.csv` and, written last, `prepared.json`: a folder without it is begun anew,
which takes two minutes for all 12,047 images on two cores.
"""

import contextlib
import hashlib
import json
import os
import zlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import pandas as pd

from pneumo_lib import atomic
from pneumo_lib.errors import PreprocessingError
from pneumo_lib.hardware import usable_cores

COLUMNS = {
    "image_id": "str",
    "labelled": "bool",
    "positive": "boolean",
    "mask_area_px": "Int64",
    "patient_id": "string",
    "sex": "string",
    "age_years": "float64",
    "view": "string",
    "pixel_spacing_mm": "float64",
    "side_px": "float64",
}


MANIFEST = "prepared.json"


@dataclass(frozen=True)
class Preprocessed:
    """Arrays of a data set at one size.

    Attributes:
        images: uint8 0..255 (N, size, size), air dark, read-only memory map.
        masks: uint8 0/1 (N, size, size), read-only memory map; all 0 for negative and unlabelled images.
        index: N rows in the same order: the columns of `siim.load_index` without `path` and `rle`.
        skipped: `image_id`, `error` of the files that `on_error="skip"` left out.
    """

    images: np.ndarray
    masks: np.ndarray
    index: pd.DataFrame
    skipped: pd.DataFrame
    size: int
    folder: Path


def load(folder: str | Path, check: bool = True) -> Preprocessed:
    """The arrays that `prepare` made in `folder`.

    Args:
        check: compare the arrays with their checksums; once in a process, and about a second for every 2 GB.

    Raises:
        PreprocessingError: not there, unfinished, or damaged.
    """
    folder = Path(folder).absolute()
    manifest = read_manifest(folder)
    if manifest is None:
        raise PreprocessingError(f"no finished arrays in {folder}; run prepare on it (again).")
    if crc_of(folder / "index.csv") != manifest["index"]:
        raise PreprocessingError(
            f"{folder / 'index.csv'} is missing or damaged; delete the folder and prepare it again."
        )
    size = manifest["origin"]["size"]
    index = pd.read_csv(folder / "index.csv", dtype=COLUMNS, keep_default_na=False, na_values=[""])
    # `prepare` adds what a table of an earlier version lacks; without the X-rays it stays unknown.
    index = index.reindex(columns=list(COLUMNS))
    images, masks = (_open(folder / f"{name}.npy", (manifest["rows"], size, size)) for name in ("images", "masks"))
    if check:
        for name in ("images", "masks"):
            path = folder / f"{name}.npy"
            _check(path, manifest[name], path.stat().st_mtime_ns)
    skipped = pd.DataFrame(manifest["skipped"], columns=["image_id", "error"])
    return Preprocessed(images, masks, index, skipped, size, folder)


def read_manifest(folder: Path) -> dict | None:
    """The manifest of a complete folder; None where it is not complete."""
    path = folder / MANIFEST
    if not path.is_file():
        return None
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
        if {"origin", "index", "rows", "images", "masks", "skipped"} <= set(manifest):
            return manifest
    except (OSError, TypeError, ValueError):
        pass  # said below
    raise PreprocessingError(f"{path} is damaged; delete the folder and prepare it again.")


def _open(path: Path, shape: tuple[int, int, int]) -> np.ndarray:
    """Read-only memory map of an array file of the given shape."""
    try:
        array = np.load(path, mmap_mode="r")
    except (OSError, ValueError, EOFError) as error:
        raise PreprocessingError(f"{path} is missing or damaged; delete the folder and prepare it again.") from error
    if array.shape != shape:
        raise PreprocessingError(
            f"{path} has shape {array.shape}, not {shape}; delete the folder and prepare it again."
        )
    return array


@lru_cache(maxsize=64)
def _check(path: Path, expected: int, changed: int) -> None:
    """Compares an array with its checksum; remembered for the file's time of change."""
    if zlib.crc32(np.load(path, mmap_mode="r").data) != expected:
        raise PreprocessingError(f"{path} is damaged; delete the folder and prepare it again.")


class ArrayFile:
    """An array uint8 (N, size, size) on its way to a NPY file, image by image, and the checksum of what was written."""

    def __init__(self, path: Path, size: int):
        self.size, self.rows, self.crc = size, 0, 0
        self._file = path.open("wb")
        self._write_header()

    def append(self, image: np.ndarray) -> None:
        self._file.write(image.data)
        self.crc, self.rows = zlib.crc32(image.data, self.crc), self.rows + 1

    def finish(self) -> None:
        # NumPy leaves room in its header for the number of rows to grow.
        self._file.seek(0)
        self._write_header()

    def close(self) -> None:
        with contextlib.suppress(OSError):  # a full disk has been reported
            self._file.close()

    def _write_header(self) -> None:
        about = {"descr": "|u1", "fortran_order": False, "shape": (self.rows, self.size, self.size)}
        np.lib.format.write_array_header_1_0(self._file, about)


def write_index(folder: Path, manifest: dict, index: pd.DataFrame) -> None:
    """Writes the table and, last, the manifest with the table's checksum."""
    content = index_csv(index, manifest["skipped"])
    with atomic.replacing(folder / "index.csv") as temporary:
        temporary.write_bytes(content)
    atomic.write_json(folder / MANIFEST, manifest | {"index": zlib.crc32(content)})


def index_csv(index: pd.DataFrame, skipped: list[list[str]]) -> bytes:
    kept = index[~index.image_id.isin([image_id for image_id, _ in skipped])]
    return kept.reindex(columns=list(COLUMNS)).to_csv(index=False).encode()


def crc_of(path: Path) -> int | None:
    return zlib.crc32(path.read_bytes()) if path.is_file() else None


_SAMPLE_BYTES = 4096


def describe_origin(index: pd.DataFrame) -> dict:
    """What the arrays depend on. `content` covers ids, masks and a sample of each file, but not where the files lie."""
    with ThreadPoolExecutor(usable_cores()) as pool:
        samples = list(pool.map(_origin_sample, index.path))
    digest = hashlib.sha256()
    for row, sample in zip(index.itertuples(), samples, strict=True):
        digest.update(json.dumps([row.image_id, bool(row.labelled), list(row.rle), sample]).encode())
    source = os.path.commonpath([str(Path(path).parent) for path in index.path])
    # The only mask rule there is; named so that arrays of earlier versions are recognised.
    return {"source": source, "images": len(index), "mask_rule": "area", "content": digest.hexdigest()}


def _origin_sample(path: str) -> list[int]:
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


def origin_words(origin: dict) -> str:
    """An origin as an error names it."""
    return f"{origin['source']} ({origin['images']} images, {origin['size']} px, content {origin['content'][:8]})"
