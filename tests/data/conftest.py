"""Small data sets on disk: DICOM files of any kind and copies of the challenge's layouts, all synthetic."""

import os
import warnings
from pathlib import Path

import cv2
import numpy as np
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import ExplicitVRLittleEndian, JPEGBaseline8Bit, SecondaryCaptureImageStorage

from pneumo_lib.data import rle


def make_dicom(pixels: np.ndarray, bits_stored: int | None = None, **fields) -> Dataset:
    """A single-frame grayscale data set, Explicit VR Little Endian, with further elements by keyword."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = SecondaryCaptureImageStorage
    meta.MediaStorageSOPInstanceUID = "1.2.3"
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset = Dataset()
    dataset.file_meta, dataset.preamble = meta, b"\0" * 128
    dataset.SOPClassUID, dataset.SOPInstanceUID = SecondaryCaptureImageStorage, "1.2.3"
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.Rows, dataset.Columns = pixels.shape
    dataset.BitsAllocated = 8 * pixels.dtype.itemsize
    dataset.BitsStored = bits_stored or dataset.BitsAllocated
    dataset.HighBit = dataset.BitsStored - 1
    dataset.PixelRepresentation = int(pixels.dtype.kind == "i")
    dataset.PixelData = pixels.tobytes()
    dataset["PixelData"].VR = "OB" if dataset.BitsAllocated == 8 else "OW"
    for keyword, value in fields.items():
        setattr(dataset, keyword, value)
    return dataset


def as_jpeg(dataset: Dataset, stream: bytes | None = None, syntax: str = JPEGBaseline8Bit) -> Dataset:
    """The data set with its 8-bit pixels as a JPEG Baseline stream, or with a stream of another syntax."""
    if stream is None:
        pixels = np.frombuffer(dataset.PixelData, np.uint8).reshape(dataset.Rows, dataset.Columns)
        stream = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, 95])[1].tobytes()
    dataset.PixelData = encapsulate([stream])
    dataset["PixelData"].VR = "OB"
    dataset.file_meta.TransferSyntaxUID = syntax
    return dataset


def picture(height: int = 48, width: int = 40, seed: int = 0) -> np.ndarray:
    """A smooth uint8 image, which JPEG keeps well."""
    noise = np.random.default_rng(seed).random((height, width))
    smooth = cv2.GaussianBlur(noise, (0, 0), 5)
    return np.uint8(255 * (smooth - smooth.min()) / np.ptp(smooth))


def disc(center: tuple[int, int], radius: int) -> np.ndarray:
    """bool (1024, 1024) with a disc on it."""
    return cv2.circle(np.zeros((1024, 1024), np.uint8), center, radius, 1, -1).view(bool)


def write_copy(root: Path, n_images: int = 6, positive: int = 3, shape: tuple[int, int] = (96, 96)) -> list[str]:
    """A small copy in the stage-1 layout: every second image from the first on is positive; returns the ids."""
    ids = [f"1.2.{number}" for number in range(n_images)]
    rows = []
    for number, image_id in enumerate(ids):
        folder = root / "dicom-images-train" / f"study{number}" / "series"
        folder.mkdir(parents=True)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # "38" is how the challenge writes an age, but no valid one
            dataset = make_dicom(picture(*shape, seed=number), PatientSex="F", PatientAge="38", ViewPosition="AP")
            as_jpeg(dataset).save_as(folder / f"{image_id}.dcm")
        on = number % 2 == 0 and number // 2 < positive
        rows.append(
            f"{image_id}, {rle.encode(disc((300 + 40 * number, 400), 40 + number))}" if on else f"{image_id}, -1"
        )
    (root / "train-rle.csv").write_text("ImageId, EncodedPixels\n" + "\n".join(rows) + "\n")
    return ids


@pytest.fixture
def dicom_maker():
    return make_dicom


@pytest.fixture
def jpeg_maker():
    return as_jpeg


@pytest.fixture
def picture_maker():
    return picture


@pytest.fixture
def disc_maker():
    return disc


@pytest.fixture
def copy_writer():
    return write_copy


@pytest.fixture
def copy(tmp_path) -> Path:
    """Root of a copy with six images, three of them positive."""
    root = tmp_path / "copy"
    write_copy(root)
    return root


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Folder with `siim_sample/` and `siim_silver/`: real X-rays, which the repository may not hold."""
    if "PNEUMO_REAL_DATA" not in os.environ:
        pytest.skip("real X-rays are not part of the repository; PNEUMO_REAL_DATA names no folder that holds them")
    return Path(os.environ["PNEUMO_REAL_DATA"])
