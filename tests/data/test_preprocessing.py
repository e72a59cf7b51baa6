import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
from filelock import FileLock, Timeout
from hypothesis import given
from hypothesis import strategies as st

from pneumo_lib.data import array_store, preprocessing, radiographs, siim
from pneumo_lib.data.array_store import ArrayFile
from pneumo_lib.data.preprocessing import resize_image, resize_mask
from pneumo_lib.errors import PreprocessingError


@pytest.fixture
def index(copy) -> pd.DataFrame:
    return siim.load_index(copy)


@pytest.fixture
def small_chunks(monkeypatch):
    monkeypatch.setattr(preprocessing, "CHUNK", 2)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.name != ".lock"}


# --- the arrays --------------------------------------------------------------------------------------------------


def test_arrays_hold_the_resized_images_and_masks(index, tmp_path):
    result = preprocessing.prepare(index, tmp_path / "64", 64)
    assert result.images.shape == result.masks.shape == (6, 64, 64)
    assert result.images.dtype == result.masks.dtype == np.uint8
    assert (result.size, result.folder) == (64, tmp_path / "64")
    for row in index.itertuples():
        assert np.array_equal(result.images[row.Index], resize_image(radiographs.read_image(row.path), 64))
        assert np.array_equal(result.masks[row.Index], resize_mask(siim.read_mask(row), 64))
    assert result.masks.max() == 1
    assert result.masks.any(axis=(1, 2)).tolist() == index.positive.tolist()


def test_arrays_are_read_only_and_plain_npy_files(index, tmp_path):
    result = preprocessing.prepare(index, tmp_path / "32", 32)
    with pytest.raises(ValueError, match="read-only"):
        result.images[0, 0, 0] = 1
    assert np.array_equal(np.load(tmp_path / "32" / "images.npy"), result.images)


def test_the_index_comes_along(index, tmp_path):
    index.loc[0, ["patient_id", "pixel_spacing_mm"]] = "00000007", 0.168
    index.loc[1, ["labelled", "positive", "mask_area_px"]] = False, pd.NA, pd.NA
    index.at[1, "rle"] = ()
    result = preprocessing.prepare(index, tmp_path / "32", 32)
    expected = index[result.index.columns]
    pd.testing.assert_frame_equal(result.index, expected, check_dtype=False, check_flags=False)
    assert result.index.dtypes.astype(str)[["labelled", "positive", "mask_area_px"]].tolist() == [
        "bool",
        "boolean",
        "Int64",
    ]
    assert not result.masks[1].any()


@pytest.mark.parametrize("workers", [1, 3])
def test_the_bytes_do_not_depend_on_the_workers(index, tmp_path, small_chunks, workers):
    preprocessing.prepare(index, tmp_path / "a", 48, workers=2)
    preprocessing.prepare(index, tmp_path / "b", 48, workers=workers)
    assert contents(tmp_path / "a") == contents(tmp_path / "b")


def test_several_sizes_decode_once(index, tmp_path, monkeypatch):
    decoded = []
    read = radiographs.read_image
    monkeypatch.setattr(radiographs, "read_image", lambda path: decoded.append(path) or read(path))
    both = preprocessing.prepare_sizes(index, {32: tmp_path / "32", 64: tmp_path / "64"})
    assert sorted(decoded) == sorted(index.path)
    assert (both[32].images.shape[1], both[64].images.shape[1]) == (32, 64)
    alone = preprocessing.prepare(index, tmp_path / "alone", 64)
    assert contents(tmp_path / "64") == contents(tmp_path / "alone")
    assert np.array_equal(alone.images, both[64].images)


def test_no_bar_but_in_a_terminal(index, tmp_path, capfd):
    preprocessing.prepare(index, tmp_path / "a", 32)
    assert capfd.readouterr().err == ""


# --- there already, another source -------------------------------------------------------------------------------


def test_complete_folders_are_not_decoded_again(index, tmp_path, monkeypatch):
    first = preprocessing.prepare(index, tmp_path / "a", 32)
    before = contents(tmp_path / "a")
    monkeypatch.setattr(radiographs, "read_image", lambda path: pytest.fail("decoded again"))
    again = preprocessing.prepare(index, tmp_path / "a", 32)
    assert np.array_equal(first.images, again.images)
    assert contents(tmp_path / "a") == before
    assert array_store.load(tmp_path / "a").index.equals(again.index)


