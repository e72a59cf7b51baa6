import math
import warnings

import cv2
import numpy as np
import pydicom
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom import uid
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset
from pydicom.pixels import apply_windowing

from pneumo_lib.data import dicom, grayscale
from pneumo_lib.data.dicom import Header
from pneumo_lib.errors import DicomError

RAMP = np.arange(12, dtype=np.uint8).reshape(3, 4) * 20


def lossless_jpeg(pixels: np.ndarray, bits: int) -> bytes:
    """A lossless JPEG stream (ITU-T T.81 annex H, predictor 1), one 5-bit code for each of the 17 categories."""
    height, width = pixels.shape
    coded = ""
    for y in range(height):
        for x in range(width):
            before = pixels[y, x - 1] if x else pixels[y - 1, x] if y else 1 << (bits - 1)
            difference = int(pixels[y, x]) - int(before)
            category = abs(difference).bit_length()
            value = difference if difference > 0 else difference + (1 << category) - 1
            coded += f"{category:05b}" + (f"{value:0{category}b}" if category else "")
    coded += "1" * (-len(coded) % 8)
    body = bytes(int(coded[i : i + 8], 2) for i in range(0, len(coded), 8)).replace(b"\xff", b"\xff\0")
    table = bytes([0, 0, 0, 0, 0, 17, *[0] * 11, *range(17)])
    frame = bytes([bits, *height.to_bytes(2, "big"), *width.to_bytes(2, "big"), 1, 1, 0x11, 0])
    scan = bytes([1, 1, 0, 1, 0, 0])
    parts = [(0xC4, table), (0xC3, frame), (0xDA, scan)]
    segments = b"".join(bytes([0xFF, mark]) + (len(data) + 2).to_bytes(2, "big") + data for mark, data in parts)
    return b"\xff\xd8" + segments + body + b"\xff\xd9"


def saved(tmp_path, dataset: Dataset, **options):
    path = tmp_path / "image.dcm"
    dataset.save_as(path, **options)
    return path


@pytest.fixture
def read(tmp_path):
    return lambda dataset, **options: dicom.read_image(saved(tmp_path, dataset, **options))


# --- transfer syntaxes -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "syntax", [uid.ImplicitVRLittleEndian, uid.ExplicitVRLittleEndian, uid.DeflatedExplicitVRLittleEndian]
)
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_uncompressed(read, dicom_maker, picture_maker, syntax, dtype):
    pixels = picture_maker().astype(dtype)
    dataset = dicom_maker(pixels, bits_stored=8)
    dataset.file_meta.TransferSyntaxUID = syntax
    assert np.array_equal(read(dataset), pixels)


def test_big_endian(read, dicom_maker, picture_maker):
    pixels = picture_maker().astype(np.uint16)
    dataset = dicom_maker(pixels, bits_stored=8)
    dataset.PixelData = pixels.astype(">u2").tobytes()
    dataset.file_meta.TransferSyntaxUID = uid.ExplicitVRBigEndian
    assert np.array_equal(read(dataset, little_endian=False, implicit_vr=False), pixels)


@pytest.mark.parametrize("syntax", [uid.RLELossless, uid.JPEG2000Lossless])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_losslessly_compressed(read, dicom_maker, picture_maker, syntax, dtype):
    dataset = dicom_maker(picture_maker().astype(dtype), bits_stored=8 if dtype == np.uint8 else 12)
    expected = read(dataset)
    dataset.compress(syntax, generate_instance_uid=False)
    assert np.array_equal(read(dataset), expected)


@pytest.mark.parametrize("syntax", [uid.JPEGLossless, uid.JPEGLosslessSV1])
def test_jpeg_lossless(read, dicom_maker, jpeg_maker, syntax):
    pixels = np.random.default_rng(0).integers(0, 4096, (9, 7)).astype(np.uint16)
    pixels[0, :2] = 0, 4095
    dataset = jpeg_maker(dicom_maker(pixels, bits_stored=12), lossless_jpeg(pixels, 12), syntax)
    assert np.array_equal(read(dataset), np.rint(pixels / 4095 * 255))


