"""Images and masks on disk, appended chunk by chunk: what a killed process left is checked and carried on with.

A folder holds `images.npy`, `masks.npy` and, while it is being filled, `journal.jsonl`: first what it is made from,
then a line with row count and checksums for every chunk that is whole. `prepared.json` replaces the journal in the
end, so a folder with it is complete.
"""

import hashlib
import json
import os
import shutil
import zlib
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from pathlib import Path

import numpy as np
import pandas as pd

from pneumo_lib import atomic
from pneumo_lib.errors import PreprocessingError
from pneumo_lib.hardware import usable_cores

_SAMPLE_BYTES = 4096


def describe_origin(index: pd.DataFrame, mask_rule: str) -> dict:
    """What the arrays depend on. `content` covers ids, masks and a sample of each file, but not where the files lie."""
    with ThreadPoolExecutor(usable_cores()) as pool:
        samples = list(pool.map(_origin_sample, index.path))
    digest = hashlib.sha256()
    for row, sample in zip(index.itertuples(), samples, strict=True):
        digest.update(json.dumps([row.image_id, bool(row.labelled), list(row.rle), sample]).encode())
    source = os.path.commonpath([str(Path(path).parent) for path in index.path])
    return {"source": source, "images": len(index), "mask_rule": mask_rule, "content": digest.hexdigest()}


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


def same_origin(there: dict, asked: dict) -> bool:
    """Whether two origins are of one content, size and mask rule; a copy of the data elsewhere is the same data."""
    return {**there, "source": ""} == {**asked, "source": ""}


def origin_words(origin: dict) -> str:
    """An origin as an error names it."""
    return (
        f"{origin['source']} ({origin['images']} images, {origin['size']} px, mask rule {origin['mask_rule']}, "
        f"content {origin['content'][:8]})"
    )


ARRAYS = ("images", "masks")
MANIFEST = "prepared.json"
_HEADER_BYTES = 128


