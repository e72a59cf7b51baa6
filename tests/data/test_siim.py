import errno
import gzip
import os
import shutil
from types import SimpleNamespace

import cv2
import numpy as np
import pandas as pd
import pytest

from pneumo_lib.data import annotations, radiographs, siim
from pneumo_lib.errors import PneumoError, RadiographError, RleError, SiimError
from pneumo_lib.evaluation import measures
from pneumo_lib.evaluation.postprocessing import Thresholds


def rewrite(copy, text: str | bytes, name: str = "train-rle.csv") -> None:
    (copy / "train-rle.csv").unlink(missing_ok=True)
    (copy / name).write_bytes(text.encode() if isinstance(text, str) else text)


def found(index: pd.DataFrame) -> dict[str, int]:
    return dict(siim.report(index)[["finding", "count"]].itertuples(index=False))


# --- layouts -----------------------------------------------------------------------------------------------------


def test_stage_1(copy):
    index = siim.load_index(copy)
    assert index.image_id.tolist() == [f"1.2.{number}" for number in range(6)]
    assert index.labelled.all()
    assert index.positive.tolist() == [True, False, True, False, True, False]
    assert index.mask_area_px[1] == 0
    assert index.mask_area_px[0] == siim.read_mask(index.loc[0]).sum() > 5000
    assert index.patient_id.isna().all()
    assert index.sex.tolist() == ["F"] * 6
    assert index.view.tolist() == ["AP"] * 6
    assert index.age_years.tolist() == [38.0] * 6
    assert radiographs.read_image(index.path[3]).shape == (96, 96)


def test_columns_and_types(copy):
    types = siim.load_index(copy).dtypes.astype(str).to_dict()
    expected = {"labelled": "bool", "positive": "boolean", "mask_area_px": "Int64", "patient_id": "string"}
    assert expected.items() <= types.items()
    assert set(types) >= {"image_id", "path", "rle", "sex", "age_years", "view", "pixel_spacing_mm", "side_px"}


def flat(copy, root, folder, table):
    target = root / folder
    target.mkdir(parents=True)
    for path in copy.rglob("*.dcm"):
        shutil.copy(path, target)
    shutil.copy(copy / "train-rle.csv", root / table)


@pytest.mark.parametrize(
    ("folder", "table"),
    [
        ("stage_2_images", "stage_2_train.csv"),
        (".", "train-rle-sample.csv"),
        ("deep/er/dicom-images-test", "silver_train.csv"),
    ],
)
def test_other_layouts_give_the_same_index(copy, tmp_path, folder, table):
    root = tmp_path / "other"
    flat(copy, root, folder, table)
    columns = ["image_id", "rle", "labelled", "positive", "mask_area_px", "age_years"]
    pd.testing.assert_frame_equal(siim.load_index(root)[columns], siim.load_index(copy)[columns], check_flags=False)


def test_an_extra_folder_level_and_leftovers(copy, tmp_path):
    outer = tmp_path / "outer"
    shutil.copytree(copy, outer / "siim")
    (outer / "__MACOSX" / "siim").mkdir(parents=True)
    (outer / "__MACOSX" / "siim" / "1.2.0.dcm").write_bytes(b"leftover")
    (outer / "siim" / "._1.2.1.dcm").write_bytes(b"leftover")
    (outer / "siim" / "._train-rle.csv").write_bytes(b"\0\5\x16\7")
    index = siim.load_index(outer)
    assert len(index) == 6
    assert found(index)["archive leftovers left out"] == 3


def test_a_linked_folder_is_followed_and_a_loop_ends(copy, tmp_path):
    root = tmp_path / "links"
    root.mkdir()
    (root / "data").symlink_to(copy, target_is_directory=True)
    (copy / "loop").symlink_to(copy, target_is_directory=True)
    assert len(siim.load_index(root)) == 6


def write_mirror(copy, root, images, masks, side=1024):
    index = siim.load_index(copy)
    for folder in (images, masks):
        (root / folder).mkdir(parents=True)
    for row in index.itertuples():
        cv2.imwrite(str(root / images / f"{row.image_id}.png"), radiographs.read_image(row.path))
        mask = cv2.resize(siim.read_mask(row).astype(np.uint8), (side, side), interpolation=cv2.INTER_NEAREST)
        cv2.imwrite(str(root / masks / f"{row.image_id}.png"), mask * (255 if row.Index % 4 else 1))
    return index