def test_a_copy_of_the_data_elsewhere_is_the_same_source(copy, index, tmp_path):
    preprocessing.prepare(index, tmp_path / "a", 32)
    shutil.copytree(copy, tmp_path / "moved")
    assert len(preprocessing.prepare(siim.load_index(tmp_path / "moved"), tmp_path / "a", 32).images) == 6


def change_pixels(index):
    path = Path(index.path[0])
    path.write_bytes(Path(index.path[1]).read_bytes())
    return index


def change_mask(index):
    index.at[0, "rle"] = ("0 1",)
    return index


@pytest.mark.parametrize("change", [change_pixels, change_mask, lambda index: index[1:].reset_index(drop=True)])
def test_another_source_is_refused_and_both_are_named(copy, index, tmp_path, change):
    preprocessing.prepare(index, tmp_path / "a", 32)
    with pytest.raises(PreprocessingError, match=r"a holds arrays made from .*copy.*, not from .*copy.*; delete"):
        preprocessing.prepare(change(index), tmp_path / "a", 32)


def test_another_size_is_refused(index, tmp_path):
    preprocessing.prepare(index, tmp_path / "a", 32)
    with pytest.raises(PreprocessingError, match="delete that folder or name another"):
        preprocessing.prepare(index, tmp_path / "a", 48)


def test_patients_that_become_known_later_come_in_without_decoding(index, tmp_path, monkeypatch):
    preprocessing.prepare(index, tmp_path / "a", 32)
    monkeypatch.setattr(radiographs, "read_image", lambda path: pytest.fail("decoded again"))
    index["patient_id"] = pd.array(["7"] * 6, dtype="string")
    assert preprocessing.prepare(index, tmp_path / "a", 32).index.patient_id.tolist() == ["7"] * 6
    assert array_store.load(tmp_path / "a").index.patient_id.tolist() == ["7"] * 6


def test_a_column_that_an_earlier_version_lacked_comes_in_without_decoding(index, tmp_path, monkeypatch):
    with monkeypatch.context() as earlier:
        columns = {name: kind for name, kind in array_store.COLUMNS.items() if name != "side_px"}
        earlier.setattr(array_store, "COLUMNS", columns)
        preprocessing.prepare(index, tmp_path / "a", 32)
    assert array_store.load(tmp_path / "a").index.side_px.isna().all()
    monkeypatch.setattr(radiographs, "read_image", lambda path: pytest.fail("decoded again"))
    assert preprocessing.prepare(index, tmp_path / "a", 32).index.side_px.tolist() == [96.0] * 6


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"size": 0}, "not 0"),
        ({"size": 2048}, "not 2048"),
        ({"size": 64.5}, "not 64.5"),
        ({"size": 32, "on_error": "ignore"}, "on_error"),
    ],
)
def test_bad_arguments(index, tmp_path, arguments, said):
    with pytest.raises(PreprocessingError, match=said):
        preprocessing.prepare(index, tmp_path / "a", **arguments)
    with pytest.raises(PreprocessingError, match="empty"):
        preprocessing.prepare(index[:0], tmp_path / "a", 32)


# --- bad files ---------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("small_chunks")
def test_all_bad_files_are_named_at_once(index, tmp_path, monkeypatch):
    Path(index.path[1]).write_bytes(b"broken")
    Path(index.path[4]).unlink()
    expected = r"2 of 6 files cannot be read.*on_error=skip:\n.*1\.2\.1\.dcm.*\n.*1\.2\.4\.dcm"
    with pytest.raises(PreprocessingError, match=expected):
        preprocessing.prepare(index, tmp_path / "a", 32)
    monkeypatch.setattr(preprocessing, "NAMED", 1)
    with pytest.raises(PreprocessingError, match=r"1\.2\.1\.dcm.*\n\.\.\. and 1 more"):
        preprocessing.prepare(index, tmp_path / "a", 32)
    with pytest.raises(PreprocessingError, match="no finished arrays"):
        array_store.load(tmp_path / "a")


