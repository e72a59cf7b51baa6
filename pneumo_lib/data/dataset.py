"""One data set, ready for every experiment: its index, its split and its prepared arrays at each size."""

import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd

from pneumo_lib import atomic, paths
from pneumo_lib.data import array_store, preprocessing, siim, splits
from pneumo_lib.data.array_store import Preprocessed
from pneumo_lib.errors import ParameterError, SplitError
from pneumo_lib.profiles import Profile

PHANTOM = "phantom"
SILVER = "silver labels"
"""What a data set's masks are called where another model predicted them: where the folder's name has "silver" in it."""
LABELS = "labels.csv"
"""Index stored with the prepared arrays, so that these can be used without the X-rays."""
Maker = Callable[[Path, int], object]
SPLIT_RULES = ("auto", *splits.RULES)


@dataclass(frozen=True)
class Subset:
    """Images uint8 (N, H, W), masks uint8 0/1 (N, H, W) and index rows of one subset, in the same order.

    The arrays are memory-mapped; `rows` are the positions of the subset's images in them.
    """

    images: np.ndarray
    masks: np.ndarray
    index: pd.DataFrame
    rows: np.ndarray

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def patients(self) -> np.ndarray | None:
        """Whose image it is, (N,); `None` where the data set does not tell."""
        known = self.index["patient_id"]
        return None if known.isna().all() else known.to_numpy(object)


