"""The challenge's table of run-length masks, in each of its published forms, and the map of images to patients."""

import re
from importlib.util import find_spec
from pathlib import Path

import pandas as pd

from pneumo_lib.data.layouts import is_safe_id
from pneumo_lib.errors import SiimError

STANDARD_NAMES = ("train-rle.csv", "stage_2_train.csv")

_FILE_ENDING = re.compile(r"\.(dcm|dicom|png|jpg|jpeg)$", re.IGNORECASE)


def packaged_table() -> Path | None:
    """The challenge's table of all 12,047 labelled images in the installed package torchxrayvision, if it is there.

    The package is found without importing it, which would load its networks.
    """
    spec = find_spec("torchxrayvision")
    folders = (spec and spec.submodule_search_locations) or []
    tables = [Path(folder, "data", "siim-pneumothorax-train-rle.csv.gz") for folder in folders]
    return next((table for table in tables if table.is_file()), None)


def read(path: Path) -> pd.DataFrame | None:
    """Rows `image_id`, `rle` of a table of masks, in its order; None where the file is no such table.

    The header may be `ImageId,EncodedPixels`, the same with spaces, or missing; cells are separated by commas,
    semicolons or tabs; a BOM, CR LF, LF and both mixed are fine. Ids lose the ending of an image file (.dcm, .png).

    Raises:
        SiimError: unreadable or ragged.
    """
    cells = _cells(path)
    if cells.empty:
        return None
    header = [name.strip().lower() for name in cells.iloc[0]]
    if "imageid" in header and "encodedpixels" in header:
        rows = cells.iloc[1:, [header.index("imageid"), header.index("encodedpixels")]]
    elif len(header) == 2 and re.fullmatch(r"-1|\d+( +\d+)*", header[1]):
        rows = cells
    else:
        return None
    rows = rows.set_axis(["image_id", "rle"], axis=1).apply(lambda column: column.str.strip()).reset_index(drop=True)
    return rows.assign(image_id=rows.image_id.str.replace(_FILE_ENDING, "", regex=True))


def choose(paths: list[Path], ids: set[str]) -> tuple[Path, pd.DataFrame]:
    """The one table that names some of `ids`: where several do, the one with a standard name.

    Raises:
        SiimError: none or several fit, or one that fits has an id with other characters than letters, digits, `_`,
            `.`, `-`.
    """
    fitting: dict[Path, pd.DataFrame] = {}
    reasons = []
    for path in paths:
        rows = read(path)
        if rows is None:
            reasons.append(f"{path.name} has other columns")
        elif ids.isdisjoint(rows.image_id):
            reasons.append(f"{path.name} names {rows.image_id.nunique()} other images{_example(rows.image_id)}")
        elif not any(rows.equals(one) for one in fitting.values()):
            _check_ids(path, rows.image_id)
            fitting[path] = rows
    standard = [path for path in fitting if path.name in STANDARD_NAMES]
    if len(fitting) == 1 or len(standard) == 1:
        path = standard[0] if standard else next(iter(fitting))
        return path, fitting[path]
    if fitting:
        raise SiimError(
            f"Several tables fit the images: {', '.join(map(str, sorted(fitting)))}; "
            "keep the one to use and move the others elsewhere."
        )
    raise SiimError(
        f"No table of masks for images such as {min(ids)}: looked for a CSV with the columns ImageId, EncodedPixels "
        f"(usual names: {', '.join(STANDARD_NAMES)}) that names them, and found {'; '.join(reasons) or 'no CSV file'}."
    )


def names_any(path: Path, ids: set[str]) -> bool:
    """Whether a file is a table of masks that names some of `ids`."""
    rows = read(path)
    return rows is not None and not ids.isdisjoint(rows.image_id)


def _example(ids: pd.Series) -> str:
    return f", such as {ids.iloc[0][:64]!r}" if len(ids) else ""


def _check_ids(path: Path, ids: pd.Series) -> None:
    for image_id in ids:
        if not is_safe_id(image_id):
            raise SiimError(
                f"{path} holds the image id {image_id[:40]!r}; ids have letters, digits, '_', '.' and '-' only, correct it."
            )


