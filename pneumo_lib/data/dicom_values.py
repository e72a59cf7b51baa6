"""Raw values of a DICOM file: text, decimal strings and stored pixels, also where the header is wrong about them."""

import math
import re

import cv2
import numpy as np
from pydicom import Dataset, uid
from pydicom.encaps import get_frame
from pydicom.multival import MultiValue
from pydicom.pixels import pixel_array
from pydicom.pixels.utils import get_j2k_parameters

_DECIMAL = re.compile(r" *([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?) *", re.ASCII)
_SMALLEST, _LARGEST = 1e-9, 1e9  # beyond any spacing, window or rescale, and safe to calculate with
_ITEM = b"\xfe\xff\x00\xe0"  # encapsulated pixel data begin with an item
# A JPEG frame of one component: kind, bits, rows and columns.
_START_OF_FRAME = re.compile(rb"\xff([\xc0\xc1\xc3\xf7])\x00\x0b(.)(..)(..)\x01", re.DOTALL)
# A JPEG 2000 image: right and lower end, then left and upper one.
_IMAGE_AREA = re.compile(rb"\xff\x4f\xff\x51.{4}(.{4})(.{4})(.{4})(.{4})", re.DOTALL)
_END_OF_IMAGE = b"\xff\xd9"  # of JPEG, JPEG-LS and JPEG 2000 alike
_LONGEST_FILL = 10  # bytes after it: a file has an even length, and some writers fill more
_JPEG_SYNTAXES = {
    b"\xc0": uid.JPEGBaseline8Bit, b"\xc1": uid.JPEGExtended12Bit, b"\xc3": uid.JPEGLossless, b"\xf7": uid.JPEGLSLossless,
}  # fmt: skip


def text(dataset: Dataset, keyword: str) -> str:
    """Raw text of an element, "" where it is missing or of an unknown kind.

    Without pydicom's validation, which the challenge's own UIDs and ages do not pass.
    """
    try:
        value = dataset.get_item(keyword).value if keyword in dataset else ""
    except Exception:  # pydicom parses some elements when they are asked for, and untrusted bytes raise anything
        return ""
    if isinstance(value, bytes):
        return value.decode("latin-1").strip(" \0")
    values = value if isinstance(value, MultiValue) else [value]
    return "\\".join("" if one is None else str(one) for one in values).strip(" \0")


def decimals(dataset: Dataset, keyword: str) -> list[float]:
    """Values of a decimal string; [] where it is missing or blank, NaN for a value that is not a number
    or beyond 1e-9..1e9.

    Reference: DICOM PS3.5 6.2 (DS): a sign, an exponent and spaces around are allowed. Longer strings than the
    standard's 16 characters are read too, because the challenge writes some.
    """
    raw = text(dataset, keyword)
    return [_decimal(one) for one in raw.split("\\")] if raw else []


def integer(dataset: Dataset, keyword: str) -> int | None:
    """Value of an element that holds one whole number; None where it is missing or holds something else."""
    try:
        value = dataset.get(keyword)
    except Exception:  # pydicom parses an element when it is asked for, and untrusted bytes raise anything
        return None
    return int(value) if isinstance(value, int) else None


def _decimal(raw: str) -> float:
    match = _DECIMAL.fullmatch(raw)
    value = float(match[1]) if match else math.nan
    return value if value == 0 or _SMALLEST < abs(value) < _LARGEST else math.nan


