"""The phantom data set on disk: layout, header, resuming, quirks."""

import csv
import errno
import hashlib
import json
import signal
import subprocess
import sys
import time
import warnings
from pathlib import Path

import numpy as np
import pydicom
import pytest

from pneumo_lib import phantom
from pneumo_lib.data import rle, siim
from pneumo_lib.errors import WriteError
from pneumo_lib.phantom import PhantomError, cohort
from pneumo_lib.phantom.writer import VERSION

N_IMAGES = 17


def contents(root):
    return {
        str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(root.rglob("*"))
        if path.is_file()
    }


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    return phantom.write_dataset(
        tmp_path_factory.mktemp("set") / "phantom", N_IMAGES, seed=5, workers=1, progress=False
    )


def test_layout_is_stage_1s(dataset):
    files = sorted(dataset.glob("dicom-images-train/*/*/*.dcm"))
    assert len(files) == N_IMAGES
    with (dataset / "train-rle.csv").open(newline="") as table:
        rows = list(csv.reader(table))
    assert rows[0] == ["ImageId", " EncodedPixels"]
    assert {row[0] for row in rows[1:]} == {path.stem for path in files}
    assert sum(row[1] != " -1" for row in rows[1:]) == round(0.2215 * N_IMAGES)
    with (dataset / "patients.csv").open(newline="") as table:
        names = list(csv.DictReader(table))
    assert {name["Kaggle_ID"] for name in names} == {path.stem for path in files}
    assert names[0]["NIH_ID"] == "{:08d}_{:03d}.png".format(
        *(getattr(cohort.case(0, 5), k) for k in ("patient", "follow_up"))
    )
    record = json.loads((dataset / "dataset.json").read_text())
    assert record["n_images"] == N_IMAGES and record["seed"] == 5 and "synthetic" in record["what"]


def test_files_read_back_as_real_ones_do(dataset):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        files = [pydicom.dcmread(path) for path in sorted(dataset.glob("dicom-images-train/*/*/*.dcm"))]
    for data in files:
        assert data.file_meta.TransferSyntaxUID == pydicom.uid.JPEGBaseline8Bit
        assert (data.Rows, data.Columns, data.BitsAllocated, data.Modality) == (1024, 1024, 8, "CR")
        assert data.PhotometricInterpretation == "MONOCHROME2" and data.ViewPosition in ("PA", "AP")
        assert pydicom.uid.UID(data.SOPInstanceUID).is_valid and len(data.SOPInstanceUID) <= 64
        assert "SYNTHETIC" in str(data.PatientName) and data.PatientAge.endswith("Y")
    assert len({data.PatientID for data in files}) == N_IMAGES
    assert files[0].pixel_array.shape == (1024, 1024)


def test_the_stored_image_is_the_drawn_one_up_to_jpeg(dataset):
    drawn = phantom.draw(0, seed=5)
    path = next(dataset.glob(f"dicom-images-train/*/*/{siim_id(dataset, 0)}.dcm"))
    stored = pydicom.dcmread(path).pixel_array
    assert np.abs(stored.astype(int) - drawn.image).mean() < 2


def siim_id(root, row):
    return (root / "patients.csv").read_text().splitlines()[1 + row].split(",")[0]


def test_masks_and_index_round_trip(dataset):
    index = siim.load_index(dataset).set_index("image_id")
    assert len(index) == N_IMAGES and index.labelled.all()
    for row in range(N_IMAGES):
        one = index.loc[siim_id(dataset, row)]
        case = cohort.case(row, 5)
        assert bool(one.positive) == case.positive
        if case.positive:
            assert np.array_equal(rle.decode(one.rle), phantom.draw(row, seed=5).mask)


def test_workers_change_nothing(dataset, tmp_path):
    other = phantom.write_dataset(tmp_path / "two", N_IMAGES, seed=5, workers=2, progress=False)
    assert contents(other) == contents(dataset)


def test_a_smaller_set_is_the_beginning_of_a_larger_one(dataset, tmp_path):
    small = phantom.write_dataset(tmp_path / "small", 3, seed=5, workers=1, progress=False)
    files, larger = contents(small), contents(dataset)
    assert all(larger[name] == digest for name, digest in files.items() if name.endswith(".dcm"))


