"""Runs the studies of `studies.py`: each arm with each seed once, then other endings and other choices of the base's runs.

An arm's run lies in `runs/<data>-<profile>/studies/<study>/<arm>/seed<n>/`. An arm that is trained like the base is not
trained again: it resolves to the run of arm A of the study two-stage, and so do the studies averaging (A and B) and
post-processing (A), which need no training. Beside a run's record lie, for A and B, `endings/` (see `endings`) and, for A,
`choices.csv` (see `choices`).
"""

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pneumo_lib import experiments, phantom, profiles, studies
from pneumo_lib.data import dataset
from pneumo_lib.data.dataset import Dataset
from pneumo_lib.errors import ParameterError
from pneumo_lib.experiments import Experiment
from pneumo_lib.runs import Run

FIRST = "two-stage"
"""The study whose runs the others share."""
WITH_ENDINGS, WITH_CHOICES = ("A", "B"), ("A",)
"""Arms of that study whose runs are ended, and post-processed, in several ways."""
BIG = ("trajectory", "validation.npy", "test.npy", "stage1.safetensors", "stage2.safetensors", "explorer-data.js")
"""What is deleted from a run's folder once its record is complete."""


@dataclass(frozen=True)
class Job:
    """One training with all that is measured of it."""

    study: str
    arm: str
    seed: int

    def __str__(self) -> str:
        return f"{self.study} {self.arm} seed {self.seed}"


def experiment_of(study: str, arm: str, profile: str = studies.PROFILE) -> Experiment:
    """The experiment of an arm: the base at a profile's scale, the study's override of it, and the arm's.

    Its name, `<study>-<arm>`, gives each arm a random stream of its own (`experiments.stream`).

    Raises:
        ParameterError: unknown study, arm or profile, or a study without arms.
    """
    planned = studies.get(study)
    base = experiments.get(studies.BASE, profile)
    if not planned.arms:
        raise ParameterError(f"study {study} has no arms of its own; it uses the runs of {FIRST}.")
    one = planned.arm(arm)
    base = replace(base, **planned.base_override)
    # Not by `experiments.derive`: how one channel is mapped goes with the number of channels.
    return replace(base, name=f"{study}-{arm}", question=one.title, **one.override(base))


def resolve(study: str, arm: str, profile: str = studies.PROFILE) -> tuple[str, str]:
    """The study and arm whose run serves an arm: (two-stage, A) for those that are trained like the base, else itself."""
    if study == FIRST:
        return study, arm
    same = not experiments.differences(experiment_of(study, arm, profile), experiment_of(FIRST, "A", profile))
    return (FIRST, "A") if same else (study, arm)


def jobs(
    study: str = "all", arm: str | None = None, seeds: Sequence[int] | None = None, profile: str = studies.PROFILE
) -> list[Job]:
    """The runs that a study needs, in the order of the plan, none twice.

    Args:
        study: name of a study, or "all".
        arm: of the study; `None`: all arms.
        seeds: `None`: as many as the plan gives the arm.
        profile: scale of the runs.

    Raises:
        ParameterError: unknown study, arm or profile, or an arm without a study.
    """
    if study == "all" and arm:
        raise ParameterError("an arm belongs to a study; name the study instead of all.")
    chosen = studies.STUDIES.values() if study == "all" else [studies.get(study)]
    found = [job for one in chosen for job in _jobs_of(one, arm, seeds, profile)]
    return list(dict.fromkeys(found))


def _jobs_of(study: studies.Study, arm: str | None, seeds: Sequence[int] | None, profile: str) -> Iterator[Job]:
    shared = {"endings": WITH_ENDINGS, "choices": WITH_CHOICES}.get(study.kind)
    source = studies.get(FIRST) if shared else study
    names = shared or [one.name for one in study.arms]
    if arm and arm not in names:
        raise ParameterError(f"unknown arm {arm!r} of study {study.name}; choose from {', '.join(names)}.")
    names = [arm] if arm else names
    for name in names:
        owner = resolve(source.name, name, profile)
        for seed in range(source.arm(name).seeds) if seeds is None else seeds:
            yield Job(*owner, seed)