@pytest.mark.usefixtures("small_chunks")
def test_bad_and_vanished_files_are_skipped_when_asked_and_listed(index, tmp_path):
    Path(index.path[3]).write_bytes(b"broken")
    Path(index.path[4]).unlink()
    result = preprocessing.prepare(index, tmp_path / "a", 32, on_error="skip")
    assert result.index.image_id.tolist() == ["1.2.0", "1.2.1", "1.2.2", "1.2.5"]
    assert result.images.shape == (4, 32, 32)
    assert np.array_equal(result.images[3], resize_image(radiographs.read_image(index.path[5]), 32))
    assert result.skipped.image_id.tolist() == ["1.2.3", "1.2.4"]
    assert "is it still there" in result.skipped.error[1]
    with pytest.raises(PreprocessingError, match=r"without 2 bad files, the first 1\.2\.3"):
        preprocessing.prepare(index, tmp_path / "a", 32)


@pytest.mark.usefixtures("small_chunks")
def test_skips_of_an_unfinished_call_do_not_slip_into_a_strict_one(index, tmp_path, monkeypatch):
    Path(index.path[0]).write_bytes(b"broken")
    stop_after(monkeypatch, 2)
    with pytest.raises(KeyboardInterrupt):
        preprocessing.prepare(index, tmp_path / "a", 32, on_error="skip")
    monkeypatch.undo()
    with pytest.raises(PreprocessingError, match=r"1\.2\.0\.dcm"):
        preprocessing.prepare(index, tmp_path / "a", 32)


def test_nothing_but_bad_files(index, tmp_path):
    for path in index.path:
        Path(path).write_bytes(b"broken")
    with pytest.raises(PreprocessingError, match="none of the 6 files"):
        preprocessing.prepare(index, tmp_path / "a", 32, on_error="skip")


# --- interrupted -------------------------------------------------------------------------------------------------


def stop_after(monkeypatch, images: int) -> None:
    """An interrupt once so many images have been written."""
    append = ArrayFile.append

    def interrupted(self, image):
        if self.rows == images:
            raise KeyboardInterrupt
        append(self, image)

    monkeypatch.setattr(ArrayFile, "append", interrupted)


@pytest.mark.usefixtures("small_chunks")
@pytest.mark.parametrize("done", [0, 1, 4])
@pytest.mark.parametrize("left", ["clean", "half an image", "nothing"])
def test_begun_anew_to_the_same_bytes(index, tmp_path, monkeypatch, done, left):
    preprocessing.prepare(index, tmp_path / "whole", 32)
    folder = tmp_path / "a"
    with monkeypatch.context() as patch:
        stop_after(patch, done)
        with pytest.raises(KeyboardInterrupt):
            preprocessing.prepare(index, folder, 32)
    with pytest.raises(PreprocessingError, match="no finished arrays"):
        array_store.load(folder)
    if left == "half an image":
        with (folder / "images.npy").open("ab") as file:
            file.write(b"x" * 700)
    elif left == "nothing":
        (folder / "images.npy").unlink()
    preprocessing.prepare(index, folder, 32)
    assert contents(folder) == contents(tmp_path / "whole")


@pytest.mark.usefixtures("small_chunks")
def test_a_size_that_is_complete_is_not_made_again(index, tmp_path):
    preprocessing.prepare(index, tmp_path / "64", 64)
    before = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "64").iterdir()}
    both = preprocessing.prepare_sizes(index, {32: tmp_path / "32", 64: tmp_path / "64"})
    assert {path.name: path.stat().st_mtime_ns for path in (tmp_path / "64").iterdir()} == before
    assert len(both[32].images) == len(both[64].images) == 6


SLOW = """
import sys, time
from pneumo_lib.data import array_store, preprocessing, siim
preprocessing.CHUNK = 1
append = array_store.ArrayFile.append
def slow(self, image):
    time.sleep(0.05)
    append(self, image)
array_store.ArrayFile.append = slow
preprocessing.prepare(siim.load_index(sys.argv[1]), sys.argv[2], 64, progress=False)
"""


