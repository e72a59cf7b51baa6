"""Other data that a finished run is tested on: all labelled images, without those that the run has seen."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd

from pneumo_lib import paths
from pneumo_lib.data import dataset, siim
from pneumo_lib.data.dataset import Dataset
from pneumo_lib.errors import ParameterError

RULE = "external"
SEEN = ("refuse", "leave-out")
REASONS = ("same id", "same pixels", "same patient")
_NAMED = 3


@dataclass(frozen=True)
class ExternalDataset(Dataset):
    """Labelled images of one or more folders, all of them in "test".

    Attributes:
        roots: the folders.
        left_out: ids of images that the run has seen; they take no part.
        reasons: how many were left out for each of `REASONS`; an image counts once, under the first that holds.
    """

    roots: tuple[Path, ...] = ()
    left_out: frozenset[str] = frozenset()
    reasons: tuple[tuple[str, int], ...] = ()

    @property
    def is_phantom(self) -> bool:
        return all(dataset.is_drawn(root / "dataset.json") for root in self.roots)

    @cached_property
    def _found(self) -> pd.DataFrame:
        """One row per labelled image, seen ones too: the arrays hold all of them."""
        index = pd.concat([siim.load_index(root, patients=self.patients) for root in self.roots], ignore_index=True)
        index = index[index.labelled].sort_values("image_id", ignore_index=True)
        if index.image_id.duplicated().any():
            twice = index.image_id[index.image_id.duplicated()].iloc[0]
            raise ParameterError(f"test_data holds the image {twice} in two folders; name each image once.")
        if index.empty:
            raise ParameterError("test_data contains no labelled images; give data with masks.")
        return index

    @cached_property
    def split(self) -> pd.Series:
        """ "test" for every image that the run has not seen."""
        result = pd.Series("test", index=self.index.index, dtype="string", name="split")
        result = result.mask(self.index.image_id.isin(self.left_out))
        result.attrs = {"rule": RULE, "seed": 0}
        return result

    @property
    def split_rule(self) -> str:
        return RULE

    def tested_on(self) -> dict:
        """What a record says of the data: name, images, positive ones, patients and what was left out."""
        index = self.index[self.split.notna().to_numpy()]
        return {
            "data": self.name,
            "synthetic": self.is_phantom,
            "images": len(index),
            "positive": int(index.positive.sum()),
            "patients": None if index.patient_id.isna().all() else int(index.patient_id.nunique()),
            "left_out": dict(self.reasons),
        }


def open_external(
    own: Dataset, size: int, above: Path, test_data: str, test_patients: str, seen: str
) -> ExternalDataset:
    """The data set that the parameters `test_data`, `test_patients` and `seen` name, checked against the run's own.

    Args:
        own: the run's data set; its training and validation images are those that the run has seen, its `on_error` holds for
            the test images, too.
        size: pixels a side at which pixels are compared and arrays prepared.
        above: folder in which the data set gets a folder of its own.
        seen: "refuse" or "leave-out" images that the run has seen.

    Raises:
        ParameterError: a wrong value, images that the run has seen under "refuse", or nothing left.
        PreprocessingError: files that cannot be read, under `on_error` "stop".
    """
    if seen not in SEEN:
        raise ParameterError(f"unknown seen={seen!r}; choose {' or '.join(SEEN)}.")
    roots = tuple(paths.given(one.strip()).resolve() for one in test_data.split(",") if one.strip())
    if not roots:
        raise ParameterError("test_data is empty; give a folder, or several separated by commas.")
    for root in roots:
        if not root.is_dir():
            raise ParameterError(f"test_data: {str(root)!r} is not a folder; give folders of X-rays with masks.")
    patients = paths.given(test_patients).resolve() if test_patients else None
    if patients is not None and not patients.is_file():
        raise ParameterError(
            f"test_patients={test_patients!r} is not a file; give the CSV of image ids and NIH file names."
        )
    name = paths.slug("+".join(root.name for root in roots))
    opened = ExternalDataset(
        name, roots[0], above / name / "prepared", own.profile, RULE, patients, on_error=own.on_error, roots=roots
    )
    known = seen_images(own, opened, size)
    if known and seen == "refuse":
        raise ParameterError(
            f"the run has seen {len(known)} of the test images: {'; '.join(_words(known))}. "
            "Give other data, or leave them out with seen=leave-out."
        )
    counts = tuple((reason, list(known.values()).count(reason)) for reason in REASONS)
    result = replace(opened, left_out=frozenset(known), reasons=counts)
    # They are the same whatever is left out, and slow to read again.
    vars(result).update(_found=opened._found, index=opened.index, _arrays=opened._arrays)
    if not result.split.notna().any():
        raise ParameterError("the run has seen all of the test images; give other data.")
    return result


def seen_images(own: Dataset, other: Dataset, size: int) -> dict[str, str]:
    """Why each image of `other` counts as seen, by id: the first of `REASONS` that holds for a training or validation image.

    Pixels are compared after decoding, at `size`: a copy under another name is found, one compressed anew is not.
    """
    ids, patients, pixels = set(), set(), set()
    for name in ("train", "validation"):
        part = own.part(name, size)
        ids |= set(part.index.image_id)
        # Patients of phantoms and of X-rays are numbered alike, but are not the same.
        patients |= set(part.index.patient_id.dropna()) if own.is_phantom == other.is_phantom else set()
        pixels |= set(_digests(part.images, part.rows))
    arrays = other.at(size)
    found = {}
    digests = _digests(arrays.images, range(len(arrays.images)))
    for row, digest in zip(arrays.index.itertuples(), digests, strict=True):
        holds = (row.image_id in ids, digest in pixels, pd.notna(row.patient_id) and row.patient_id in patients)
        if any(holds):
            found[row.image_id] = REASONS[holds.index(True)]
    return found


def _digests(images: np.ndarray, rows) -> Iterator[bytes]:
    return (hashlib.blake2b(images[row].tobytes(), digest_size=16).digest() for row in rows)


def _words(known: dict[str, str]) -> list[str]:
    words = []
    for reason in REASONS:
        ids = [paths.printable(image_id) for image_id, one in known.items() if one == reason]
        if ids:
            words.append(
                f"{len(ids)} of the {reason} ({', '.join(ids[:_NAMED])}{', ...' if len(ids) > _NAMED else ''})"
            )
    return words
