"""One run: an experiment, a data set, a profile and a seed, and the folder where all it makes is kept."""

import shlex
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from pneumo_lib import experiments, paths, profiles
from pneumo_lib.data import source
from pneumo_lib.errors import PneumoError
from pneumo_lib.model import initial as initial_weights
from pneumo_lib.model import precision as precisions
from pneumo_lib.model import weights as weight_files


class RunError(PneumoError):
    """A parameter with a wrong value, or a step whose predecessor has not been run."""


@dataclass(frozen=True)
class Trained:
    """What training left: `history`, one row an epoch of all stages; `stages`, settings, scores and cost of each."""

    history: pd.DataFrame
    stages: list[dict]

    @classmethod
    def read(cls, stages: list[Path]) -> "Trained":
        """From the weights files of the stages and the tables beside them."""
        history = pd.concat([pd.read_csv(path.with_suffix(".csv")) for path in stages], ignore_index=True)
        return cls(history, [weight_files.about(path) for path in stages])

    def cost(self) -> pd.DataFrame:
        """What each stage took: device, precision, time, speed, memory, and energy where the device tells."""
        titles = [f"stage {stage['settings']['stage']}" for stage in self.stages]
        return pd.DataFrame(
            {
                title: {
                    "device": f"{cost.get('processes', 1)} x {cost['device']}",
                    "precision": precisions.TITLES.get(cost.get("precision"), "not noted"),
                    "minutes": round(cost["seconds_training"] / 60, 1),
                    "images a second": cost["images_per_second"],
                    "peak memory, GB": cost.get("peak_memory_gb", "not measured"),
                    "energy, kJ": "not told" if cost.get("energy_kj") is None else cost["energy_kj"],
                }
                for title, cost in zip(titles, (stage["cost"] for stage in self.stages), strict=True)
            }
        ).T


@dataclass(frozen=True)
class Run:
    """What the notebooks share. Files in `folder`, written by the step in brackets:

    `stage1.safetensors`, `stage2.safetensors` (train), `history.csv`, `training.json` (train), `validation.npy`,
    `thresholds.json` (sweep), `test.npy`, `record.json`, `per_image.csv` (test).
    """

    experiment: experiments.Experiment
    source: source.Source
    seed: int
    # What the first stage starts from; `None`: the encoder weights that the experiment names.
    initial: initial_weights.Initial | None = None

    @property
    def folder(self) -> Path:
        return self.folder_of(self.experiment.name)

    def folder_of(self, experiment: str) -> Path:
        """The folder of another experiment on the same data, profile and seed."""
        return self.source.folder.parent / experiment / f"seed{self.seed}"

    @property
    def label(self) -> str:
        """What stands beside every number of this run."""
        return f"{self.source.label}, seed {self.seed}"

    def weights(self, stage: int) -> Path:
        """The weights file of stage 1 or 2; stage 1 may be another experiment's (`starts_from`)."""
        owner = self.experiment.starts_from if stage == 1 else None
        return self.folder_of(owner or self.experiment.name) / f"stage{stage}.safetensors"

    @property
    def final_weights(self) -> Path:
        return self.weights(len(self.experiment.stages))

    @property
    def stage_files(self) -> list[Path]:
        """The weights of every stage, in order."""
        return [self.weights(number + 1) for number in range(len(self.experiment.stages))]

    def trained(self) -> Trained:
        """What training left.

        Raises:
            RunError: not trained yet; says how.
        """
        self.needs(self.final_weights, "train")
        return Trained.read(self.stage_files)

    def first_stage(self) -> Path | None:
        """The finished first stage that the experiment starts from; `None` where it trains its own.

        Raises:
            RunError: it has not been trained; says how.
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
            RunError: it is not; says which notebook makes it.
        """
        if not path.is_file():
            parameters = f"-p exp {experiment or self.experiment.name} -p profile {self.experiment.profile}"
            parameters += f" -p data {shlex.quote(str(self.source.root))}" if self.source.root else ""
            parameters += f" -p seed {self.seed}" if self.seed else ""
            parameters += f" -p split {self.source.rule}" if self.source.rule != "auto" else ""
            parameters += f" -p patients {shlex.quote(str(self.source.patients))}" if self.source.patients else ""
            raise RunError(
                f"{paths.shown(path)} is missing; first run: papermill notebooks/{notebook}.ipynb "
                f"runs/{experiment or self.experiment.name}-{notebook}.ipynb {parameters}"
            )
        return path


def start(
    exp: str = "exp4",
    data: str = source.PHANTOM,
    profile: str = "demo",
    seed: int = 0,
    split: str = "auto",
    patients: str = "",
    weights: str = "auto",
    accumulate: int = 1,
    force: bool = False,
    precision: str = "auto",
) -> Run:
    """Checks a notebook's parameters and gives the run that they name; nothing is written yet.

    `accumulate`, `force` and `precision` are only checked here; they are arguments of `training.train`.

    Raises:
        ExperimentError, ProfileError, SourceError, WeightsError, PrecisionError, RunError: a wrong value; the sentence
            lists the valid ones.
    """
    experiment = experiments.get(exp, profile)
    # bool is an int to Python, and papermill turns `-p seed 1.5` into a float and `-p seed x` into a string.
    if not isinstance(seed, int) or isinstance(seed, bool) or not 0 <= seed < 2**31:
        raise RunError(f"seed={seed!r} is no seed; give a whole number from 0 to {2**31 - 1}.")
    if not isinstance(accumulate, int) or isinstance(accumulate, bool) or accumulate < 1:
        raise RunError(f"accumulate={accumulate!r} is no number of forward passes; give a whole number from 1.")
    if not isinstance(force, bool):
        raise RunError(f"force={force!r} is neither true nor false; with papermill, pass it as: -p force True")
    precisions.choose(precision)
    for name, value in (("data", data), ("split", split), ("patients", patients)):
        if not isinstance(value, str):
            raise RunError(f"{name}={value!r} is no text; with papermill, pass it as: -r {name} {value}")
    opened = source.open_source(data, profiles.get(profile), split, patients)
    return Run(experiment, opened, seed, initial_weights.choose(weights))
