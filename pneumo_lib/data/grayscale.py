"""From a DICOM file's stored values to 8-bit gray with air dark."""

import math
from collections.abc import Callable

import numpy as np
from pydicom import Dataset
from pydicom.pixels import apply_windowing

from pneumo_lib.data import dicom_values

OUTLIERS = 1000
"""One pixel in so many may lie beyond each end of a picture's range, so that a hot pixel does not blacken the rest."""

_CHANGING = (
    "ModalityLUTSequence",
    "RescaleSlope",
    "VOILUTSequence",
    "WindowCenter",
    "WindowWidth",
    "PixelPaddingValue",
)
_FUNCTIONS = ("LINEAR", "LINEAR_EXACT", "SIGMOID")

Mapping = Callable[[np.ndarray], np.ndarray]


class _IgnoredHint(Exception):
    """A display hint that cannot be followed, and why."""


def to_uint8(values: np.ndarray, bits: int, dataset: Dataset) -> np.ndarray:
    """Stored values → uint8 (H, W), air dark.

    Modality LUT or rescale, then the first VOI LUT or window, then MONOCHROME1 inverted. What becomes 0..255 is, in
    this order: the VOI LUT's range; the window; with at most 8 bits the whole range that can be stored, so that the
    challenge's files stay as they are; with more bits the frame's own range, padding pixels and the darkest and
    brightest 0.1 % of the others left out (our choice: detectors seldom use all of their 10 to 16 bits, and one hot
    pixel is not to decide). A display hint that `display_problem` names is left out: pixels come first.

    Args:
        values: (H, W), any integer type.
        bits: that a value can have.
        dataset: the header.
    """
    inverted = dicom_values.text(dataset, "PhotometricInterpretation").upper() == "MONOCHROME1"
    if values.dtype == np.uint8 and bits == 8 and _is_plain(dataset):
        return 255 - values if inverted else values
    storable = _storable(bits, values.dtype.kind == "i")
    modality, voi, _ = _display(dataset, storable)
    levels, places, counts = _levels(values)
    padding = _padding(levels, dataset)
    shown = modality(levels)
    if voi:
        unit = voi(shown)
    elif bits <= 8:
        unit = _stretch(shown, *_ends(modality(storable)))
    else:
        unit = _stretch(shown, *_robust_ends(shown, np.where(padding, 0, counts)))
    gray = 255 - _gray(unit) if inverted else _gray(unit)
    gray[padding] = 0
    return gray[places]


def stretched(values: np.ndarray) -> np.ndarray:
    """Values of a picture with more than 8 bits → uint8, by its own range as with such DICOM files (our choice).

    Pictures often hold 10 or 12 bits in 16: taking the upper 8 would leave them all but black.

    **Shape**: uint16 (H, W) → uint8 (H, W).
    """
    levels, places, counts = _levels(values)
    return _gray(_stretch(levels, *_robust_ends(levels, counts)))[places]


def display_problem(dataset: Dataset) -> str | None:
    """Why display hints of a header (modality LUT, rescale, VOI LUT, window) are ignored; None where none is.

    Ignored are: what is not a number or incomplete, a window width or slope of 0, a negative width, a VOI LUT function
    that the standard does not know, a lookup table without entries or with equal ones, and a hint that would leave
    next to nothing between black and white, at most one of the values that can be stored: a window next to all of them
    or no wider than a step.
    """
    if _is_plain(dataset):
        return None
    bits = min(dicom_values.integer(dataset, "BitsStored") or 16, 32)
    signed = dicom_values.integer(dataset, "PixelRepresentation") == 1
    return "; ".join(_display(dataset, _storable(bits, signed))[2]) or None


def window(values: np.ndarray, center: float, width: float, function: str = "LINEAR") -> np.ndarray:
    """Values → 0..1 by a VOI window of positive width; LINEAR below width 1, for fractions, is LINEAR_EXACT.

    Reference: DICOM PS3.3 C.11.2.1.2 (LINEAR) and C.11.2.1.3 (SIGMOID, LINEAR_EXACT).
    """
    hint = Dataset()
    # pydicom's output spans what the stored bits can hold: one bit makes it 0..1.
    hint.PhotometricInterpretation, hint.BitsStored, hint.PixelRepresentation = "MONOCHROME2", 1, 0
    hint.VOILUTFunction = "LINEAR_EXACT" if function == "LINEAR" and width < 1 else function
    hint.add_new("WindowCenter", "FD", center)
    hint.add_new("WindowWidth", "FD", width)
    with np.errstate(over="ignore"):  # steep sigmoids overflow to the right limit
        return apply_windowing(values, hint)


def _is_plain(dataset: Dataset) -> bool:
    return not any(keyword in dataset for keyword in _CHANGING)


def _display(dataset: Dataset, storable: np.ndarray) -> tuple[Mapping, Mapping | None, list[str]]:
    """How stored values become displayed ones and these 0..1, if a hint says so, and why other hints are ignored."""
    problems: list[str] = []
    modality = _usable("ModalityLUTSequence", _modality, dataset, problems) or np.asarray
    for keyword, make in (("VOILUTSequence", _voi_table), ("WindowWidth", _window)):
        voi = _usable(keyword, make, dataset, problems)
        if voi and np.isin(_gray(voi(modality(storable))), (0, 255), invert=True).sum() > 1:
            return modality, voi, problems
        if voi:
            problems.append(f"{keyword} leaves next to nothing between black and white")
    return modality, None, problems


def _usable(
    keyword: str, make: Callable[[Dataset], Mapping | None], dataset: Dataset, problems: list[str]
) -> Mapping | None:
    try:
        return make(dataset)
    except _IgnoredHint as reason:
        problems.append(str(reason))
    except Exception:  # pydicom parses an element when it is asked for, and untrusted bytes raise anything
        problems.append(f"{keyword} cannot be read")
    return None