def read_patients(path: Path) -> dict[str, str]:
    """Patient by image id, from a map as `read_map` reads it.

    Raises:
        SiimError: as `read_map`.
    """
    return {image_id: name.split("_")[0] for image_id, name in read_map(path).items()}


def read_map(path: Path) -> dict[str, str]:
    """Stem of the NIH file by image id, from a map `Kaggle_ID,NIH_ID` whose second column is `<patient>_<follow-up>.png`.

    Raises:
        SiimError: no such file, other columns, an id with other characters than letters, digits, `_`, `.`, `-`, or one image
            with two patients.
    """
    try:
        cells = _cells(path)
    except SiimError as error:
        raise SiimError(f"The map of patients cannot be used: {error}") from error
    if not _is_map(cells):
        raise SiimError(
            f"cannot read {path} as a map of patients: its first line must name the columns Kaggle_ID and NIH_ID."
        )
    header = _header(cells)
    names: dict[str, str] = {}
    columns = cells.iloc[1:, [header.index("kaggle_id"), header.index("nih_id")]]
    for row, (image_id, name) in enumerate(columns.itertuples(index=False), start=2):
        if not is_safe_id(image_id.strip()):
            raise SiimError(
                f"{path}, row {row}: the image id {image_id[:40]!r} has other characters than letters, digits, '_', '.' and "
                "'-'; correct it."
            )
        stem = _FILE_ENDING.sub("", name.strip())
        patient = stem.split("_")[0]
        if not is_safe_id(patient):
            raise SiimError(
                f"{path} gives {image_id[:40]!r} the NIH file {name[:40]!r}; expected <patient>_<number>.png."
            )
        if names.setdefault(image_id.strip(), stem).split("_")[0] != patient:
            raise SiimError(f"{path} names two patients for the image {image_id[:64]}; keep one of the rows.")
    return names


def find_map(paths: list[Path]) -> Path | None:
    """The first table with the columns `Kaggle_ID` and `NIH_ID`."""
    return next((path for path in paths if _is_map(_cells(path))), None)


def _is_map(cells: pd.DataFrame) -> bool:
    return {"kaggle_id", "nih_id"} <= set(_header(cells))


def _header(cells: pd.DataFrame) -> list[str]:
    return [] if cells.empty else [name.strip().lower() for name in cells.iloc[0]]


def read_names(paths: list[Path]) -> dict[str, str]:
    """Image id by PNG file stem, from a mirror's own tables with the columns `new_filename`, `ImageId`; often empty."""
    names: dict[str, str] = {}
    for path in paths:
        cells = _cells(path)
        header = [] if cells.empty else [name.strip().lower() for name in cells.iloc[0]]
        if {"new_filename", "imageid"} <= set(header):
            columns = cells.iloc[1:, [header.index("new_filename"), header.index("imageid")]]
            names |= {Path(name.strip()).stem: image_id.strip() for name, image_id in columns.itertuples(index=False)}
    return {stem: image_id for stem, image_id in names.items() if is_safe_id(image_id)}


def _cells(path: Path) -> pd.DataFrame:
    """All cells as text, header line included."""
    try:
        return pd.read_csv(
            path, sep=_separator(path), header=None, dtype=str, keep_default_na=False, encoding="utf-8-sig"
        )
    except pd.errors.EmptyDataError:
        return pd.DataFrame()
    except FileNotFoundError as error:
        raise SiimError(f"{path} does not exist; give the path of a CSV file.") from error
    except (OSError, ValueError) as error:  # pandas' own errors are ValueErrors
        raise SiimError(
            f"{path} cannot be read as a table ({' '.join(str(error).split())[:120]}); correct the file or move it elsewhere."
        ) from error


def _separator(path: Path) -> str:
    """Of the first line: a comma, or the semicolon or tab that a line without commas has."""
    if path.suffix == ".gz":
        return ","
    with path.open("rb") as file:
        line = file.readline(4096)
    return next((one for one in ",;\t" if one.encode() in line), ",")