@pytest.mark.parametrize(("images", "masks"), [("png_images", "png_masks"), ("train", "mask"), ("x/train", "x/masks")])
def test_png_mirrors(copy, tmp_path, images, masks):
    root = tmp_path / "png"
    original = write_mirror(copy, root, images, masks)
    index = siim.load_index(root)
    assert index.image_id.tolist() == original.image_id.tolist()
    assert index.rle.tolist() == original.rle.tolist()  # 0/1 and 0/255 files alike
    assert index.mask_area_px.tolist() == original.mask_area_px.tolist()
    assert index.age_years.isna().all()
    assert np.array_equal(radiographs.read_image(index.path[2]), radiographs.read_image(original.path[2]))


def test_smaller_png_masks_are_brought_to_the_frame(copy, tmp_path):
    root = tmp_path / "png"
    original = write_mirror(copy, root, "train", "mask", side=256)
    index = siim.load_index(root)
    assert siim.read_mask(index.loc[0]).shape == (1024, 1024)
    assert index.mask_area_px[0] == pytest.approx(original.mask_area_px[0], rel=0.05)


def test_png_names_of_a_mirrors_own_table(copy, tmp_path):
    root = tmp_path / "png"
    write_mirror(copy, root, "png_images", "png_masks")
    for folder in ("png_images", "png_masks"):
        (root / folder / "1.2.4.png").rename(root / folder / "0_train_1_.png")
    (root / "stage_1_train_images.csv").write_text("new_filename,ImageId,has_pneumo\n0_train_1_.png,1.2.4,1\n")
    assert siim.load_index(root).image_id.tolist() == [f"1.2.{number}" for number in range(6)]


def test_png_without_a_mask_is_unlabelled_and_a_mask_without_image_reported(copy, tmp_path):
    root = tmp_path / "png"
    write_mirror(copy, root, "train", "mask")
    (root / "mask" / "1.2.1.png").unlink()
    (root / "train" / "1.2.2.png").unlink()
    index = siim.load_index(root)
    assert index.image_id[~index.labelled].tolist() == ["1.2.1"]
    assert found(index)["masks without an image"] == 1


@pytest.mark.parametrize("content", [b"", b"no PNG"])
def test_damaged_png(copy, tmp_path, content):
    root = tmp_path / "png"
    write_mirror(copy, root, "train", "mask")
    (root / "mask" / "1.2.1.png").write_bytes(content)
    with pytest.raises(RadiographError, match=r"1\.2\.1\.png cannot be read as a picture"):
        siim.load_index(root)


def test_nothing_that_fits_names_what_was_looked_for(tmp_path):
    (tmp_path / "notes.txt").write_text("x")
    with pytest.raises(SiimError, match=r"dicom-images-train.*stage_2_images.*png_images"):
        siim.load_index(tmp_path)
    with pytest.raises(SiimError, match="is not a folder"):
        siim.load_index(tmp_path / "nowhere")


def test_dicom_without_a_table(copy):
    (copy / "train-rle.csv").unlink()
    (copy / "sample_submission.csv").write_text("ImageId,EncodedPixels\n1.2.0,-1\n")
    with pytest.raises(SiimError, match=r"EncodedPixels.*found no CSV"):
        siim.load_index(copy)


def test_a_copy_of_a_file_counts_once_and_another_file_of_that_name_is_refused(copy):
    first = next(copy.rglob("1.2.0.dcm"))
    shutil.copy(first, copy / "1.2.0.dcm")
    index = siim.load_index(copy)
    assert len(index) == 6
    assert found(index)["copies of an image left out"] == 1
    (copy / "1.2.0.dcm").write_bytes(first.read_bytes() + b"\0\0")
    with pytest.raises(SiimError, match="two different files"):
        siim.load_index(copy)


def test_odd_file_names_are_left_out(copy):
    shutil.copy(next(copy.rglob("*.dcm")), copy / "<b>bold<b>.dcm")
    index = siim.load_index(copy)
    assert len(index) == 6
    assert found(index)["unusable file names left out"] == 1


# --- the table ---------------------------------------------------------------------------------------------------

