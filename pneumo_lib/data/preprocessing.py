"""Images and masks decoded, resized and kept as memory-mapped arrays at the sizes that training and evaluation use."""

import contextlib
import sys
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
from filelock import FileLock, Timeout
from tqdm import tqdm

from pneumo_lib import atomic, challenge
from pneumo_lib.data import array_store, radiographs, siim
from pneumo_lib.data.array_store import ARRAYS, MANIFEST, Store, check_array, open_array, other_origin, read_manifest
from pneumo_lib.errors import PneumoError, PreprocessingError
from pneumo_lib.hardware import usable_cores

MASK_RULES = ("area", "follow-up")
ON_ERROR = ("stop", "skip")


def resize_image(image: np.ndarray, size: int) -> np.ndarray:
    """Image at size x size by area averaging (bilinear where it has to grow).

    Another aspect ratio is stretched to a square: the challenge's own 1024 x 1024 frames, in which its masks are drawn,
    are the whole picture too, so image and mask stay aligned and a predicted mask maps back by the same stretch.

    **Shape**: uint8 (H, W) → uint8 (size, size).

    Differs from the paper's follow-up code, which samples bilinearly without averaging: that aliases ribs and noise.
    """
    if image.shape == (size, size):
        return image
    method = cv2.INTER_AREA if min(image.shape) >= size else cv2.INTER_LINEAR
    return cv2.resize(image, (size, size), interpolation=method)


def resize_mask(mask: np.ndarray, size: int, rule: str = "area") -> np.ndarray:
    """Mask at size x size.

    `area` (our choice): a pixel is on where at least half of it is covered, which nearly keeps the area, as removal
    thresholds count pixels (measured on 177 positive masks: +1.7 % at 512 px, +1.0 % at 256); a positive mask never
    vanishes: too small for that, it keeps its pixels of largest coverage.

    `follow-up` (the follow-up code): resampled bilinearly, then every value above 0 is on, which dilates
    (+4.3 %, +4.5 %).

    **Shape**: bool (H, W) → uint8 0/1 (size, size).
    """
    if mask.shape == (size, size):
        return mask.astype(np.uint8)
    method = cv2.INTER_AREA if rule == "area" else cv2.INTER_LINEAR
    coverage = cv2.resize(mask.astype(np.float32), (size, size), interpolation=method)
    if rule == "follow-up":
        return (coverage > 0).astype(np.uint8)
    most = coverage.max()
    return (coverage >= (0.5 if most >= 0.5 or most == 0 else most)).astype(np.uint8)


CHUNK = 64
"""Images that are decoded, written and journalled together: 32 MB at 512 px."""


def fill_arrays(
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
                kept, unreadable = _results(chunks[number], futures)
                if unreadable and on_error == "stop":
                    rest = [row for chunk in chunks[number + 1 :] for row in chunk]
                    raise _all_unreadable(unreadable + _unreadable(pool, rest), len(rows))
                _append(stores, number, kept, unreadable)
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise
            bar.update(len(chunks[number]))


def _submit(pool: ThreadPoolExecutor, chunks: list, number: int, sizes: list[int], mask_rule: str) -> list:
    return [pool.submit(_decode, row, sizes, mask_rule) for row in chunks[number]] if number < len(chunks) else []


def _decode(row, sizes: list[int], mask_rule: str) -> dict[int, tuple[np.ndarray, np.ndarray]]:
    image = radiographs.read_image(row.path)
    mask = siim.read_mask(row) if row.labelled else None
    empty = mask is None or not mask.any()
    return {
        size: (
            resize_image(image, size),
            np.zeros((size, size), np.uint8) if empty else resize_mask(mask, size, mask_rule),
        )
        for size in sizes
    }


def _results(rows: list, futures: list) -> tuple[list, list[list[str]]]:
    """What was decoded, and [image_id, error] of what could not be."""
    kept, unreadable = [], []
    for row, future in zip(rows, futures, strict=True):
        try:
            kept.append(future.result())
        except PneumoError as error:
            unreadable.append([row.image_id, str(error)])
    return kept, unreadable


def _unreadable(pool: ThreadPoolExecutor, rows: list) -> list[list[str]]:
    """[image_id, error] of the files that cannot be decoded; nothing is kept."""

    def problem(row) -> list[str] | None:
        try:
            _decode(row, [], "area")
        except PneumoError as error:
            return [row.image_id, str(error)]
        return None

    return [found for found in pool.map(problem, rows) if found]


NAMED = 20
"""Unreadable files that a message names; of more, the number."""


def _all_unreadable(unreadable: list[list[str]], n_files: int) -> PreprocessingError:
    errors = [error for _, error in unreadable]
    more = [f"... and {len(errors) - NAMED} more."] if len(errors) > NAMED else []
    return PreprocessingError(
        f"{len(errors)} of {n_files} files cannot be read; mend them, or leave them out with on_error=skip:\n"
        + "\n".join(errors[:NAMED] + more)
    )


def _append(stores: dict[int, Store], number: int, kept: list, skipped: list[list[str]]) -> None:
    for size, store in stores.items():
        if len(store.chunks) == number:  # a store that is further on than another has this chunk already
            images, masks = np.empty((2, len(kept), size, size), np.uint8)
            for position, sizes in enumerate(kept):
                images[position], masks[position] = sizes[size]
            store.append(images, masks, skipped)


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
}


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


