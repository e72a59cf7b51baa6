"""The record of a run, enough to redraw its tables and figures without the model, and its publication."""

import json
import platform
import subprocess
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import numpy as np
import pandas as pd

from pneumo_lib import atomic, experiments, paths, run_log
from pneumo_lib.data.dataset import SILVER, is_silver
from pneumo_lib.errors import ParameterError, RecordError
from pneumo_lib.metrics.interval import Interval

FORMAT = 2
HEADLINE = "validation"
"""The protocol that counts: thresholds that the test images had no say in."""
KINDS = ("own", "study", "external")
"""A run of the registry, an arm of a study, and a finished run's score on another data set."""

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
    """A run's results.

    folder: its place.
    values: as written by `write`.
    per_image: one row per test image.
    history: one row per epoch.
    validation: one row per validation image, with the thresholds chosen on these images.
    """

    folder: Path
    values: dict
    per_image: pd.DataFrame
    history: pd.DataFrame
    validation: pd.DataFrame

    @property
    def name(self) -> str:
        return self.values["experiment"]["name"]

    @property
    def label(self) -> str:
        """Data, profile and seed, shown next to its numbers."""
        text = self.values["label"]
        return f"{SILVER}: {text}" if self.silver and SILVER not in text else text

    @property
    def kind(self) -> str:
        """One of `KINDS`."""
        return _kind(self.folder)

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
        "study": run.study,
        "arm": run.arm,
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
        "unreadable_images": len(run.dataset.unreadable),
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


def write(
    folder: Path, values: dict, per_image: pd.DataFrame, history: pd.DataFrame, validation: pd.DataFrame | None = None
) -> Record:
    """Writes `history.csv`, `per_image.csv`, `validation.csv` and, last, `record.json`; NaN becomes null."""
    # Until its tables are those of this run there is no record.
    (folder / "record.json").unlink(missing_ok=True)
    atomic.write_csv(folder / "history.csv", history)
    atomic.write_csv(folder / "per_image.csv", per_image)
    if validation is None:
        validation = pd.DataFrame(columns=["image_id", "patient_id", "truth_px", "dsc", "iou", "stepwise_iou"])
    atomic.write_csv(folder / "validation.csv", validation)
    atomic.write_json(folder / "record.json", plain(values))
    run_log.say(folder, "tested; record.json holds the scores", console=False)
    return read(folder)


def read(folder: Path) -> Record:
    """A record of today's registry; that of a study's arm is compared with the fields of an experiment only.

    Raises:
        RecordError: missing, damaged, of another format, or made with other settings than the registry's; names the field.
    """
    path = Path(folder) / "record.json"
    tables = [path.with_name(f"{name}.csv") for name in ("per_image", "history", "validation")]
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        per_image, history, validation = (pd.read_csv(table) for table in tables)
    except (OSError, ValueError) as error:
        raise RecordError(f"cannot read {paths.shown(path)} ({error}); run notebooks/test.ipynb again.") from error
    _check_format(path, values)
    _check_settings(path, values)
    return Record(path.parent, values, per_image, history, validation)


def _check_format(path: Path, values: dict) -> None:
    if not isinstance(values, dict) or values.get("format") != FORMAT:
        raise RecordError(f"{paths.shown(path)} has another format than {FORMAT}; run the experiment again.")


def _check_settings(path: Path, values: dict) -> None:
    """Raises RecordError unless the experiment is that of the registry; arms of studies are not in it."""
    try:
        found = values["experiment"]
        name, profile = found["name"], found["profile"]
        arm = values.get("study") or _kind(path.parent) == "study"
        today = found if arm else plain(experiments.get(name, profile).as_dict())
    except (KeyError, TypeError) as error:
        raise RecordError(f"{paths.shown(path)} names no experiment; run notebooks/test.ipynb again.") from error
    except ParameterError as error:
        raise RecordError(
            f"{paths.shown(path)} belongs to an experiment that is not in the registry: {error}"
        ) from error
    for field in sorted(set(today) | set(found)):
        if today.get(field) != found.get(field):
            raise RecordError(
                f"{paths.shown(path)} was made with {field}={found.get(field)}, the registry says {today.get(field)}; "
                "run the experiment again or correct experiments.py."
            )


def _kind(folder: Path) -> str:
    """By place: `.../external/<data>` and `.../studies/<study>/<arm>/seed<n>` are no runs of the registry."""
    above = [parent.name for parent in Path(folder).parents]
    if above[:1] == ["external"]:
        return "external"
    return "study" if above[2:3] == ["studies"] else "own"


def find(folder: Path, kind: str | None = "own") -> list[Record]:
    """All records below a folder, sorted by experiment and seed; empty if there are none.

    Args:
        folder: searched at any depth.
        kind: one of `KINDS`; None: all. Records of other kinds are not read.

    Raises:
        RecordError: as `read`; or an unknown kind.
    """
    if kind not in (None, *KINDS):
        raise RecordError(f"unknown kind of record {kind!r}; choose from {', '.join(KINDS)}.")
    folders = [path.parent for path in sorted(Path(folder).glob("**/record.json"))]
    found = [read(one) for one in folders if kind in (None, _kind(one))]
    return sorted(found, key=lambda record: (record.name, record.values["seed"]))