BODY = ["1.2.0,0 5", "1.2.1, -1", "1.2.2, 10 5", "1.2.3,-1", "1.2.4,20 5 3 1", "1.2.5, -1 "]
AREAS = [5, 0, 5, 0, 6, 0]


@pytest.mark.parametrize("header", ["ImageId, EncodedPixels", "ImageId,EncodedPixels", " imageid ,ENCODEDPIXELS", None])
@pytest.mark.parametrize("bom", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("ends", ["\n", "\r\n", "mixed"])
def test_every_form_of_the_table(copy, header, bom, ends):
    lines = ([header] if header else []) + BODY
    text = "".join(
        line + ("\r\n" if ends == "mixed" and n % 2 else "\n" if ends == "mixed" else ends)
        for n, line in enumerate(lines)
    )
    rewrite(copy, bom + text.encode())
    assert siim.load_index(copy).mask_area_px.tolist() == AREAS


def test_other_columns_and_quotes(copy):
    lines = [f'{n},"{line.split(",")[0]}","{line.split(",")[1]}"' for n, line in enumerate(BODY)]
    rewrite(copy, "\n".join([",ImageId,EncodedPixels", *lines]))
    assert siim.load_index(copy).mask_area_px.tolist() == AREAS


def test_several_rows_unite_and_repeats_count_once(copy):
    rewrite(copy, "\n".join(["ImageId,EncodedPixels", *BODY, "1.2.0,3 5", "1.2.0,0 5", "1.2.1,-1", "1.2.3,7 2"]))
    index = siim.load_index(copy)
    assert index.rle[0] == ("0 5", "3 5")
    assert index.mask_area_px.tolist() == [8, 0, 5, 2, 6, 0]
    report = found(index)
    assert report["rows that repeat another"] == 2
    assert report["images with several rows"] == 2
    assert report["images said to be both negative and positive"] == 1


def test_a_file_without_a_row_is_unlabelled_not_negative(copy):
    rewrite(copy, "\n".join(["ImageId,EncodedPixels", *BODY[:-1], "9.9.9,0 5"]))
    index = siim.load_index(copy)
    assert index.labelled.tolist() == [True] * 5 + [False]
    assert pd.isna(index.positive[5])
    assert pd.isna(index.mask_area_px[5])
    assert index.rle[5] == ()
    report = found(index)
    assert report["unlabelled (no row or mask)"] == 1
    assert report["images in the table without a file"] == 1
    with pytest.raises(SiimError, match=r"1\.2\.5 is unlabelled"):
        siim.read_mask(index.loc[5])


@pytest.mark.parametrize(
    ("row", "error", "said"),
    [
        ("1.2.1,1 2 3", RleError, r"1\.2\.1.*pairs"),
        ("1.2.1,", RleError, "is empty"),
        ("1.2.1,1048577 1", RleError, "last pixel"),
        ("1.2.1,1 2,3", SiimError, "cannot be read as a table"),
        ("../../etc/passwd,-1", SiimError, "letters, digits"),
        ("<script>,-1", SiimError, "letters, digits"),
    ],
)
def test_bad_rows(copy, row, error, said):
    rewrite(copy, "\n".join(["ImageId,EncodedPixels", *BODY, row]))
    with pytest.raises(error, match=said):
        siim.load_index(copy)


def test_binary_and_other_tables_are_no_candidates(copy):
    (copy / "scores.csv").write_text("image,score\n1.2.0,0.5\n")
    (copy / "other.csv").write_text("ImageId,EncodedPixels\n7.7.7,-1\n")
    (copy / "blank.csv").write_text("")
    assert len(siim.load_index(copy)) == 6


def test_the_standard_name_wins_and_without_one_both_are_named(copy):
    (copy / "mine.csv").write_text("ImageId,EncodedPixels\n1.2.0,0 1\n")
    assert siim.load_index(copy).labelled.sum() == 6
    (copy / "train-rle.csv").rename(copy / "theirs.csv")
    with pytest.raises(SiimError, match=r"mine\.csv.*theirs\.csv"):
        siim.load_index(copy)


def test_the_same_table_twice_is_one(copy):
    shutil.copy(copy / "train-rle.csv", copy / "dicom-images-train" / "again.csv")
    assert siim.load_index(copy).labelled.sum() == 6


# --- patients, headers -------------------------------------------------------------------------------------------


def test_patients_of_the_copy_or_of_a_named_map(copy, tmp_path):
    (copy / "patients.csv").write_text(
        "Kaggle_ID,NIH_ID\n1.2.0,00000007_000.png\n1.2.1,00000007_013.png\n1.2.2,00000008_000.png\n"
    )
    index = siim.load_index(copy)
    assert index.patient_id.fillna("?").tolist() == ["00000007", "00000007", "00000008", "?", "?", "?"]
    assert found(index)["images without a known patient"] == 3
    other = tmp_path / "map.csv"
    other.write_text("Kaggle_ID,NIH_ID\n1.2.5,3_0.png\n")
    assert siim.load_index(copy, patients=other).patient_id.fillna("?").tolist() == ["?"] * 5 + ["3"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("image,patient\n1.2.0,3\n", "Kaggle_ID and NIH_ID"),
        ("", "Kaggle_ID and NIH_ID"),
        ("Kaggle_ID,NIH_ID\n1.2.0,3_0.png\n1.2.0,4_0.png\n", "two patients"),
        ("Kaggle_ID,NIH_ID\n8.8,3_0.png\n", "names none"),
        ("Kaggle_ID,NIH_ID\n1.2.0,<i>_0.png\n", "expected <patient>"),
        (
            "Kaggle_ID,NIH_ID\n1.2.0,3_0.png\n<img src=x>/../../e,4_0.png\n",
            r"map\.csv, row 3: the image id '<img src=x>",
        ),
    ],
)
def test_bad_maps(copy, tmp_path, text, said):
    path = tmp_path / "map.csv"
    path.write_text(text)
    with pytest.raises(SiimError, match=said):
        siim.load_index(copy, patients=path)


