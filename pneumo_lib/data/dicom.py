"""Chest X-rays in DICOM files: pixels as uint8 with air dark, and the few header fields that the index needs."""

import math
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pydicom
from pydicom import uid
from pydicom.tag import Tag

from pneumo_lib.data import dicom_values, grayscale
from pneumo_lib.data.dicom_values import text
from pneumo_lib.errors import DicomError

OLDEST_YEARS = 120
"""Ages above are taken for typing errors: the challenge's own files say "152" and "413"."""

LARGEST_PX = 2**26
"""More pixels than any detector or film scanner writes (our choice): a header of a few bytes can ask for gigabytes."""

_YEARS = {"Y": 1.0, "M": 1 / 12, "W": 7 / 365.25, "D": 1 / 365.25}
_HEADER_TAGS = [Tag(keyword) for keyword in (
    "SOPClassUID", "SOPInstanceUID", "Modality", "BodyPartExamined", "AnatomicRegionSequence", "ViewPosition",
    "ViewCodeSequence", "SeriesDescription", "PatientSex", "PatientAge", "PixelSpacing", "ImagerPixelSpacing",
    "NominalScannedPixelSpacing", "Rows", "Columns", "BitsStored", "PixelRepresentation", "ModalityLUTSequence",
    "RescaleSlope", "RescaleIntercept", "VOILUTSequence", "VOILUTFunction", "WindowCenter", "WindowWidth",
)]  # fmt: skip

_XRAY_CLASSES = {
    uid.ComputedRadiographyImageStorage, uid.DigitalXRayImageStorageForPresentation,
    uid.DigitalXRayImageStorageForProcessing, uid.SecondaryCaptureImageStorage,
    uid.MultiFrameGrayscaleByteSecondaryCaptureImageStorage, uid.MultiFrameGrayscaleWordSecondaryCaptureImageStorage,
}  # fmt: skip
_XRAY_MODALITIES = {"CR", "DX", "DR", "RG"}  # DR is not the standard's, but some devices write it
_CHEST = re.compile("CHEST|THORAX|TORA[CX]|LUNG|BRUSTKORB|POITRINE")
_SAYS_NOTHING = {"", "OT", "SC", "OTHER", "UNKNOWN", "UNSPECIFIED", "UNDEFINED", "NONE", "NULL", "N/A", "NA"}
_FRONTAL = {"PA", "AP", "FRONTAL"}
_OTHER_VIEWS = {
    "LL", "RL", "LATERAL", "LLD", "RLD", "DECUBITUS", "LLO", "RLO", "LAO", "RAO", "LPO", "RPO", "OBLIQUE", "AXIAL",
}  # fmt: skip
_SAME_VIEW = {
    "POSTEROANTERIOR": "PA", "ANTEROPOSTERIOR": "AP", "LAT": "LATERAL", "LLAT": "LL", "RLAT": "RL", "OBL": "OBLIQUE",
}  # fmt: skip


@dataclass(frozen=True)
class Header:
    """Header fields of one file; None or NaN where missing, unreadable or impossible.

    sex: "M" or "F".
    age_years: 0..120; `age_impossible` distinguishes an age that no human has from a missing one.
    view: "PA", "AP" or "FRONTAL"; "LL", "RL", "LATERAL" or another view that is not frontal.
    row_spacing_mm, column_spacing_mm: distance between the centres of neighbouring rows and of neighbouring columns.
    side_px: side of a square with as many pixels as the image, which `pixel_spacing_mm` belongs to.
    spacing_at_detector: it is measured at the detector, where the body's shadow is larger than the body. So it is if
        only ImagerPixelSpacing (or NominalScannedPixelSpacing) is known or PixelSpacing repeats it.
    sop_class: UID of the kind of object.
    modality, body_part: in capitals, as the file has them.
    ignored_hint: why display hints of the header are ignored, see `grayscale.display_problem`.
    """

    sop_uid: str | None = None
    sex: str | None = None
    age_years: float = math.nan
    age_impossible: bool = False
    view: str | None = None
    row_spacing_mm: float = math.nan
    column_spacing_mm: float = math.nan
    side_px: float = math.nan
    spacing_at_detector: bool = False
    sop_class: str | None = None
    modality: str | None = None
    body_part: str | None = None
    ignored_hint: str | None = None

    @property
    def pixel_spacing_mm(self) -> float:
        """Side of a square with the area of a pixel."""
        if self.row_spacing_mm == self.column_spacing_mm:
            return self.row_spacing_mm  # the root of its square may differ in the last digit
        return math.sqrt(self.row_spacing_mm * self.column_spacing_mm)