def prepare(
    index: pd.DataFrame,
    folder: str | Path,
    size: int,
    workers: int | None = None,
    on_error: str = "stop",
    progress: bool = True,
    mask_rule: str = "area",
) -> Preprocessed:
    """Arrays of the images of `index` at size x size in `folder`; at once where they are there already.

    A killed call is carried on by the next one and ends in the same bytes. Two calls at once are safe: one works, the
    other waits.

    Args:
        index: as `siim.load_index` gives it.
        size: side in pixels, 16..1024.
        workers: decoding threads; one for each usable core by default. The result does not depend on it.
        on_error: "stop" at a bad file, with an error that names all of them, or "skip" them and list them in `skipped`.
        mask_rule: "area" or "follow-up", see `resize.resize_mask`.

    Raises:
        PreprocessingError: bad files under "stop", the folder holds arrays of another source, the disk is full, an array is
            damaged, bad arguments.
    """
    return prepare_sizes(index, {size: folder}, workers, on_error, progress, mask_rule)[size]


def prepare_sizes(
    index: pd.DataFrame,
    folders: dict[int, str | Path],
    workers: int | None = None,
    on_error: str = "stop",
    progress: bool = True,
    mask_rule: str = "area",
) -> dict[int, Preprocessed]:
    """As `prepare` for several sizes, each in its own folder, decoding every file once: {256: "a", 512: "b"}."""
    _check_arguments(index, folders, workers, on_error, mask_rule)
    folders = {size: Path(folder).absolute() for size, folder in folders.items()}
    made_from = array_store.describe_origin(index, mask_rule)
    missing = [size for size in folders if not _is_done(folders[size], made_from | {"size": size}, index, on_error)]
    if missing:
        with _locked([folders[size] for size in missing], progress):
            # Another process may have finished them in the meantime, or only their tables are out of date.
            missing = [
                size
                for size in missing
                if not _is_done(folders[size], made_from | {"size": size}, index, on_error, update=True)
            ]
            stores = {
                size: Store(folders[size], size, made_from | {"size": size}, on_error == "skip") for size in missing
            }
            fill_arrays(index, stores, workers or usable_cores(), on_error, progress, mask_rule)
            for store in stores.values():
                _finish(store, index)
    return {size: load(folder) for size, folder in folders.items()}


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
        raise PreprocessingError(f"{folder} holds no finished arrays; run prepare on it (again).")
    if _crc(folder / "index.csv") != manifest["index"]:
        raise PreprocessingError(
            f"{folder / 'index.csv'} is missing or damaged; delete the folder and prepare it again."
        )
    size, n_rows = manifest["origin"]["size"], sum(chunk["rows"] for chunk in manifest["chunks"])
    index = pd.read_csv(folder / "index.csv", dtype=COLUMNS, keep_default_na=False, na_values=[""])
    arrays = []
    for name in ARRAYS:
        path = folder / f"{name}.npy"
        array = open_array(path, (n_rows, size, size))
        if check:
            state = path.stat()
            check_array(path, (state.st_size, state.st_mtime_ns))
        arrays.append(array)
    skipped = [pair for chunk in manifest["chunks"] for pair in chunk["skipped"]]
    return Preprocessed(*arrays, index, pd.DataFrame(skipped, columns=["image_id", "error"]), size, folder)


