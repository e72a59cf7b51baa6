import dataclasses
import json
import os
import shutil
import struct
import warnings
import zlib
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pydicom
import pytest
import torch
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import ComputedRadiographyImageStorage, CTImageStorage, ExplicitVRLittleEndian, generate_uid

from pneumo_lib import cli, experiments, runs
from pneumo_lib.data import dicom, radiographs, rle
from pneumo_lib.data.preprocessing import resize_image
from pneumo_lib.errors import PneumoError, RadiographError, SegmentationError, StepError, SweepError
from pneumo_lib.evaluation import dicom_seg, inference, postprocessing, predict_files, tta
from pneumo_lib.evaluation.common_grid import enlarge
from pneumo_lib.model import unet, weights

SECRET = "Musterfrau"


def write_dicom(path, image, **fields):
    dataset = FileDataset(path, {}, preamble=bytes(128), file_meta=FileMetaDataset())
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = ComputedRadiographyImageStorage
    dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = generate_uid(), generate_uid()
    dataset.Modality, dataset.PatientName, dataset.PatientID = "CR", f"{SECRET}^Erika", f"{SECRET}-1"
    dataset.PatientSex, dataset.PatientBirthDate, dataset.StudyDate, dataset.StudyTime = "F", "19640812", "", ""
    dataset.Rows, dataset.Columns = image.shape
    dataset.BitsAllocated = dataset.BitsStored = 8
    dataset.HighBit, dataset.PixelRepresentation, dataset.SamplesPerPixel = 7, 0, 1
    dataset.PhotometricInterpretation, dataset.PixelSpacing = "MONOCHROME2", [0.5, 0.5]
    dataset.PixelData = image.tobytes()
    for keyword, value in fields.items():
        setattr(dataset, keyword, value)
    path.parent.mkdir(parents=True, exist_ok=True)
    dataset.save_as(path)
    return path


@pytest.fixture(scope="module")
def xray():
    y, x = np.mgrid[:96, :80] / 80
    return np.round(127 + 110 * np.sin(5 * x) * np.cos(4 * y)).astype(np.uint8)


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory):
    """A run's folder with an untrained network whose probabilities cover the whole range."""
    folder = tmp_path_factory.mktemp("run")
    torch.manual_seed(0)
    experiment = experiments.get("exp4", "smoke")
    model = unet.build(experiment, pretrained=False)
    with torch.no_grad():
        model.segmentation_head[0].weight.mul_(10)
    about = {"settings": {"experiment": experiment.as_dict(), "stage": 2}}
    weights.write(folder / "stage2.safetensors", model, about)
    chosen = {"binarization_threshold": 0.5, "removal_threshold": 4, "score": 0.8, "transforms": ["flip"], "grid": 512}
    (folder / "thresholds.json").write_text(json.dumps(chosen))
    return folder


@pytest.fixture(scope="module")
def model(run_folder):
    return inference.load_model(run_folder, device="cpu")