@pytest.mark.parametrize(
    "compressed", ["MR_small_jpeg_ls_lossless.dcm", "MR_small_RLE.dcm", "MR_small_jp2klossless.dcm"]
)
def test_files_of_other_makers_agree_with_their_uncompressed_one(compressed):
    expected = dicom.read_image(get_testdata_file("MR_small.dcm", download=False))
    assert np.array_equal(dicom.read_image(get_testdata_file(compressed, download=False)), expected)


def test_jpeg_extended_12_bit():
    path = get_testdata_file("JPGExtended.dcm", download=False)
    stored = pydicom.dcmread(path).pixel_array.astype(float)
    leaving = stored.size // grayscale.OUTLIERS
    low, high = np.sort(stored, axis=None)[[leaving, -1 - leaving]]
    expected = np.clip((stored - low) / (high - low), 0, 1) * 255
    assert np.abs(dicom.read_image(path) - expected).max() <= 0.5  # what rounding to whole grey levels may add


def test_jpeg_baseline_takes_the_fast_way_and_agrees_with_pydicoms(tmp_path, dicom_maker, jpeg_maker, picture_maker):
    path = saved(tmp_path, jpeg_maker(dicom_maker(picture_maker(200, 120))))
    ours, theirs = dicom.read_image(path), pydicom.dcmread(path).pixel_array
    assert ours.shape == (200, 120)
    assert np.abs(ours.astype(int) - theirs).max() <= 1  # decoders may round the inverse transform differently


def test_jpeg_with_an_orientation_tag_stays_as_stored(read, dicom_maker, jpeg_maker, picture_maker):
    pixels = picture_maker()
    stream = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, 100])[1].tobytes()
    turned = b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0"
    stream = stream[:2] + b"\xff\xe1" + (len(turned) + 2).to_bytes(2, "big") + turned + stream[2:]
    assert read(jpeg_maker(dicom_maker(pixels), stream)).shape == pixels.shape


@pytest.mark.parametrize("implicit", [True, False])
def test_without_preamble_and_meta(tmp_path, dicom_maker, picture_maker, implicit):
    pixels = picture_maker()
    dataset = dicom_maker(pixels)
    bare = Dataset()
    bare.update(dataset)
    path = tmp_path / "bare.dcm"
    bare.save_as(path, implicit_vr=implicit, little_endian=True, enforce_file_format=False)
    assert path.read_bytes()[128:132] != b"DICM"
    assert np.array_equal(dicom.read_image(path), pixels)
    assert dicom.read_header(path).sop_uid == "1.2.3"


# --- from stored values to gray ----------------------------------------------------------------------------------


def test_eight_bits_stay_as_stored(read, dicom_maker):
    assert np.array_equal(read(dicom_maker(RAMP)), RAMP)
    assert np.array_equal(read(dicom_maker(RAMP, RescaleSlope="2", RescaleIntercept="-100")), RAMP)


def test_monochrome1_is_turned_round(read, dicom_maker, jpeg_maker, picture_maker):
    assert np.array_equal(read(dicom_maker(RAMP, PhotometricInterpretation="MONOCHROME1")), 255 - RAMP)
    pixels = picture_maker()
    straight, inverse = jpeg_maker(dicom_maker(pixels)), jpeg_maker(dicom_maker(pixels))
    inverse.PhotometricInterpretation = "MONOCHROME1"
    assert np.array_equal(read(inverse), 255 - read(straight))


def test_negative_slope_turns_round_too(read, dicom_maker):
    assert np.array_equal(read(dicom_maker(RAMP, RescaleSlope="-1", RescaleIntercept="0")), 255 - RAMP)