def test_no_map(copy, tmp_path):
    with pytest.raises(SiimError, match=r"nowhere\.csv"):
        siim.load_index(copy, patients=tmp_path / "nowhere.csv")


@pytest.mark.filterwarnings("ignore")
def test_impossible_ages_and_unreadable_headers_are_counted(copy, dicom_maker, picture_maker):
    dicom_maker(picture_maker(), PatientAge="413").save_as(next(copy.rglob("1.2.0.dcm")))
    next(copy.rglob("1.2.1.dcm")).write_bytes(b"broken")
    index = siim.load_index(copy)
    assert index.age_years.isna().tolist() == [True, True, False, False, False, False]
    report = siim.report(index).set_index("finding")
    assert report.loc["impossible ages, taken as missing", "examples"] == "1.2.0"
    assert report.loc["files whose header cannot be read", "examples"] == "1.2.1"


@pytest.mark.parametrize("side", [512, 2048])
def test_areas_do_not_depend_on_the_size_of_the_file(tmp_path, dicom_maker, side):
    dicom_maker(np.zeros((side, side), np.uint8), PixelSpacing=[400 / side] * 2).save_as(tmp_path / "a.dcm")
    (tmp_path / "train-rle.csv").write_text("ImageId,EncodedPixels\na,0 256\n")
    index = siim.load_index(tmp_path)
    masks = np.ones((1, 8, 8), bool)
    found = measures.per_image(index, masks.astype(np.float32), masks, Thresholds(0.5, 0, 0.0))
    assert found.truth_cm2.tolist() == found.predicted_cm2.tolist() == [1600]  # 40 cm x 40 cm


def test_errors_are_of_the_package():
    assert issubclass(SiimError, PneumoError)


# --- real X-rays -------------------------------------------------------------------------------------------------


def test_real_sample(real_data):
    index = siim.load_index(real_data / "siim_sample")
    assert len(index) == 10
    assert index.positive.sum() == 5
    assert sorted(index.mask_area_px)[5:] == [2071, 2486, 5232, 9418, 29079]
    assert index.age_years.between(1, 100).all()
    assert radiographs.read_image(index.path[0]).shape == (1024, 1024)


def test_real_silver(real_data):
    index = siim.load_index(real_data / "siim_silver")
    assert len(index) == 800
    assert index.positive.sum() == 177
    assert index.mask_area_px.max() == 74328
    assert set(index["view"].dropna()) == {"PA", "AP"}


# --- what is left out is said, what is unclear is refused ------------------------------------------------------------


def test_two_links_to_nowhere_are_reported_as_unreadable(copy):
    for folder in ("a", "b"):
        (copy / folder).mkdir()
        (copy / folder / "1.2.9.dcm").symlink_to(copy / "gone.dcm")
    assert found(siim.load_index(copy))["files whose header cannot be read"] == 1


