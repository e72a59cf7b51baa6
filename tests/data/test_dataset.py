"""Data sets as the notebooks name them."""

import shutil

import pandas as pd
import pytest

from pneumo_lib import phantom, profiles
from pneumo_lib.data import dataset, preprocessing
from pneumo_lib.errors import ParameterError, PreprocessingError

SMOKE = profiles.get("smoke")


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("PNEUMO_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def test_the_phantom_is_written_once_split_by_patient_and_prepared(home):
    data = dataset.open_dataset("phantom", SMOKE, make=phantom.write_dataset)
    assert data.is_phantom and data.label == "phantom data, smoke profile" and data.split_rule == "patient"
    parts = {name: data.part(name, 32) for name in ("train", "validation", "test")}
    assert sum(map(len, parts.values())) == SMOKE.phantom_images
    patients = [set(part.patients) for part in parts.values()]
    assert not patients[0] & patients[2] and not patients[0] & patients[1]
    for part in parts.values():
        assert part.images.shape[1:] == (32, 32) and len(part.index) == len(part.rows)
        positive = part.masks[part.rows].any((1, 2))
        assert positive.tolist() == part.index["positive"].tolist(), "rows, masks and index are in one order"
    by_path = dataset.open_dataset(str(home / "data" / f"phantom-{SMOKE.phantom_images}"), SMOKE)
    assert by_path.is_phantom, "also where the folder is named"
    again = dataset.open_dataset("phantom", SMOKE, make=phantom.write_dataset)
    assert again.split.equals(data.split)


def test_unreadable_files_are_left_out_when_asked_and_listed(tmp_path, capsys):
    root = phantom.write_dataset(tmp_path / "made", 24, seed=0, workers=1, progress=False)
    files = sorted(root.glob("dicom-images-train/*/*/*.dcm"))
    whole = dataset.open_dataset(str(root), SMOKE).index
    for file in files[3:5]:
        file.write_bytes(file.read_bytes()[:600])
    with pytest.raises(
        PreprocessingError, match=f"2 of 24 files cannot be read.*\n.*{files[3].name}.*\n.*{files[4].name}"
    ):
        dataset.open_dataset(str(root), SMOKE).prepare()
    data = dataset.open_dataset(str(root), SMOKE, on_error="skip")
    assert sorted(data.unreadable.image_id) == sorted(file.stem for file in files[3:5])
    assert set(data.index.image_id) == set(whole.image_id) - set(data.unreadable.image_id)
    assert "2 of 24 files cannot be read and are left out" in capsys.readouterr().err
    for name in ("train", "validation", "test"):
        part = data.part(name, 32)
        assert part.masks[part.rows].any((1, 2)).tolist() == part.index["positive"].tolist(), "one order"
    # Later steps, with the X-rays out of reach too.
    shutil.move(root, tmp_path / "elsewhere")
    assert (
        dataset.open_dataset(str(root), SMOKE, on_error="skip").index.image_id.tolist() == data.index.image_id.tolist()
    )
    with pytest.raises(ParameterError, match="on_error='ignore'"):
        dataset.open_dataset("phantom", SMOKE, on_error="ignore")


def test_a_name_that_other_data_have_is_refused(tmp_path):
    for number, place in enumerate(("a", "b")):
        root = phantom.write_dataset(tmp_path / place / "siim", 24, seed=number, workers=1, progress=False)
        data = dataset.open_dataset(str(root), SMOKE)
        if place == "a":
            before = (data.split, (data.folder / "labels.csv").read_bytes())
    with pytest.raises(ParameterError, match=rf"'siim' is taken: .*siim-smoke.* Rename {root}, or set PNEUMO_HOME"):
        data.prepare()
    assert (data.folder / "labels.csv").read_bytes() == before[1]
    with pytest.raises(ParameterError, match="is taken"):
        dataset.open_dataset(str(root), SMOKE).split  # noqa: B018


def test_arrays_are_opened_once(tmp_path, monkeypatch):
    root = phantom.write_dataset(tmp_path / "made", 24, seed=0, workers=1, progress=False)
    data = dataset.open_dataset(str(root), SMOKE)
    part = data.part("train", 32)
    monkeypatch.setattr(preprocessing, "prepare_sizes", lambda *rest, **more: pytest.fail("opened again"))
    assert data.part("train", 32).images is part.images
    assert data.labels("train", 32).image_id.equals(part.index.image_id)


def test_what_an_earlier_version_prepared_serves_without_the_x_rays(tmp_path):
    root = phantom.write_dataset(tmp_path / "made", 24, seed=0, workers=1, progress=False)
    data = dataset.open_dataset(str(root), SMOKE)
    index = data.index
    pd.read_csv(data.folder / "labels.csv").drop(columns="side_px").to_csv(data.folder / "labels.csv", index=False)
    shutil.rmtree(root)
    again = dataset.open_dataset(str(root), SMOKE).index
    assert again.rle.equals(index.rle) and again.side_px.isna().all() and (index.side_px == 1024).all()


def test_a_rule_by_name_has_runs_of_its_own():
    by_patient, by_image = dataset.open_dataset("phantom", SMOKE), dataset.open_dataset("phantom", SMOKE, split="deck")
    assert by_patient.folder != by_image.folder


def test_a_folder_keeps_its_name_but_not_its_dangers(tmp_path):
    folder = tmp_path / "my data; rm -rf"
    folder.mkdir()
    data = dataset.open_dataset(str(folder), SMOKE)
    assert data.name == "my-data-rm--rf" or data.name == "my-data-rm-rf"
    assert not data.is_phantom


def test_the_same_x_ray_under_two_ids_is_counted(tmp_path):
    root = phantom.write_dataset(tmp_path / "made", 24, seed=0, workers=1, progress=False)
    table = root / "train-rle.csv"
    first = table.read_text().splitlines()[1].split(",")
    file = next(root.glob(f"dicom-images-train/*/*/{first[0]}.dcm"))
    shutil.copy(file, file.with_name("2.25.7.dcm"))
    table.write_text(table.read_text() + f"2.25.7,{first[1]}\n")
    data = dataset.open_dataset(str(root), SMOKE)
    found = data.same_images()
    assert found["shown_twice"].tolist() == [1]
    parts = data.split[data.index["image_id"].isin([first[0], "2.25.7"])]
    assert found["cross_parts"].tolist() == [int(parts.nunique() > 1)]


@pytest.mark.parametrize("text", ["no JSON", "5", "null", "{}"])
def test_a_file_of_the_marks_name_makes_no_phantom(tmp_path, text):
    (tmp_path / "dataset.json").write_text(text)
    assert not dataset.open_dataset(str(tmp_path), SMOKE).is_phantom


@pytest.mark.parametrize("text", ["~nobody-of-that-name/x", "n" * 5000, "a\0b"])
@pytest.mark.parametrize("name", ["data", "patients"])
def test_what_cannot_be_a_path(name, text):
    with pytest.raises(ParameterError):
        dataset.open_dataset(**{"data": "phantom", "profile": SMOKE, name: text})


def test_a_link_to_itself_is_no_folder(tmp_path):
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(ParameterError, match="levels of symbolic links"):
        dataset.open_dataset(str(tmp_path / "loop"), SMOKE)
