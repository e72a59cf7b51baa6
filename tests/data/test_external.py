"""Other data that a finished run is tested on."""

import shutil

import pytest

from pneumo_lib import phantom, profiles
from pneumo_lib.data import dataset, external, siim
from pneumo_lib.errors import ParameterError, PreprocessingError, SplitError

SMOKE = profiles.get("smoke")


@pytest.fixture
def own(tmp_path, monkeypatch):
    monkeypatch.setenv("PNEUMO_HOME", str(tmp_path / "home"))
    root = phantom.write_dataset(tmp_path / "own", 24, seed=0, workers=1, progress=False)
    return dataset.open_dataset(str(root), SMOKE)


def opened(own, tmp_path, folder, seen="refuse"):
    return external.open_external(own, 64, tmp_path / "external", str(folder), "", seen)


def without_patients(root):
    (root / "patients.csv").unlink()
    return root


def test_unseen_images_are_all_test(own, tmp_path):
    other = without_patients(phantom.write_dataset(tmp_path / "other", 12, seed=5, workers=1, progress=False))
    data = opened(own, tmp_path, other)
    assert len(data.part("test", 64)) == 12 and len(data.part("train", 64)) == 0
    assert data.tested_on()["images"] == 12 and data.tested_on()["patients"] is None
    assert len(data.labels("test", 64)) == 12


def test_seen_images_are_refused_by_name_or_left_out(own, tmp_path):
    seen = int(own.split.isin(["train", "validation"]).sum())
    copy = without_patients(shutil.copytree(own.root, tmp_path / "copy"))
    with pytest.raises(ParameterError, match=f"{seen} of the same id"):
        opened(own, tmp_path, copy)
    data = opened(own, tmp_path, copy, "leave-out")
    assert len(data.part("test", 64)) == 24 - seen
    assert data.tested_on()["left_out"] == {"same id": seen, "same pixels": 0, "same patient": 0}


def test_the_same_pixels_under_another_name_are_found(own, tmp_path):
    other = without_patients(phantom.write_dataset(tmp_path / "other", 6, seed=5, workers=1, progress=False))
    row = own.index[own.split == "train"].iloc[0]
    shutil.copy(row.path, next(other.glob("dicom-images-train/*/*")) / "1.2.3.dcm")
    with (other / "train-rle.csv").open("a") as table:
        table.write("1.2.3, -1\n")
    with pytest.raises(ParameterError, match=r"1 of the same pixels \(1\.2\.3\)"):
        opened(own, tmp_path, other)


def test_patients_the_run_has_seen_are_found(own, tmp_path):
    other = phantom.write_dataset(tmp_path / "other", 6, seed=5, workers=1, progress=False)
    patient = own.index.patient_id[own.split == "train"].iloc[0]
    ids = list(siim.load_index(other).image_id)
    rows = [f"{ids[0]},{patient}_009.png"] + [f"{one},9{number:07d}_000.png" for number, one in enumerate(ids[1:])]
    (other / "patients.csv").write_text("\n".join(["Kaggle_ID,NIH_ID", *rows]) + "\n")
    with pytest.raises(ParameterError, match="1 of the same patient"):
        opened(own, tmp_path, other)


def test_unreadable_files_are_left_out_when_asked(own, tmp_path, monkeypatch):
    other = without_patients(phantom.write_dataset(tmp_path / "other", 12, seed=5, workers=1, progress=False))
    broken = min(other.glob("dicom-images-train/*/*/*.dcm"))
    broken.write_bytes(broken.read_bytes()[:600])
    with pytest.raises(PreprocessingError, match="1 of 12 files cannot be read"):
        opened(own, tmp_path, other)
    read, load = [], siim.load_index
    monkeypatch.setattr(siim, "load_index", lambda root, **rest: read.append(root) or load(root, **rest))
    data = opened(dataset.open_dataset(str(own.root), SMOKE, on_error="skip"), tmp_path, other)
    assert read.count(other) == 1
    assert len(data.part("test", 64)) == data.tested_on()["images"] == 11
    assert broken.stem not in set(data.index.image_id) and data.unreadable.image_id.tolist() == [broken.stem]


def test_wrong_values(own, tmp_path):
    with pytest.raises(ParameterError, match="leave-out"):
        opened(own, tmp_path, tmp_path, "ignore")
    with pytest.raises(ParameterError, match="is not a folder"):
        opened(own, tmp_path, tmp_path / "nowhere")


def test_arrays_alone_are_enough(own):
    own.prepare()
    before, split = own.part("train", 64), own.split
    labels = own.labels("validation", 64)
    shutil.rmtree(own.root)
    again = dataset.open_dataset(str(own.root), SMOKE)
    assert again.split.equals(split)
    assert (again.part("train", 64).images == before.images).all()
    assert again.labels("validation", 64).rle.tolist() == labels.rle.tolist()


def test_a_rule_without_test_images_says_so(own):
    data = dataset.open_dataset(str(own.root), SMOKE, split="follow-up-90-10")
    with pytest.raises(SplitError, match="no test images"):
        data.part("test", 64)


def test_radiologists_masks_of_two_folders(real_data, tmp_path, own):
    folders = f"{real_data / 'siim_sample'},{real_data / 'nih_true' / 'images'}"
    data = external.open_external(own, 64, tmp_path / "x", folders, str(real_data / "kaggle_to_nih.csv"), "refuse")
    found = data.tested_on()
    assert (found["images"], found["positive"], found["patients"]) == (387, 131, 328)
