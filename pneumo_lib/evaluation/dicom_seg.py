"""A mask as a DICOM Segmentation object that references the X-ray it belongs to."""

import copy
import io
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pydicom
from pydicom.multival import MultiValue
from pydicom.tag import Tag
from pydicom.uid import UID
from pydicom.valuerep import validate_value

from pneumo_lib.errors import SegmentationError

MAY_BE_BLANK = (
    "PatientID",
    "PatientName",
    "PatientBirthDate",
    "PatientSex",
    "AccessionNumber",
    "StudyID",
    "StudyDate",
    "StudyTime",
    "ReferringPhysicianName",
)
"""Elements that a Segmentation must have, and that may be blank (the standard's type 2)."""
PIXEL_DATA = Tag("PixelData")
PLANE = (Tag("ImagePositionPatient"), Tag("ImageOrientationPatient"))
"""A projection lies in no plane; where a header says so all the same, highdicom would ask for a slice's thickness."""
# What pydicom and highdicom raise for a header that they cannot use.
_UNUSABLE: tuple[type[Exception], ...] = (AttributeError, TypeError, ValueError, KeyError, OverflowError)


def available() -> bool:
    """Whether highdicom, which writes the objects, is installed."""
    try:
        import highdicom  # noqa: F401
    except ImportError:
        return False
    return True


def write(path: Path, mask: np.ndarray, source: Path) -> None:
    """Writes a binary segmentation with the one segment *Pneumothorax*.

    Args:
        path: of the DICOM file.
        mask: bool (H, W), as many pixels as the source image.
        source: the DICOM file of the X-ray. Its study and its patient fields are taken over, as the standard wants, so
            that a viewer shows both together: handle the file as carefully as the X-ray itself.

    Raises:
        SegmentationError: highdicom is missing, the source has no valid UIDs to refer to (the challenge's stage-2 files
            have none), or its size differs.
    """
    if not available():
        raise SegmentationError("DICOM Segmentation needs the package highdicom; install it: pip install highdicom.")
    with quiet():
        _write(path, mask, source)


@contextmanager
def quiet() -> Iterator[None]:
    """Keeps silent what pydicom and highdicom warn of and log: they quote header values, a patient's name among them."""
    loggers = [logging.getLogger(name) for name in ("pydicom", "highdicom")]
    before = [logger.disabled for logger in loggers]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for logger in loggers:
            logger.disabled = True
        try:
            yield
        finally:
            for logger, disabled in zip(loggers, before, strict=True):
                logger.disabled = disabled


def _write(path: Path, mask: np.ndarray, source: Path) -> None:
    image = pydicom.dcmread(source, force=True)  # also one without preamble: its pixels have been read
    for keyword in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"):
        if not UID(str(image.get(keyword, ""))).is_valid:
            raise SegmentationError(f"{source}: has no valid {keyword}, so no DICOM Segmentation can refer to it.")
    if mask.shape != (image.Rows, image.Columns):
        raise SegmentationError(
            f"mask has shape {mask.shape} and {source} {(image.Rows, image.Columns)}; pass equal ones."
        )
    image = _tidied(image)
    try:
        _object(image, mask).save_as(path)
    except _UNUSABLE as error:
        # Not the message either: it may quote the header.
        cause = getattr(error, "name", None) or _culprit(image, mask) or type(error).__name__
        raise SegmentationError(
            f"{source}: no DICOM Segmentation can be made of its header ({cause}); the mask is in mask/."
        ) from None


def _tidied(image: pydicom.Dataset) -> pydicom.Dataset:
    """A header in Unicode; elements that may be blank are blank where they are missing or hold what the standard forbids."""
    tidy = pydicom.Dataset()
    tidy.file_meta = image.file_meta
    for tag in sorted(image.keys()):  # an element that cannot be read stops an iteration over elements
        if tag in PLANE:
            continue
        try:
            element = image[tag]
            pydicom.charset.decode_element(element, image._character_set)
        except _UNUSABLE + (NotImplementedError, LookupError):
            continue  # cannot even be read
        if tag == PIXEL_DATA or element.VR == "SQ" or _is_allowed(element):
            tidy[tag] = element
    for keyword in MAY_BE_BLANK:
        if keyword not in tidy:
            setattr(tidy, keyword, "")
    tidy.SpecificCharacterSet = "ISO_IR 192"
    return tidy


def _is_allowed(element: pydicom.DataElement) -> bool:
    if element.keyword == "PatientSex":
        return element.value in ("M", "F", "O")
    values = element.value if isinstance(element.value, MultiValue) else [element.value]
    try:
        for value in values:
            validate_value(element.VR, getattr(value, "original_string", value), pydicom.config.RAISE)
    except _UNUSABLE:
        return False
    return True


def _culprit(image: pydicom.Dataset, mask: np.ndarray) -> str | None:
    """Name of the first element without which an object can be made."""
    for element in list(image):
        rest = copy.deepcopy(image)  # a shallow copy would share its elements
        del rest[element.tag]
        if element.keyword in MAY_BE_BLANK:
            setattr(rest, element.keyword, "")
        try:
            _object(rest, mask).save_as(io.BytesIO())
        except _UNUSABLE:
            continue
        return element.keyword or str(element.tag)
    return None


def _object(image: pydicom.Dataset, mask: np.ndarray) -> pydicom.Dataset:
    # Loaded here only: an optional dependency.
    import highdicom
    from pydicom.sr.codedict import codes

    segment = highdicom.seg.SegmentDescription(
        segment_number=1,
        segment_label="Pneumothorax",
        segmented_property_category=codes.SCT.MorphologicallyAbnormalStructure,
        segmented_property_type=codes.SCT.Pneumothorax,
        algorithm_type=highdicom.seg.SegmentAlgorithmTypeValues.AUTOMATIC,
        algorithm_identification=highdicom.AlgorithmIdentificationSequence(
            name="pneumo-lib", version=version("pneumo-lib"), family=codes.DCM.ArtificialIntelligence
        ),
    )
    return highdicom.seg.Segmentation(
        source_images=[image],
        pixel_array=mask[None].astype(np.uint8),
        segmentation_type=highdicom.seg.SegmentationTypeValues.BINARY,
        segment_descriptions=[segment],
        series_instance_uid=highdicom.UID(),
        series_number=900,
        sop_instance_uid=highdicom.UID(),
        instance_number=1,
        content_label="PNEUMOTHORAX",
        manufacturer="pneumo-lib",
        manufacturer_model_name="2ST-UNet",
        software_versions=version("pneumo-lib"),
        device_serial_number="0",
        omit_empty_frames=False,
    )