def start(copy, folder) -> subprocess.Popen:
    return subprocess.Popen([sys.executable, "-c", SLOW, str(copy), str(folder)], stderr=subprocess.PIPE)


def test_killed_again_and_again_ends_in_the_same_bytes(copy, index, tmp_path):
    preprocessing.prepare(index, tmp_path / "whole", 64)
    images = tmp_path / "a" / "images.npy"
    for _ in range(2):
        images.unlink(missing_ok=True)
        process = start(copy, tmp_path / "a")
        until = time.monotonic() + 30
        while time.monotonic() < until and not images.is_file():
            time.sleep(0.005)
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stderr.close()
        assert images.is_file() and not (tmp_path / "a" / "prepared.json").exists()
    preprocessing.prepare(index, tmp_path / "a", 64)
    assert contents(tmp_path / "a") == contents(tmp_path / "whole")


def test_two_processes_at_once(copy, index, tmp_path, monkeypatch):
    monkeypatch.setattr(preprocessing, "CHUNK", 1)
    preprocessing.prepare(index, tmp_path / "whole", 64)
    both = [start(copy, tmp_path / "a") for _ in range(2)]
    for process in both:
        _, said = process.communicate(timeout=60)
        assert process.returncode == 0, said
    assert contents(tmp_path / "a") == contents(tmp_path / "whole")


# --- the disk ----------------------------------------------------------------------------------------------------


def test_a_disk_that_is_too_small_is_noticed_before_the_work(index, tmp_path, monkeypatch):
    usage = shutil.disk_usage(tmp_path)._replace(free=10_000)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage)
    with pytest.raises(PreprocessingError, match=r"needs 0\.00 GB, but the disk has 0\.00 GB left"):
        preprocessing.prepare(index, tmp_path / "a", 32)


@pytest.mark.parametrize("when", ["open", "append", "finish"])
def test_a_disk_that_runs_full(index, tmp_path, monkeypatch, when):
    def full(self, *arguments):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(ArrayFile, {"open": "__init__"}.get(when, when), full)
    with pytest.raises(PreprocessingError, match="the disk is full; fix this and run again"):
        preprocessing.prepare(index, tmp_path / "a", 32)
    assert not (tmp_path / "a" / "prepared.json").exists()