def test_fewer_bits_than_eight_fill_the_range(read, dicom_maker):
    assert read(dicom_maker(np.array([[0, 5, 15]], np.uint8), bits_stored=4)).tolist() == [[0, 85, 255]]


def test_signed_eight_bits(read, dicom_maker):
    assert read(dicom_maker(np.array([[-128, 0, 127, -1]], np.int8))).tolist() == [[0, 128, 255, 127]]


@pytest.mark.parametrize(("dtype", "bits"), [(np.uint16, 10), (np.uint16, 12), (np.uint16, 16), (np.int16, 16)])
def test_more_bits_span_least_to_greatest(read, dicom_maker, dtype, bits):
    pixels = np.array([[100, 200], [300, 610]], dtype)
    assert read(dicom_maker(pixels, bits_stored=bits)).tolist() == [[0, 50], [100, 255]]


def test_negative_values(read, dicom_maker):
    assert read(dicom_maker(np.array([[-1000, 0, 50]], np.int16))).tolist() == [[0, 243, 255]]


def test_window_of_rescaled_values(read, dicom_maker):
    # Rescaled: -1000, 0, 100, 500. Window 50 / 101 shows -0.5 .. 99.5 (PS3.3 C.11.2.1.2): 0.005 * 255 = 1.3
    pixels = np.array([[24, 1024, 1124, 1524]], np.uint16)
    fields = {"RescaleSlope": "1", "RescaleIntercept": "-1024", "WindowCenter": "50", "WindowWidth": "101"}
    assert read(dicom_maker(pixels, bits_stored=12, **fields)).tolist() == [[0, 1, 255, 255]]


def test_the_first_of_several_windows(read, dicom_maker):
    fields = {"WindowCenter": ["100.5", "0"], "WindowWidth": ["101", "1"]}
    assert read(dicom_maker(np.array([[0, 50, 100, 150, 250]], np.uint8), **fields)).tolist() == [[0, 0, 128, 255, 255]]


def test_blank_window_is_none(read, dicom_maker):
    assert np.array_equal(read(dicom_maker(RAMP, WindowCenter=None, WindowWidth=None)), RAMP)
    assert np.array_equal(read(dicom_maker(RAMP, WindowCenter="100", WindowWidth=None)), RAMP)


@given(st.lists(st.integers(0, 4095), min_size=1, max_size=20), st.integers(-500, 4500), st.integers(1, 5000))
@pytest.mark.parametrize("function", ["LINEAR", "LINEAR_EXACT", "SIGMOID"])
def test_window_agrees_with_pydicoms(function, values, center, width):
    values = np.array([values], np.uint16)
    dataset = Dataset()
    dataset.PhotometricInterpretation, dataset.BitsStored, dataset.PixelRepresentation = "MONOCHROME2", 12, 0
    dataset.WindowCenter, dataset.WindowWidth, dataset.VOILUTFunction = center, width, function
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # steep sigmoids overflow to the right limit
        ours = grayscale.window(values.astype(np.float32), center, width, function)
        theirs = apply_windowing(values, dataset) / 4095
    assert np.allclose(ours, theirs, atol=2e-3)


def test_voi_lut(read, dicom_maker):
    table = Dataset()
    table.LUTDescriptor, table.LUTData = [4, 0, 16], [0, 65535, 0, 32768]
    table["LUTDescriptor"].VR = table["LUTData"].VR = "US"
    pixels = np.array([[0, 1, 2, 3]], np.uint16)
    assert read(dicom_maker(pixels, bits_stored=12, VOILUTSequence=[table])).tolist() == [[0, 255, 0, 128]]


def test_padding_is_dark_and_does_not_squeeze_the_rest(read, dicom_maker):
    pixels = np.array([[-2000, 0, 50, 100]], np.int16)
    padded = dicom_maker(pixels)
    padded.add_new("PixelPaddingValue", "SS", -2000)
    assert read(padded).tolist() == [[0, 0, 128, 255]]
    padded.PhotometricInterpretation = "MONOCHROME1"
    assert read(padded).tolist() == [[0, 255, 127, 0]]