def test_a_folder_that_cannot_be_read_is_not_passed_over(copy, monkeypatch):
    original = os.scandir

    def refusing(path):
        if str(path).endswith("study3"):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        return original(path)

    monkeypatch.setattr(os, "scandir", refusing)
    with pytest.raises(SiimError, match=r"study3 cannot be read \(Permission denied\)"):
        siim.load_index(copy)


def test_pictures_beside_dicom_files_are_counted(copy, tmp_path):
    write_mirror(copy, tmp_path / "png", "png_images", "png_masks")
    shutil.copytree(tmp_path / "png" / "png_images", copy / "png_images")
    counts = found(siim.load_index(copy))
    assert counts["images (DICOM)"] == counts["PNG files left out"] == 6


def test_names_that_are_no_text_can_be_shown(copy):
    file = next(copy.rglob("*.dcm"))
    shutil.copy(file, os.fsencode(file.parent) + b"/odd\xff.dcm")
    assert r"odd\udcff.dcm" in siim.report(siim.load_index(copy)).to_string().encode().decode()


def test_one_id_for_two_pictures_is_refused(copy, tmp_path):
    root = tmp_path / "mirror"
    write_mirror(copy, root, "png_images", "png_masks")
    names = sorted(path.name for path in (root / "png_images").iterdir())
    (root / "names.csv").write_text(f"new_filename,ImageId\n{names[0]},A\n{names[1]},A\n")
    with pytest.raises(SiimError, match="are both the image A"):
        siim.load_index(root)


@pytest.mark.parametrize(
    ("dtype", "on"), [(np.uint8, 1), (np.uint8, 255), (np.uint16, 1), (np.uint16, 255), (np.uint16, 65535)]
)
def test_masks_of_every_depth(copy, tmp_path, disc_maker, dtype, on):
    write_mirror(copy, tmp_path / "mirror", "png_images", "png_masks")
    mask = disc_maker((300, 400), 40)
    cv2.imwrite(str(tmp_path / "mirror" / "png_masks" / "1.2.0.png"), mask.astype(dtype) * dtype(on))
    assert siim.load_index(tmp_path / "mirror").mask_area_px[0] == mask.sum()


@pytest.mark.parametrize("on", [2, 100, (0, 0, 255)])
def test_a_mask_of_other_values_is_not_taken_for_empty(copy, tmp_path, disc_maker, on):
    write_mirror(copy, tmp_path / "mirror", "png_images", "png_masks")
    mask = disc_maker((300, 400), 40).astype(np.uint8)[..., None] * np.array(on, np.uint8)
    cv2.imwrite(str(tmp_path / "mirror" / "png_masks" / "1.2.0.png"), mask)
    with pytest.raises(SiimError, match="has the brightest value"):
        siim.load_index(tmp_path / "mirror")


def test_another_table_with_odd_words_is_no_obstacle(copy):
    (copy / "ages.csv").write_text("age group,12\nold people,13\n")
    assert len(siim.load_index(copy)) == 6


# --- PNG files without masks, NIH files, tables from spreadsheets -------------------------------------------------


@pytest.fixture
def nih(copy, tmp_path, monkeypatch):
    """Six images under NIH names in two folders, the map and the table next to them, and no packaged table."""
    root = tmp_path / "nih"
    lines = ["Kaggle_ID,NIH_ID"]
    for number, row in enumerate(siim.load_index(copy).itertuples()):
        name = f"{number // 2:08d}_{number:03d}.png"
        lines.append(f"{row.image_id},{name}")
        folder = root / f"images_{number % 2:03d}" / "images"
        folder.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(folder / name), radiographs.read_image(row.path))
    cv2.imwrite(str(folder / "00000009_000.png"), np.zeros((8, 8), np.uint8))
    cv2.imwrite(str(folder / "logo.png"), np.zeros((8, 8), np.uint8))
    (root / "map.csv").write_text("\n".join(lines), encoding="utf-8")
    shutil.copy(copy / "train-rle.csv", root)
    monkeypatch.setattr(annotations, "find_spec", lambda name: None)
    return root