def test_a_folder_of_files_good_and_bad(tmp_path, run_folder, model, xray, capsys, caplog):
    source, out = tmp_path / "in", tmp_path / "out"
    write_dicom(source / "one" / "image.dcm", xray)
    write_dicom(source / "two" / "image.dcm", xray[:, ::-1].copy())
    write_dicom(source / "no-uid.dcm", xray, StudyInstanceUID="")
    write_dicom(source / "1.2.3.4", xray)
    cv2.imwrite(str(source / "icon.png"), xray)
    cv2.imwrite(str(tmp_path / "picture.png"), xray)
    (source / "broken.dcm").write_bytes(b"nothing")
    (source / "notes.txt").write_text("no X-ray")
    (source / "._image.dcm").write_bytes(b"left over")
    # highdicom warns of a name of one part, pydicom of a birth date that is none, and both quote them.
    write_dicom(source / "one-part.dcm", xray, PatientName=SECRET)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        write_dicom(source / "no-date.dcm", xray, PatientBirthDate=SECRET)
    caplog.clear()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        given = [str(source), str(tmp_path / "picture.png"), "--model", str(run_folder), "--out", str(out)]
        assert cli.main(["predict", *given]) == 0
    assert not any(SECRET in str(warning.message) for warning in caught) and SECRET not in caplog.text

    log = capsys.readouterr()
    assert "7 X-rays predicted" in log.out and "1 failed or refused" in log.out
    assert "broken.dcm" in log.err
    left = pd.read_csv(out / "not_predicted.csv").set_index("file")
    assert sorted(Path(file).name for file in left.index) == ["._image.dcm", "broken.dcm", "icon.png", "notes.txt"]
    assert left.outcome[str(source / "broken.dcm")] == "failed"
    assert "a picture next to DICOM files" in left.reason[str(source / "icon.png")]
    table = pd.read_csv(out / "predictions.csv").set_index("name")
    images = [name for name in table.index if name.endswith("image")]
    assert len(images) == 2 and {"no-uid", "1.2.3.4", "picture"} <= set(table.index)
    probability = tta.predict(model.network, resize_image(xray, model.image_size)[None])[0]
    mask = postprocessing.to_shape(postprocessing.apply(enlarge(probability), 0.5, 4), xray.shape)
    assert 0 < mask.sum() < mask.size
    row = table.loc["picture"]
    assert (row["area_px"], row["pneumothorax"]) == (mask.sum(), True)
    assert np.isnan(row["area_cm2"]) and table.loc["no-uid", "area_cm2"] == round(mask.sum() * 0.25 / 100, 2)
    assert (cv2.imread(str(out / "mask" / "picture.png"), cv2.IMREAD_UNCHANGED) == mask * 255).all()
    stored = cv2.imread(str(out / "probability" / "picture.png"), cv2.IMREAD_UNCHANGED) / 65535
    np.testing.assert_allclose(
        stored, probability, rtol=0, atol=5e-5
    )  # half a step of 16 bits, and sums in the order of another batch
    masks = pd.read_csv(out / "masks.csv").set_index("ImageId")["EncodedPixels"]
    assert (rle.decode(masks["picture"], xray.shape) == mask).all()
    assert sorted(path.stem for path in (out / "segmentation").iterdir()) == sorted(
        [*images, "1.2.3.4", "no-date", "one-part"]
    )

    everything = b"".join(path.read_bytes() for path in out.rglob("*.*") if path.parent.name != "segmentation")
    assert SECRET.encode() not in everything and SECRET not in log.out + log.err
    assert cli.main(["predict", str(source), "--model", str(run_folder), "--out", str(out)]) == 1
    assert "already contains predictions" in capsys.readouterr().err


FRONTAL = {"BodyPartExamined": "CHEST", "ViewPosition": "PA"}


def test_what_is_not_a_frontal_chest_x_ray_is_refused_by_name(tmp_path, model, xray):
    write_dicom(tmp_path / "in" / "chest.dcm", xray, **FRONTAL)
    write_dicom(tmp_path / "in" / "silent.dcm", xray)
    for name, fields in {
        "ct": {"SOPClassUID": CTImageStorage, "Modality": "CT"},
        "hand": FRONTAL | {"BodyPartExamined": "HAND"},
        "lateral": FRONTAL | {"ViewPosition": "LL"},
    }.items():
        write_dicom(tmp_path / "in" / f"{name}.dcm", xray, **fields)
    options = {"segmentation": False, "progress": False}
    found = predict_files.predict_files([tmp_path / "in"], model, tmp_path / "out", **options)
    assert found.predictions.set_index("name").frontal_chest.to_dict() == {"chest": "yes", "silent": "not checked"}
    said = {Path(path).stem: reason for path, reason in found.failures.items()}
    assert "CT Image Storage" in said["ct"] and "BodyPartExamined is HAND" in said["hand"]
    assert "ViewPosition is LL" in said["lateral"] and len(said) == 3
    found = predict_files.predict_files([tmp_path / "in"], model, tmp_path / "all", any_image=True, **options)
    assert not found.failures and (found.predictions.frontal_chest == "no").sum() == 3


def test_its_own_output_is_never_input(tmp_path, model, xray):
    for name in ("a", "b"):
        write_dicom(tmp_path / f"{name}.dcm", xray)
    for number in range(2):
        found = predict_files.predict_files([tmp_path], model, tmp_path / f"out{number}", progress=False)
        assert found.predictions.name.tolist() == ["a", "b"]
    assert sum(reason == "written by an earlier prediction" for reason in found.left_out.values()) == 4 * 2
    # A killed run has no table yet.
    (tmp_path / "out0" / "predictions.csv").unlink()
    assert list(radiographs.find([tmp_path]).files) == ["a", "b"]
    with pytest.raises(RadiographError, match=r"there is no X-ray .*written by an earlier prediction"):
        radiographs.find([tmp_path / "out1"])