def test_a_folder_that_cannot_be_made(index, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(PreprocessingError, match="cannot be written"):
        preprocessing.prepare(index, tmp_path / "file" / "a", 32)


@pytest.mark.parametrize("name", ["images", "masks"])
@pytest.mark.parametrize("damage", ["flipped", "cut", "gone", "header"])
def test_damage_is_noticed_and_named(index, tmp_path, name, damage):
    preprocessing.prepare(index, tmp_path / "a", 32)
    path = tmp_path / "a" / f"{name}.npy"
    content = bytearray(path.read_bytes())
    if damage == "flipped":
        content[-5] ^= 1
    elif damage == "header":
        content[:6] = b"broken"
    path.write_bytes(content[:-9] if damage == "cut" else content)
    if damage == "gone":
        path.unlink()
    with pytest.raises(PreprocessingError, match=rf"{name}\.npy.*prepare it again"):
        array_store.load(tmp_path / "a")


def test_damage_can_be_overlooked_when_asked(index, tmp_path):
    preprocessing.prepare(index, tmp_path / "a", 32)
    content = bytearray((tmp_path / "a" / "images.npy").read_bytes())
    content[-5] ^= 1
    (tmp_path / "a" / "images.npy").write_bytes(content)
    assert len(array_store.load(tmp_path / "a", check=False).images) == 6


def test_a_damaged_table_is_noticed_and_mended_by_prepare(index, tmp_path):
    preprocessing.prepare(index, tmp_path / "a", 32)
    table = tmp_path / "a" / "index.csv"
    whole = table.read_bytes()
    table.write_bytes(whole.replace(b"38.0", b"83.0"))
    with pytest.raises(PreprocessingError, match=r"index\.csv"):
        array_store.load(tmp_path / "a")
    preprocessing.prepare(index, tmp_path / "a", 32)
    assert table.read_bytes() == whole


def test_a_damaged_manifest(index, tmp_path):
    preprocessing.prepare(index, tmp_path / "a", 32)
    (tmp_path / "a" / "prepared.json").write_text("{")
    with pytest.raises(PreprocessingError, match=r"prepared\.json is damaged"):
        array_store.load(tmp_path / "a")


def test_the_manifest_is_plain_json(index, tmp_path):
    preprocessing.prepare(index, tmp_path / "a", 32)
    manifest = json.loads((tmp_path / "a" / "prepared.json").read_text())
    assert manifest["origin"]["images"] == 6
    assert manifest["origin"]["size"] == 32


# --- resizing ----------------------------------------------------------------------------------------------------


def test_half_covered_pixels_are_on():
    mask = np.array([[1, 0, 1, 1], [0, 0, 0, 0], [1, 1, 1, 0], [1, 1, 0, 1]], bool)
    assert resize_mask(mask, 2).tolist() == [[0, 1], [1, 1]]  # covered 1/4, 2/4, 4/4, 2/4


@given(st.integers(0, 63), st.integers(0, 63), st.integers(1, 6), st.integers(1, 6), st.sampled_from([7, 16, 32, 64]))
def test_a_positive_mask_never_vanishes(y, x, height, width, size):
    mask = np.zeros((64, 64), bool)
    mask[y : y + height, x : x + width] = True
    small = resize_mask(mask, size)
    assert small.any()
    assert small.max() == 1
    assert small.shape == (size, size)


def test_an_empty_mask_stays_empty():
    assert not resize_mask(np.zeros((64, 64), bool), 16).any()


@pytest.mark.parametrize("size", [128, 256, 512])
def test_areas_are_kept(disc_maker, size):
    for radius in (8, 30, 90):
        mask = disc_maker((500, 517), radius)
        scaled = resize_mask(mask, size).sum() * (1024 / size) ** 2
        assert scaled == pytest.approx(mask.sum(), rel=4 * 1024 / size / radius / 10)


def test_images_are_averaged_over_areas():
    assert resize_image(np.array([[0, 100, 50, 50], [100, 200, 50, 50]] * 2, np.uint8), 2).tolist() == [[100, 50]] * 2


def test_small_and_oblong_images_become_square(picture_maker):
    assert resize_image(picture_maker(20, 30), 64).shape == (64, 64)
    assert resize_image(picture_maker(200, 90), 64).shape == (64, 64)
    square = picture_maker(64, 64)
    assert resize_image(square, 64) is square


def test_image_and_mask_stay_aligned_when_stretched():
    image = cv2.rectangle(np.zeros((300, 200), np.uint8), (50, 75), (99, 149), 255, -1)  # middle quarter of an oblong
    mask = cv2.rectangle(np.zeros((1024, 1024), np.uint8), (256, 256), (511, 511), 1, -1).view(bool)
    assert np.array_equal(resize_image(image, 32) > 127, resize_mask(mask, 32).view(bool))


# --- what a crash or another disk leaves --------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["{}", "5", "null"])
def test_a_manifest_that_is_json_but_none(index, tmp_path, text):
    preprocessing.prepare(index, tmp_path / "a", 32)
    (tmp_path / "a" / "prepared.json").write_text(text)
    with pytest.raises(PreprocessingError, match="is damaged; delete the folder"):
        preprocessing.prepare(index, tmp_path / "a", 32)


def test_a_table_is_brought_up_to_date_under_the_lock(index, tmp_path, monkeypatch):
    preprocessing.prepare(index, tmp_path / "a", 32)
    write, locked = preprocessing.write_index, []

    def watched(folder, *rest):
        with pytest.raises(Timeout):
            FileLock(folder / ".lock").acquire(timeout=0)
        locked.append(folder)
        write(folder, *rest)

    monkeypatch.setattr(preprocessing, "write_index", watched)
    made = preprocessing.prepare(index.assign(patient_id="p"), tmp_path / "a", 32)
    assert locked and (made.index.patient_id == "p").all()


def test_a_number_of_workers_that_cannot_be(index, tmp_path):
    with pytest.raises(PreprocessingError, match="workers must be 1 or more, .* not -1"):
        preprocessing.prepare(index, tmp_path / "a", 32, workers=-1)
