"""The record of a run: small, plain, enough to redraw its tables and figures without the model; and which is published."""

import json
import platform
import shutil
import subprocess
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import numpy as np
import pandas as pd

from pneumo_lib import atomic, experiments, paths
from pneumo_lib.data.dataset import SILVER, is_silver
from pneumo_lib.errors import ParameterError, RecordError
from pneumo_lib.evaluation.scores import HEADLINE

FORMAT = 1
"""The row of the test table that counts: thresholds that the test images had no say in."""

_PACKAGES = [
    "pneumo-lib",
    "torch",
    "segmentation-models-pytorch",
    "lightning",
    "albumentations",
    "pydicom",
    "numpy",
    "numba",
]


@dataclass(frozen=True)
class Record:
    """`values` as written by `write`; `per_image` one row a test image; `history` one row an epoch; `folder` its place."""

    folder: Path
    values: dict
    per_image: pd.DataFrame
    history: pd.DataFrame

    @property
    def name(self) -> str:
        return self.values["experiment"]["name"]

    @property
    def label(self) -> str:
        """Data, profile and seed: what stands beside its numbers."""
        text = self.values["label"]
        return f"{SILVER}: {text}" if self.silver and SILVER not in text else text

    @property
    def silver(self) -> bool:
        """Whether it is scored against silver labels, which say how well another model is imitated."""
        return is_silver(self.values["data"])


def about(run) -> dict:
    """What a record says of a run whatever its results: experiment, data, split, seed, label and environment."""
    split = run.dataset.split
    positive = run.dataset.index["positive"].fillna(False).to_numpy(bool)
    return {
        "format": FORMAT,
        "label": run.label,
        "synthetic": run.dataset.is_phantom,
        "experiment": run.experiment.as_dict(),
        "data": run.dataset.name,
        "split": {
            "rule": run.dataset.split_rule,
            "images": {part: int((split == part).sum()) for part in ("train", "validation", "test")},
            "positive": {
                part: int(((split == part).to_numpy(bool, na_value=False) & positive).sum())
                for part in ("train", "validation", "test")
            },
        },
        "seed": run.seed,
        "environment": environment(),
    }


def environment() -> dict:
    """Versions, platform and commit; nothing that names a person or a machine."""
    return {
        "python": platform.python_version(),
        "platform": f"{platform.system()} {platform.machine()}",
        "commit": _commit(),
        "packages": {name: metadata.version(name) for name in _PACKAGES},
    }


def write(folder: Path, values: dict, per_image: pd.DataFrame, history: pd.DataFrame) -> Record:
    """Writes `history.csv`, `per_image.csv` and, last, `record.json`; numpy values become plain ones, NaN becomes null."""
    # Until its tables are those of this run there is no record.
    (folder / "record.json").unlink(missing_ok=True)
    atomic.write_csv(folder / "history.csv", history)
    atomic.write_csv(folder / "per_image.csv", per_image)
    atomic.write_json(folder / "record.json", plain(values))
    return read(folder)


def read(folder: Path) -> Record:
    """A record of today's registry.

    Raises:
        RecordError: missing, damaged, of another format, or made with other settings than the registry's; names the field.
    """
    path = Path(folder) / "record.json"
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        per_image, history = pd.read_csv(path.with_name("per_image.csv")), pd.read_csv(path.with_name("history.csv"))
    except (OSError, ValueError) as error:
        raise RecordError(
            f"{paths.shown(path)} is no whole record ({error}); run notebooks/test.ipynb again."
        ) from error
    if not isinstance(values, dict) or values.get("format") != FORMAT:
        raise RecordError(f"{paths.shown(path)} is of another format than {FORMAT}; run the experiment again.")
    try:
        found = values["experiment"]
        today = plain(experiments.get(found["name"], found["profile"]).as_dict())
    except (KeyError, TypeError) as error:
        raise RecordError(f"{paths.shown(path)} names no experiment; run notebooks/test.ipynb again.") from error
    except ParameterError as error:
        raise RecordError(f"{paths.shown(path)} is of no experiment of today's registry: {error}") from error
    for field in sorted(set(today) | set(found)):
        if today.get(field) != found.get(field):
            raise RecordError(
                f"{paths.shown(path)} was made with {field}={found.get(field)}, the registry says {today.get(field)}; "
                "run the experiment again or mend experiments.py."
            )
    return Record(path.parent, values, per_image, history)