@pytest.fixture
def five(tmp_path, xray):
    """A folder of five pictures, one of them named NA."""
    (tmp_path / "in").mkdir()
    for number, name in enumerate(("1", "2", "NA", "a", "b")):
        cv2.imwrite(str(tmp_path / "in" / f"{name}.png"), np.roll(xray, 9 * number, 1))
    return tmp_path / "in"


def predict(source, model, out, existing="continue"):
    return predict_files.predict_files([source], model, out, batch_size=2, progress=False, existing=existing)


def test_an_interrupted_prediction_continues_where_it_stopped(tmp_path, model, five, monkeypatch):
    model = dataclasses.replace(model, transforms=("crop", "contrast"))  # random, by the number of the X-ray
    whole = predict(five, model, tmp_path / "whole")
    (five / "unreadable.png").write_bytes(b"nothing")
    predicted, mean, tables = [], tta.mean_of_batch, []

    def until_the_second_batch(*arguments):
        if predicted and not tables:
            # What a kill without any warning would leave.
            tables.extend(pd.read_csv(tmp_path / "out" / f"{kind}.csv") for kind in ("predictions", "masks"))
            raise KeyboardInterrupt
        predicted.extend(arguments[1])
        return mean(*arguments)

    monkeypatch.setattr(tta, "mean_of_batch", until_the_second_batch)
    with pytest.raises(KeyboardInterrupt):
        predict(five, model, tmp_path / "out")
    assert [len(table) for table in tables] == [len(predicted)] * 2 == [2, 2]
    found = predict(five, model, tmp_path / "out")
    assert len(predicted) == 5 and list(found.failures) == [str(five / "unreadable.png")]
    pd.testing.assert_frame_equal(found.predictions, whole.predictions)
    assert found.predictions.name.tolist() == ["1", "2", "NA", "a", "b"]
    for path in (tmp_path / "whole").rglob("*.*"):
        if path.name != "not_predicted.csv":
            assert path.read_bytes() == (tmp_path / "out" / path.relative_to(tmp_path / "whole")).read_bytes(), path
    predict(five, model, tmp_path / "out")
    assert len(predicted) == 5


def test_a_prediction_that_was_killed_between_its_two_tables_continues(tmp_path, model, five):
    whole, out = predict(five, model, tmp_path / "out"), tmp_path / "out"
    masks = (out / "masks.csv").read_text()
    whole.predictions[:3].to_csv(out / "predictions.csv", index=False)
    pd.testing.assert_frame_equal(predict(five, model, out).predictions, whole.predictions)
    assert (out / "masks.csv").read_text() == masks
    assert len(predict(five / "NA.png", model, out, "overwrite").predictions) == 1


def test_predictions_under_the_triplet_rule_continue(tmp_path, model, five):
    model = dataclasses.replace(model, rule="triplet", removal_threshold=(0.6, 9))
    whole = predict(five / "NA.png", model, tmp_path / "out").predictions
    found = predict(five, model, tmp_path / "out").predictions
    assert len(found) == 5 and found.removal_threshold_px.tolist() == [(0.6, 9)] * 5
    pd.testing.assert_frame_equal(found[:1], whole)


@pytest.mark.parametrize(
    ("changed", "column"),
    [
        ({"binarization_threshold": 0.501}, "binarization_threshold"),
        ({"removal_threshold": 5}, "removal_threshold_px"),
        ({"rule": "mask"}, "rule"),
        ({"transforms": ()}, "transforms"),
        ({"image_size": 32}, "network_size_px"),
        ({"name": "exp1"}, "experiment"),
        ({"network": torch.nn.Linear(1, 1)}, "weights_digest"),
    ],
)
def test_predictions_with_other_settings_are_not_continued(tmp_path, model, five, changed, column):
    predict(five / "NA.png", model, tmp_path / "out")
    with pytest.raises(
        RadiographError, match=rf"out contains predictions .* \({column} changed\); choose another folder"
    ):
        predict(five, dataclasses.replace(model, **changed), tmp_path / "out")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("masks.csv", None),
        ("masks.csv", ""),
        ("masks.csv", "ImageId,EncodedPixels\nb,-1\n"),
        ("masks.csv", "ImageId\nNA\n"),
        ("predictions.csv", ""),
        ("predictions.csv", "name,other\nNA,1\n"),
        ("predictions.csv", "\0\x89PNG"),
    ],
)
def test_damaged_tables_are_not_continued(tmp_path, model, five, name, text):
    predict(five / "NA.png", model, tmp_path / "out")
    (tmp_path / "out" / name).unlink()
    if text is not None:
        (tmp_path / "out" / name).write_text(text)
    with pytest.raises(RadiographError, match=r"cannot read predictions.csv and masks.csv in .*out as tables"):
        predict(five, model, tmp_path / "out")