@dataclass(frozen=True)
class Dataset:
    """A data set at the scale of a profile.

    Attributes:
        root: the DICOM files or PNGs and their table; `None` stands for the phantom, which `make` writes when it is needed.
        folder: where the prepared arrays and the split are kept.
        rule: how to split; `auto`: by patient where patients are known, else as the deck.
        patients: the map of image ids to patients, a CSV; `None`: the data set's own, if it has one.
        make: writes so many phantoms into a folder, or finds them there.
        on_error: "stop" at X-rays that cannot be read, or "skip" them (`unreadable`).
    """

    name: str
    root: Path | None
    folder: Path
    profile: Profile
    rule: str = "auto"
    patients: Path | None = None
    make: Maker | None = None
    on_error: str = "stop"

    @property
    def is_phantom(self) -> bool:
        """Whether the images are synthetic, asked of the data set itself."""
        return self.root is None or is_drawn(self.root / "dataset.json")

    @property
    def label(self) -> str:
        """Label that is shown next to every number from this data set."""
        kind = "phantom data" if self.is_phantom else self.name
        kind = f"{SILVER} ({self.name})" if is_silver(self.name) else kind
        return f"{kind}, {self.profile.name} profile"

    @property
    def _root(self) -> Path:
        return self.root or paths.home() / "data" / f"phantom-{self.profile.phantom_images}"

    @cached_property
    def index(self) -> pd.DataFrame:
        """One row per image (`siim.load_index`), without those of `unreadable`.

        Raises:
            ParameterError: runs on other data of the same name are there.
        """
        if self._without_files:
            return _read_labels(self.folder / LABELS)
        left_out = self._found.image_id.isin(self.unreadable.image_id)
        index = self._found[~left_out].reset_index(drop=True) if left_out.any() else self._found
        _write_labels(self.folder / LABELS, index)
        return index

    def _refuse_other(self, index: pd.DataFrame) -> None:
        there = self.folder / LABELS
        if there.is_file() and not set(_read_labels(there).image_id) <= set(index.image_id):
            raise ParameterError(
                f"the name {self.name!r} is taken: {self.folder.parent} holds runs on other images, from another folder of "
                f"this name. Rename {self.root or self._root}, or set PNEUMO_HOME to keep these runs elsewhere."
            )

    @cached_property
    def _found(self) -> pd.DataFrame:
        if self.root is None and self.make is not None:
            self.make(self._root, self.profile.phantom_images)
        index = siim.load_index(self._root, patients=self.patients)
        self._refuse_other(index)
        return index

    @cached_property
    def unreadable(self) -> pd.DataFrame:
        """`image_id`, `error` of the files that `on_error` "skip" left out; listed in `unreadable.csv` next to the arrays."""
        if self.on_error == "stop" or self._without_files:
            return pd.DataFrame(columns=["image_id", "error"])
        # Only decoding tells.
        left_out = self._at(self.profile.image_sizes)[self.profile.image_sizes[0]].skipped
        if len(left_out):
            path = self.folder / "unreadable.csv"
            atomic.write_csv(path, left_out)
            print(
                f"{len(left_out)} of {len(self._found)} files cannot be read and are left out: {path}", file=sys.stderr
            )
        return left_out

    @property
    def _without_files(self) -> bool:
        """Whether the X-rays are not on this machine, but what was prepared of them is."""
        return self.root is not None and not self.root.is_dir() and (self.folder / LABELS).is_file()

    def at(self, size: int) -> Preprocessed:
        """The arrays at `size` x `size` pixels, made when first needed."""
        return self._at([size])[size]

    def _at(self, sizes: Sequence[int]) -> dict[int, Preprocessed]:
        """Arrays at several sizes, every file decoded once. Those that are there serve without the X-rays, too."""
        folders = {size: self.folder / str(size) for size in sizes if size not in self._arrays}
        if folders and self._without_files:
            self._arrays.update({size: array_store.load(folder) for size, folder in folders.items()})
        elif folders:
            self._arrays.update(preprocessing.prepare_sizes(self._found, folders, on_error=self.on_error))
        return {size: self._arrays[size] for size in sizes}

    @cached_property
    def _arrays(self) -> dict[int, Preprocessed]:
        """The arrays opened so far, by size: opening them reads a sample of every X-ray."""
        return {}

    def prepare(self) -> pd.DataFrame:
        """Makes the arrays of both stages' sizes; images and megabytes of each."""
        made = self._at(self.profile.image_sizes)
        rows = {
            size: {"images": len(one.images), "MB": (one.images.nbytes + one.masks.nbytes) / 1e6}
            for size, one in made.items()
        }
        return pd.DataFrame.from_dict(rows, orient="index").rename_axis("pixels a side").round(1)

    @cached_property
    def split(self) -> pd.Series:
        """train / validation / test by image, saved next to the arrays so that every run of every experiment sees the same."""
        path = self.folder / f"split-{self.split_rule}.csv"
        if not path.is_file():
            splits.save(path, self.index, splits.split(self.index, self.split_rule, seed=0, counts=self._counts))
        return splits.load(path, self.index)

    @property
    def _counts(self) -> tuple[int, int, int] | None:
        """Exact sizes of the subsets: the profile's, of a phantom data set of its size that is split by patient."""
        ours = self.is_phantom and self.split_rule == "patient" and len(self.index) == self.profile.phantom_images
        return self.profile.phantom_subsets if ours and self.index.labelled.all() else None

    @property
    def split_rule(self) -> str:
        """The rule in force."""
        return splits.default_rule(self.index) if self.rule == "auto" else self.rule

    def report(self) -> pd.DataFrame:
        """Sizes, positives and shared patients of each subset."""
        return splits.report(self.index, self.split)

    def leakage(self) -> pd.DataFrame:
        """`report` for every rule there is, whichever is in force: what splitting by image would let through."""
        rules = [rule for rule in SPLIT_RULES if rule != "auto" and (rule != "patient" or self.split_rule == "patient")]
        reports = []
        for rule in rules:
            try:
                reports.append(splits.report(self.index, splits.split(self.index, rule, seed=0)))
            except SplitError as error:
                # A handful of images cannot be split by every rule.
                reports.append(pd.DataFrame({"split": [str(error)], "rule": [rule]}))
        return pd.concat(reports, ignore_index=True).set_index("rule")

    def same_images(self) -> pd.DataFrame:
        """How many images show what another one shows, and how many such groups the split tears apart."""
        arrays = self.at(min(self.profile.image_sizes))
        return (
            splits.report_duplicates(arrays.images, self.split).rename(index={0: self.split_rule}).rename_axis("rule")
        )

    def part(self, name: str, size: int) -> Subset:
        """One subset ("train", "validation" or "test") at `size` x `size` pixels.

        Raises:
            SplitError: "test" under a rule that leaves none.
        """
        if name == "test" and self.split_rule in splits.WITHOUT_TEST:
            raise SplitError(
                f"split rule {self.split_rule!r} has no test images: score the run on other data (test_data), submit to "
                "the challenge, or use rule 'follow-up', which keeps a tenth for test."
            )
        arrays = self.at(size)
        rows = np.flatnonzero((self.split == name).fillna(False).to_numpy(bool))
        return Subset(arrays.images, arrays.masks, arrays.index.iloc[rows].reset_index(drop=True), rows)

    def labels(self, name: str, size: int) -> pd.DataFrame:
        """The rows of `index`, with the masks' run-length encodings, of one subset's images, in the order of `part`."""
        return (
            self.index.set_index("image_id", drop=False)
            .loc[self.part(name, size).index["image_id"]]
            .reset_index(drop=True)
        )


