"""DICOM files whose header contradicts their data, or whose display hints cannot be followed."""

import warnings
from pathlib import Path

import numpy as np
import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom import uid
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate, get_frame

from pneumo_lib.data import dicom, grayscale
from pneumo_lib.errors import DicomError

# Fewer pixels than grayscale.OUTLIERS, so that 0..255 spans these from the least to the greatest.
RAMP = np.arange(0, 4096, 273, dtype=np.uint16).reshape(4, 4)
RAMP_GRAY = np.rint(RAMP / 4095 * 255)
COMPRESSED = ["MR_small_RLE.dcm", "MR_small_jpeg_ls_lossless.dcm", "MR_small_jp2klossless.dcm", "JPGExtended.dcm"]

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:pydicom")  # what it warns of is what these files are


@pytest.fixture
def save(tmp_path):
    def save(dataset: Dataset, **options):
        path = tmp_path / "image.dcm"
        dataset.save_as(path, **options)
        return path

    return save


@pytest.fixture
def read(save):
    return lambda dataset: dicom.read_image(save(dataset))


def lookup_table(descriptor: list[int], entries, vr: str = "US") -> Dataset:
    table = Dataset()
    table.add_new("LUTDescriptor", "US", descriptor)
    table.add_new("LUTData", vr, entries)
    return table


# --- display hints -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"WindowCenter": "2000", "WindowWidth": "0"}, "WindowWidth is 0"),
        ({"WindowCenter": "2000", "WindowWidth": "-1"}, "WindowWidth is -1"),
        ({"WindowCenter": "2000", "WindowWidth": "1"}, "WindowWidth leaves next to nothing between black and white"),
        ({"WindowCenter": "2000", "WindowWidth": "0.5"}, "WindowWidth leaves next to nothing between black and white"),
        ({"WindowCenter": "90000", "WindowWidth": "9"}, "WindowWidth leaves next to nothing between black and white"),
        ({"WindowCenter": "2000", "WindowWidth": "9", "VOILUTFunction": "CUBIC"}, "VOILUTFunction is unknown"),
        ({"WindowCenter": "2000"}, "WindowWidth is missing"),
        ({"WindowWidth": "2000"}, "WindowCenter is missing"),
        ({"RescaleSlope": "0", "RescaleIntercept": "0"}, "RescaleSlope is 0"),
        ({"VOILUTSequence": [lookup_table([4096, 0, 12], [7] * 4096)]}, "VOILUTSequence has no entries or equal ones"),
        ({"VOILUTSequence": [Dataset()]}, "VOILUTSequence cannot be read"),
        ({"ModalityLUTSequence": [Dataset()]}, "ModalityLUTSequence cannot be read"),
    ],
)
def test_a_display_hint_that_cannot_be_followed_is_ignored_and_named(save, dicom_maker, fields, problem):
    path = save(dicom_maker(RAMP, bits_stored=12, **fields))
    assert np.array_equal(dicom.read_image(path), RAMP_GRAY)
    assert dicom.read_header(path).ignored_hint == problem


@pytest.mark.parametrize("text", ["2,048", "nan", "inf", "1e400", "two", "1e-12"])
@pytest.mark.parametrize("keyword", ["WindowCenter", "WindowWidth", "RescaleSlope"])
def test_a_display_hint_that_is_not_a_number_is_ignored_and_named(save, dicom_maker, keyword, text):
    fields = {"WindowCenter": "2000", "WindowWidth": "4000"} if keyword.startswith("Window") else {}
    dataset = dicom_maker(RAMP, bits_stored=12, **fields)
    dataset.add_new(keyword, "SH", text)  # pydicom does not write it as a decimal string
    dataset.file_meta.TransferSyntaxUID = uid.ImplicitVRLittleEndian
    path = save(dataset)
    assert np.array_equal(dicom.read_image(path), RAMP_GRAY)
    assert dicom.read_header(path).ignored_hint == f"{keyword} is not a number"


def test_two_ignored_hints_are_both_named(save, dicom_maker):
    path = save(dicom_maker(RAMP, bits_stored=12, RescaleSlope="0", WindowCenter="1", WindowWidth="0"))
    assert dicom.read_header(path).ignored_hint == "RescaleSlope is 0; WindowWidth is 0"