class Store:
    """One folder of arrays uint8 (N, size, size) that is being filled.

    Attributes:
        chunks: of each whole chunk `rows` kept, the CRC-32 of its `images` and `masks`, and what was `skipped`.
    """

    def __init__(self, folder: Path, size: int, made_from: dict, take_skipped: bool = True):
        """Opens or begins the folder.

        Raises:
            PreprocessingError: what lies there was begun from another origin, or the disk cannot be written.
        """
        self.folder, self.size, self.origin = folder, size, made_from
        self.take_skipped = take_skipped
        self.journal = folder / "journal.jsonl"
        self.chunks = self._whole_chunks()
        try:
            self._cut_back()
        except OSError as error:
            raise self.unwritable(error) from error

    @property
    def rows(self) -> int:
        """Rows written and whole."""
        return sum(chunk["rows"] for chunk in self.chunks)

    def append(self, images: np.ndarray, masks: np.ndarray, skipped: list[list[str]]) -> None:
        """Writes one chunk, then its line in the journal."""
        chunk = {
            "rows": len(images),
            "images": zlib.crc32(images.data),
            "masks": zlib.crc32(masks.data),
            "skipped": skipped,
        }
        try:
            for name, array in zip(ARRAYS, (images, masks), strict=True):
                with self._file(name).open("ab") as file:
                    file.write(array.data.cast("B") if array.size else b"")
            with self.journal.open("a", encoding="utf-8") as file:
                file.write(json.dumps(chunk) + "\n")
        except OSError as error:
            raise self.unwritable(error) from error
        self.chunks.append(chunk)

    def check_space(self, rows: int) -> None:
        """Raises PreprocessingError where the disk has no room for `rows` rows more."""
        need, free = rows * self.size**2 * len(ARRAYS), shutil.disk_usage(self.folder).free
        if free < need:
            raise PreprocessingError(
                f"{self.folder}: needs {need / 1e9:.2f} GB more, but the disk has {free / 1e9:.2f} GB left; "
                "free some, or name a folder on another disk."
            )

    def finish(self, manifest: dict) -> None:
        """Writes the arrays' final headers and the manifest; from here on the folder is complete."""
        try:
            for name in ARRAYS:
                with self._file(name).open("r+b") as file:
                    file.write(self._header(self.rows))
            atomic.write_json(self.folder / MANIFEST, manifest)
            self.journal.unlink()
        except OSError as error:
            raise self.unwritable(error) from error

    def unwritable(self, error: OSError) -> PreprocessingError:
        """What a failed write means."""
        what = "the disk is full" if error.errno in atomic.NO_ROOM else f"it cannot be written ({error.strerror})"
        return PreprocessingError(
            f"{self.folder}: {what} after {self.rows} images; mend that and run again, it carries on."
        )

    def _file(self, name: str) -> Path:
        return self.folder / f"{name}.npy"

    def _header(self, rows: int) -> bytes:
        """NPY header, padded to a fixed length so that the row count can be put in last."""
        text = str({"descr": "|u1", "fortran_order": False, "shape": (rows, self.size, self.size)})
        return (
            b"\x93NUMPY\x01\x00"
            + (_HEADER_BYTES - 10).to_bytes(2, "little")
            + text.ljust(_HEADER_BYTES - 11).encode()
            + b"\n"
        )

    def _whole_chunks(self) -> list[dict]:
        """Journalled chunks up to the first whose bytes are not what the journal says."""
        lines = _journal_lines(self.journal)
        if not lines:
            return []
        if not same_origin(lines[0], self.origin):
            raise other_origin(self.folder, lines[0], self.origin)
        chunks: list[dict] = []
        for chunk in lines[1:]:
            if chunk["skipped"] and not self.take_skipped:
                break  # decoded again, so that the bad file stops this run as asked
            first = sum(one["rows"] for one in chunks)
            if any(chunk_crc(self._file(name), self.size, first, chunk["rows"]) != chunk[name] for name in ARRAYS):
                break
            chunks.append(chunk)
        return chunks

    def _cut_back(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        with atomic.replacing(self.journal) as temporary:
            temporary.write_text(
                "".join(json.dumps(line) + "\n" for line in [self.origin, *self.chunks]), encoding="utf-8"
            )
        for name in ARRAYS:
            with self._file(name).open("ab") as file:
                file.truncate(_HEADER_BYTES + self.rows * self.size**2 if self.rows else 0)
                if not self.rows:
                    file.write(self._header(0))


def _journal_lines(path: Path) -> list[dict]:
    """What the journal says, up to the first line that a crash of the machine left cut off or blank; [] without one."""
    lines = []
    for line in path.read_bytes().split(b"\n")[:-1] if path.is_file() else []:
        try:
            found = json.loads(line)
        except ValueError:
            break
        if not isinstance(found, dict):
            break
        lines.append(found)
    return lines


def chunk_crc(path: Path, size: int, first: int, rows: int) -> int | None:
    """CRC-32 of rows of an array file; None where the file is missing or too short."""
    try:
        with path.open("rb") as file:
            file.seek(_HEADER_BYTES + first * size**2)
            content = file.read(rows * size**2)
    except OSError:
        return None
    return zlib.crc32(content) if len(content) == rows * size**2 else None


def read_manifest(folder: Path) -> dict | None:
    """The manifest of a complete folder; None where it is not complete."""
    path = folder / MANIFEST
    if not path.is_file():
        return None
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
        if {"origin", "index", "chunks"} <= set(manifest):
            return manifest
    except (OSError, TypeError, ValueError):
        pass  # said below
    raise PreprocessingError(f"{path} is damaged; delete the folder and prepare it again.")


def open_array(path: Path, shape: tuple[int, int, int]) -> np.ndarray:
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
def check_array(path: Path, state: tuple[int, int]) -> None:
    """Compares an array file with its checksums; remembered for the file's size and time of change."""
    manifest, first = read_manifest(path.parent), 0
    if manifest is None:
        raise PreprocessingError(f"{path.parent} is not complete; delete the folder and prepare it again.")
    jobs = []
    for chunk in manifest["chunks"]:
        jobs.append((first, chunk["rows"], chunk[path.stem]))
        first += chunk["rows"]
    size = manifest["origin"]["size"]
    with ThreadPoolExecutor(usable_cores()) as pool:
        found = pool.map(lambda job: chunk_crc(path, size, job[0], job[1]), jobs)
        for (start, rows, expected), crc in zip(jobs, found, strict=True):
            if crc != expected:
                raise PreprocessingError(
                    f"{path} is damaged in rows {start} to {start + rows - 1}; delete the folder and prepare it again."
                )


def other_origin(folder: Path, there: dict, asked: dict) -> PreprocessingError:
    """The error for a folder that is taken by arrays from another origin."""
    return PreprocessingError(
        f"{folder} holds arrays made from {origin_words(there)}, not from {origin_words(asked)}; "
        "delete that folder or name another."
    )