def test_constant_frame(read, dicom_maker):
    assert not read(dicom_maker(np.full((2, 2), 700, np.uint16))).any()


# --- what is refused ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"NumberOfFrames": 2}, "2 frames"),
        ({"SamplesPerPixel": 3, "PhotometricInterpretation": "RGB"}, "colour"),
        ({"PhotometricInterpretation": "PALETTE COLOR"}, "colour"),
        ({"PhotometricInterpretation": "<script>alert(1)</script>"}, "colour"),
        ({"PhotometricInterpretation": ""}, "PhotometricInterpretation"),
        ({"Rows": 5}, "PixelData has 12 bytes, but Rows 5, Columns 4 and BitsAllocated 8 ask for 20"),
        ({"Rows": 0}, "Rows is 0 and Columns 4"),
        ({"Columns": None}, "Rows is 3 and Columns 0"),
        ({"Rows": 65535, "Columns": 65535}, "Rows is 65535 and Columns 65535"),
    ],
)
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_no_single_gray_frame(read, dicom_maker, fields, said):
    with pytest.raises(DicomError, match=said) as caught:
        read(dicom_maker(RAMP, **fields))
    assert "image.dcm" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_no_pixel_data(read, dicom_maker):
    dataset = dicom_maker(RAMP)
    del dataset.PixelData
    with pytest.raises(DicomError, match="no pixel data"):
        read(dataset)


def test_jpeg_of_another_size_than_the_header_says(read, dicom_maker, jpeg_maker, picture_maker):
    dataset = jpeg_maker(dicom_maker(picture_maker()))
    dataset.Rows = 50
    with pytest.raises(DicomError, match="header says 50 x 40"):
        read(dataset)


def test_colour_stream_behind_a_gray_header(read, dicom_maker, jpeg_maker):
    stream = cv2.imencode(".jpg", np.zeros((3, 4, 3), np.uint8))[1].tobytes()
    with pytest.raises(DicomError, match="no grayscale JPEG"):
        read(jpeg_maker(dicom_maker(RAMP), stream))


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("compressed", [True, False])
def test_cut_off_anywhere(tmp_path, dicom_maker, jpeg_maker, picture_maker, compressed):
    dataset = dicom_maker(picture_maker(), PatientName="A^B")
    whole = saved(tmp_path, jpeg_maker(dataset) if compressed else dataset).read_bytes()
    cut = tmp_path / "cut.dcm"
    for length in [*range(0, len(whole) - 20, 97), len(whole) - 20]:
        cut.write_bytes(whole[:length])
        with pytest.raises(DicomError, match=r"cut\.dcm"):
            dicom.read_image(cut)


@pytest.mark.parametrize("content", [b"", b"no DICOM at all", b"\x89PNG\r\n\x1a\n" + bytes(300), bytes(132) + b"DICM"])
def test_no_dicom(tmp_path, content):
    path = tmp_path / "odd.dcm"
    path.write_bytes(content)
    with pytest.raises(DicomError, match=r"odd\.dcm"):
        dicom.read_image(path)


def test_no_file_and_a_folder(tmp_path):
    with pytest.raises(DicomError, match="is it still there"):
        dicom.read_image(tmp_path / "gone.dcm")
    with pytest.raises(DicomError, match="cannot be read"):
        dicom.read_header(tmp_path)