def _check_arguments(index: pd.DataFrame, folders: dict, workers: int | None, on_error: str, mask_rule: str) -> None:
    for size in folders:
        if not isinstance(size, (int, np.integer)) or not 16 <= size <= challenge.SIDE:
            raise PreprocessingError(
                f"size={size!r} is not possible; give a whole number of pixels from 16 to {challenge.SIDE}."
            )
    if workers is not None and workers < 1:
        raise PreprocessingError(f"workers={workers} is not possible; give 1 or more, or None for one on each core.")
    if on_error not in ON_ERROR:
        raise PreprocessingError(f"on_error={on_error!r} is unknown; choose one of {', '.join(ON_ERROR)}.")
    if mask_rule not in MASK_RULES:
        raise PreprocessingError(f"mask_rule={mask_rule!r} is unknown; choose one of {', '.join(MASK_RULES)}.")
    if index.empty:
        raise PreprocessingError("The index is empty; there is nothing to prepare.")


def _is_done(folder: Path, made_from: dict, index: pd.DataFrame, on_error: str, update: bool = False) -> bool:
    """Whether the folder is complete, of this origin, and its table up to date, should patients be known now.

    Args:
        update: bring the table up to date; the folder must be locked.
    """
    manifest = read_manifest(folder)
    if manifest is None:
        return False
    if not array_store.same_origin(manifest["origin"], made_from):
        raise other_origin(folder, manifest["origin"], made_from)
    skipped = [pair for chunk in manifest["chunks"] for pair in chunk["skipped"]]
    if skipped and on_error == "stop":
        raise PreprocessingError(
            f"{folder} was prepared without {len(skipped)} bad files, the first {skipped[0][0]} ({skipped[0][1]}); "
            "mend them and delete the folder, or go on without them: on_error=skip."
        )
    if not zlib.crc32(_index_csv(index, skipped)) == manifest["index"] == _crc(folder / "index.csv"):
        if not update:
            return False
        _write_index(folder, manifest, index, skipped)
    return True


def _finish(store: Store, index: pd.DataFrame) -> None:
    if not store.rows:
        raise PreprocessingError(
            f"{store.folder}: none of the {len(index)} files can be read, {store.chunks[0]['skipped'][0][1]}"
        )
    skipped = [pair for chunk in store.chunks for pair in chunk["skipped"]]
    content = _index_csv(index, skipped)
    with atomic.replacing(store.folder / "index.csv") as temporary:
        temporary.write_bytes(content)
    store.finish({"origin": store.origin, "index": zlib.crc32(content), "chunks": store.chunks})


def _write_index(folder: Path, manifest: dict, index: pd.DataFrame, skipped: list[list[str]]) -> None:
    content = _index_csv(index, skipped)
    with atomic.replacing(folder / "index.csv") as temporary:
        temporary.write_bytes(content)
    atomic.write_json(folder / MANIFEST, manifest | {"index": zlib.crc32(content)})


def _index_csv(index: pd.DataFrame, skipped: list[list[str]]) -> bytes:
    kept = index[~index.image_id.isin([image_id for image_id, _ in skipped])]
    return kept.reindex(columns=list(COLUMNS)).to_csv(index=False).encode()


def _crc(path: Path) -> int | None:
    return zlib.crc32(path.read_bytes()) if path.is_file() else None


@contextlib.contextmanager
def _locked(folders: list[Path], progress: bool) -> Iterator[None]:
    """Holds the folders for this process alone. A killed process lets go by itself."""
    with contextlib.ExitStack() as stack:
        for folder in sorted(folders):  # one order for everybody, so that two processes cannot wait for each other
            try:
                folder.mkdir(parents=True, exist_ok=True)
                lock = FileLock(folder / ".lock")
                try:
                    stack.enter_context(lock.acquire(timeout=1))
                except Timeout:
                    if progress:
                        print(f"{folder}: another process prepares it, waiting for it to finish", file=sys.stderr)
                    stack.enter_context(lock.acquire())
            except OSError as error:
                raise PreprocessingError(
                    f"{folder} cannot be written ({error.strerror}); name another folder."
                ) from error
        yield
