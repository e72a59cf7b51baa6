"""X-rays of one's own: DICOM and PNG files, found in folders and read one by one."""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from pneumo_lib.data import dicom
from pneumo_lib.errors import PneumoError

PICTURES = {".png", ".jpg", ".jpeg"}
DICOMS = {".dcm", ".dicom"}


class RadiographError(PneumoError):
    """A file or folder that holds no X-ray."""


@dataclass(frozen=True)
class Radiograph:
    """One X-ray. Nothing of its patient is kept.

    path: of its file.
    image: uint8 (H, W), air dark.
    pixel_spacing_mm: side of a pixel, NaN where the file does not say.
    """

    path: Path
    image: np.ndarray
    pixel_spacing_mm: float

    @property
    def is_dicom(self) -> bool:
        """Whether the file is DICOM, not a picture."""
        return self.path.suffix.lower() not in PICTURES


def find(sources: Iterable[str | os.PathLike]) -> dict[str, Path]:
    """The X-rays of files and folders, by a name for what is made of them.

    Folders are searched with all theirs, for .dcm, .png and .jpg and for DICOM files without an ending; a file that is
    named is taken whatever its ending. The name is the file's, without its ending, or its path where names repeat.

    Raises:
        RadiographError: a source that is missing, or no X-ray in any.
    """
    paths = []
    for source in map(Path, sources):
        if not source.exists():
            raise RadiographError(f"{source} is missing; pass a DICOM file, a PNG or a folder of them.")
        paths += [source] if source.is_file() else sorted(path for path in source.rglob("*") if _is_radiograph(path))
    paths = list(dict.fromkeys(paths))
    if not paths:
        raise RadiographError("there is no X-ray in the folders named; they should hold .dcm or .png files.")
    stems = [_name(path) for path in paths]
    named = {}
    for stem, path in zip(stems, paths, strict=True):
        name = stem if stems.count(stem) == 1 else "-".join(path.with_name(stem).parts).strip("/-")
        named[name if name not in named else f"{name}-{path.suffix[1:]}"] = path
    return named


def read(path: Path) -> Radiograph:
    """One X-ray.

    Raises:
        DicomError, RadiographError: unreadable.
    """
    if path.suffix.lower() not in PICTURES:
        return Radiograph(path, dicom.read_image(path), dicom.read_header(path).pixel_spacing_mm)
    picture = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE | cv2.IMREAD_ANYDEPTH)
    if picture is None:
        raise RadiographError(f"{path}: cannot be read as a picture; is the file cut off?")
    if picture.dtype == np.uint16:
        picture = (picture >> 8).astype(np.uint8)
    return Radiograph(path, picture, float("nan"))


def _name(path: Path) -> str:
    # A UID is full of dots and no ending of a file.
    return path.stem if path.suffix.lower() in PICTURES | DICOMS else path.name


def _is_radiograph(path: Path) -> bool:
    if not path.is_file() or path.name.startswith(".") or "__MACOSX" in path.parts:
        return False
    if path.suffix.lower() in PICTURES | DICOMS:
        return True
    with path.open("rb") as file:
        return file.read(132)[128:] == b"DICM"