def pixels(dataset: Dataset) -> tuple[np.ndarray, int]:
    """The stored values of the single gray frame and the number of bits that they have.

    8-bit JPEG Baseline, which all of the challenge's files are, is decoded by libjpeg-turbo through OpenCV, several
    times faster than pydicom's default.

    Where header and data contradict each other, the data decide:

    - TransferSyntaxUID, where it is missing or wrong about compression: the first bytes of the pixel data.
    - BitsAllocated: the compressed stream's own precision, or the length of the pixel data.
    - BitsStored and HighBit: the bits that the values use. Bits above HighBit are dropped where OverlayBitPosition says
      that they hold an overlay.
    - PixelRepresentation: signed values are read as unsigned, and unsigned ones of more than 8 bits as signed, where
      this removes their jumps from one end of the range to the other.

    **Shape**: (H, W), signed or unsigned integers.

    Raises:
        ValueError: the data do not decide; the message names the element.
        Exception: a decoder may raise anything on damaged data.
    """
    frame = get_frame(dataset.PixelData, 0, number_of_frames=1) if dataset.PixelData.startswith(_ITEM) else None
    dataset.file_meta.TransferSyntaxUID = syntax = _transfer_syntax(dataset, frame)
    if frame is not None and syntax != uid.RLELossless:
        _check_stream(frame, dataset)
    if frame is not None and syntax == uid.JPEGBaseline8Bit:
        return _jpeg(frame), 8
    allocated = _allocated_raw(dataset) if frame is None else _allocated_stream(frame, syntax, dataset)
    stored = pixel_array(
        dataset,
        bits_allocated=allocated,
        bits_stored=min(integer(dataset, "BitsStored") or allocated, allocated),
        pixel_representation=int(integer(dataset, "PixelRepresentation") == 1),
        photometric_interpretation="MONOCHROME2",
        samples_per_pixel=1,
        number_of_frames=1,
        correct_unused_bits=False,  # pydicom would drop bits by BitsStored alone
    )
    return _numbers(stored.astype(stored.dtype.newbyteorder("="), copy=False), dataset)


def _transfer_syntax(dataset: Dataset, frame: bytes | None) -> uid.UID:
    declared = dataset.file_meta.get("TransferSyntaxUID")
    if declared and (not declared.is_transfer_syntax or declared.is_encapsulated == (frame is not None)):
        return declared
    if frame is None:
        implicit, little = dataset.original_encoding
        explicit = uid.ExplicitVRLittleEndian if little else uid.ExplicitVRBigEndian
        return uid.ImplicitVRLittleEndian if implicit else explicit
    if get_j2k_parameters(frame).get("precision"):
        return uid.JPEG2000
    if match := _START_OF_FRAME.search(frame):
        return _JPEG_SYNTAXES[match[1]]
    return uid.RLELossless