def read_image(path: str | Path) -> np.ndarray:
    """The X-ray of a DICOM file as uint8 (H, W), air dark (0) and bone bright, as a reader sees it.

    Any transfer syntax that pydicom's installed plugins decode. `dicom_values.pixels` says what is trusted where header
    and data contradict each other, `grayscale.to_uint8` how stored values become 0..255.

    Raises:
        DicomError: not DICOM, cut off, several frames, colour, without pixel data, or undecodable.
    """
    path = Path(path)
    dataset = _read(path)
    try:
        _check_single_gray_frame(dataset, path)
        values, bits = dicom_values.pixels(dataset)
        _check_shape(values, dataset, path)
        return grayscale.to_uint8(values, bits, dataset)
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

    Values are parsed strictly from the raw bytes; of free text only known words come back.

    Raises:
        DicomError: not DICOM or unreadable.
    """
    path = Path(path)
    dataset = _read(path, stop_before_pixels=True, specific_tags=_HEADER_TAGS)
    age, impossible = parse_age(text(dataset, "PatientAge"))
    sex = text(dataset, "PatientSex")
    row, column, at_detector = _spacing(dataset)
    rows, columns = _shape(dataset)
    return Header(
        sop_uid=_uid(text(dataset, "SOPInstanceUID")),
        sex=sex if sex in ("M", "F") else None,
        age_years=age,
        age_impossible=impossible,
        view=_view(dataset),
        row_spacing_mm=row,
        column_spacing_mm=column,
        side_px=math.sqrt(rows * columns) if 0 < rows * columns <= LARGEST_PX else math.nan,
        spacing_at_detector=at_detector,
        sop_class=_uid(text(dataset, "SOPClassUID") or text(dataset.file_meta, "MediaStorageSOPClassUID")),
        modality=_term(text(dataset, "Modality")),
        body_part=_term(text(dataset, "BodyPartExamined")) or _term(_meaning(dataset, "AnatomicRegionSequence")),
        ignored_hint=grayscale.display_problem(dataset),
    )


def frontal_chest(header: Header) -> tuple[bool | None, str]:
    """Whether a header says that its file is a frontal chest X-ray, and why not.

    Our choice of what passes: SOP class Computed Radiography, Digital X-Ray or Secondary Capture, modality CR, DX, DR
    or RG, a body part that names chest, thorax or lung, view PA or AP.

    Returns:
        (True, ""): modality, body part and view all say so.
        (False, reason): one of them says something else.
        (None, reason): none says something else, but at least one says nothing.
    """
    if header.sop_class in uid.UID_dictionary and header.sop_class not in _XRAY_CLASSES:
        return False, f"its SOP class is {uid.UID(header.sop_class).name}, not an X-ray image"
    answers = {
        "Modality": (header.modality, header.modality in _XRAY_MODALITIES, "CR, DX or RG"),
        "BodyPartExamined": (header.body_part, bool(_CHEST.search(header.body_part or "")), "CHEST"),
        "ViewPosition": (header.view, header.view in _FRONTAL, "PA or AP"),
    }
    for element, (value, passes, expected) in answers.items():
        if value and not passes:
            return False, f"its {element} is {value}, not {expected}"
    silent = [element for element, (value, _, _) in answers.items() if not value]
    return (None, f"its header lacks a usable {', '.join(silent)}") if silent else (True, "")


def parse_age(text: str) -> tuple[float, bool]:
    """Age in years of a DICOM age string and whether it is impossible: "038Y" or "38" → 38.0; "413" → NaN, True."""
    match = re.fullmatch(r"(\d{1,3})([YMWD]?)", text, re.ASCII)
    if not match:
        return math.nan, bool(text)
    years = int(match[1]) * _YEARS[match[2] or "Y"]
    return (years, False) if years <= OLDEST_YEARS else (math.nan, True)


def _read(path: Path, **options) -> pydicom.Dataset:
    try:
        dataset = pydicom.dcmread(path, force=True, **options)
    except OSError as error:
        raise DicomError(f"{path}: cannot be read ({error.strerror or error}); is it still there?") from error
    except Exception as error:  # a parser of untrusted bytes raises anything
        raise DicomError(f"{path}: cannot be read as DICOM ({_short(error)}); get it again or leave it out.") from error
    if dataset.preamble is None and "Rows" not in dataset and "SOPClassUID" not in dataset:
        raise DicomError(f"{path}: is not a DICOM file; give a .dcm file, or leave it out.")
    return dataset


def _check_single_gray_frame(dataset: pydicom.Dataset, path: Path) -> None:
    if not dataset.get("PixelData"):
        raise DicomError(f"{path}: has no pixel data; it is cut off or not an image: get it again or leave it out.")
    if (frames := dicom_values.integer(dataset, "NumberOfFrames") or 1) != 1:
        raise DicomError(f"{path}: holds {frames} frames; a chest X-ray has one, leave the file out or split it.")
    samples = dicom_values.integer(dataset, "SamplesPerPixel") or 1
    photometric = text(dataset, "PhotometricInterpretation").upper()
    if samples != 1 or photometric not in ("MONOCHROME1", "MONOCHROME2"):
        raise DicomError(
            f"{path}: is a colour image or of an unknown kind (SamplesPerPixel {samples}, PhotometricInterpretation "
            f"{photometric[:20]!r}); give the grayscale original (MONOCHROME1 or MONOCHROME2)."
        )
    rows, columns = _shape(dataset)
    if not 0 < rows * columns <= LARGEST_PX:
        raise DicomError(
            f"{path}: Rows is {rows} and Columns {columns}, which no X-ray has; the file is damaged, get it again."
        )


def _shape(dataset: pydicom.Dataset) -> tuple[int, int]:
    """Rows and columns as the header has them; 0 where unknown."""
    rows, columns = (dicom_values.integer(dataset, keyword) or 0 for keyword in ("Rows", "Columns"))
    return rows, columns


def _check_shape(stored: np.ndarray, dataset: pydicom.Dataset, path: Path) -> None:
    if stored.shape != (dataset.Rows, dataset.Columns):
        raise DicomError(
            f"{path}: the pixels are {stored.shape}, but the header says {dataset.Rows} x {dataset.Columns}; "
            "the file is damaged, get it again."
        )


def _spacing(dataset: pydicom.Dataset) -> tuple[float, float, bool]:
    """Row and column spacing, and whether they are measured at the detector.

    Reference: DICOM PS3.3 10.7.1.3: PixelSpacing that equals ImagerPixelSpacing is not corrected for magnification.
    """
    patient = _pair(dataset, "PixelSpacing")
    detector = _pair(dataset, "ImagerPixelSpacing") or _pair(dataset, "NominalScannedPixelSpacing")
    return (*(patient or detector or (math.nan, math.nan)), patient in (None, detector) and detector is not None)


def _pair(dataset: pydicom.Dataset, keyword: str) -> tuple[float, float] | None:
    """Two positive decimals, or one for both."""
    values = dicom_values.decimals(dataset, keyword)[:2]
    return (values[0], values[-1]) if values and all(value > 0 for value in values) else None


def _view(dataset: pydicom.Dataset) -> str | None:
    """The view that the first of three elements names; a description that names several, as a series may, says nothing."""
    for named in (text(dataset, "ViewPosition"), _meaning(dataset, "ViewCodeSequence")):
        if words := _view_words(named):
            return min(words & _OTHER_VIEWS or (words if len(words) == 1 else {"FRONTAL"}))
    words = _view_words(text(dataset, "SeriesDescription"))
    return words.pop() if len(words) == 1 else None


def _view_words(named: str) -> set[str]:
    joined = re.sub(r"\b(ANTERO|POSTERO)[-_ ]?(ANTERIOR|POSTERIOR)\b", r"\1\2", named.upper())
    return {_SAME_VIEW.get(word, word) for word in re.findall("[A-Z]+", joined)} & (_FRONTAL | _OTHER_VIEWS)


def _meaning(dataset: pydicom.Dataset, keyword: str) -> str:
    """Meaning of the first code of a sequence, as text."""
    try:
        return text(dataset[keyword][0], "CodeMeaning")
    except Exception:  # pydicom parses a sequence when it is asked for, and untrusted bytes raise anything
        return ""


def _term(raw: str) -> str | None:
    """A term in capitals; None where it says nothing or is made of other characters than terms are."""
    term = raw.upper()
    return (
        term if re.fullmatch(r"[A-Z0-9][A-Z0-9 _/,.+-]{0,63}", term, re.ASCII) and term not in _SAYS_NOTHING else None
    )


def _uid(raw: str) -> str | None:
    return raw if re.fullmatch(r"[\w.-]{1,64}", raw, re.ASCII) else None


def _short(error: BaseException) -> str:
    return " ".join(str(error).split())[:160] or type(error).__name__
