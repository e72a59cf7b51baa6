"""X-rays in files: DICOM, PNG and JPEG, found in folders and read one by one."""

import os
from collections import Counter
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain, count
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from pneumo_lib import paths
from pneumo_lib.data import dicom, grayscale, layouts
from pneumo_lib.data.dicom import Header
from pneumo_lib.errors import RadiographError

PICTURES = {".png", ".jpg", ".jpeg"}
DICOMS = {".dcm", ".dicom"}
LONGEST_NAME = 200
"""Characters of a name, so that the endings of what is made of an X-ray have room."""

OUTPUTS = ("probability", "mask", "overlay")
"""Folders that `predict_files` always writes; a folder that holds them all is one of its outputs."""


def read_image(path: str | Path) -> np.ndarray:
    """The X-ray of a DICOM, PNG or JPEG file as uint8 (H, W), air dark.

    Raises:
        DicomError, RadiographError: unreadable.
    """
    if not is_picture(path):
        return dicom.read_image(path)
    image = read_picture(path)
    return image if image.dtype == np.uint8 else grayscale.stretched(image)


def read_picture(path: str | Path) -> np.ndarray:
    """The gray values of a PNG or JPEG file, uint8 or uint16 (H, W); colours become gray, transparency is dropped.

    Raises:
        RadiographError: unreadable, or more than `dicom.LARGEST_PX` pixels.
    """
    image, pixels = None, 0
    with suppress(OSError, cv2.error):
        with Path(path).open("rb") as file:
            start = file.read(24)
        # Width and height of a PNG, which may ask for gigabytes in 100 bytes. Other pictures are checked once decoded.
        if start.startswith(b"\x89PNG"):
            pixels = int.from_bytes(start[16:20]) * int.from_bytes(start[20:])
        if pixels <= dicom.LARGEST_PX:
            image = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE | cv2.IMREAD_ANYDEPTH)
            pixels = 0 if image is None else image.size
    if pixels > dicom.LARGEST_PX:
        raise RadiographError(
            f"{path} has {pixels} pixels, more than any X-ray; the file is damaged, get it again or leave it out."
        )
    if image is None:
        raise RadiographError(f"{path} cannot be read as a picture; get the file again or leave it out.")
    return image


def is_picture(path: str | Path) -> bool:
    """Whether a file is read as a picture, not as DICOM."""
    return Path(path).suffix.lower() in PICTURES


@dataclass(frozen=True)
class Radiograph:
    """One X-ray. Nothing that names its patient is kept.

    path: of its file.
    image: uint8 (H, W), air dark.
    header: of a DICOM file; without any value for a picture.
    frontal_chest: whether the header says that this is a frontal chest X-ray; None where it says too little.
    """

    path: Path
    image: np.ndarray
    header: Header
    frontal_chest: bool | None

    @property
    def is_dicom(self) -> bool:
        """Whether the file is DICOM, not a picture."""
        return not is_picture(self.path)


class Found(NamedTuple):
    """files: name → path of each X-ray. left_out: path → reason, for every other file of the folders searched."""

    files: dict[str, Path]
    left_out: dict[Path, str]


def find(sources: Iterable[str | os.PathLike]) -> Found:
    """The X-rays of files and folders, by a name for what is made of them.

    Folders are searched with all their subfolders, linked ones too, for .dcm, .png and .jpg and for DICOM files with
    another ending. Pictures next to DICOM files are left out (a viewer's icons), and so is what `predict_files` wrote.
    A file that is named itself is always taken. The name is the file's, without its ending, or its path where names
    repeat.

    Raises:
        RadiographError: a source that is missing, or no X-ray in any.
        SiimError, ParameterError: a folder that cannot be read, a source that cannot be a path.
    """
    found, sources = [], list(sources)
    left_out: dict[Path, str] = {}
    for source in map(Path, sources):
        paths.given(source)
        source = source.expanduser()
        if not source.exists():
            raise RadiographError(f"{source} is missing; pass a DICOM file, a PNG or a folder of them.")
        if source.is_file():
            found.append(source)
        else:
            reasons = _sorted_out(source)
            found += [path for path, reason in reasons.items() if not reason]
            left_out |= {path: reason for path, reason in reasons.items() if reason}
    found = list(dict.fromkeys(found))
    if not found:
        raise RadiographError(
            f"there is no X-ray in {', '.join(map(str, sources)) or 'no source'}; pass .dcm or .png files or folders of "
            f"them{_examples(left_out)}."
        )
    return Found(_named(found), {path: reason for path, reason in left_out.items() if path not in found})


