"""Chest X-rays in DICOM files: pixels as uint8 with air dark, and the few header fields that the index needs."""

import math
import re
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pydicom
from pydicom.encaps import get_frame
from pydicom.errors import InvalidDicomError
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian, JPEGBaseline8Bit

from pneumo_lib.data import grayscale
from pneumo_lib.errors import DicomError

OLDEST_YEARS = 120
"""Ages above are taken for typing errors: the challenge's own files say "152" and "413"."""

_YEARS = {"Y": 1.0, "M": 1 / 12, "W": 7 / 365.25, "D": 1 / 365.25}
_HEADER_TAGS = [
    "SOPClassUID", "SOPInstanceUID", "PatientSex", "PatientAge", "ViewPosition", "SeriesDescription", "PixelSpacing",
    "ImagerPixelSpacing", "Rows",
]  # fmt: skip


@dataclass(frozen=True)
class Header:
    """Header fields of one file; None or NaN where missing, unreadable or impossible.

    `sex` is "M" or "F"; `view` "PA", "AP", "LL" or "RL"; `age_years` 0..120; `pixel_spacing_mm` the row spacing.
    `age_impossible` tells an age that was there but is no human's from one that was not.
    """

    sop_uid: str | None
    sex: str | None
    age_years: float
    age_impossible: bool
    view: str | None
    pixel_spacing_mm: float


def read_image(path: str | Path) -> np.ndarray:
    """The X-ray of a DICOM file as uint8 (H, W), air dark (0) and bone bright, as a reader sees it.

    Any transfer syntax that pydicom's installed plugins decode. Rescale, the first VOI window (or VOI LUT) and
    MONOCHROME1 are applied; `grayscale.to_uint8` says how stored values become 0..255. 8-bit JPEG Baseline, which all
    of the challenge's files are, is decoded by libjpeg-turbo through OpenCV, several times faster than pydicom's
    default.

    Raises:
        DicomError: no DICOM, cut off, several frames, colour, no pixel data, or undecodable.
    """
    path = Path(path)
    dataset = _read(path)
    try:
        _check_single_gray_frame(dataset, path)
        stored = _fast_jpeg(dataset) if _is_plain_jpeg(dataset) else dataset.pixel_array
        _check_shape(stored, dataset, path)
        return grayscale.to_uint8(stored, dataset)
    except DicomError:
        raise
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # header values and decoders of untrusted bytes raise anything, Rust's panics too
        raise DicomError(
            f"{path}: the pixel data cannot be decoded ({_short(error)}); get the file again or leave it out."
        ) from error


def read_header(path: str | Path) -> Header:
    """Header fields of a DICOM file; the pixels are not read.

    Values are parsed strictly from the raw bytes: no free text of the file comes back, except its SOP Instance UID.

    Raises:
        DicomError: no DICOM or unreadable.
    """
    path = Path(path)
    dataset = _read(path, stop_before_pixels=True, specific_tags=_HEADER_TAGS)
    age, impossible = parse_age(_text(dataset, "PatientAge"))
    view = _text(dataset, "ViewPosition") or _text(dataset, "SeriesDescription").removeprefix("view:").strip()
    sex = _text(dataset, "PatientSex")
    uid = _text(dataset, "SOPInstanceUID")
    return Header(
        sop_uid=uid if re.fullmatch(r"[\w.-]{1,64}", uid, re.ASCII) else None,
        sex=sex if sex in ("M", "F") else None,
        age_years=age,
        age_impossible=impossible,
        view=view if view in ("PA", "AP", "LL", "RL") else None,
        pixel_spacing_mm=_spacing(_text(dataset, "PixelSpacing") or _text(dataset, "ImagerPixelSpacing")),
    )


def parse_age(text: str) -> tuple[float, bool]:
    """Age in years of a DICOM age string and whether it is impossible: "038Y" or "38" → 38.0; "413" → NaN, True."""
    match = re.fullmatch(r"(\d{1,3})([YMWD]?)", text, re.ASCII)
    if not match:
        return math.nan, bool(text)
    years = int(match[1]) * _YEARS[match[2] or "Y"]
    return (years, False) if years <= OLDEST_YEARS else (math.nan, True)