def _modality(dataset: Dataset) -> Mapping | None:
    """The modality LUT or the rescale; an intercept without a slope is no rescale, as in pydicom."""
    if dataset.get("ModalityLUTSequence"):
        return _table(dataset, "ModalityLUTSequence")[0]
    slope, intercept = _number(dataset, "RescaleSlope"), _number(dataset, "RescaleIntercept") or 0
    if slope == 0:
        raise _IgnoredHint("RescaleSlope is 0")
    return None if slope is None else lambda values: values * slope + intercept


def _voi_table(dataset: Dataset) -> Mapping | None:
    if not dataset.get("VOILUTSequence"):
        return None
    look_up, greatest = _table(dataset, "VOILUTSequence")
    return lambda values: look_up(values) / (2 ** greatest.bit_length() - 1)


def _window(dataset: Dataset) -> Mapping | None:
    center, width = _number(dataset, "WindowCenter"), _number(dataset, "WindowWidth")
    if center is None and width is None:
        return None
    if center is None or width is None:
        raise _IgnoredHint(f"{'WindowCenter' if center is None else 'WindowWidth'} is missing")
    if width <= 0:
        raise _IgnoredHint(f"WindowWidth is {width:g}")
    function = dicom_values.text(dataset, "VOILUTFunction").upper() or "LINEAR"
    if function not in _FUNCTIONS:
        raise _IgnoredHint("VOILUTFunction is unknown")
    return lambda values: window(values, center, width, function)


def _table(dataset: Dataset, keyword: str) -> tuple[Mapping, int]:
    """A lookup table, as a function of the values that it maps, and its greatest entry.

    By hand, because pydicom's own believes the descriptor's number of bits, counts places in 8 bits where entries have 8
    and cannot unpack these. Here the data decide how many entries there are and how many bits they have.
    """
    item = dataset[keyword][0]
    count, first = (int(value) for value in item.LUTDescriptor[:2])
    entries = _entries(item["LUTData"].value, count % 2**16 or 2**16, item.original_encoding[1] is not False)
    if not len(entries) or entries.min() == entries.max():
        raise _IgnoredHint(f"{keyword} has no entries or equal ones")

    def look_up(values: np.ndarray) -> np.ndarray:
        # A negative first value may be written as an unsigned one.
        start = first - 2**16 if first >= 2**15 and first > values.max() else first
        return entries[np.clip(np.rint(values - float(start)), 0, len(entries) - 1).astype(int)].astype(float)

    return look_up, int(entries.max())


def _entries(data, count: int, little_endian: bool) -> np.ndarray:
    """Entries of a table from numbers or bytes: one in a word, or two where there are half as many words."""
    if isinstance(data, bytes):
        words = np.frombuffer(data[: len(data) // 2 * 2], "<u2" if little_endian else ">u2").astype("<u2")
    else:
        words = np.atleast_1d(data).astype("<u2")
    return words.view(np.uint8)[:count] if len(words) < count <= 2 * len(words) else words


def _levels(values: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Values in rising order, the place (H, W) of each pixel's one among them and how many pixels have each.

    What follows is calculated for the values instead of the pixels, which are many more.
    """
    low, high = int(values.min()), int(values.max())
    if high - low >= 2**16:
        levels, places, counts = np.unique(values, return_inverse=True, return_counts=True)
        return levels, places.reshape(values.shape), counts
    places = values.astype(np.int64) - low
    return np.arange(low, high + 1), places, np.bincount(places.ravel(), minlength=high - low + 1)


def _storable(bits: int, signed: bool) -> np.ndarray:
    """The numbers that so many bits can hold, or as many of them as 16 bits can."""
    low = -(2 ** (bits - 1)) if signed else 0
    return np.linspace(low, low + 2**bits - 1, 2 ** min(bits, 16))


def _ends(values: np.ndarray) -> tuple[float, float]:
    return values.min(), values.max()


def _robust_ends(values: np.ndarray, counts: np.ndarray) -> tuple[float, float]:
    """Least and greatest value after `OUTLIERS` have left at each end; of all pixels where this leaves a single one."""
    order = np.argsort(values, kind="stable")
    values, total = values[order], np.cumsum(counts[order])
    leaving = total[-1] // OUTLIERS
    low, high = values[np.searchsorted(total, [leaving + 1, total[-1] - leaving])]
    return (low, high) if low < high else _ends(values[counts[order] > 0])


def _stretch(values: np.ndarray, low: float, high: float) -> np.ndarray:
    return (values - low) / (high - low) if low < high else np.zeros(values.shape)


def _gray(unit: np.ndarray) -> np.ndarray:
    return np.rint(np.clip(unit, 0, 1) * 255).astype(np.uint8)


def _padding(levels: np.ndarray, dataset: Dataset) -> np.ndarray:
    """Which values stand for no picture; none where the header calls all of them so."""
    first, last = (dicom_values.integer(dataset, f"PixelPadding{end}") for end in ("Value", "RangeLimit"))
    if first is None:
        return np.zeros(levels.shape, bool)
    # Both may be written as unsigned where values are signed, and the other way round.
    signed = 2**15 if levels[0] < 0 else 0
    ends = [(end + signed) % 2**16 - signed for end in (first, last) if end is not None]
    padding = (levels >= min(ends)) & (levels <= max(ends))
    return padding & ~padding.all()


def _number(dataset: Dataset, keyword: str) -> float | None:
    """The first value of an element; None where it is missing or blank."""
    value = next(iter(dicom_values.decimals(dataset, keyword)), None)
    if value is not None and math.isnan(value):
        raise _IgnoredHint(f"{keyword} is not a number")
    return value
