"""The challenge's submission: `pneumo submit PREDICTIONS OUT.csv --sample SAMPLE.csv`.

A CSV with one RLE per image at 1024x1024. PREDICTIONS is a folder that `predict_files` wrote; SAMPLE is the challenge's sample
submission, which gives the order and the ids.
"""

import csv
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from pneumo_lib import paths
from pneumo_lib.atomic import replacing
from pneumo_lib.data import radiographs, rle
from pneumo_lib.data.layouts import is_safe_id
from pneumo_lib.errors import PneumoError, RadiographError, SubmissionError
from pneumo_lib.evaluation import postprocessing

SIZE = 1024
HEADER = ["ImageId", "EncodedPixels"]


def write(
    path: str | os.PathLike,
    ids: Iterable[str],
    masks: Iterable[np.ndarray],
    sample: str | os.PathLike | None = None,
) -> Path:
    """Writes a submission: one row per image, one RLE per row, `-1` where the mask is empty; then checks it.

    Args:
        path: of the CSV; must not exist.
        ids: N image ids, each once.
        masks: N square masks, bool, of at most 1024x1024, in the order of `ids`; an iterator is read one mask at a time.
            Smaller ones are enlarged by `postprocessing.to_shape`.
        sample: the challenge's sample submission; the rows follow its order and must name the same images.

    Returns:
        The path.

    Raises:
        SubmissionError: the file exists, an id repeats or misses, the numbers of ids and masks differ, or a mask is
            not bool, not square or larger than 1024x1024. Nothing is written then.
        WriteError: the disk is full, or the folder cannot be written to.
    """
    path = paths.given(path)
    if path.exists():
        raise SubmissionError(f"{path} exists; remove it or choose another name.")
    ids = [str(i) for i in ids]
    order = _order(ids, sample)
    rows: dict[str, str] = {}
    masks = iter(masks)
    for image_id in ids:
        mask = next(masks, None)
        if mask is None:
            raise SubmissionError(f"masks has {len(rows)} entries for {len(ids)} ids; pass one for each.")
        mask = _checked(image_id, mask)
        rows[image_id] = rle.encode(postprocessing.to_shape(mask, (SIZE, SIZE))) if mask.any() else rle.EMPTY
    if next(masks, None) is not None:
        raise SubmissionError(f"masks has more than the {len(ids)} entries of ids; pass one for each.")
    with replacing(path) as temporary:
        with temporary.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(HEADER)
            writer.writerows((image_id, rows[image_id]) for image_id in order)
        check(temporary, sample)
    return path


def check(path: str | os.PathLike, sample: str | os.PathLike | None = None) -> None:
    """Reads a submission as the challenge does.

    Raises:
        SubmissionError: another header, an id that repeats, ids or an order other than the sample's, or an RLE that
            is malformed or leaves the image.
    """
    ids = []
    with Path(path).open(newline="", encoding="utf-8") as file:
        reader = csv.reader(file)
        if next(reader, None) != HEADER:
            raise SubmissionError(f"{path} must begin with the header {','.join(HEADER)}.")
        for row in reader:
            if len(row) != 2:
                raise SubmissionError(f"{path}, line {reader.line_num}: expected two columns, found {len(row)}.")
            ids.append(row[0])
            _check_runs(row[1], f"{path}, {row[0]}")
    if _order(ids, sample) != ids:
        raise SubmissionError(f"{path} does not follow the order of {sample}; write it again with that sample.")


def _checked(image_id: str, mask: np.ndarray) -> np.ndarray:
    mask = np.asarray(mask)
    if mask.dtype != bool or mask.ndim != 2 or mask.shape[0] != mask.shape[1] or not 0 < len(mask) <= SIZE:
        raise SubmissionError(
            f"the mask of {image_id} is {mask.dtype} {mask.shape}; pass square bool masks of at most {SIZE} pixels."
        )
    return mask


def _check_runs(encoded: str, where: str) -> None:
    try:
        rle.decode(encoded, (SIZE, SIZE))
    except PneumoError as error:
        raise SubmissionError(f"{where}: {error}") from None


def _order(ids: list[str], sample: str | os.PathLike | None) -> list[str]:
    """The order to write in, once the ids are known to be unique and the sample's."""
    if len(set(ids)) < len(ids):
        repeated = next(i for n, i in enumerate(ids) if i in ids[:n])
        raise SubmissionError(f"ids holds {repeated} more than once; pass every image once.")
    if sample is None:
        return ids
    wanted = _wanted(sample)
    if set(wanted) != set(ids):
        missing, extra = len(set(wanted) - set(ids)), len(set(ids) - set(wanted))
        raise SubmissionError(
            f"ids lack {missing} images of {sample} and hold {extra} others; predict exactly its images."
        )
    return wanted


def from_predictions(
    folder: str | os.PathLike, path: str | os.PathLike, sample: str | os.PathLike | None = None, fill: bool = False
) -> Path:
    """Writes the submission of a folder that `predict_files.predict_files` wrote, from its masks.

    Args:
        folder: with `masks.csv` and `mask/`.
        path, sample: as in `write`; images that the sample does not name are left out.
        fill: images of the sample without a prediction (unreadable files) are submitted as empty instead of refused.

    Raises:
        SubmissionError: no predictions there, an image of the sample without one, or as in `write`.
    """
    folder = paths.given(folder)
    predicted = _predicted(folder)
    ids = predicted if sample is None else _wanted(sample)
    found = set(predicted)
    missing = [] if fill else [image_id for image_id in ids if image_id not in found]
    if missing:
        raise SubmissionError(
            f"{folder} lacks {len(missing)} images of {sample}, the first {missing[0]}; predict them, or submit them as "
            "empty (--fill)."
        )
    return write(path, ids, _masks(folder, ids, found), sample)


def _predicted(folder: Path) -> list[str]:
    """The names in a folder's `masks.csv`; each is that of a file in `mask/` and leads nowhere else."""
    table = folder / "masks.csv"
    if not table.is_file():
        raise SubmissionError(f"no predictions in {folder}; run pneumo predict first.")
    try:
        with table.open(newline="", encoding="utf-8") as file:
            names = [row[HEADER[0]] for row in csv.DictReader(file)]
    except (OSError, UnicodeDecodeError, csv.Error, KeyError):
        names = []
    if not names or any(name is None or Path(name).name != name for name in names):
        raise SubmissionError(f"cannot read {table} as a table of predictions; predict the X-rays again.")
    return names


def _masks(folder: Path, ids: list[str], predicted: set[str]) -> Iterator[np.ndarray]:
    for image_id in ids:
        path = folder / "mask" / f"{image_id}.png"
        try:
            mask = radiographs.read_picture(path) if image_id in predicted else np.zeros((1, 1), np.uint8)
        except RadiographError as error:
            raise SubmissionError(f"{path} is missing or damaged; predict the X-rays again.") from error
        yield mask > 0


def _wanted(sample: str | os.PathLike) -> list[str]:
    """The ids of a sample submission, each once, in order; that of stage 1 repeats images with several rows."""
    try:
        with Path(sample).open(newline="", encoding="utf-8-sig") as file:
            wanted = list(dict.fromkeys(row[0].strip() for row in csv.reader(file) if row))
    except OSError as error:
        raise SubmissionError(f"{sample} cannot be read ({error.strerror}); pass the challenge's sample.") from None
    except (UnicodeDecodeError, csv.Error):
        wanted = []
    wanted = [i for i in wanted if i != HEADER[0]]
    if not wanted or not all(map(is_safe_id, wanted)):
        raise SubmissionError(f"{sample} is not a CSV of image ids; pass the challenge's sample submission.")
    return wanted
