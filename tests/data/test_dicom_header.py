"""Spacing, view and kind of an X-ray, as DICOM headers give them."""

import math

import cv2
import numpy as np
import pydicom
import pytest
from pydicom import uid
from pydicom.dataset import Dataset
from pydicom.encaps import get_frame

from pneumo_lib.data import dicom

PIXELS = np.zeros((2, 2), np.uint8)
CHEST = {"Modality": "CR", "BodyPartExamined": "CHEST", "ViewPosition": "PA"}

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:pydicom")  # values against the standard are what is tested


@pytest.fixture
def header(tmp_path, dicom_maker):
    def header(**fields) -> dicom.Header:
        dataset = dicom_maker(PIXELS)
        for keyword, value in fields.items():
            if keyword.endswith("Spacing"):
                dataset.add_new(keyword, "SH", value)  # pydicom writes no decimal string that is against the standard
            else:
                setattr(dataset, keyword, value)
        dataset.file_meta.TransferSyntaxUID = uid.ImplicitVRLittleEndian  # a file without those kinds of value
        path = tmp_path / "image.dcm"
        dataset.save_as(path)
        return dicom.read_header(path)

    return header


def code(meaning: str) -> Dataset:
    dataset = Dataset()
    dataset.CodeMeaning = meaning
    return dataset


@pytest.mark.parametrize(
    "text",
    ["0.143\\0.143", "+0.143\\+0.143", "1.43e-01\\1.43E-1", " 0.143 \\0.143", ".143", "00000000000000000000.143"],
)
def test_decimals_as_the_standard_and_the_challenge_write_them(header, text):
    assert header(PixelSpacing=text).pixel_spacing_mm == 0.143


@pytest.mark.parametrize("text", ["", "0\\0", "-1\\1", "0.1\\0", "0,143", "nan", "inf", "1e400", "0x1p-3", "1_0", "\\"])
def test_impossible_spacing_is_missing(header, text):
    assert math.isnan(header(PixelSpacing=text).pixel_spacing_mm)


def test_rows_and_columns_may_be_spaced_differently(header):
    found = header(PixelSpacing="0.1\\0.4")
    assert (found.row_spacing_mm, found.column_spacing_mm) == (0.1, 0.4)
    assert found.pixel_spacing_mm == pytest.approx(0.2)  # side of a square of 0.04 mm2


@pytest.mark.parametrize(
    ("rows", "columns", "side"), [(2048, 2048, 2048), (400, 900, 600), (0, 512, math.nan), (65535, 65535, math.nan)]
)
def test_the_side_is_that_of_a_square_with_as_many_pixels(header, rows, columns, side):
    assert header(Rows=rows, Columns=columns).side_px == pytest.approx(side, nan_ok=True)


@pytest.mark.parametrize(
    ("fields", "spacing", "at_detector"),
    [
        ({"PixelSpacing": "0.1"}, 0.1, False),
        ({"ImagerPixelSpacing": "0.2"}, 0.2, True),
        ({"NominalScannedPixelSpacing": "0.2"}, 0.2, True),
        ({"PixelSpacing": "0.1", "ImagerPixelSpacing": "0.2"}, 0.1, False),
        ({"PixelSpacing": "0.2", "ImagerPixelSpacing": "0.2"}, 0.2, True),  # PS3.3 10.7.1.3
        ({"PixelSpacing": "0", "ImagerPixelSpacing": "0.2"}, 0.2, True),
        ({}, math.nan, False),
    ],
)
def test_spacing_in_the_patient_or_at_the_detector(header, fields, spacing, at_detector):
    found = header(**fields)
    assert found.pixel_spacing_mm == pytest.approx(spacing, nan_ok=True)
    assert found.spacing_at_detector is at_detector


@pytest.mark.parametrize(
    ("fields", "view"),
    [
        ({"ViewPosition": "pa"}, "PA"),
        ({"ViewPosition": "POSTERO-ANTERIOR"}, "PA"),
        ({"ViewPosition": "AP SUPINE"}, "AP"),
        ({"ViewPosition": "LAT"}, "LATERAL"),
        ({"ViewPosition": "LLO"}, "LLO"),
        ({"ViewPosition": "PA", "SeriesDescription": "lateral"}, "PA"),
        ({"ViewCodeSequence": [code("antero-posterior")]}, "AP"),
        ({"ViewCodeSequence": [code("left lateral")]}, "LATERAL"),
        ({"SeriesDescription": "view: AP"}, "AP"),
        ({"SeriesDescription": "Chest PA and lateral"}, None),
        ({"SeriesDescription": "Papa's chest"}, None),
        ({}, None),
    ],
)
def test_view(header, fields, view):
    assert header(**fields).view == view


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"Modality": "DX", "SOPClassUID": uid.DigitalXRayImageStorageForPresentation},
        {"BodyPartExamined": "PORT CHEST", "ViewPosition": "AP"},
        {"BodyPartExamined": "Thorax"},
        {"BodyPartExamined": "", "AnatomicRegionSequence": [code("Chest")]},
    ],
)
def test_frontal_chest_x_rays(header, fields):
    assert dicom.frontal_chest(header(**(CHEST | fields))) == (True, "")


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"SOPClassUID": uid.CTImageStorage}, "its SOP class is CT Image Storage, not an X-ray image"),
        ({"SOPClassUID": uid.DigitalMammographyXRayImageStorageForPresentation}, "Digital Mammography"),
        ({"SOPClassUID": uid.SegmentationStorage}, "Segmentation Storage"),
        ({"Modality": "CT"}, "its Modality is CT, not CR, DX or RG"),
        ({"Modality": "MG"}, "its Modality is MG"),
        ({"BodyPartExamined": "HAND"}, "its BodyPartExamined is HAND, not CHEST"),
        ({"BodyPartExamined": "TSPINE", "ViewPosition": ""}, "its BodyPartExamined is TSPINE"),
        ({"BodyPartExamined": "", "AnatomicRegionSequence": [code("Knee joint")]}, "KNEE JOINT"),
        ({"ViewPosition": "LL"}, "its ViewPosition is LL, not PA or AP"),
        ({"ViewPosition": "", "SeriesDescription": "chest lateral"}, "its ViewPosition is LATERAL"),
    ],
)
def test_other_images_are_named(header, fields, reason):
    passes, said = dicom.frontal_chest(header(**(CHEST | fields)))
    assert passes is False
    assert reason in said


@pytest.mark.parametrize("keyword", CHEST)
@pytest.mark.parametrize("value", ["", "UNKNOWN", "<b>", "\0"])
def test_headers_that_say_nothing_are_not_checked(header, keyword, value):
    said = dicom.frontal_chest(header(**(CHEST | {keyword: value})))
    assert said == (None, f"its header lacks a usable {keyword}")


def test_a_header_without_any_of_them(header):
    assert dicom.frontal_chest(header()) == (None, "its header lacks a usable Modality, BodyPartExamined, ViewPosition")


def test_the_challenges_own_x_rays_are_shown_as_stored_and_pass_as_frontal(real_data):
    files = sorted((real_data / "siim_sample").rglob("*.dcm"))
    assert len(files) == 10
    for path in files:
        header, frame = dicom.read_header(path), get_frame(pydicom.dcmread(path).PixelData, 0, number_of_frames=1)
        stored = cv2.imdecode(np.frombuffer(frame, np.uint8), cv2.IMREAD_UNCHANGED)
        assert np.array_equal(dicom.read_image(path), stored)
        assert (dicom.frontal_chest(header), header.ignored_hint) == ((True, ""), None)