def open_data(data: str = dataset.PHANTOM, profile: str = studies.PROFILE) -> Dataset:
    """The data set on which the studies run.

    Raises:
        ParameterError: no such folder or profile.
    """
    return dataset.open_dataset(data, profiles.get(profile), make=phantom.write_dataset)


def run_of(job: Job, data: Dataset) -> Run:
    """The run of a job; nothing is written yet."""
    experiment = experiment_of(job.study, job.arm, data.profile.name)
    return Run(experiment, data, job.seed, study=job.study, arm=job.arm)


def start(study: str, arm: str, seed: int = 0, data: str = dataset.PHANTOM, profile: str = studies.PROFILE) -> Run:
    """The run of an arm and seed, from a notebook's parameters; that of two-stage A where the arm is trained like it.

    Raises:
        ParameterError: a wrong value; the sentence lists the valid ones.
    """
    if not isinstance(seed, int) or isinstance(seed, bool) or not 0 <= seed < 2**31:
        raise ParameterError(f"seed must be a whole number from 0 to {2**31 - 1}, not {seed!r}.")
    (job,) = jobs(study, arm, [seed], profile)
    return run_of(job, open_data(data, profile))


def parse_seeds(text: str) -> list[int] | None:
    """Seeds with commas between; empty: `None`, as many as the plan says.

    Raises:
        ParameterError: not whole numbers from 0.
    """
    parts = [part.strip() for part in text.split(",") if part.strip()]
    if not all(part.isdecimal() for part in parts):
        raise ParameterError(f"seeds must be whole numbers separated by commas, such as 0,1,2, not {text!r}.")
    return [int(part) for part in parts] or None


def prepare(data: Dataset) -> None:
    """Draws the phantoms, splits them and makes the arrays, so that runs started together find all of it."""
    data.prepare()
    data.split  # noqa: B018  written when first asked for


def has_endings(run: Run) -> bool:
    """Whether the plan ends this run in several ways."""
    return run.study == FIRST and run.arm in WITH_ENDINGS


def has_choices(run: Run) -> bool:
    """Whether the plan post-processes this run in several ways."""
    return run.study == FIRST and run.arm in WITH_CHOICES


def is_done(run: Run) -> bool:
    """Whether nothing is left to do for a run: its record is there, and its endings and choices where these are due."""
    wanted = [run.folder / "record.json"]
    wanted += [run.folder / "endings" / "thresholds.csv"] if has_endings(run) else []
    wanted += [run.folder / "choices.csv"] if has_choices(run) else []
    return all(path.is_file() for path in wanted)


def run_one(run: Run, keep: bool = False) -> bool:
    """Trains, sweeps and tests a run, then measures its endings and choices; whether there was anything to do.

    Args:
        run: of `run_of` or `start`.
        keep: leave the weights and probability maps, which are deleted otherwise.

    Raises:
        PneumoError: as training, sweep and test.
    """
    if is_done(run):
        return False
    import torch

    from pneumo_lib import choices, endings, workflow

    threads = run.dataset.profile.threads
    if threads:
        # One core for each run, and as many runs side by side as there are cores.
        torch.set_num_threads(threads)
    trajectory = run.folder / "trajectory" if has_endings(run) else None
    # The weights of a finished run are deleted; endings and choices that are due later need them again.
    if not (run.folder / "record.json").is_file() or not run.final_weights.is_file():
        workflow.train_run(run, trajectory=trajectory, workers=threads)
        workflow.sweep_run(run)
        workflow.test_run(run, tta_table=False)
    if trajectory:
        endings.write(run, trajectory)
    if has_choices(run):
        choices.write(run)
    if not keep:
        tidy(run.folder)
    return True


def tidy(folder: Path) -> None:
    """Deletes what is big from the folder of a finished run: weights and probability maps."""
    for path in (folder / name for name in BIG):
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
