"""A mask as a DICOM Segmentation object that references the X-ray it belongs to."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pydicom
from pydicom.uid import UID

from pneumo_lib.errors import SegmentationError


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
    try:
        _object(image, mask).save_as(path)
    except (AttributeError, TypeError, ValueError, KeyError) as error:
        # Not the message either: it may quote the header.
        raise SegmentationError(
            f"{source}: no DICOM Segmentation can be made of its header ({type(error).__name__}); the mask is in mask/."
        ) from None


def _object(image: pydicom.Dataset, mask: np.ndarray) -> pydicom.Dataset:
    # Loaded here only: an optional dependency.
    import highdicom
    from pydicom.sr.codedict import codes

    # Elements that may be empty in the source but that the object has to have.
    for keyword in ("PatientID", "PatientName", "PatientBirthDate", "PatientSex", "AccessionNumber", "StudyID"):
        if keyword not in image:
            setattr(image, keyword, "")
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
        manufacturer="pneumo-lib",
        manufacturer_model_name="2ST-UNet",
        software_versions=version("pneumo-lib"),
        device_serial_number="0",
        omit_empty_frames=False,
    )