def test_every_file_of_a_folder_is_taken_or_named(tmp_path, xray):
    write_dicom(tmp_path / "good.dcm", xray)
    bare = write_dicom(tmp_path / "IM000002", xray)
    bare.write_bytes(bare.read_bytes()[132:])
    for name in ("c.dcm.gz", "d.tif", "DICOMDIR", "gone"):
        (tmp_path / name).write_bytes(b"II*\0")
    (tmp_path / "gone").unlink()
    (tmp_path / "gone").symlink_to(tmp_path / "nowhere")
    found = radiographs.find([tmp_path])
    assert sorted(found.files) == ["IM000002", "good"]
    assert {path.name: reason[:10] for path, reason in found.left_out.items()} == {
        "c.dcm.gz": "not a DICO", "d.tif": "not a DICO", "DICOMDIR": "the list o", "gone": "a link to ",
    }  # fmt: skip


def test_areas_use_both_spacings_and_say_where_they_are_measured(tmp_path, model, xray):
    write_dicom(tmp_path / "both.dcm", xray, PixelSpacing=[0.1, 0.4])
    write_dicom(tmp_path / "detector.dcm", xray, PixelSpacing=None, ImagerPixelSpacing=[0.2, 0.2])
    found = predict_files.predict_files([tmp_path], model, tmp_path / "out", progress=False).predictions
    assert found.spacing_at_detector.tolist() == [False, True]
    assert (found.area_cm2 == (found.area_px * 0.04 / 100).round(2)).all() and (found.area_px > 0).all()


def test_one_note_for_all_files_with_the_same_fault(tmp_path, model, xray):
    for number in range(3):
        write_dicom(tmp_path / f"{number}.dcm", xray, StudyInstanceUID="", WindowCenter=5, WindowWidth=0)
    found = predict_files.predict_files([tmp_path], model, tmp_path / "out", progress=False)
    assert not found.failures and len(found.predictions) == 3
    segmentation, hints = found.notes()
    assert segmentation.startswith("3 files predicted without a DICOM Segmentation: has no valid StudyInstanceUID")
    assert hints.startswith("3 files predicted although display hints") and "indow" in hints


@pytest.mark.parametrize("channels", [3, 4])
def test_pictures_with_copies_of_the_gray_channel(tmp_path, xray, channels):
    colours = np.dstack([xray] * 3 + [np.full_like(xray, 255)] * (channels - 3))
    cv2.imwrite(str(tmp_path / "a.png"), colours)
    assert (radiographs.read_image(tmp_path / "a.png") == xray).all()


def test_the_dicom_segmentation_refers_to_its_x_ray(tmp_path, xray):
    pytest.importorskip("highdicom")
    source = write_dicom(tmp_path / "xray.dcm", xray)
    for mask in (xray > 180, np.zeros(xray.shape, bool)):
        dicom_seg.write(tmp_path / "mask.dcm", mask, source)
        found, image = pydicom.dcmread(tmp_path / "mask.dcm"), pydicom.dcmread(source)
        assert found.Modality == "SEG" and found.StudyInstanceUID == image.StudyInstanceUID
        assert found.SegmentSequence[0].SegmentLabel == "Pneumothorax"
        referenced = found.ReferencedSeriesSequence[0]
        assert referenced.SeriesInstanceUID == image.SeriesInstanceUID
        assert referenced.ReferencedInstanceSequence[0].ReferencedSOPInstanceUID == image.SOPInstanceUID
        assert (found.pixel_array.reshape(xray.shape) == mask).all()
    with pytest.raises(SegmentationError, match="pass equal ones"):
        dicom_seg.write(tmp_path / "mask.dcm", mask[:5], source)


def test_without_highdicom_the_error_says_how_to_go_on(tmp_path, model, xray, monkeypatch):
    monkeypatch.setattr(dicom_seg, "available", lambda: False)
    source = write_dicom(tmp_path / "xray.dcm", xray)
    with pytest.raises(SegmentationError, match="pip install highdicom"):
        predict_files.predict_files([source], model, tmp_path / "out", progress=False)
    found = predict_files.predict_files([source], model, tmp_path / "out", segmentation=False, progress=False)
    assert len(found.predictions) == 1 and not found.failures