def read(path: Path, any_image: bool = False) -> Radiograph:
    """One X-ray.

    Args:
        path: of a DICOM, PNG or JPEG file.
        any_image: also read images whose header says that they are no frontal chest X-ray.

    Raises:
        DicomError, RadiographError: unreadable, or no frontal chest X-ray.
    """
    if is_picture(path):
        return Radiograph(path, read_image(path), Header(), None)
    header = dicom.read_header(path)
    frontal, reason = dicom.frontal_chest(header)
    if frontal is False and not any_image:
        raise RadiographError(
            f"{path} is not a frontal chest X-ray: {reason}; leave it out, or predict it all the same with any_image "
            "(--any-image)."
        )
    return Radiograph(path, read_image(path), header, frontal)


def _named(found: list[Path]) -> dict[str, Path]:
    stems = [_name(path) for path in found]
    times, named = Counter(stems), {}
    for stem, path in zip(stems, found, strict=True):
        name = stem if times[stem] == 1 else "-".join(path.with_name(stem).parts).strip("/-")
        name = paths.printable(name)[-LONGEST_NAME:]
        others = (f"{name}-{number}" for number in count(2))
        named[next(one for one in chain([name, f"{name}-{path.suffix[1:]}"], others) if one not in named)] = path
    return named


def _name(path: Path) -> str:
    # A UID is full of dots and no ending of a file.
    return path.stem if path.suffix.lower() in PICTURES | DICOMS else path.name


def _sorted_out(folder: Path) -> dict[Path, str]:
    """Why each file at or below a folder is left out; "" for an X-ray."""
    reasons = {path: _reason(path) for path in sorted(layouts.walk(folder))}
    if any(not reason and not is_picture(path) for path, reason in reasons.items()):
        reasons |= {
            path: "a picture next to DICOM files; name the file itself to predict it"
            for path, reason in reasons.items()
            if not reason and is_picture(path)
        }
    return reasons


def _reason(path: Path) -> str:
    if path.name.startswith(".") or "__MACOSX" in path.parts:
        return "a hidden file or a leftover of an archive"
    if _is_output(path):
        return "written by an earlier prediction"
    if not path.is_file():
        return "a link to a missing file, or not a file"
    if path.suffix.lower() in PICTURES | DICOMS:
        return ""
    if path.name == "DICOMDIR":
        return "the list of contents of a DICOM medium"
    return "" if _looks_like_dicom(path) else "not a DICOM, PNG or JPEG file; unpack or convert it first"


def _is_output(path: Path) -> bool:
    out = path.parent.parent
    return path.parent.name in (*OUTPUTS, "segmentation") and (
        (out / "predictions.csv").is_file() or all((out / name).is_dir() for name in OUTPUTS)
    )


def _looks_like_dicom(path: Path) -> bool:
    """Whether the file has the standard's mark, or none but begins with an element of group 2 or 8."""
    try:
        with path.open("rb") as file:
            start = file.read(132)
    except OSError:
        return True  # reading it says what is wrong
    return start[128:] == b"DICM" or (start[:2] in (b"\2\0", b"\x08\0") and start[3:4] == b"\0")


def _examples(left_out: dict[Path, str]) -> str:
    if not left_out:
        return ""
    path, reason = next(iter(left_out.items()))
    return f" ({len(left_out)} files left out, the first {path}: {reason})"