@pytest.mark.filterwarnings("ignore")
@given(data=st.data())
def test_damaged_bytes_give_an_image_or_a_dicom_error(data, damaged_file):
    path, whole = damaged_file
    content = bytearray(whole)
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(128, len(whole) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(content)
    for function in (dicom.read_header, dicom.read_image):
        try:
            function(path)
        except DicomError as error:
            assert "\n" not in str(error)


@pytest.fixture(scope="module")
def damaged_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("damaged") / "image.dcm"
    source = pydicom.dcmread(get_testdata_file("MR_small.dcm", download=False))
    source.Rows = source.Columns = 8
    source.PixelData = source.PixelData[:128]
    source.save_as(path)
    return path, path.read_bytes()


class Panic(BaseException):
    """What a decoder written in Rust raises: no Exception."""


@pytest.mark.parametrize(("raised", "seen"), [(Panic, DicomError), (KeyboardInterrupt, KeyboardInterrupt)])
def test_a_decoder_that_panics(read, dicom_maker, monkeypatch, raised, seen):
    def fail(*arguments):
        raise raised("index out of bounds")

    monkeypatch.setattr(grayscale, "to_uint8", fail)
    with pytest.raises(seen, match="index out of bounds"):
        read(dicom_maker(RAMP))


# --- header ------------------------------------------------------------------------------------------------------


def test_header_as_the_challenge_writes_it(tmp_path, dicom_maker):
    path = tmp_path / "ID_1.dcm"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the challenge's UID and age are against the standard
        dataset = dicom_maker(RAMP, SOPInstanceUID="ID_004d6fbb6", PatientSex="M", PatientAge="62")
        dataset.SeriesDescription, dataset.PixelSpacing = "view: AP", ["0.139", "0.14"]
        dataset.save_as(path)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        header = dicom.read_header(path)
    assert header == Header(
        "ID_004d6fbb6", "M", 62.0, view="AP", row_spacing_mm=0.139, column_spacing_mm=0.14,
        side_px=math.sqrt(RAMP.size), sop_class=uid.SecondaryCaptureImageStorage,
    )  # fmt: skip


def test_missing_fields_are_none(tmp_path, dicom_maker):
    header = dicom.read_header(saved(tmp_path, dicom_maker(RAMP)))
    assert (header.sex, header.view) == (None, None)
    assert math.isnan(header.age_years)
    assert math.isnan(header.pixel_spacing_mm)
    assert not header.age_impossible


@pytest.mark.filterwarnings("ignore")
def test_untrusted_text_does_not_come_through(tmp_path, dicom_maker):
    script = "<script>alert(1)</script>"
    dataset = dicom_maker(RAMP, SOPInstanceUID=script, PatientSex=script, PatientAge=script, ViewPosition=script)
    dataset.add_new("PixelSpacing", "DS", "0.1")
    header = dicom.read_header(saved(tmp_path, dataset))
    assert (header.sop_uid, header.sex, header.view) == (None, None, None)
    assert math.isnan(header.age_years)


@pytest.mark.parametrize(
    ("text", "years"),
    [("38", 38), ("038Y", 38), ("120", 120), ("006M", 0.5), ("052W", 0.9966), ("010D", 0.0274), ("0", 0)],
)
def test_ages(text, years):
    age, impossible = dicom.parse_age(text)
    assert age == pytest.approx(years, abs=1e-3)
    assert not impossible


@pytest.mark.parametrize("text", ["152", "413", "121Y", "-5", "forty", "3.5", "1e2", "0038Y", "38 Y", "\u0663\u0668"])
def test_impossible_ages_are_missing(text):
    age, impossible = dicom.parse_age(text)
    assert math.isnan(age)
    assert impossible


def test_no_age_is_missing_but_not_impossible():
    age, impossible = dicom.parse_age("")
    assert math.isnan(age)
    assert not impossible


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_a_blank_rescale_is_none(read, dicom_maker, dtype):
    blank = read(dicom_maker(RAMP.astype(dtype), RescaleSlope=None, RescaleIntercept=None))
    assert np.array_equal(blank, read(dicom_maker(RAMP.astype(dtype))))


def test_a_slope_without_an_intercept_is_applied(read, dicom_maker):
    assert np.array_equal(read(dicom_maker(RAMP, RescaleSlope="-1")), 255 - RAMP)
