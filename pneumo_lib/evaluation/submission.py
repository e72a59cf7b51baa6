"""The challenge's submission: a CSV with one RLE an image at 1024x1024."""

import csv
import os
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from pneumo_lib.atomic import replacing
from pneumo_lib.data import rle
from pneumo_lib.errors import PneumoError
from pneumo_lib.evaluation import removal

SIZE = 1024
HEADER = ["ImageId", "EncodedPixels"]


class SubmissionError(PneumoError):
    """A submission that the challenge would not accept."""


def write(
    path: str | os.PathLike,
    ids: Iterable[str],
    masks: Iterable[np.ndarray],
    sample: str | os.PathLike | None = None,
) -> Path:
    """Writes a submission: one row an image, one RLE a row, `-1` where the mask is empty; then checks it.

    Args:
        path: of the CSV; must not exist.
        ids: N image ids, each once.
        masks: N square masks, bool, of at most 1024x1024, in the order of `ids`; an iterator is read one mask at a time.
            Smaller ones are enlarged by `removal.to_shape`.
        sample: the challenge's sample submission; the rows follow its order and must name the same images.

    Returns:
        The path.

    Raises:
        SubmissionError: the file exists, an id repeats or misses, the numbers of ids and masks differ, or a mask is
            not bool, not square or larger than 1024x1024. Nothing is written then.
    """
    path = Path(path)
    if path.exists():
        raise SubmissionError(f"{path} exists; remove it or choose another name.")
    ids = [str(i) for i in ids]
    order = _order(ids, sample)
    rows = {}
    masks = iter(masks)
    for image_id in ids:
        mask = next(masks, None)
        if mask is None:
            raise SubmissionError(f"masks has {len(rows)} entries for {len(ids)} ids; pass one for each.")
        mask = _checked(mask)
        rows[image_id] = rle.encode(removal.to_shape(mask, (SIZE, SIZE))) if mask.any() else rle.EMPTY
    if next(masks, None) is not None:
        raise SubmissionError(f"masks has more than the {len(ids)} entries of ids; pass one for each.")
    with replacing(path) as temporary:
        with temporary.open("w", newline="") as file:
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
    with Path(path).open(newline="") as file:
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


def _checked(mask: np.ndarray) -> np.ndarray:
    mask = np.asarray(mask)
    if mask.dtype != bool or mask.ndim != 2 or mask.shape[0] != mask.shape[1] or not 0 < len(mask) <= SIZE:
        raise SubmissionError(f"a mask is {mask.dtype} {mask.shape}; pass square bool masks of at most {SIZE} pixels.")
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
    with Path(sample).open(newline="", encoding="utf-8-sig") as file:
        # The sample of stage 1 repeats images with several rows; a submission has one row an image.
        wanted = list(dict.fromkeys(row[0].strip() for row in csv.reader(file) if row))
    wanted = [i for i in wanted if i != HEADER[0]]
    if set(wanted) != set(ids):
        missing, extra = len(set(wanted) - set(ids)), len(set(ids) - set(wanted))
        raise SubmissionError(
            f"ids lack {missing} images of {sample} and hold {extra} others; predict exactly its images."
        )
    return wanted
