"""The challenge's run-length encoding: pairs "gap length", column-major, each gap counted from the end of the last run.

Reference: the SIIM-ACR challenge's data page (`mask_functions.py`). Unlike the widely copied encoder from there,
`encode` keeps a run that touches the last pixel.
"""

import re
from collections.abc import Iterable

import numpy as np

from pneumo_lib import challenge
from pneumo_lib.errors import RleError

EMPTY = "-1"
_MOST_DIGITS = 18  # what surely fits in 64 bits
_WHOLE_NUMBERS = re.compile(rf"\s*\d{{1,{_MOST_DIGITS}}}(\s+\d{{1,{_MOST_DIGITS}}})*\s*", re.ASCII)


def decode(
    rows: str | Iterable[str], shape: tuple[int, int] = (challenge.SIDE, challenge.SIDE), image_id: str | None = None
) -> np.ndarray:
    """Mask of one RLE string or of several, which unite.

    Args:
        rows: strings such as "557 6 1018 10"; "-1" (spaces around it allowed) is the empty mask, and so is no string.
        shape: (H, W) of the mask in pixels.
        image_id: named in errors.

    Shape:
        Returns bool (H, W), C-contiguous.

    Raises:
        RleError: odd count, a token that is no whole number, an empty run, or a run past the last pixel.
    """
    mask = np.zeros(shape, bool)
    rows = [rows] if isinstance(rows, str) else list(rows)
    for number, row in enumerate(rows, start=1):
        where = f"image {image_id or '(unnamed)'}, row {number} of {len(rows)}"
        pairs = _parse(row, mask.size, where)
        if len(pairs):
            _paint(mask, pairs)
    return mask


def encode(mask: np.ndarray) -> str:
    """RLE string of a mask; "-1" where no pixel is on.

    Shape:
        mask: bool or 0/1, (H, W).

    Raises:
        RleError: the mask is not two-dimensional or holds other values than 0 and 1.
    """
    mask = np.asarray(mask)
    if mask.ndim != 2:
        raise RleError(f"The mask has shape {mask.shape}; give one mask of shape (H, W).")
    if mask.dtype != bool and not np.isin(mask, (0, 1)).all():
        raise RleError("The mask holds other values than 0 and 1; threshold it first, for example mask > 0.")
    flat = mask.astype(np.int8).ravel(order="F")
    edges = np.flatnonzero(np.diff(flat, prepend=0, append=0))
    if not len(edges):
        return EMPTY
    # Edges alternate start, end, start, ...: their differences are exactly gap, length, gap, ...
    return " ".join(map(str, np.diff(edges, prepend=0)))


def _paint(mask: np.ndarray, pairs: np.ndarray) -> None:
    """Turns the pixels of gap, length, gap, ... on; works on the columns that they touch only."""
    height = len(mask)
    column = pairs[0] // height
    pairs[0] -= column * height
    runs = np.repeat(np.tile([False, True], len(pairs) // 2), pairs)
    columns = np.zeros((-(-len(runs) // height), height), bool)
    columns.reshape(-1)[: len(runs)] = runs
    mask[:, column : column + len(columns)] |= columns.T


def _parse(row: str, n_pixels: int, where: str) -> np.ndarray:
    """Whole numbers gap, length, gap, ... of one row, int64; none for the empty mask."""
    if not isinstance(row, str):
        raise RleError(f"RLE of {where} is {row!r}, not text; write -1 for an empty mask.")
    if row.strip() == EMPTY:
        return np.empty(0, np.int64)
    if not _WHOLE_NUMBERS.fullmatch(row):
        _say_what_is_wrong(row, n_pixels, where)
    pairs = np.array(list(map(int, row.split())), np.int64)
    if len(pairs) % 2:
        raise RleError(f"RLE of {where} has {len(pairs)} numbers, but they come in pairs gap, length; is it cut off?")
    _check_runs(pairs, n_pixels, where)
    return pairs


def _say_what_is_wrong(row: str, n_pixels: int, where: str) -> None:
    tokens = row.split()
    if not tokens:
        raise RleError(f"RLE of {where} is empty; write -1 for an empty mask.")
    for position, token in enumerate(tokens, start=1):
        if not (token.isascii() and token.isdigit()):
            raise RleError(
                f"RLE of {where}: number {position} is {token[:40]!r}, not a whole number >= 0; correct this row."
            )
        if len(token) > _MOST_DIGITS:
            raise RleError(
                f"RLE of {where}: number {position} runs past the last pixel ({n_pixels}); correct this row."
            )


def _check_runs(pairs: np.ndarray, n_pixels: int, where: str) -> None:
    blank = np.flatnonzero(pairs[1::2] == 0)
    if len(blank):
        raise RleError(f"RLE of {where}: number {2 * blank[0] + 2} is a run of no pixels; correct this row.")
    # Clipping keeps the sum within 64 bits and still past the end wherever a number is too large.
    past = np.flatnonzero(np.cumsum(np.minimum(pairs, n_pixels + 1)) > n_pixels)
    if len(past):
        raise RleError(
            f"RLE of {where}: number {past[0] + 1} runs past the last pixel ({n_pixels}); "
            "is it absolute instead of relative, or meant for a larger image?"
        )
