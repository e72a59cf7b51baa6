"""One run: an experiment, a data set, a profile and a seed, and the folder where all it makes is kept.

Nothing here imports PyTorch before it is needed: every job of the graph and every wrong parameter passes through `start`.
"""

import json
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from pneumo_lib import experiments, hardware, parameters, paths, phantom, profiles, starts
from pneumo_lib.data import dataset, external, radiographs
from pneumo_lib.data.dataset import Dataset
from pneumo_lib.errors import ParameterError, RadiographError, StepError
from pneumo_lib.experiments import Experiment

if TYPE_CHECKING:
    from pneumo_lib.evaluation.inference import TrainedModel
    from pneumo_lib.model.weights import InitialWeights
    from pneumo_lib.training.two_stage import TrainingResult


def from_parameters(xrays: str, model: str, out: str, existing: str = "refuse") -> "tuple[Path, TrainedModel, Path]":
    """The parameters of notebooks/predict: where the X-rays are, the loaded model, and the folder to write into.

    Args:
        xrays: a DICOM file, a PNG or a folder; "phantom" stands for 24 phantoms, drawn if they are not there.
        model: a run's folder or one with exported weights; "": exp4's of the demo runs.
        out: folder; "": `runs/predictions/` and the name of the X-rays.
        existing: "refuse", "overwrite" or "continue" where `out` holds predictions.

    Raises:
        PneumoError: no text, nothing there, no finished model, or predictions in `out` already.
    """
    parameters.refuse_unknown()
    if existing not in ("refuse", "overwrite", "continue"):
        raise ParameterError(f"unknown existing={existing!r}; choose from refuse, overwrite, continue.")
    for name, value in (("xrays", xrays), ("model", model), ("out", out)):
        if not isinstance(value, str):
            raise RadiographError(f"{name} must be text, not {value!r}; with papermill, pass it as: -r {name} {value}")
    home = paths.home()
    from pneumo_lib.evaluation import inference

    loaded = inference.load_model(model or home / "runs" / "phantom-demo" / "exp4" / "seed0")
    source = paths.given(xrays) if xrays != "phantom" else phantom.write_dataset(home / "data" / "phantom-24", 24)
    radiographs.find([source])
    folder = paths.given(out) if out else home / "runs" / "predictions" / paths.slug(source.stem)
    if existing == "refuse" and (folder / "predictions.csv").exists():
        raise RadiographError(
            f"out={folder} already contains predictions; choose another folder, or existing: overwrite or continue."
        )
    return source, loaded, folder


