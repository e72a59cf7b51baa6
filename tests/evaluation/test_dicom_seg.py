"""DICOM Segmentation: headers with missing, odd and foreign optional fields."""

from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

from pneumo_lib.errors import SegmentationError
from pneumo_lib.evaluation import dicom_seg

pytestmark = pytest.mark.skipif(not dicom_seg.available(), reason="highdicom is not installed")
MASK = np.zeros((8, 6), dtype=bool)
MASK[2:5, 1:4] = True


@pytest.fixture(autouse=True)
def _accept_odd_values(monkeypatch):
    """The test's own files are allowed to be odd."""
    monkeypatch.setattr(pydicom.config.settings, "_writing_validation_mode", pydicom.config.IGNORE)


def source(folder: Path, charset: str | list[str] | None = None, **fields) -> Path:
    """An X-ray's file with just what it must have, and `fields`."""
    image = Dataset()
    image.file_meta = FileMetaDataset()
    image.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    if charset:
        image.SpecificCharacterSet = charset
    image.SOPClassUID = image.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.1"
    image.SOPInstanceUID = image.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    image.StudyInstanceUID, image.SeriesInstanceUID = generate_uid(), generate_uid()
    image.Rows, image.Columns = MASK.shape
    image.SamplesPerPixel, image.PhotometricInterpretation = 1, "MONOCHROME2"
    image.BitsAllocated = image.BitsStored = 8
    image.HighBit, image.PixelRepresentation = 7, 0
    image.PixelData = bytes(MASK.size)
    for keyword, value in fields.items():
        setattr(image, keyword, value)
    image.save_as(folder / "xray.dcm", enforce_file_format=True)
    return folder / "xray.dcm"


def written(folder: Path, xray: Path) -> Dataset:
    dicom_seg.write(folder / "seg.dcm", MASK, xray)
    found = pydicom.dcmread(folder / "seg.dcm")
    assert np.array_equal(found.pixel_array.astype(bool), MASK)
    return found


def test_header_without_optional_fields(tmp_path):
    found = written(tmp_path, source(tmp_path))
    assert (found.StudyDate, found.StudyTime, found.PatientID) == ("", "", "")


@pytest.mark.parametrize(
    ("keyword", "value"),
    [
        ("PatientSex", "male"),
        ("PatientSex", "U"),
        ("PatientBirthDate", "1960/02/03"),
        ("StudyDate", "3 Feb 2020"),
        ("StudyTime", "12:30:00"),
        ("StudyID", "far too long for a short string"),
    ],
)
def test_odd_field_is_blank(tmp_path, keyword, value):
    found = written(tmp_path, source(tmp_path, **{keyword: value, "PatientID": "X1"}))
    assert found.PatientID == "X1"
    assert found[keyword].value in ("", None)


def test_valid_fields_are_taken_over(tmp_path):
    fields = {"PatientSex": "F", "PatientBirthDate": "19600203", "StudyTime": "123000.5", "AccessionNumber": "A1"}
    found = written(tmp_path, source(tmp_path, **fields))
    assert {keyword: str(found[keyword].value) for keyword in fields} == fields


@pytest.mark.parametrize(
    ("charset", "name"),
    [
        (["", "ISO 2022 IR 87"], "Yamada^Tarou=山田^太郎"),
        (["", "ISO 2022 IR 149"], "Hong^Gildong=洪^吉洞=홍^길동"),
        ("ISO_IR 100", "Müller^Jürgen"),
        ("GB18030", "Wang=王^小东"),
        ("ISO_IR 192", "Ünal^Öz"),
    ],
)
def test_every_character_set_becomes_unicode(tmp_path, charset, name):
    item = Dataset()
    item.PatientID, item.TypeOfPatientID = "X2", "TEXT"
    xray = source(tmp_path, charset, PatientName=name, OtherPatientIDsSequence=Sequence([item]))
    found = written(tmp_path, xray)
    assert found.SpecificCharacterSet == "ISO_IR 192"
    assert str(found.PatientName) == name


def test_what_still_fails_is_named(tmp_path):
    xray = source(tmp_path, PixelSpacing=[0.1], PatientName="Secret^Name")
    with pytest.raises(SegmentationError, match="PixelSpacing") as error:
        dicom_seg.write(tmp_path / "seg.dcm", MASK, xray)
    assert "Secret" not in str(error.value)


def test_a_plane_in_the_header_of_a_projection_is_left_out(tmp_path):
    plane = {
        "ImagePositionPatient": [0, 0, 0],
        "ImageOrientationPatient": [1, 0, 0, 0, 1, 0],
        "PixelSpacing": [0.1, 0.1],
    }
    found = written(tmp_path, source(tmp_path, FrameOfReferenceUID=generate_uid(), **plane))
    assert "FrameOfReferenceUID" in found


def test_missing_uid_is_named(tmp_path):
    with pytest.raises(SegmentationError, match="StudyInstanceUID"):
        written(tmp_path, source(tmp_path, StudyInstanceUID="1.02.3"))