def find(folder: Path) -> list[Record]:
    """All records below a folder, sorted by experiment and seed; none is an empty list."""
    found = [read(path.parent) for path in sorted(Path(folder).glob("**/record.json"))]
    return sorted(found, key=lambda record: (record.name, record.values["seed"]))


def plain(value):
    """Nested containers with numpy values → what JSON can hold."""
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | np.ndarray):
        return [plain(item) for item in value]
    if isinstance(value, np.generic):
        value = value.item()
    return None if isinstance(value, float) and not np.isfinite(value) else value


def _commit() -> str | None:
    """The repository's commit, `-dirty` behind it where files differ; None outside a repository."""
    try:
        command = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty", "--abbrev=12"]
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=20).stdout.strip() or None
    except (OSError, subprocess.SubprocessError):
        return None


def side_by_side(found: list[Record], name: str, other: str) -> pd.DataFrame:
    """DSC of two pipelines on the test images of both, the mean over each one's seeds: `dsc`, `dsc_other`, `patient_id`."""
    mine, theirs = (mean_over_seeds([record for record in found if record.name == one]) for one in (name, other))
    return mine.join(theirs["dsc"].rename("dsc_other"), how="inner")


def mean_over_seeds(seeds: list[Record]) -> pd.DataFrame:
    """One row a test image: `dsc`, the mean over the seeds, with `patient_id` and `truth_px`."""
    images = pd.concat([record.per_image for record in seeds]).groupby("image_id")
    return images.agg({"dsc": "mean", "patient_id": "first", "truth_px": "first"})


def best(found: list[Record]) -> Record:
    """The record of the best pipeline on test, by mean DSC with the thresholds chosen on validation.

    Pipelines with several seeds count with the mean of these, and the first one stands for all: a lucky seed is no merit.
    """
    means = {
        name: np.mean([headline(record)["dsc"][0] for record in found if record.name == name])
        for name in dict.fromkeys(record.name for record in found)
    }
    top = max(means, key=means.get)
    return min((record for record in found if record.name == top), key=lambda record: record.values["seed"])


def headline(record: Record) -> dict:
    """The test scores with the thresholds chosen on validation."""
    return record.values["test"][HEADLINE]["scores"]


EXPLORER = "explorer-data.js"
PICTURES = ("gallery.png", EXPLORER)
"""What the book shows of a run beside its numbers; of patients' X-rays never published."""


def publish(runs: Path, results: Path) -> list[Path]:
    """Copies what the book needs of every run below `runs` to the same place below `results`; what was written.

    The explorer's data, a megabyte a run, are copied of the best pipeline only.

    Raises:
        RecordError: a damaged record, or both folders are the same.
    """
    written, found = [], find(runs)
    if Path(runs).resolve() == Path(results).resolve():
        raise RecordError(f"{results} is the folder of the runs themselves; name another one to publish in.")
    synthetic = [record for record in found if record.values["synthetic"]]
    explored = best(synthetic) if synthetic else None
    for record in found:
        folder = results / record.folder.resolve().relative_to(Path(runs).resolve())
        folder.mkdir(parents=True, exist_ok=True)
        for name in PICTURES:
            # What an earlier run left is not this one's.
            (folder / name).unlink(missing_ok=True)
        names = ["record.json", "history.csv"]
        if record.values["synthetic"]:
            names += ["per_image.csv", "gallery.png", *([EXPLORER] if record is explored else [])]
        else:
            atomic.write_csv(folder / "per_image.csv", without_ids(record.per_image))
            written.append(folder / "per_image.csv")
        there = [name for name in names if (record.folder / name).is_file()]
        written += [Path(shutil.copy(record.folder / name, folder / name)) for name in there]
    return written


def without_ids(per_image: pd.DataFrame) -> pd.DataFrame:
    """Numbers in place of the ids: images counted from 1, and which of them are of one patient where that is known.

    What the files say of each patient goes too; the record has it by groups.
    """
    patients = pd.Series(pd.factorize(per_image["patient_id"])[0] + 1, index=per_image.index)
    per_image = per_image.drop(columns=["view", "sex", "age_band"], errors="ignore")
    return per_image.assign(image_id=range(1, len(per_image) + 1), patient_id=patients.where(patients > 0))