@dataclass(frozen=True)
class Run:
    """What the notebooks share. Files in `folder`, written by the step in brackets:

    `stage1.safetensors`, `stage2.safetensors` (train), `history.csv`, `training.json` (train), `validation.npy`,
    `thresholds.json` (sweep), `test.npy`, `record.json`, `per_image.csv` (test).
    """

    experiment: Experiment
    dataset: Dataset
    seed: int
    # What the first stage starts from; `None`: the encoder weights that the experiment names.
    initial: "InitialWeights | None" = None
    # The study and its arm that the run belongs to; `None`: the registry's experiments.
    study: str | None = None
    arm: str | None = None

    @property
    def folder(self) -> Path:
        if self.study and self.arm:
            return self.dataset.folder.parent / "studies" / self.study / self.arm / f"seed{self.seed}"
        return self.folder_of(self.experiment.name)

    @property
    def own(self) -> "Run":
        """The run on its own data: whose weights and thresholds these are."""
        return self

    def folder_of(self, experiment: str) -> Path:
        """The folder of another experiment on the same data, profile and seed."""
        return self.dataset.folder.parent / experiment / f"seed{self.seed}"

    @property
    def label(self) -> str:
        """Label that is shown next to every number of this run."""
        return f"{self.dataset.label}, seed {self.seed}"

    def weights(self, stage: int) -> Path:
        """The weights file of stage 1 or 2; stage 1 may be another experiment's (`starts_from`)."""
        owner = self.experiment.starts_from if stage == 1 else None
        return (self.folder_of(owner) if owner else self.folder) / f"stage{stage}.safetensors"

    @property
    def final_weights(self) -> Path:
        return self.weights(len(self.experiment.stages))

    @property
    def stage_files(self) -> list[Path]:
        """The weights of every stage, in order."""
        return [self.weights(number + 1) for number in range(len(self.experiment.stages))]

    def trained(self) -> "TrainingResult":
        """What training left.

        Raises:
            StepError: not trained yet; says how.
        """
        self.needs(self.final_weights, "train")
        from pneumo_lib.training.two_stage import TrainingResult

        return TrainingResult.read(self.stage_files)

    def first_stage(self) -> Path | None:
        """The finished first stage that the experiment starts from; `None` where it trains its own.

        Raises:
            StepError: it has not been trained; says how.
        """
        return (
            self.needs(self.weights(1), "train", self.experiment.starts_from) if self.experiment.starts_from else None
        )

    def files(self) -> pd.DataFrame:
        """What lies in the run's folder, with sizes."""
        found = sorted(path for path in self.folder.glob("[!.]*") if path.is_file())
        sizes = [f"{path.stat().st_size / 1e6:.1f} MB" for path in found]
        return pd.DataFrame({"size": sizes}, index=pd.Index([paths.shown(path) for path in found], name="file"))

    def needs(self, path: Path, notebook: str, experiment: str | None = None) -> Path:
        """`path`, if it is there.

        Raises:
            StepError: it is not; says which notebook makes it.
        """
        if not path.is_file() and self.study:
            raise StepError(
                f"{paths.shown(path)} is missing; first run: pneumo study {self.study} --arm {self.arm} --seeds {self.seed} "
                f"--profile {self.experiment.profile}"
            )
        if not path.is_file():
            parameters = f"-p exp {experiment or self.experiment.name} -p profile {self.experiment.profile}"
            parameters += f" -p data {shlex.quote(str(self.dataset.root))}" if self.dataset.root else ""
            parameters += f" -p seed {self.seed}" if self.seed else ""
            parameters += f" -p split {self.dataset.rule}" if self.dataset.rule != "auto" else ""
            parameters += f" -p patients {shlex.quote(str(self.dataset.patients))}" if self.dataset.patients else ""
            parameters += f" -p on_error {self.dataset.on_error}" if self.dataset.on_error != "stop" else ""
            raise StepError(
                f"{paths.shown(path)} is missing; first run: papermill notebooks/{notebook}.ipynb "
                f"runs/{experiment or self.experiment.name}-{notebook}.ipynb {parameters}"
            )
        return path


@dataclass(frozen=True)
class ExternalRun(Run):
    """A finished run on other data: weights and thresholds are the run's own, what the test writes lies in `folder`."""

    origin: Run | None = None

    @property
    def own(self) -> Run:
        return self.origin or self

    @property
    def folder(self) -> Path:
        return self.dataset.folder.parent

    @property
    def label(self) -> str:
        return f"{self.own.label}; tested on {self.dataset.label.rsplit(', ', 1)[0]}"

    def weights(self, stage: int) -> Path:
        return self.own.weights(stage)

    def folder_of(self, experiment: str) -> Path:
        return self.own.folder_of(experiment)

    def needs(self, path: Path, notebook: str, experiment: str | None = None) -> Path:
        return self.own.needs(path, notebook, experiment)


def on_other_data(run: Run, test_data: str, test_patients: str = "", seen: str = "refuse") -> ExternalRun:
    """The run on another test set, in `<run>/external/<data>`; see `external.open_external` for arguments and errors."""
    size = run.experiment.image_size
    other = external.open_external(run.dataset, size, run.folder / "external", test_data, test_patients, seen)
    return ExternalRun(run.experiment, other, run.seed, run.initial, run.study, run.arm, origin=run)