def _allocated_raw(dataset: Dataset) -> int:
    """Bits that each pixel takes in uncompressed data."""
    count, size = dataset.Rows * dataset.Columns, len(dataset.PixelData)
    declared, stored = integer(dataset, "BitsAllocated") or 0, integer(dataset, "BitsStored") or 0
    for bits in (declared, 8 * _bytes_for(stored)):
        if 0 < -(-count * bits // 8) <= size <= count * bits // 8 + 1:  # data have an even length
            return bits
    asked = count * declared // 8
    if not asked <= size < 2 * asked:
        raise ValueError(
            f"PixelData has {size} bytes, but Rows {dataset.Rows}, Columns {dataset.Columns} and BitsAllocated {declared} "
            f"ask for {asked}"
        )
    return declared


def _allocated_stream(frame: bytes, syntax: uid.UID, dataset: Dataset) -> int:
    """Bits of each pixel's place for the values of a compressed stream."""
    if syntax == uid.RLELossless:
        return 8 * int.from_bytes(frame[:4], "little")  # one segment for each byte
    bits = get_j2k_parameters(frame).get("precision")
    if not bits and (match := _START_OF_FRAME.search(frame)):
        bits = match[2][0]
    return 8 * _bytes_for(bits or integer(dataset, "BitsAllocated") or 8)


def _bytes_for(bits: int) -> int:
    return 1 if bits <= 8 else 2 if bits <= 16 else 4


def _check_stream(frame: bytes, dataset: Dataset) -> None:
    """Refuse what decoders do not: they fill a JPEG or JPEG-LS stream that is cut off with gray, and decode any size."""
    if _END_OF_IMAGE not in frame[-_LONGEST_FILL - len(_END_OF_IMAGE) :]:
        raise ValueError("the compressed stream in PixelData is cut off")
    size = _stream_size(frame)
    if size not in (None, (dataset.Rows, dataset.Columns)):
        raise ValueError(f"the pixels are {size}, but the header says {dataset.Rows} x {dataset.Columns}")


def _stream_size(frame: bytes) -> tuple[int, int] | None:
    """Rows and columns that a JPEG, JPEG-LS or JPEG 2000 stream names."""
    if match := _IMAGE_AREA.search(frame):
        right, bottom, left, top = (int.from_bytes(one, "big") for one in match.groups())
        return bottom - top, right - left
    match = _START_OF_FRAME.search(frame)
    return (int.from_bytes(match[3], "big"), int.from_bytes(match[4], "big")) if match else None


def _jpeg(frame: bytes) -> np.ndarray:
    image = cv2.imdecode(np.frombuffer(frame, np.uint8), cv2.IMREAD_UNCHANGED)
    if image is None or image.ndim != 2:
        raise ValueError("no grayscale JPEG stream")
    return image


def _numbers(stored: np.ndarray, dataset: Dataset) -> tuple[np.ndarray, int]:
    """The numbers that the stored bits mean, and how many bits they have."""
    allocated, signed = 8 * stored.itemsize, integer(dataset, "PixelRepresentation") == 1
    raw, as_signed = stored.view(f"u{stored.itemsize}"), stored.view(f"i{stored.itemsize}")
    bits, low = _place(dataset, allocated)
    used = int(np.bitwise_or.reduce(raw, axis=None))
    if used & ((1 << low) - 1):
        low = 0
    if used >> (bits + low) and not _has_overlay_bits(dataset):
        limit = 1 << (bits - 1)
        if low == 0 and -limit <= as_signed.min() and as_signed.max() < limit:
            signed = True  # what lies above is the sign, repeated
        else:
            bits, low = allocated, 0
    values, other = _reading(raw, bits, low, signed), _reading(raw, bits, low, not signed)
    return (other if (signed or bits > 8) and _is_wrapped(values, other, bits) else values), bits


def _place(dataset: Dataset, allocated: int) -> tuple[int, int]:
    """How many bits a value has and which is its lowest, by a header that may say the impossible."""
    bits = integer(dataset, "BitsStored") or allocated
    bits = bits if 1 <= bits <= allocated else allocated
    high = integer(dataset, "HighBit")
    return bits, high - bits + 1 if high is not None and bits <= high + 1 <= allocated else 0


def _reading(raw: np.ndarray, bits: int, low: int, signed: bool) -> np.ndarray:
    """Bits low .. low + bits - 1 of unsigned words as signed or unsigned numbers."""
    size = 8 * raw.itemsize
    aligned = raw << (size - bits - low)
    return (aligned.view(f"i{raw.itemsize}") if signed else aligned) >> (size - bits)


def _has_overlay_bits(dataset: Dataset) -> bool:
    positions = (dataset.get((group, 0x0102)) for group in range(0x6000, 0x6020, 2))
    return any(element is not None and element.value for element in positions)


def _is_wrapped(values: np.ndarray, other: np.ndarray, bits: int) -> bool:
    """Whether neighbours jump over most of the range, and would not if the values were read the other way."""
    jumps = _jumps(values, bits)
    return jumps > values.size / 1000 and jumps > 4 * _jumps(other, bits)


def _jumps(values: np.ndarray, bits: int) -> int:
    """Pairs of neighbours in a row that differ by more than three quarters of the range, those at its ends left out.

    Black next to white, as in labels and at collimators, is an end; a value that has wrapped around seldom is.
    """
    low, high = int(values.min()), int(values.max())
    if high - low <= 0.75 * 2**bits:
        return 0
    inner = (values > low) & (values < high)
    far = np.abs(np.diff(values.astype(np.int64), axis=1)) > 0.75 * 2**bits
    return int(np.count_nonzero(far & inner[:, 1:] & inner[:, :-1]))