def _write_labels(path: Path, index: pd.DataFrame) -> None:
    table = index.drop(columns="path").assign(rle=index.rle.map("|".join))
    atomic.write_csv(path, table)


def _read_labels(path: Path) -> pd.DataFrame:
    """The index as `siim.load_index` gives it, with empty paths."""
    types = array_store.COLUMNS | {"rle": "str"}
    table = pd.read_csv(
        path, dtype=types, keep_default_na=False, na_values={name: [""] for name in types if name != "rle"}
    )
    table["rle"] = [tuple(text.split("|")) if text else () for text in table.rle]
    return table.reindex(columns=list(types)).assign(path="")


def is_drawn(mark: Path) -> bool:
    """Whether a file is the mark of a phantom data set; users' own folders may have another of its name."""
    try:
        found = json.loads(mark.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(found, dict) and "generator_version" in found


def is_silver(name: str) -> bool:
    """Whether the masks of the data set of this name are silver labels."""
    return "silver" in name


def open_dataset(
    data: str,
    profile: Profile,
    split: str = "auto",
    patients: str = "",
    make: Maker | None = None,
    on_error: str = "stop",
) -> Dataset:
    """The data set that the parameters `data`, `split` and `patients` of a notebook name.

    `make` writes the phantom: called with a folder and a number of images before they are first read.

    Raises:
        ParameterError: no such folder, map or rule.
    """
    if on_error not in preprocessing.ON_ERROR:
        raise ParameterError(f"unknown on_error={on_error!r}; choose from {', '.join(preprocessing.ON_ERROR)}.")
    if not data.strip():
        raise ParameterError(f"data is empty; give {PHANTOM!r} or the folder of a copy of SIIM-ACR.")
    if split not in SPLIT_RULES:
        raise ParameterError(f"unknown split={split!r}; choose from {', '.join(SPLIT_RULES)}.")
    chosen = None
    if patients:
        chosen = paths.given(patients).resolve()
        if not chosen.is_file():
            raise ParameterError(
                f"patients={patients!r} is not a file; give the CSV that maps image ids to NIH file names."
            )
    if data == PHANTOM:
        return Dataset(PHANTOM, None, _folder(PHANTOM, profile, split), profile, split, chosen, make, on_error)
    root = paths.given(data).resolve()
    name = paths.slug(root.name)
    if not root.is_dir() and not (_folder(name, profile, split) / LABELS).is_file():
        raise ParameterError(f"data={data!r} is not a folder; give {PHANTOM!r} or the folder of a copy of SIIM-ACR.")
    return Dataset(name, root, _folder(name, profile, split), profile, split, chosen, on_error=on_error)


def _folder(name: str, profile: Profile, split: str) -> Path:
    # A rule asked for by name has runs of its own, separate from those of the default rule.
    suffix = "" if split == "auto" else f"-{split}"
    return paths.home() / "runs" / f"{name}-{profile.name}{suffix}" / "prepared"
