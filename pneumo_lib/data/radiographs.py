"""X-rays of one's own: DICOM and PNG files, found in folders and read one by one."""

import os
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import chain, count
from pathlib import Path

import cv2
import numpy as np

from pneumo_lib import paths
from pneumo_lib.data import dicom, grayscale, layouts
from pneumo_lib.errors import RadiographError, SiimError


def read_image(path: str | Path) -> np.ndarray:
    """The X-ray of a DICOM or PNG file as uint8 (H, W), air dark.

    Raises:
        DicomError, SiimError: unreadable.
    """
    if Path(path).suffix.lower() != ".png":
        return dicom.read_image(path)
    image = read_png(Path(path))
    return image if image.dtype == np.uint8 else grayscale.stretched(image)


def read_png(path: Path) -> np.ndarray:
    """uint8 or uint16 (H, W)."""
    image = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE | cv2.IMREAD_ANYDEPTH)
    if image is None:
        raise SiimError(f"{path} is no readable PNG; get it again or leave it out.")
    return image


PICTURES = {".png", ".jpg", ".jpeg"}
DICOMS = {".dcm", ".dicom"}
LONGEST_NAME = 200
"""Characters of a name, so that the endings of what is made of an X-ray have room."""


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

    Folders are searched with all theirs, linked ones too, for .dcm, .png and .jpg and for DICOM files without an ending; a
    file that is named is taken whatever its ending. The name is the file's, without its ending, or its path where names
    repeat.

    Raises:
        RadiographError: a source that is missing, or no X-ray in any.
        SiimError, ParameterError: a folder that cannot be read, a source that cannot be a path.
    """
    found, sources = [], list(sources)
    for source in map(Path, sources):
        paths.given(source)
        source = source.expanduser()
        if not source.exists():
            raise RadiographError(f"{source} is missing; pass a DICOM file, a PNG or a folder of them.")
        found += [source] if source.is_file() else sorted(filter(_is_radiograph, layouts.walk(source)))
    found = list(dict.fromkeys(found))
    if not found:
        raise RadiographError(
            f"there is no X-ray in {', '.join(map(str, sources)) or 'no source'}; pass .dcm or .png files or folders of them."
        )
    stems = [_name(path) for path in found]
    times, named = Counter(stems), {}
    for stem, path in zip(stems, found, strict=True):
        name = stem if times[stem] == 1 else "-".join(path.with_name(stem).parts).strip("/-")
        name = paths.printable(name)[-LONGEST_NAME:]
        others = (f"{name}-{number}" for number in count(2))
        named[next(one for one in chain([name, f"{name}-{path.suffix[1:]}"], others) if one not in named)] = path
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
        picture = grayscale.stretched(picture)
    return Radiograph(path, picture, float("nan"))


def _name(path: Path) -> str:
    # A UID is full of dots and no ending of a file.
    return path.stem if path.suffix.lower() in PICTURES | DICOMS else path.name


def _is_radiograph(path: Path) -> bool:
    if not path.is_file() or path.name.startswith(".") or "__MACOSX" in path.parts:
        return False
    if path.suffix.lower() in PICTURES | DICOMS:
        return True
    try:
        with path.open("rb") as file:
            return file.read(132)[128:] == b"DICM"
    except OSError:
        return True  # reading it says what is wrong