def test_a_second_call_returns_at_once(dataset):
    before = contents(dataset)
    start = time.perf_counter()
    assert phantom.write_dataset(dataset, N_IMAGES, seed=5) == dataset
    assert time.perf_counter() - start < 1 and contents(dataset) == before


def test_a_killed_call_goes_on_where_it_stopped(dataset, tmp_path):
    root = tmp_path / "killed"
    call = f"from pneumo_lib import phantom; phantom.write_dataset({str(root)!r}, {N_IMAGES}, 5, workers=1)"
    process = subprocess.Popen([sys.executable, "-c", call], stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while len(list(root.glob("dicom-images-train/*/*/*.dcm"))) < 3 and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    kept = {path: path.stat().st_mtime_ns for path in root.glob("dicom-images-train/*/*/*.dcm")}
    assert len(kept) >= 3 and not (root / "dataset.json").exists()
    phantom.write_dataset(root, N_IMAGES, seed=5, workers=1, progress=False)
    assert all(path.stat().st_mtime_ns == time_ns for path, time_ns in kept.items())
    complete = {name: digest for name, digest in contents(root).items() if "/." not in name}
    assert complete == contents(dataset)


@pytest.mark.parametrize("arguments", [{"n_images": 18, "seed": 5}, {"n_images": N_IMAGES, "seed": 6}])
def test_another_set_in_the_folder_is_refused(dataset, arguments):
    with pytest.raises(PhantomError, match="another data set"):
        phantom.write_dataset(dataset, **arguments)


def test_a_foreign_folder_is_refused(tmp_path):
    (tmp_path / "thesis.docx").write_text("")
    with pytest.raises(PhantomError, match="empty folder"):
        phantom.write_dataset(tmp_path, 1)


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        ({"n_images": 0}, "n_images"),
        ({"n_images": 2.5}, "n_images"),
        ({"seed": -1}, "seed"),
        ({"workers": 0}, "workers"),
    ],
)
def test_values_out_of_range_are_named(tmp_path, arguments, name):
    with pytest.raises(PhantomError, match=name):
        phantom.write_dataset(tmp_path / "new", **arguments)
    assert not (tmp_path / "new").exists()


def test_quirks_are_read_right(dataset, tmp_path):
    untidy = phantom.write_dataset(tmp_path / "untidy", N_IMAGES, seed=5, workers=1, progress=False, quirks=True)
    raw = (untidy / "train-rle.csv").read_bytes()
    assert raw.startswith(b"\xef\xbb\xbf") and b"\r\n" in raw and raw.count(b"\r\n") < raw.count(b"\n")
    assert list(untidy.glob("__MACOSX/**/._*.dcm"))
    index, tidy = siim.load_index(untidy).set_index("image_id"), siim.load_index(dataset).set_index("image_id")
    assert len(index) == N_IMAGES and (~index.labelled).sum() == 1
    assert index.rle.map(len).max() > 1
    for name, one in index[index.labelled].iterrows():
        assert np.array_equal(rle.decode(one.rle), rle.decode(tidy.loc[name].rle))


def test_a_set_of_an_older_generator_is_refused_by_name(dataset, tmp_path):
    old = json.loads((dataset / "dataset.json").read_text()) | {"generator_version": 1}
    (tmp_path / "dataset.json").write_text(json.dumps(old))
    with pytest.raises(PhantomError, match=f"generator version 1, and this is version {VERSION}.*delete"):
        phantom.write_dataset(tmp_path, N_IMAGES, seed=5)


def test_a_folder_that_cannot_be_written_is_one_sentence_and_leaves_nothing(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(WriteError, match="file.*could not be written"):
        phantom.write_dataset(tmp_path / "file" / "set", 2, progress=False)


def test_a_full_disk_is_one_sentence_and_leaves_no_half_file(tmp_path, monkeypatch):
    def full(self, path, **_):
        Path(path).write_bytes(b"half")
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    monkeypatch.setattr(pydicom.FileDataset, "save_as", full)
    with pytest.raises(WriteError, match=r"\.dcm could not be written \(No space left"):
        phantom.write_dataset(tmp_path / "set", 1, workers=1, progress=False)
    assert [path.name for path in (tmp_path / "set").rglob("*") if path.is_file()] == ["dataset.partial.json"]