def _read(path: Path, **options) -> pydicom.Dataset:
    try:
        try:
            return pydicom.dcmread(path, **options)
        except InvalidDicomError:
            return _read_without_preamble(path, options)
    except OSError as error:
        raise DicomError(f"{path}: cannot be read ({error.strerror or error}); is it still there?") from error
    except DicomError:
        raise
    except Exception as error:  # a parser of untrusted bytes raises anything
        raise DicomError(
            f"{path}: is no readable DICOM file ({_short(error)}); get it again or leave it out."
        ) from error


def _read_without_preamble(path: Path, options: dict) -> pydicom.Dataset:
    dataset = pydicom.dcmread(path, force=True, **options)
    if "Rows" not in dataset and "SOPClassUID" not in dataset:
        raise DicomError(f"{path}: is no DICOM file; give a .dcm file, or leave it out.")
    if "TransferSyntaxUID" not in dataset.file_meta:
        implicit, little = dataset.original_encoding
        explicit = ExplicitVRLittleEndian if little else ExplicitVRBigEndian
        dataset.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian if implicit else explicit
    return dataset


def _check_single_gray_frame(dataset: pydicom.Dataset, path: Path) -> None:
    if "PixelData" not in dataset:
        raise DicomError(f"{path}: has no pixel data; it is cut off or no image, get it again or leave it out.")
    if (frames := int(dataset.get("NumberOfFrames") or 1)) != 1:
        raise DicomError(f"{path}: holds {frames} frames; a chest X-ray has one, leave the file out or split it.")
    samples, photometric = dataset.get("SamplesPerPixel", 1), dataset.get("PhotometricInterpretation")
    if samples != 1 or photometric not in ("MONOCHROME1", "MONOCHROME2"):
        raise DicomError(
            f"{path}: is a colour image or of an unknown kind ({samples} samples a pixel, {str(photometric)[:20]!r}); "
            "give the grayscale original (MONOCHROME1 or MONOCHROME2)."
        )


def _check_shape(stored: np.ndarray, dataset: pydicom.Dataset, path: Path) -> None:
    if stored.shape != (dataset.Rows, dataset.Columns):
        raise DicomError(
            f"{path}: the pixels are {stored.shape}, but the header says {dataset.Rows} x {dataset.Columns}; "
            "the file is damaged, get it again."
        )


def _is_plain_jpeg(dataset: pydicom.Dataset) -> bool:
    return dataset.file_meta.get("TransferSyntaxUID") == JPEGBaseline8Bit and dataset.BitsAllocated == 8


def _fast_jpeg(dataset: pydicom.Dataset) -> np.ndarray:
    frame = get_frame(dataset.PixelData, 0, number_of_frames=1)
    # libjpeg fills what is missing with gray and only prints a warning, so the end marker is looked for here.
    if not frame.rstrip(b"\0").endswith(b"\xff\xd9"):
        raise ValueError("the JPEG stream has no end")
    image = cv2.imdecode(np.frombuffer(frame, np.uint8), cv2.IMREAD_UNCHANGED)
    if image is None or image.ndim != 2:
        raise ValueError("no grayscale JPEG stream")
    return image


def _text(dataset: pydicom.Dataset, keyword: str) -> str:
    """Raw text of an element, without pydicom's validation: the challenge's own UIDs and ages do not pass it."""
    if keyword not in dataset:
        return ""
    value = dataset.get_item(keyword).value
    return (value.decode("latin-1") if isinstance(value, bytes) else str(value or "")).strip(" \0")


def _spacing(text: str) -> float:
    """Row spacing of "row\\column"; NaN where it is no plain positive decimal."""
    match = re.fullmatch(r"(\d{0,4}\.?\d{1,20}) *(\\.*)?", text, re.ASCII)
    return (float(match[1]) or math.nan) if match else math.nan


def _short(error: BaseException) -> str:
    return " ".join(str(error).split())[:160] or type(error).__name__