def start(
    exp: str = "exp4",
    data: str = dataset.PHANTOM,
    profile: str = "demo",
    seed: int = 0,
    split: str = "auto",
    patients: str = "",
    weights: str = "auto",
    accumulate: int = 1,
    force: bool = False,
    precision: str = "auto",
    logger: str = "none",
    encoder: str = "auto",
    on_error: str = "stop",
) -> Run:
    """Checks a notebook's parameters and gives the run that they name; nothing is written yet.

    `accumulate`, `force`, `precision` and `logger` are only checked here; they are arguments of `training.train`.

    Raises:
        ParameterError, WeightsError: a wrong value; the sentence lists the valid ones.
    """
    parameters.refuse_unknown()
    experiments.get(exp, profile)
    # bool is an int to Python, and papermill turns `-p seed 1.5` into a float and `-p seed x` into a string.
    if not isinstance(seed, int) or isinstance(seed, bool) or not 0 <= seed < 2**31:
        raise ParameterError(f"seed must be a whole number from 0 to {2**31 - 1}, not {seed!r}.")
    if not isinstance(accumulate, int) or isinstance(accumulate, bool) or accumulate < 1:
        raise ParameterError(f"accumulate must be a whole number from 1, not {accumulate!r}.")
    if not isinstance(force, bool):
        raise ParameterError(f"force must be true or false, not {force!r}; with papermill, pass it as: -p force True")
    hardware.checked_precision(precision)
    parameters.checked_logger(logger)
    for name, value in (("data", data), ("split", split), ("patients", patients)):
        if not isinstance(value, str):
            raise ParameterError(f"{name} must be text, not {value!r}; with papermill, pass it as: -r {name} {value}")
    opened = dataset.open_dataset(
        data, profiles.get(profile), split, patients, make=phantom.write_dataset, on_error=on_error
    )
    initial = parameters.checked_weights(weights)
    name = starts.chosen(exp, parameters.checked_encoder(encoder), initial.label if initial else None)
    return Run(experiments.get(name, profile), opened, seed, initial)


def overview(data: str = dataset.PHANTOM, profile: str = "demo", split: str = "auto") -> pd.DataFrame:
    """The runs on a data set with a profile, one row each: experiment, seed, how far it is, its scores on test and its folder.

    Scores are those of the headline: thresholds chosen on validation, masks compared at 512 x 512.

    Raises:
        ParameterError: a wrong value.
    """
    base = start(data=data, profile=profile, split=split)
    rows = []
    for folder in sorted(base.folder.parent.parent.glob("*/seed*")):
        number = folder.name.removeprefix("seed")
        known = (*experiments.EXPERIMENTS, *experiments.VARIANTS)
        if folder.parent.name.partition(starts.SEPARATOR)[0] not in known or not number.isdecimal():
            continue
        seed = int(number)
        run = Run(experiments.get(folder.parent.name, profile), base.dataset, seed)
        size = sum(path.stat().st_size for path in folder.glob("*") if path.is_file()) / 1e6
        done = {
            "trained": run.final_weights.is_file(),
            "swept": (folder / "thresholds.json").is_file(),
            "tested": (folder / "record.json").is_file(),
        }
        rows.append(
            {"experiment": run.experiment.name, "seed": seed, "state": _state(run, done)}
            | (_headline(folder / "record.json") if done["tested"] else {})
            | {"MB": round(size, 1), "folder": str(folder)}
        )
    order = ["experiment", "seed", "state", *HEADLINE_SCORES, "MB", "folder"]
    table = pd.DataFrame(rows)
    return table[[name for name in order if name in table]]


HEADLINE_SCORES = {"mean DSC": "dsc", "positive-only DSC": "positive_dsc"}


def _headline(record: Path) -> dict[str, float]:
    """The headline's scores, of a record as `records.write` makes it; {} of an older format."""
    try:
        scores = json.loads(record.read_text(encoding="utf-8"))["test"]["validation"]["scores"]
        return {title: round(scores[name]["value"], 3) for title, name in HEADLINE_SCORES.items()}
    except (ValueError, KeyError, TypeError):
        return {}


def _state(run: Run, done: dict[str, bool]) -> str:
    """How far a run is: tested, swept, trained, interrupted at an epoch of all stages together, or not begun."""
    reached = [step for step, there in done.items() if there]
    if reached:
        return reached[-1]
    # A stage's history grows with each epoch.
    histories = [path.with_suffix(".csv") for path in run.stage_files if path.parent == run.folder]
    epochs = sum(len(pd.read_csv(path)) for path in histories if path.is_file())
    return f"interrupted at epoch {epochs}" if epochs else "not trained"
