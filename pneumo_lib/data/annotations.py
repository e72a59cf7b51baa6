"""The challenge's table of run-length masks, in each of the forms that are about, and the map of images to patients."""

import re
from pathlib import Path

import pandas as pd

from pneumo_lib.data.layouts import is_safe_id
from pneumo_lib.errors import SiimError

STANDARD_NAMES = ("train-rle.csv", "stage_2_train.csv")


def read(path: Path) -> pd.DataFrame | None:
    """Rows `image_id`, `rle` of a table of masks, in its order; None where the file is no such table.

    The header may be `ImageId,EncodedPixels`, the same with spaces, or missing; a BOM, CR LF, LF and both mixed are
    fine.

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
    return rows.set_axis(["image_id", "rle"], axis=1).apply(lambda column: column.str.strip()).reset_index(drop=True)


def choose(paths: list[Path], ids: set[str]) -> tuple[Path, pd.DataFrame]:
    """The one table that names some of `ids`: where several do, the one with a standard name.

    Raises:
        SiimError: none or several fit, or one that fits has an id with other characters than letters, digits, `_`,
            `.`, `-`.
    """
    fitting: dict[Path, pd.DataFrame] = {}
    for path in paths:
        rows = read(path)
        if (
            rows is not None
            and not ids.isdisjoint(rows.image_id)
            and not any(rows.equals(one) for one in fitting.values())
        ):
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
    seen = ", ".join(path.name for path in paths) or "no CSV file"
    raise SiimError(
        f"No table of masks for images such as {min(ids)}: looked for a CSV with the columns ImageId, EncodedPixels "
        f"(usual names: {', '.join(STANDARD_NAMES)}) that names them, and found {seen}."
    )


def _check_ids(path: Path, ids: pd.Series) -> None:
    for image_id in ids:
        if not is_safe_id(image_id):
            raise SiimError(
                f"{path} holds the image id {image_id[:40]!r}; ids have letters, digits, '_', '.' and '-' only, correct it."
            )


def read_patients(path: Path) -> dict[str, str]:
    """Patient by image id, from a map `Kaggle_ID,NIH_ID` whose second column is `<patient>_<follow-up>.png`.

    Raises:
        SiimError: no such file, other columns, or one image with two patients.
    """
    try:
        cells = _cells(path)
    except SiimError as error:
        raise SiimError(f"The map of patients cannot be used: {error}") from error
    header = [] if cells.empty else [name.strip().lower() for name in cells.iloc[0]]
    if not {"kaggle_id", "nih_id"} <= set(header):
        raise SiimError(f"{path} is no map of patients: its first line must name the columns Kaggle_ID and NIH_ID.")
    patients: dict[str, str] = {}
    columns = cells.iloc[1:, [header.index("kaggle_id"), header.index("nih_id")]]
    for image_id, name in columns.itertuples(index=False):
        patient = name.strip().split("_")[0]
        if not is_safe_id(patient):
            raise SiimError(
                f"{path} gives {image_id[:40]!r} the NIH file {name[:40]!r}; expected <patient>_<number>.png."
            )
        if patients.setdefault(image_id.strip(), patient) != patient:
            raise SiimError(f"{path} gives the image {image_id[:64]} two patients; keep one of the rows.")
    return patients


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
        return pd.read_csv(path, header=None, dtype=str, keep_default_na=False, encoding="utf-8-sig")
    except pd.errors.EmptyDataError:
        return pd.DataFrame()
    except FileNotFoundError as error:
        raise SiimError(f"{path} is not there; give the path of a CSV file.") from error
    except (OSError, ValueError) as error:  # pandas' own errors are ValueErrors
        raise SiimError(
            f"{path} cannot be read as a table ({' '.join(str(error).split())[:120]}); correct the file or move it elsewhere."
        ) from error
