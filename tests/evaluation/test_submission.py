import csv

import cv2
import numpy as np
import pytest

from pneumo_lib import cli, metrics
from pneumo_lib.data import rle
from pneumo_lib.errors import SubmissionError
from pneumo_lib.evaluation import postprocessing, submission


def disc(size, radius, row=0.5, column=0.5):
    y, x = (np.indices((size, size)) + 0.5) / size
    return (y - row) ** 2 + (x - column) ** 2 < radius**2


def enlarge(mask):
    return postprocessing.to_shape(mask, (1024, 1024))


def rows_of(path):
    with path.open(newline="") as file:
        return list(csv.reader(file))


def test_masks_of_1024_pixels_are_written_as_they_are(tmp_path):
    masks = [disc(1024, 0.2), np.zeros((1024, 1024), bool), np.ones((1024, 1024), bool)]
    path = submission.write(tmp_path / "out" / "submission.csv", ["a", "b", "c"], iter(masks))
    header, *rows = rows_of(path)
    assert header == ["ImageId", "EncodedPixels"]
    assert [image_id for image_id, _ in rows] == ["a", "b", "c"]
    assert rows[1][1] == "-1"
    for mask, (_, encoded) in zip(masks, rows, strict=True):
        assert (rle.decode(encoded) == mask).all()
    assert path.read_bytes().endswith(b"\n") and b"\r" not in path.read_bytes()


def test_smaller_masks_are_enlarged_smoothly():
    true = disc(1024, 0.1)
    enlarged, blocky = enlarge(disc(256, 0.1)), np.kron(disc(256, 0.1), np.ones((4, 4), bool))
    ours, nearest = (metrics.dsc(mask[None], true[None])[0] for mask in (enlarged, blocky))
    assert ours > nearest > 0.97
    assert enlarge(true) is true
    # A single pixel of 512 stays, with its area.
    one = np.zeros((512, 512), bool)
    one[3, 5] = True
    assert np.argwhere(enlarge(one)).tolist() == [[6, 10], [6, 11], [7, 10], [7, 11]]
    assert enlarge(np.ones((100, 100), bool)).all()
    assert postprocessing.to_shape(one, (128, 100)).shape == (128, 100)


def test_the_order_of_a_sample_submission(tmp_path):
    sample = tmp_path / "sample.csv"
    sample.write_text("﻿ImageId,EncodedPixels\nc,1 2\na,1 2\na,5 6\nb,-1\n", encoding="utf-8")
    masks = [disc(64, r) for r in (0.1, 0.2, 0.3)]
    rows = rows_of(submission.write(tmp_path / "s.csv", ["a", "b", "c"], masks, sample))[1:]
    assert [image_id for image_id, _ in rows] == ["c", "a", "b"]
    assert (rle.decode(rows[0][1]) == enlarge(masks[2])).all()
    with pytest.raises(SubmissionError, match="lack 1 images of .*sample.csv and hold 2 others"):
        submission.write(tmp_path / "t.csv", ["a", "b", "x", "y"], [], sample)
    unordered = tmp_path / "u.csv"
    submission.write(unordered, ["a", "b", "c"], masks)
    with pytest.raises(SubmissionError, match="order"):
        submission.check(unordered, sample)


SMALL = np.zeros((8, 8), bool)


@pytest.mark.parametrize(
    ("ids", "masks", "message"),
    [
        (["a", "b", "a"], [SMALL] * 3, "holds a more than once"),
        (["a", "b"], [SMALL], "1 entries for 2 ids"),
        (["a"], [SMALL] * 2, "more than the 1 entries"),
        (["a"], [SMALL.astype(float)], "pass square bool masks"),
        (["a"], [SMALL[:4]], "square"),
        (["a"], [np.zeros((2048, 2048), bool)], "at most 1024"),
    ],
)
def test_what_cannot_be_submitted_is_not_written(tmp_path, ids, masks, message):
    with pytest.raises(SubmissionError, match=message):
        submission.write(tmp_path / "s.csv", ids, masks)
    assert list(tmp_path.iterdir()) == []


def test_an_existing_file_is_kept(tmp_path):
    path = tmp_path / "s.csv"
    path.write_text("mine")
    with pytest.raises(SubmissionError, match="exists; remove it"):
        submission.write(path, ["a"], [SMALL])
    assert path.read_text() == "mine"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,-1\n", "must begin with the header"),
        ("ImageId,EncodedPixels\na,-1,3\n", "line 2: expected two columns, found 3"),
        ("ImageId,EncodedPixels\na,1048570 7\n", "a: .*past the last pixel"),
        ("ImageId,EncodedPixels\na,1 2 3\n", "pairs"),
        ("ImageId,EncodedPixels\na,-1\na,-1\n", "more than once"),
    ],
)
def test_check_reads_as_the_challenge_does(tmp_path, text, message):
    path = tmp_path / "s.csv"
    path.write_text(text)
    with pytest.raises(SubmissionError, match=message):
        submission.check(path)