def test_the_overlay_outlines_the_region(xray):
    mask = np.zeros(xray.shape, bool)
    mask[20:60, 20:60] = True
    picture = predict_files.overlay(xray, mask)
    assert picture.shape == (*xray.shape, 3)
    assert (picture[40, 40] == xray[40, 40]).all()  # the inside stays visible
    assert np.abs(picture[20, 40].astype(int) - predict_files.OUTLINE).max() < 40  # smoothed against the X-ray


def test_a_model_that_is_not_there_says_how_to_get_it(tmp_path, run_folder):
    with pytest.raises(StepError, match="no trained model.*train.ipynb"):
        inference.load_model(tmp_path)
    weights_only = tmp_path / "exported"
    weights_only.mkdir()
    (weights_only / "pneumo.safetensors").symlink_to(run_folder / "stage2.safetensors")
    with pytest.raises(StepError, match="no thresholds.json.*sweep.ipynb"):
        inference.load_model(weights_only)
    model = inference.load_model(weights_only, 0.4, 7)
    assert (model.binarization_threshold, model.removal_threshold, model.transforms) == (0.4, 7, ("flip",))
    assert model.image_size == experiments.get("exp4", "smoke").image_size
    settings = {"experiment": experiments.get("exp4", "smoke").as_dict(), "stage": 1}
    weights.write(tmp_path / "stage1.safetensors", torch.nn.Linear(1, 1), {"settings": settings})
    with pytest.raises(StepError, match="first of two stages only"):
        inference.load_model(tmp_path)


def test_nothing_to_read(tmp_path):
    with pytest.raises(RadiographError, match="is missing; pass a DICOM"):
        radiographs.find([tmp_path / "nowhere"])
    with pytest.raises(RadiographError, match="there is no X-ray in .*; pass .dcm or .png files"):
        radiographs.find([tmp_path])
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"nothing")
    with pytest.raises(RadiographError, match="cannot be read as a picture"):
        radiographs.read(broken)
    cv2.imwrite(str(tmp_path / "deep.png"), np.array([[0, 65535]], np.uint16))
    assert radiographs.read(tmp_path / "deep.png").image.tolist() == [[0, 255]]


