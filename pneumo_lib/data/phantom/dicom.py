"""One phantom as a DICOM file with the header of the challenge's stage-1 files."""

import hashlib
from pathlib import Path

import cv2
import numpy as np
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import JPEGBaseline8Bit, SecondaryCaptureImageStorage

from pneumo_lib import atomic

JPEG_QUALITY = 92
"""Gives files of about the real ones' size (110-175 kB)."""


def uid(*key) -> str:
    """A valid UID (root 2.25, from 128 hashed bits), a pure function of its key."""
    digest = hashlib.sha256("/".join(map(str, ("pneumo_lib phantom", *key))).encode()).digest()
    return f"2.25.{int.from_bytes(digest[:16], 'big')}"


def pseudonym(*key) -> str:
    """A UUID-shaped pseudonym, a pure function of its key."""
    digest = hashlib.sha256("/".join(map(str, ("pneumo_lib pseudonym", *key))).encode()).hexdigest()
    return "-".join((digest[:8], digest[8:12], "4" + digest[13:16], "a" + digest[17:20], digest[20:32]))


def uids(seed: int, index: int) -> tuple[str, str, str]:
    """Study, series and SOP instance UID of one image."""
    return uid(seed, index, "study"), uid(seed, index, "series"), uid(seed, index, "sop")


def write(path: Path, phantom, seed: int) -> None:
    """Write a phantom (see `draw`) to `path`; the file appears whole or not at all.

    As in the real files PatientID is a pseudonym that differs from image to image. What says that the file is synthetic:
    PatientName, ImageComments, Manufacturer and SeriesDescription.
    """
    study, series, sop = uids(seed, phantom.index)
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = SecondaryCaptureImageStorage
    meta.MediaStorageSOPInstanceUID = sop
    meta.TransferSyntaxUID = JPEGBaseline8Bit
    data = FileDataset(str(path), {}, file_meta=meta, preamble=b"\0" * 128)
    data.SpecificCharacterSet = "ISO_IR 100"
    data.SOPClassUID, data.SOPInstanceUID = SecondaryCaptureImageStorage, sop
    data.StudyInstanceUID, data.SeriesInstanceUID = study, series
    data.StudyDate, data.StudyTime, data.AccessionNumber = "19010101", "000000.00", ""
    data.Modality, data.ConversionType, data.BodyPartExamined = "CR", "WSD", "CHEST"
    data.Manufacturer = "pneumo_lib synthetic phantom"
    data.ReferringPhysicianName, data.PatientBirthDate = "", ""
    data.SeriesDescription = f"view: {phantom.view} (synthetic)"
    data.PatientName, data.PatientID = "PHANTOM^SYNTHETIC", pseudonym(seed, phantom.index)
    data.PatientSex, data.PatientAge = phantom.sex, f"{phantom.age_years:03d}Y"
    data.ViewPosition, data.PatientOrientation = phantom.view, ""
    data.ImageComments = "Synthetic phantom drawn by pneumo_lib: no patient, not for clinical use"
    data.StudyID, data.SeriesNumber, data.InstanceNumber = "", "1", "1"
    data.SamplesPerPixel, data.PhotometricInterpretation = 1, "MONOCHROME2"
    data.Rows, data.Columns = phantom.image.shape
    data.PixelSpacing = [f"{phantom.pixel_mm:.4f}"] * 2
    data.BitsAllocated, data.BitsStored, data.HighBit, data.PixelRepresentation = 8, 8, 7, 0
    data.LossyImageCompression, data.LossyImageCompressionMethod = "01", "ISO_10918_1"
    data.PixelData = encapsulate([_jpeg(phantom.image)])
    data["PixelData"].VR = "OB"
    data["PixelData"].is_undefined_length = True
    with atomic.replacing(path) as temporary:
        data.save_as(temporary, enforce_file_format=True)


def _jpeg(image: np.ndarray) -> bytes:
    done, code = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    if not done:
        raise RuntimeError("OpenCV could not encode the phantom as JPEG; this OpenCV build lacks JPEG support.")
    data = code.tobytes()
    # An encapsulated frame has an even length.
    return data + b"\0" * (len(data) % 2)