def test_nih_files_are_read_under_the_challenges_ids(copy, nih):
    index, original = siim.load_index(nih), siim.load_index(copy)
    columns = ["image_id", "rle", "labelled", "positive", "mask_area_px"]
    pd.testing.assert_frame_equal(index[columns], original[columns], check_flags=False)
    assert index.patient_id.tolist() == [f"{number // 2:08d}" for number in range(6)]
    counts = found(index)
    assert counts["images (NIH)"] == 6
    assert counts["NIH files outside the map left out"] == counts["PNG files left out"] == 1


def test_nih_masks_of_the_installed_package(nih, tmp_path, monkeypatch):
    folder = tmp_path / "torchxrayvision"
    (folder / "data").mkdir(parents=True)
    packaged = folder / "data" / "siim-pneumothorax-train-rle.csv.gz"
    packaged.write_bytes(gzip.compress((nih / "train-rle.csv").read_bytes()))
    expected = siim.load_index(nih).rle.tolist()
    (nih / "train-rle.csv").unlink()
    with pytest.raises(SiimError, match="pip install torchxrayvision"):
        siim.load_index(nih)
    monkeypatch.setattr(annotations, "find_spec", lambda name: SimpleNamespace(submodule_search_locations=[folder]))
    assert siim.load_index(nih).rle.tolist() == expected


def test_nih_files_need_their_map(nih, tmp_path):
    (nih / "map.csv").rename(tmp_path / "map.csv")
    with pytest.raises(SiimError, match=r"00000000_000\.png.*parameter patients"):
        siim.load_index(nih)
    assert len(siim.load_index(nih, patients=tmp_path / "map.csv")) == 6
    (tmp_path / "map.csv").write_text("Kaggle_ID,NIH_ID\n1.2.0,00000077_000.png\n")
    with pytest.raises(SiimError, match="names none of the NIH files"):
        siim.load_index(nih, patients=tmp_path / "map.csv")


@pytest.mark.parametrize("separator", [";", "\t"])
def test_ids_with_an_ending_and_other_separators(copy, separator):
    lines = ["ImageId,EncodedPixels", *(line.replace(",", ".dcm,", 1) for line in BODY)]
    rewrite(copy, "\n".join(lines).replace(",", separator))
    assert siim.load_index(copy).mask_area_px.tolist() == AREAS


def test_a_table_of_other_images_is_named_with_the_reason(copy):
    rewrite(copy, "ImageId,EncodedPixels\n7.7.7,-1\n")
    (copy / "scores.csv").write_text("image,score\n1,2\n")
    with pytest.raises(
        SiimError, match=r"scores\.csv has other columns; train-rle\.csv names 1 other images, such as '7"
    ):
        siim.load_index(copy)


def test_png_images_with_a_table(copy, tmp_path):
    root = tmp_path / "png"
    original = write_mirror(copy, root, "train_png", "masks")
    shutil.rmtree(root / "masks")
    shutil.copy(copy / "train-rle.csv", root)
    index = siim.load_index(root)
    assert index.rle.tolist() == original.rle.tolist() and found(index)["images (PNG with table)"] == 6


def test_masks_named_with_an_ending_and_masks_of_no_image(copy, tmp_path):
    root = tmp_path / "png"
    original = write_mirror(copy, root, "train", "masks")
    for path in (root / "masks").iterdir():
        path.rename(path.with_name(f"{path.stem}_mask.png"))
    assert siim.load_index(root).mask_area_px.tolist() == original.mask_area_px.tolist()
    for path in (root / "masks").iterdir():
        path.rename(path.with_name(f"x{path.name}"))
    with pytest.raises(SiimError, match="none of 6 masks has the name of an image"):
        siim.load_index(root)


def test_archives_are_named(tmp_path):
    (tmp_path / "siim.zip").write_bytes(b"")
    with pytest.raises(SiimError, match=r"only archives to unpack first \(siim\.zip\)"):
        siim.load_index(tmp_path)


def test_real_nih_files(real_data):
    if annotations.packaged_table() is None:
        pytest.skip("torchxrayvision, which brings the challenge's table of masks, is not installed")
    index = siim.load_index(real_data / "nih_true", patients=real_data / "kaggle_to_nih.csv")
    assert (len(index), index.labelled.sum(), index.positive.sum(), index.patient_id.nunique()) == (377, 377, 126, 322)
    assert found(index)["images in the table without a file"] == 12_047 - 377