def plain(value):
    """Nested containers with numpy values → what JSON can hold."""
    if isinstance(value, Interval):
        return value.as_json()
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


def by_pipeline(found: list[Record]) -> dict[str, list[Record]]:
    """Name of each pipeline → the records of its seeds, in the order found."""
    return {name: [one for one in found if one.name == name] for name in dict.fromkeys(one.name for one in found)}


def best(found: list[Record]) -> Record:
    """The first seed of the pipeline with the highest mean DSC on validation images, averaged over its seeds.

    Test images have no say in the choice, so the best pipeline's test score is not the best of several draws.
    """
    seeds = by_pipeline(found)
    means = {name: np.mean([one.validation["dsc"].mean() for one in records]) for name, records in seeds.items()}
    return min(seeds[max(means, key=means.get)], key=lambda record: record.values["seed"])


def headline(record: Record) -> dict:
    """The test scores with the thresholds chosen on validation."""
    return record.values["test"][HEADLINE]["scores"]


EXPLORER = "explorer-data.js"
PICTURES = ("gallery.png", EXPLORER)
"""What the book shows of a run in addition to its numbers; of patients' X-rays never published."""


def publish(runs: Path, results: Path) -> list[Path]:
    """Copies what the book needs of every record below `runs` to the same place below `results`; what was written.

    Records of studies and of external test sets are copied too, without pictures. The explorer's data, a megabyte per run,
    are copied of one seed of each pipeline. Of patients' X-rays numbers are copied, without ids.

    Raises:
        RecordError: a damaged record, or both folders are the same.
    """
    if Path(runs).resolve() == Path(results).resolve():
        raise RecordError(f"{results} is the folder of the runs themselves; name another one to publish in.")
    found = find(runs, kind=None)
    shown = [record for record in found if record.values["synthetic"] and record.kind == "own"]
    explored = [seeds[0] for seeds in by_pipeline(shown).values()]
    written = []
    for record in found:
        folder = Path(results) / record.folder.resolve().relative_to(Path(runs).resolve())
        if record.kind == "study":
            written += _publish_arm(record, folder)
            continue
        pictures = ["gallery.png"] if record.values["synthetic"] and record.kind == "own" else []
        written += _publish_one(
            record, folder, [*pictures, *([EXPLORER] if any(record is one for one in explored) else [])]
        )
    return written


def _publish_one(record: Record, folder: Path, pictures: list[str]) -> list[Path]:
    """Copies one record to `folder`; what was written."""
    for name in PICTURES:
        # What an earlier run left is not this one's.
        (folder / name).unlink(missing_ok=True)
    images, written = {"per_image.csv": record.per_image, "validation.csv": record.validation}, []
    # Phantoms that a run was tested on tell nothing of its own validation images, which may be of patients.
    phantoms = record.values["synthetic"] and record.kind == "own"
    if not phantoms:
        for name, frame in images.items():
            atomic.write_csv(folder / name, without_ids(frame))
            written.append(folder / name)
    return written + _copied(record, folder, ["history.csv", *pictures, *(images if phantoms else [])])


def _copied(record: Record, folder: Path, names: list[str]) -> list[Path]:
    """Copies those of the files that are there, then record.json, without which the folder holds no record."""
    there = [name for name in names if (record.folder / name).is_file()]
    return [atomic.copy(record.folder / name, folder / name) for name in [*there, "record.json"]]


KEPT_OF_ARMS = ("image_id", "patient_id", "truth_px", "max_probability", "dsc")
"""Columns of an arm's tables of images that are published: what the studies' endpoints are made of."""


def _publish_arm(record: Record, folder: Path) -> list[Path]:
    """Copies a study's record to `folder`, tables of images slim: no ids, four decimals; what was written."""
    written = []
    names = ["per_image.csv", "validation.csv", "choices.csv", "choices-thresholds.csv"]
    there = [record.folder / name for name in names] + sorted((record.folder / "endings").glob("*.csv"))
    for source in there:
        if not source.is_file():
            continue
        target = folder / source.relative_to(record.folder)
        atomic.write_csv(target, slim(pd.read_csv(source), everything=source.name == "choices.csv"))
        written.append(target)
    return written + _copied(record, folder, ["history.csv"])


def slim(table: pd.DataFrame, everything: bool = False) -> pd.DataFrame:
    """A table of images without ids and with four decimals; of the columns those of `KEPT_OF_ARMS`, or all.

    A table that is not of images is only rounded.
    """
    if "image_id" not in table:
        return table.round(4)
    kept = list(table) if everything else [name for name in KEPT_OF_ARMS if name in table]
    return without_ids(table[kept]).round(4)


def without_ids(per_image: pd.DataFrame) -> pd.DataFrame:
    """Numbers in place of the ids: images counted from 1, and which of them are of one patient where that is known.

    What the files say of each patient goes too; the record has it by groups.
    """
    patients = pd.Series(pd.factorize(per_image["patient_id"])[0] + 1, index=per_image.index)
    per_image = per_image.drop(columns=["view", "sex", "age_band"], errors="ignore")
    return per_image.assign(image_id=range(1, len(per_image) + 1), patient_id=patients.where(patients > 0))