@pytest.mark.parametrize(
    ("fields", "gray"),
    [
        # PS3.3 C.11.2.1.3.1: 1 / (1 + exp(-4 (x - 2000) / 4000)); for 0, 2000, 4000: .119, .5, .881
        ({"WindowCenter": "2000", "WindowWidth": "4000", "VOILUTFunction": "sigmoid"}, [30, 128, 225]),
        ({"WindowCenter": "2000", "WindowWidth": "4000", "VOILUTFunction": "LINEAR_EXACT"}, [0, 128, 255]),
        ({"WindowCenter": "+2e3", "WindowWidth": "4.0E+03", "VOILUTFunction": "LINEAR_EXACT"}, [0, 128, 255]),
        # Rescaled 0, .5, 1: a width below 1, which LINEAR does not allow, is meant for fractions.
        ({"WindowCenter": "0.25", "WindowWidth": "0.5", "RescaleSlope": "0.00025"}, [0, 255, 255]),
    ],
)
def test_a_display_hint_that_can_be_followed_is(save, dicom_maker, fields, gray):
    path = save(dicom_maker(np.array([[0, 2000, 4000]], np.uint16), bits_stored=12, **fields))
    assert dicom.read_image(path).tolist() == [gray]
    assert dicom.read_header(path).ignored_hint is None


def test_a_window_serves_where_the_lookup_table_cannot(read, dicom_maker):
    fields = {"WindowCenter": "2000", "WindowWidth": "4000", "VOILUTFunction": "LINEAR_EXACT"}
    pixels = np.array([[0, 2000, 4000]], np.uint16)
    assert read(dicom_maker(pixels, 12, VOILUTSequence=[Dataset()], **fields)).tolist() == [[0, 128, 255]]


# --- lookup tables -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("declared", [8, 10, 12, 16])
def test_the_entries_of_a_table_decide_how_many_bits_they_have(read, dicom_maker, declared):
    table = lookup_table([4096, 0, declared], list(range(4096)))
    assert np.array_equal(read(dicom_maker(RAMP, 12, VOILUTSequence=[table])), RAMP_GRAY)