def test_the_command_takes_what_predict_files_wrote(tmp_path, capsys):
    folder = tmp_path / "predictions"
    (folder / "mask").mkdir(parents=True)
    masks = {"a": disc(1024, 0.2), "b": np.zeros((1024, 1024), bool), "z": disc(1024, 0.1)}
    for name, mask in masks.items():
        cv2.imwrite(str(folder / "mask" / f"{name}.png"), mask.astype(np.uint8) * 255)
    (folder / "masks.csv").write_text("ImageId,EncodedPixels\n" + "".join(f"{name},-1\n" for name in masks))
    sample = tmp_path / "sample.csv"
    sample.write_text("ImageId,EncodedPixels\nb,-1\nlost,-1\na,-1\n")
    out, arguments = tmp_path / "s.csv", [str(folder), str(tmp_path / "s.csv"), "--sample", str(sample)]
    assert cli.main(["submit", *arguments]) == 1 and not out.exists()
    assert "lacks 1 images" in (error := capsys.readouterr().err) and "lost" in error and "--fill" in error
    assert cli.main(["submit", *arguments, "--fill"]) == 0
    rows = rows_of(out)[1:]
    assert [image_id for image_id, _ in rows] == ["b", "lost", "a"] and [rows[0][1], rows[1][1]] == ["-1", "-1"]
    assert (rle.decode(rows[2][1]) == masks["a"]).all()
    assert cli.main(["submit", *arguments, "--fill"]) == 1 and "exists; remove it" in capsys.readouterr().err
    assert cli.main(["submit", str(tmp_path), str(tmp_path / "t.csv")]) == 1
    assert "run pneumo predict" in capsys.readouterr().err


def predictions(folder, table="ImageId,EncodedPixels\na,-1\n"):
    (folder / "mask").mkdir(parents=True)
    cv2.imwrite(str(folder / "mask" / "a.png"), np.zeros((64, 64), np.uint8))
    (folder / "masks.csv").write_bytes(table.encode("latin-1"))
    return folder


@pytest.mark.parametrize(
    "table",
    ["", "a,b\n1,2\n", "ImageId,EncodedPixels\n", "ImageId\n../mask/a\n", "ImageId\n/etc/x\n", "Image\xe9,b\n1,2\n"],
)
def test_a_table_that_is_none_of_predictions(tmp_path, table):
    with pytest.raises(SubmissionError, match="masks.csv as a table of predictions; predict the X-rays again"):
        submission.from_predictions(predictions(tmp_path / "p", table), tmp_path / "out.csv")
    assert not (tmp_path / "out.csv").exists()


@pytest.mark.parametrize("damage", ["missing", "cut off", "huge"])
def test_a_mask_that_cannot_be_read(tmp_path, damage):
    mask = predictions(tmp_path / "p") / "mask" / "a.png"
    whole = mask.read_bytes()
    mask.unlink()
    if damage != "missing":
        # Bytes 16 to 24 are its width and height.
        mask.write_bytes(whole[:20] if damage == "cut off" else whole[:16] + b"\0\0\x9c\x40" * 2 + whole[24:])
    with pytest.raises(SubmissionError, match="a.png is missing or damaged; predict the X-rays again"):
        submission.from_predictions(tmp_path / "p", tmp_path / "out.csv")


@pytest.mark.parametrize("sample", ["", "ImageId,EncodedPixels\n", "\x00\x00\n", "a b,-1\n", "\xff\xfe\n"])
def test_a_sample_that_is_none(tmp_path, sample):
    (tmp_path / "sample.csv").write_bytes(sample.encode("latin-1"))
    with pytest.raises(SubmissionError, match="is not a CSV of image ids"):
        submission.from_predictions(predictions(tmp_path / "p"), tmp_path / "out.csv", tmp_path / "sample.csv")


def test_a_mask_of_the_wrong_shape_is_named(tmp_path):
    with pytest.raises(SubmissionError, match=r"the mask of b is bool \(2, 3\)"):
        submission.write(tmp_path / "out.csv", ["a", "b"], [np.ones((2, 2), bool), np.ones((2, 3), bool)])


def test_a_place_that_takes_no_file(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    folder = predictions(tmp_path / "p")
    assert cli.main(["submit", str(folder), str(tmp_path / "file" / "out.csv")]) == 1
    assert "could not be written" in capsys.readouterr().err
