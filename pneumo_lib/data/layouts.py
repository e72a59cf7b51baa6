"""File layouts of copies of SIIM-ACR, recognised by the names of files; no file is opened."""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from pneumo_lib.errors import SiimError

PNG_PAIRS = (("png_images", "png_masks"), ("train", "mask"), ("train", "masks"))
"""Folder names of the PNG mirrors: images and their masks, each pair side by side."""

MASK_ENDING = "_mask"
"""What some mirrors add to the name of an image for the name of its mask."""

_NIH_NAME = re.compile(r"\d{8}_\d{3}")

TABLE_DEPTH = 2
"""Tables are looked for in the folder itself and this many levels below it."""

LOOKED_FOR = (
    "*.dcm files at any depth (dicom-images-train/, dicom-images-test/, stage_2_images/, ...) with a table there, "
    f"or PNG files in {' or '.join(f'{images}/ + {masks}/' for images, masks in PNG_PAIRS)}, or PNG files named as NIH "
    "does (00000011_000.png) at any depth, or other PNG files with a table"
)


@dataclass
class Files:
    """What was found: `images` (and for PNG mirrors `masks`) by file stem, `tables`, and what was left out.

    kind: "DICOM"; "PNG", images and masks; "NIH", PNG files under their NIH names; "PNG with table".
    """

    kind: str = "DICOM"
    images: dict[str, Path] = field(default_factory=dict)
    masks: dict[str, Path] = field(default_factory=dict)
    tables: list[Path] = field(default_factory=list)
    patients: Path | None = None
    leftovers: list[str] = field(default_factory=list)
    pictures: list[str] = field(default_factory=list)
    copies: list[str] = field(default_factory=list)
    odd_names: list[str] = field(default_factory=list)


def find(root: Path) -> Files:
    """The files of a copy of SIIM-ACR at or below `root`, whichever layout it has.

    Stems that stand for the same image twice (copies of equal size) count once, the first path in order. Left out and
    listed: archive leftovers (`__MACOSX/`) and hidden files, stems with other characters than letters, digits, `_`, `.`,
    `-`, and PNG files next to DICOM files or to a mirror's folders.

    Raises:
        SiimError: no such folder, one that cannot be read, nothing that fits, or two different files for one image.
    """
    if not root.is_dir():
        raise SiimError(f"{root} is not a folder; give the folder that holds {LOOKED_FOR}.")
    files, dicom, png = Files(), [], []
    for path in sorted(walk(root)):
        suffix = path.suffix.lower()
        if path.name.startswith(".") or "__MACOSX" in path.relative_to(root).parts:
            files.leftovers.append(path.name)
        elif suffix == ".dcm":
            dicom.append(path)
        elif suffix == ".png":
            png.append(path)
        elif suffix == ".csv":
            _sort_in_table(files, path, root)
    if dicom:
        files.images = _by_stem(dicom, files)
    else:
        _find_png(png, files)
    used = {path.parent for path in (*files.images.values(), *files.masks.values())}
    files.pictures += [path.name for path in png if path.parent not in used]
    if not files.images:
        raise SiimError(f"no copy of SIIM-ACR in {root}{_archives(root)}; looked for {LOOKED_FOR}.")
    return files


def walk(root: Path) -> Iterator[Path]:
    """All files at or below a folder, in linked folders too.

    Raises:
        SiimError: a folder that cannot be read.
    """
    seen = set()
    for folder, below, names in os.walk(root, followlinks=True, onerror=_refuse):
        # Linked folders are followed (data often lies elsewhere), but each real one once, so that a loop ends.
        real = os.path.realpath(folder)
        if real in seen:
            below.clear()
            continue
        seen.add(real)
        yield from (Path(folder, name) for name in names)


def is_safe_id(text: str) -> bool:
    """Whether an id has only letters, digits, `_`, `.`, `-`: then it is harmless in a page and in a file name."""
    return re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}", text) is not None


def _refuse(error: OSError) -> None:
    raise SiimError(
        f"{error.filename} cannot be read ({error.strerror}); make it readable or move it elsewhere."
    ) from error


def _sort_in_table(files: Files, path: Path, root: Path) -> None:
    if len(path.relative_to(root).parts) > TABLE_DEPTH + 1:
        return
    if path.name == "patients.csv":
        files.patients = files.patients or path
    elif "sample_submission" not in path.name:
        files.tables.append(path)


def _by_stem(paths: list[Path], files: Files) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for path in paths:
        if not is_safe_id(path.stem):
            files.odd_names.append(path.name)
        elif path.stem not in found:
            found[path.stem] = path
        elif _size(path) == _size(found[path.stem]):
            files.copies.append(path.name)
        else:
            raise SiimError(
                f"{found[path.stem]} and {path} are two different files for one image; move one of them elsewhere."
            )
    return found


def _size(path: Path) -> int | None:
    """Bytes of a file; None for a link to nowhere."""
    return path.stat().st_size if path.exists() else None


def _find_png(png: list[Path], files: Files) -> None:
    files.kind = "PNG"
    files.images, files.masks = _png_pair(png, files)
    if files.images:
        return
    named = [path for path in png if _NIH_NAME.fullmatch(path.stem)]
    if named:
        files.kind, files.images = "NIH", _by_stem(named, files)
        folders = {path.parent for path in named}
        files.pictures = [path.name for path in png if path.parent in folders and path.stem not in files.images]
    elif files.tables:
        files.kind, files.images = "PNG with table", _by_stem(png, files)


def _archives(root: Path) -> str:
    archives = [path.name for path in sorted(walk(root)) if path.suffix.lower() in (".zip", ".gz", ".tar", ".7z")]
    return f", only archives to unpack first ({', '.join(archives[:3])})" if archives else ""


def _png_pair(png: list[Path], files: Files) -> tuple[dict[str, Path], dict[str, Path]]:
    parents = {path.parent for path in png}
    for images_name, masks_name in PNG_PAIRS:
        for parent in sorted(parents):
            masks = parent.with_name(masks_name)
            if parent.name == images_name and masks in parents:
                images = _by_stem([path for path in png if path.parent == parent], files)
                return images, _by_stem([path for path in png if path.parent == masks], files)
    return {}, {}