def png_of(width, height):
    """A whole PNG file of 65 bytes, but for its pixels."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


@pytest.mark.parametrize("side", [40_000, 9_000])  # OpenCV takes up to 2**30 pixels
def test_a_picture_that_claims_to_be_huge_fails_alone(tmp_path, model, xray, side):
    (tmp_path / "huge.png").write_bytes(png_of(side, side))
    cv2.imwrite(str(tmp_path / "a.png"), xray)
    found = predict_files.predict_files([tmp_path], model, tmp_path / "out", progress=False)
    assert found.predictions.name.tolist() == ["a"]
    assert f"huge.png has {side * side} pixels, more than any X-ray" in found.failures[str(tmp_path / "huge.png")]


def test_pictures_of_other_formats_are_measured_once_decoded(tmp_path, xray, monkeypatch):
    cv2.imwrite(str(tmp_path / "a.jpg"), xray)
    assert radiographs.read_picture(tmp_path / "a.jpg").shape == xray.shape
    monkeypatch.setattr(dicom, "LARGEST_PX", xray.size - 1)
    with pytest.raises(RadiographError, match=f"a.jpg has {xray.size} pixels, more than any X-ray"):
        radiographs.read_picture(tmp_path / "a.jpg")
    monkeypatch.setattr(cv2, "imread", lambda *_: (_ for _ in ()).throw(cv2.error("too large")))
    with pytest.raises(RadiographError, match="a.jpg cannot be read as a picture"):
        radiographs.read_picture(tmp_path / "a.jpg")


def test_linked_folders_are_searched(tmp_path, xray):
    write_dicom(tmp_path / "elsewhere" / "a.dcm", xray)
    (tmp_path / "sources").mkdir()
    (tmp_path / "sources" / "link").symlink_to(tmp_path / "elsewhere")
    assert list(radiographs.find([tmp_path / "sources"]).files) == ["a"]


def test_every_x_ray_has_a_name_of_its_own(tmp_path, xray, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("a/b/x.png", "a-b/x.png", "a/b-x.png", "a-b-x.png", "x.png"):
        write_dicom(tmp_path / "in" / name, xray)
    named = radiographs.find(["in"]).files
    assert len(set(named)) == len(set(named.values())) == 5
    long = tmp_path / ("d" * 150) / ("e" * 150) / "x.png"
    write_dicom(long, xray)
    assert max(map(len, radiographs.find([long, "in"]).files)) <= radiographs.LONGEST_NAME


def test_a_name_that_is_no_text_can_be_written_to_a_table(tmp_path, xray):
    write_dicom(tmp_path / "a.dcm", xray).rename(os.fsdecode(os.fsencode(tmp_path) + b"/b\xff.dcm"))
    assert list(radiographs.find([tmp_path]).files) == [r"b\udcff"]


def test_pictures_of_12_bits_in_16_are_not_dark(tmp_path):
    cv2.imwrite(str(tmp_path / "a.png"), np.array([[0, 1000, 4095]], np.uint16))
    assert radiographs.read(tmp_path / "a.png").image.tolist() == [[0, 62, 255]]


def test_nothing_is_left_where_no_file_can_be_read(run_folder, tmp_path, capsys):
    (tmp_path / "a.dcm").write_text("no X-ray")
    out = tmp_path / "out"
    for _ in range(2):  # the second time as well, for there are no predictions yet
        assert cli.main(["predict", str(tmp_path / "a.dcm"), "--model", str(run_folder), "--out", str(out)]) == 1
        assert "none of 1 files can be predicted; the first: " in capsys.readouterr().err
    assert not out.exists()


def test_a_place_that_takes_no_files_is_a_sentence(run_folder, tmp_path, xray, capsys):
    (tmp_path / "file").write_text("")
    source = write_dicom(tmp_path / "a.dcm", xray)
    assert cli.main(["predict", str(source), "--model", str(run_folder), "--out", str(tmp_path / "file")]) == 1
    assert "could not be written (there is a file where" in capsys.readouterr().err


def test_a_segmentation_of_a_file_without_preamble(run_folder, tmp_path, xray):
    source = write_dicom(tmp_path / "a.dcm", xray)
    source.write_bytes(source.read_bytes()[132:])
    found = predict_files.predict_files([source], inference.load_model(run_folder), tmp_path / "out", progress=False)
    assert not found.failures and (tmp_path / "out" / "segmentation" / "a.dcm").is_file()


@pytest.mark.parametrize(("b", "r"), [(5.0, None), (-0.1, 10), (float("nan"), 0), (0.5, -1)])
def test_thresholds_that_are_none(run_folder, b, r):
    with pytest.raises(StepError, match=r"(threshold|area \(R-TH\)) must be .*, not (5.0|-0.1|nan|-1)\.$"):
        inference.load_model(run_folder, b, r)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"removal_threshold": "many"}'])
def test_damaged_thresholds(run_folder, tmp_path, text):
    shutil.copytree(run_folder, tmp_path / "run")
    (tmp_path / "run" / "thresholds.json").write_text(text)
    with pytest.raises(PneumoError, match=r"thresholds.json is damaged; run notebooks/sweep.ipynb again"):
        inference.load_model(tmp_path / "run")


@pytest.mark.parametrize("grid", [None, 256])
def test_thresholds_of_another_grid(run_folder, tmp_path, grid):
    found = json.loads((run_folder / "thresholds.json").read_text()) | {"grid": grid}
    (tmp_path / "thresholds.json").write_text(json.dumps(found))
    with pytest.raises(SweepError, match=r"thresholds.json has thresholds of another grid than 512 x 512 pixels; run"):
        postprocessing.read_thresholds(tmp_path / "thresholds.json")


@pytest.mark.parametrize("name", ["xrays", "model", "out"])
def test_parameters_of_the_notebook_are_texts(name):
    given = {"xrays": "phantom", "model": "", "out": ""} | {name: 5}
    with pytest.raises(RadiographError, match=f"{name} must be text, not 5; with papermill, pass it as: -r {name} 5"):
        runs.from_parameters(**given)


@pytest.mark.parametrize("about", [{}, {"settings": 5}, {"settings": {"stage": 1}}])
def test_weights_that_do_not_say_what_they_are(tmp_path, about):
    weights.write(tmp_path / "stage1.safetensors", torch.nn.Linear(1, 1), about)
    with pytest.raises(StepError, match="stage1.safetensors does not say which experiment it belongs to"):
        inference.load_model(tmp_path)
