"""The index of a copy of SIIM-ACR: one row per image, from whichever layout the copy has."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import pandas as pd

from pneumo_lib import challenge, paths
from pneumo_lib.data import annotations, dicom, layouts, radiographs, rle
from pneumo_lib.data.dicom import Header
from pneumo_lib.data.layouts import Files
from pneumo_lib.errors import DicomError, SiimError
from pneumo_lib.hardware import usable_cores


def load_index(root: str | Path, patients: str | Path | None = None) -> pd.DataFrame:
    """One row per image of the copy of SIIM-ACR at or below `root`, sorted by image id.

    Args:
        root: folder of the DICOM files and their table, of a PNG mirror, or of PNG files of NIH ChestX-ray14.
        patients: CSV `Kaggle_ID,NIH_ID` that tells the patients; by default `patients.csv` of the copy, if it has one.
            The DICOM's own PatientID differs from image to image and is not used.

    Returns:
        Columns `image_id`; `path` (absolute); `rle` (tuple of str, one per row of the table; () where unlabelled);
        `labelled` (bool: the table has a row); `positive` and `mask_area_px` (at 1024 x 1024; <NA> where unlabelled);
        `patient_id`, `sex`, `view` (<NA> where unknown); `age_years`, `pixel_spacing_mm` and `side_px` of the file as it is
        (NaN where unknown).
        `report` says what was found and left out.

    Raises:
        SiimError: nothing fits, or it is ambiguous.
        RleError: a mask that is malformed.
        RadiographError: a PNG mask that cannot be read.
    """
    root = paths.given(root)
    files = layouts.find(root)
    patients = patients or files.patients
    if files.kind == "PNG":
        source, rows, notes = _png_rows(files)
    elif files.kind == "NIH":
        patients = patients or _nih_map(files, root)
        source, rows, notes = _nih_rows(files, annotations.read_map(paths.given(patients)))
    else:
        source, rows, notes = _table_rows(files.images, files.tables)
    index = pd.DataFrame({"image_id": list(rows), "path": [str(path) for path in rows.values()]})
    index["rle"] = [source.get(image_id, ()) for image_id in rows]
    index = index.sort_values("image_id", ignore_index=True)
    index["labelled"] = [len(one) > 0 for one in index.rle]
    _add_areas(index)
    _add_patients(index, patients)
    _add_headers(index, notes)
    notes["archive leftovers left out"] = files.leftovers
    notes["PNG files left out"] = files.pictures
    notes["copies of an image left out"] = files.copies
    notes["unusable file names left out"] = files.odd_names
    index.attrs["found"] = {
        "layout": files.kind,
        **{what: (len(ids), [paths.printable(one) for one in sorted(set(ids))[:3]]) for what, ids in notes.items()},
    }
    return index


def read_mask(row) -> np.ndarray:
    """The mask of a row of the index: bool (1024, 1024).

    Raises:
        SiimError: the image is unlabelled, which is not the same as negative.
    """
    if not row.labelled:
        raise SiimError(f"Image {row.image_id} is unlabelled and has no mask; select rows where `labelled` is true.")
    return rle.decode(row.rle, (challenge.SIDE, challenge.SIDE), row.image_id)


def report(index: pd.DataFrame) -> pd.DataFrame:
    """What `load_index` found and left out: columns `finding`, `count`, `examples`."""
    labelled = index[index.labelled]
    found = dict(index.attrs.get("found", {}))
    rows = [
        (f"images ({found.pop('layout', 'unknown layout')})", len(index), []),
        ("labelled", len(labelled), []),
        ("positive", int(labelled.positive.sum()), []),
        ("unlabelled (no row or mask)", int((~index.labelled).sum()), index.image_id[~index.labelled].head(3)),
        ("patients", int(index.patient_id.nunique()), []),
        ("images without a known patient", int(index.patient_id.isna().sum()), []),
    ]
    rows += [(what, count, examples) for what, (count, examples) in found.items()]
    return pd.DataFrame(
        [(what, count, ", ".join(examples)) for what, count, examples in rows], columns=["finding", "count", "examples"]
    )


Rows = tuple[dict[str, tuple[str, ...]], dict[str, Path], dict[str, list[str]]]


def _table_rows(images: dict[str, Path], tables: list[Path]) -> Rows:
    path, rows = annotations.choose(tables, set(images))
    unique = rows.drop_duplicates()
    grouped = {image_id: tuple(group) for image_id, group in unique.groupby("image_id", sort=False).rle}
    notes = {
        f"rows in {path.name}": rows.image_id.tolist(),
        "rows that repeat another": rows.image_id[rows.duplicated()].tolist(),
        "images with several rows": [image_id for image_id, group in grouped.items() if len(group) > 1],
        "images said to be both negative and positive": [
            image_id for image_id, group in grouped.items() if len(group) > 1 and rle.EMPTY in group
        ],
        "images in the table without a file": [image_id for image_id in grouped if image_id not in images],
    }
    return grouped, images, notes


def _nih_map(files: Files, root: Path) -> Path:
    if found := annotations.find_map(files.tables):
        return found
    raise SiimError(
        f"{root} holds NIH files such as {min(files.images)}.png, but nothing says which of the challenge's images they "
        "are; name the map with the columns Kaggle_ID, NIH_ID (parameter patients)."
    )


def _nih_rows(files: Files, names: dict[str, str]) -> Rows:
    """Images under the challenge's ids; the masks from a table of the folder, else from torchxrayvision's."""
    images = {image_id: files.images[name] for image_id, name in names.items() if name in files.images}
    if not images:
        raise SiimError(f"the map of patients names none of the NIH files, for example not {min(files.images)}.png.")
    tables = [path for path in files.tables if annotations.names_any(path, set(images))]
    packaged = annotations.packaged_table()
    if not tables and packaged is None:
        raise SiimError(
            f"No table of masks for NIH files such as {min(files.images)}.png: put the challenge's table (train-rle.csv) "
            "next to them, or install the one in torchxrayvision: pip install torchxrayvision."
        )
    source, rows, notes = _table_rows(images, tables or [packaged])
    mapped = set(names.values())
    notes["NIH files outside the map left out"] = [name for name in files.images if name not in mapped]
    return source, rows, notes


def _png_rows(files: Files) -> Rows:
    names = annotations.read_names(files.tables)
    images, masks = _renamed(files.images, names), _renamed(_without_ending(files), names)
    if masks and images.keys().isdisjoint(masks):
        raise SiimError(
            f"none of {len(masks)} masks has the name of an image: {next(iter(files.masks.values()))} belongs to no image "
            f"such as {next(iter(files.images.values()))}; name masks as their images."
        )
    used = [image_id for image_id in masks if image_id in images]
    with ThreadPoolExecutor(usable_cores()) as pool:
        encoded = pool.map(lambda image_id: rle.encode(_read_png_mask(masks[image_id])), used)
        source = {image_id: (text,) for image_id, text in zip(used, encoded, strict=True)}
    return source, images, {"masks without an image": [image_id for image_id in masks if image_id not in images]}


def _without_ending(files: Files) -> dict[str, Path]:
    """The masks by the names of their images, also where all are named with `_mask` behind it."""
    if not files.images.keys().isdisjoint(files.masks):
        return files.masks
    return {stem.removesuffix(layouts.MASK_ENDING): path for stem, path in files.masks.items()}


def _renamed(files: dict[str, Path], names: dict[str, str]) -> dict[str, Path]:
    renamed: dict[str, Path] = {}
    for stem, path in files.items():
        image_id = names.get(stem, stem)
        if image_id in renamed:
            raise SiimError(
                f"{renamed[image_id]} and {path} are both the image {image_id}, says a table with the column "
                "new_filename; correct that table or move one of them elsewhere."
            )
        renamed[image_id] = path
    return renamed


def _add_areas(index: pd.DataFrame) -> None:
    areas = [np.count_nonzero(read_mask(row)) if row.labelled else None for row in index.itertuples()]
    index["mask_area_px"] = pd.array(areas, dtype="Int64")
    index["positive"] = index.mask_area_px > 0


def _add_patients(index: pd.DataFrame, path: str | Path | None) -> None:
    known = annotations.read_patients(paths.given(path)) if path else {}
    index["patient_id"] = pd.array([known.get(image_id) for image_id in index.image_id], dtype="string")
    if path and not index.empty and index.patient_id.isna().all():
        raise SiimError(
            f"{path} names none of the images, for example not {index.image_id[0]}; give the map of this copy."
        )


def _add_headers(index: pd.DataFrame, notes: dict[str, list[str]]) -> None:
    with ThreadPoolExecutor(usable_cores()) as pool:
        headers = list(pool.map(_header, index.path))
    for column, dtype in (
        ("sex", "string"),
        ("age_years", "float64"),
        ("view", "string"),
        ("pixel_spacing_mm", "float64"),
        ("side_px", "float64"),
    ):
        index[column] = pd.array([getattr(header, column, None) for header in headers], dtype=dtype)
    unreadable = [header is None for header in headers]
    impossible = [header is not None and header.age_impossible for header in headers]
    notes["impossible ages, taken as missing"] = index.image_id[impossible].tolist()
    hints = [header is not None and header.ignored_hint is not None for header in headers]
    notes["files with display hints that are ignored"] = index.image_id[hints].tolist()
    notes["files whose header cannot be read"] = index.image_id[unreadable].tolist()


def _header(path: str) -> Header | None:
    if radiographs.is_picture(path):
        return Header()
    try:
        return dicom.read_header(path)
    except DicomError:
        return None  # listed in the report; preparing names the file


def _read_png_mask(path: Path) -> np.ndarray:
    """The mask of a PNG file in the challenge's frame: bool (1024, 1024); 0/1, 0/255 and 0/65535 files alike."""
    image = radiographs.read_picture(path)
    brightest = int(image.max())
    full = next(full for full in (1, 255, 65535) if brightest <= full)
    mask = image > full // 2
    if brightest and not mask.any():
        # Read as empty, it would turn a positive image into a negative one.
        raise SiimError(
            f"{path} has the brightest value {brightest}; masks hold 0 and 255 (or 0 and 1); write the file again."
        )
    if mask.shape[0] != mask.shape[1]:
        raise SiimError(f"{path} is {mask.shape[0]} x {mask.shape[1]}; masks are square, get the file again.")
    return cv2.resize(mask.astype(np.uint8), (challenge.SIDE, challenge.SIDE), interpolation=cv2.INTER_NEAREST).view(
        bool
    )