@pytest.mark.parametrize("packed", [True, False])
def test_a_table_of_8_bit_entries(read, dicom_maker, packed):
    entries = (np.arange(4096) // 16).astype(np.uint8 if packed else np.uint16)
    table = lookup_table([4096, 0, 8], entries.tobytes(), "OW")
    assert np.array_equal(read(dicom_maker(RAMP, 12, VOILUTSequence=[table])), RAMP // 16)


def test_values_outside_a_table_take_its_ends(read, dicom_maker):
    table = lookup_table([4, 100, 8], [0, 51, 102, 255])
    pixels = np.array([[0, 100, 101, 102, 103, 4095]], np.uint16)
    assert read(dicom_maker(pixels, 12, VOILUTSequence=[table])).tolist() == [[0, 0, 51, 102, 255, 255]]


@pytest.mark.parametrize("first", [-2, 65534])
def test_a_table_may_begin_below_zero_in_either_notation(read, dicom_maker, first):
    table = lookup_table([4, first % 2**16, 8], [0, 51, 102, 255])
    pixels = np.array([[-2, -1, 0, 1]], np.int16)
    assert read(dicom_maker(pixels, VOILUTSequence=[table])).tolist() == [[0, 51, 102, 255]]


def test_a_table_of_65536_entries_says_0(read, dicom_maker):
    table = lookup_table([0, 0, 16], list(range(65535, -1, -1)))
    assert read(dicom_maker(np.array([[0, 65535]], np.uint16), VOILUTSequence=[table])).tolist() == [[255, 0]]


def test_a_modality_table(read, dicom_maker):
    table = lookup_table([4, 0, 16], [0, 100, 300, 1000])
    pixels = np.array([[0, 1, 2, 3]], np.uint16)
    assert read(dicom_maker(pixels, 12, ModalityLUTSequence=[table])).tolist() == [[0, 26, 76, 255]]


# --- how many bits a value has, and which ------------------------------------------------------------------------


@pytest.mark.parametrize("fields", [{"HighBit": 15}, {"HighBit": 99}, {"BitsStored": 99}, {"BitsStored": 8}])
def test_values_use_other_bits_than_the_header_says(read, dicom_maker, fields):
    assert np.array_equal(read(dicom_maker(RAMP, **({"bits_stored": 12} | fields))), RAMP_GRAY)


def test_values_in_the_upper_bits(read, dicom_maker):
    assert np.array_equal(read(dicom_maker(RAMP << 4, bits_stored=12, HighBit=15)), RAMP_GRAY)


def test_an_overlay_in_the_unused_bits_is_dropped(read, dicom_maker):
    dataset = dicom_maker(RAMP | np.uint16(0x8000), bits_stored=12)
    dataset.add_new(0x60000102, "US", 15)
    assert np.array_equal(read(dataset), RAMP_GRAY)


@pytest.mark.parametrize("allocated", [12, 8, 32])
def test_the_length_of_the_data_decides_how_wide_a_value_is(read, dicom_maker, allocated):
    assert np.array_equal(read(dicom_maker(RAMP, bits_stored=12, BitsAllocated=allocated)), RAMP_GRAY)


def test_negative_values_behind_an_unsigned_header(read, dicom_maker):
    dataset = dicom_maker(np.array([[-1000, 0, 50]], np.int16), bits_stored=12, PixelRepresentation=0)
    assert read(dataset).tolist() == [[0, 243, 255]]  # the bits above 12 repeat the sign


@pytest.mark.parametrize("bits", [12, 16])
@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("declared", [False, True])
def test_values_that_wrap_around_are_read_the_other_way(read, dicom_maker, bits, signed, declared):
    smooth = np.linspace(0, 2**bits - 1, 64).astype(int) + np.linspace(0, 2 ** (bits - 4), 64).astype(int)[:, None]
    values = np.clip(smooth, 0, 2**bits - 1) - (2 ** (bits - 1) if signed else 0)
    stored = (values % 2**bits).astype(np.uint16)
    dataset = dicom_maker(stored, bits_stored=bits, PixelRepresentation=int(declared))
    expected = read(dicom_maker(values.astype(np.int16 if signed else np.uint16), bits_stored=bits))
    assert np.array_equal(read(dataset), expected)


def test_black_next_to_white_is_not_taken_for_values_that_wrap_around(read, dicom_maker):
    pixels = np.tile(np.array([0, 4095, 0, 4095, 2000, 2100, 2200], np.uint16), (9, 1))
    assert read(dicom_maker(pixels, bits_stored=12))[0].tolist() == [0, 255, 0, 255, 125, 131, 137]


# --- one hot pixel -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [0, 65535])
def test_one_outlying_pixel_does_not_decide_the_range(read, dicom_maker, value):
    pixels = np.repeat(np.linspace(1000, 3000, 101).round().astype(np.uint16)[None], 20, axis=0)
    pixels[5, 50] = value
    gray = read(dicom_maker(pixels, bits_stored=16))
    assert gray[0].tolist() == np.rint(np.arange(101) / 100 * 255).tolist()
    assert gray[5, 50] == (255 if value else 0)


def test_two_values_stay_two_however_rare_one_is(read, dicom_maker):
    pixels = np.full((50, 50), 100, np.uint16)
    pixels[0, 0] = 200
    gray = read(dicom_maker(pixels, bits_stored=12))
    assert (gray[0, 0], gray[1:].max()) == (255, 0)


def test_a_picture_of_16_bits_is_stretched_as_a_dicom_file_is(read, dicom_maker):
    pixels = np.random.default_rng(0).integers(300, 900, (60, 50)).astype(np.uint16)
    assert np.array_equal(grayscale.stretched(pixels), read(dicom_maker(pixels, bits_stored=16)))


@given(st.lists(st.integers(0, 2**16 - 1), min_size=1, max_size=60), st.integers(9, 16), st.booleans())
def test_gray_rises_with_the_stored_values(values, bits, inverted):
    pixels = np.array([values], np.uint16) >> (16 - bits)
    dataset = Dataset()
    dataset.PhotometricInterpretation = "MONOCHROME1" if inverted else "MONOCHROME2"
    gray = grayscale.to_uint8(pixels, bits, dataset).astype(int)[0, np.argsort(pixels[0])]
    assert (np.diff(gray) * (-1 if inverted else 1) >= 0).all()


# --- compressed or not, and how ----------------------------------------------------------------------------------


@pytest.mark.parametrize("implicit", [True, False])
def test_without_transfer_syntax(tmp_path, dicom_maker, implicit):
    body = Dataset()
    body.update(dicom_maker(RAMP, bits_stored=12))
    path = tmp_path / "body.dcm"
    body.save_as(path, implicit_vr=implicit, little_endian=True, enforce_file_format=False)
    path.write_bytes(bytes(128) + b"DICM" + path.read_bytes())
    assert np.array_equal(dicom.read_image(path), RAMP_GRAY)


@pytest.mark.parametrize("name", COMPRESSED)
@pytest.mark.parametrize("declared", [None, uid.ExplicitVRLittleEndian])
def test_compressed_data_without_their_transfer_syntax(save, name, declared):
    source = get_testdata_file(name, download=False)
    dataset = pydicom.dcmread(source)
    del dataset.file_meta.TransferSyntaxUID
    path = save(dataset, implicit_vr=False, little_endian=True, enforce_file_format=False)
    if declared:
        wrong = pydicom.dcmread(path)
        wrong.file_meta.TransferSyntaxUID = declared
        with path.open("wb") as stream:
            pydicom.dcmwrite(stream, wrong, implicit_vr=False, little_endian=True, enforce_file_format=False)
    assert np.array_equal(dicom.read_image(path), dicom.read_image(source))


@pytest.mark.parametrize("name", COMPRESSED)
def test_a_compressed_stream_that_is_cut_off_is_refused(save, name):
    dataset = pydicom.dcmread(get_testdata_file(name, download=False))
    frame = get_frame(dataset.PixelData, 0, number_of_frames=1)
    for length in np.linspace(20, len(frame) - 20, 9).astype(int):
        dataset.PixelData = encapsulate([frame[:length]])
        with pytest.raises(DicomError, match=r"image\.dcm: the pixel data cannot be decoded"):
            dicom.read_image(save(dataset))


@pytest.mark.parametrize("name", COMPRESSED[1:])
def test_a_compressed_stream_of_another_size_is_refused_before_it_is_decoded(save, monkeypatch, name):
    dataset = pydicom.dcmread(get_testdata_file(name, download=False))
    dataset.Rows *= 2
    monkeypatch.setattr("pneumo_lib.data.dicom_values.pixel_array", lambda *_, **__: pytest.fail("decoded"))
    with pytest.raises(DicomError, match=f"but the header says {dataset.Rows} x {dataset.Columns}"):
        dicom.read_image(save(dataset))


# --- damaged files -----------------------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore")
@settings(max_examples=150)
@given(data=st.data())
def test_damaged_files_of_every_kind_give_an_image_or_a_dicom_error(data, tmp_path_factory):
    name = data.draw(st.sampled_from([*COMPRESSED, "MR_small.dcm", "MR_small_bigendian.dcm", "image_dfl.dcm"]))
    content = bytearray(Path(get_testdata_file(name, download=False)).read_bytes())
    for _ in range(data.draw(st.integers(0, 8))):
        place = data.draw(st.integers(128, len(content) - 1) | st.integers(128, 2000))
        content[place] = data.draw(st.sampled_from([0, 1, 127, 128, 255]) | st.integers(0, 255))
    path = tmp_path_factory.getbasetemp() / "damaged.dcm"
    path.write_bytes(content[: data.draw(st.just(len(content)) | st.integers(0, len(content)))])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for function in (lambda path: dicom.frontal_chest(dicom.read_header(path)), dicom.read_image):
            try:
                function(path)
            except DicomError as error:
                assert str(error).startswith(str(path)) and "\n" not in str(error)
