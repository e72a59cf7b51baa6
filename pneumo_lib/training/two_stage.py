"""Two-stage training: small images first, then larger ones from the first stage's weights (the paper; the deck, phase 2)."""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

import lightning.pytorch as lightning
import pandas as pd
import torch
from torch import nn

from pneumo_lib import hardware as precisions
from pneumo_lib import locks, paths, profiles, run_log, starts
from pneumo_lib.data.dataset import Dataset
from pneumo_lib.errors import TrainingError
from pneumo_lib.experiments import Experiment, stream
from pneumo_lib.model import unet, weights
from pneumo_lib.model import weights as weight_files
from pneumo_lib.model.weights import InitialWeights
from pneumo_lib.training import optimizer_state, stage
from pneumo_lib.training.checkpoints import Folder, refuse_other
from pneumo_lib.training.stage import Job
from pneumo_lib.training.trainer import TrainerSetup


@dataclass(frozen=True)
class TrainingResult:
    """What training left: `history`, one row per epoch of all stages; `stages`, settings, scores and cost of each."""

    history: pd.DataFrame
    stages: list[dict]

    @classmethod
    def read(cls, stages: list[Path]) -> "TrainingResult":
        """From the weights files of the stages and the tables next to them.

        Raises:
            TrainingError: a table is missing, unreadable, or has another number of epochs than its stage.
        """
        found = [weight_files.metadata(path) for path in stages]
        tables = [_history(path, about["settings"]) for path, about in zip(stages, found, strict=True)]
        return cls(pd.concat(tables, ignore_index=True), found)

    def cost(self) -> pd.DataFrame:
        """What each stage took: device, precision, time, speed, memory, and energy if the device measures it."""
        titles = [f"stage {stage['settings']['stage']}" for stage in self.stages]
        return pd.DataFrame(
            {
                title: {
                    "device": f"{cost.get('processes', 1)} x {cost['device']}",
                    "precision": precisions.PRECISION_TITLES.get(cost.get("precision"), "not noted"),
                    "minutes": round(cost["seconds_training"] / 60, 1),
                    "images per second": cost["images_per_second"],
                    "peak memory, GB": cost.get("peak_memory_gb", "not measured"),
                    "energy, kJ": "not measured" if cost.get("energy_kj") is None else cost["energy_kj"],
                }
                for title, cost in zip(titles, (stage["cost"] for stage in self.stages), strict=True)
            }
        ).T


def _history(weights_file: Path, settings: dict) -> pd.DataFrame:
    path = weights_file.with_suffix(".csv")
    epochs = settings["experiment"]["stages"][settings["stage"] - 1]["epochs"]
    try:
        table = pd.read_csv(path)
    except (OSError, ValueError) as error:
        what = f"cannot be read ({' '.join(str(error).split())[:120]})"
    else:
        if len(table) == epochs:
            return table
        what = f"has {len(table)} of the {epochs} epochs of {weights_file.name}, so it is from another attempt"
    raise TrainingError(
        f"{paths.shown(path)} {what}; copy the table that was written with these weights, or train again with force=True "
        "(-p force True)."
    )


def plan(
    experiment: Experiment,
    data: Dataset,
    run_dir: Path | None = None,
    initial: InitialWeights | None = None,
    precision: str = "auto",
) -> pd.DataFrame:
    """What `train` will do, one row per stage: images, pixels, batch, epochs, steps, where its weights come from and go to.

    Args:
        experiment, data, run_dir, initial, precision: as for `train`.
    """
    images = int((data.split == "train").sum())
    with torch.device("meta"):
        network = unet.build(experiment, pretrained=False)
    parameters = sum(parameter.numel() for parameter in network.parameters())
    rows = []
    with _threads(experiment):
        device = TrainerSetup.here(precision=precision).title
    for number, one in enumerate(experiment.stages, 1):
        steps = one.epochs * max(1, images // one.batch_size)
        start = f"stage {number - 1}" if number > 1 else (initial or InitialWeights(experiment.encoder_weights)).title
        if number == 1 and experiment.starts_from:
            start, steps = f"taken over from {experiment.starts_from}", 0
        rows.append(
            {"stage": number, "pixels": one.image_size, "training images": images, "batch": one.batch_size}
            | {"epochs": one.epochs if steps else 0, "steps": steps, "starts from": start, "parameters": parameters}
            | {"device": device}
            | ({"folder": paths.shown(run_dir)} if run_dir else {})
        )
    return pd.DataFrame(rows).set_index("stage")


def train(
    experiment: Experiment,
    data: Dataset,
    run_dir: Path,
    seed: int = 0,
    first_stage: Path | None = None,
    force: bool = False,
    workers: int | None = None,
    initial: InitialWeights | None = None,
    accumulate: int = 1,
    precision: str = "auto",
    logger: str = "none",
    trajectory: Path | None = None,
) -> TrainingResult:
    """Trains every stage of an experiment; a finished stage is not trained again, an interrupted one resumes.

    Several processes started by `torchrun` or `srun` train together, with the table's batch size as that of all of them;
    they need `run_dir` on a disk that all see.

    Args:
        experiment: which pipeline, at which scale.
        data: images and split.
        run_dir: gets `stage1.safetensors`, `stage1.csv` and so on; checkpoints while a stage runs.
        seed: with the experiment's name, of the random weights, the order and the augmentation (`experiments.stream`).
        first_stage: finished stage-1 weights of `experiment.starts_from`.
        force: train from the beginning whatever is there.
        workers: loader processes; `None`: as the device needs. It changes no result.
        initial: what the first stage starts from; `None`: the encoder weights that the experiment names.
        accumulate: forward passes an optimiser step, where the table's batch does not fit into memory; the Dice term and
            batch norm then see a part of the batch at a time.
        precision: "32", "bf16" or "auto", see `hardware.choose_precision`. An interrupted stage resumes in the precision
            that it began with or not at all; weights are float32 either way, so that a finished one serves both unless
            another one is asked for by name.
        logger: "none", or "tensorboard" for the history's losses and scores in `run_dir/tensorboard`. It changes no result.
        trajectory: folder for the weights of the last stage's last epochs; `None`: they are not kept. It changes no result.

    Raises:
        BusyError: another process trains this run.
        TrainingError: other settings than those of what is there, no first stage, a loss that is not finite, a full disk,
            a batch that the processes cannot share out.
        WeightsError: initial weights that cannot be had.
        ParameterError: no such precision.
    """
    if (experiment.starts_from is None) != (first_stage is None):
        raise TrainingError(
            f"first_stage={first_stage} does not fit {experiment.name}: it starts from {experiment.starts_from}."
        )
    started = _started_with(experiment, first_stage, initial)
    finished = [first_stage] if first_stage else []
    own = stream(experiment, seed)
    with _threads(experiment):
        machine = TrainerSetup.here(workers, accumulate, precision, logger)
        # One process of several that train together speaks for all.
        alone = nullcontext() if machine.rank else locks.held(run_dir / ".lock", f"the run {run_dir}")
        with alone:
            trained = False
            about = f"{experiment.name}, {data.label}, seed {seed}, on {machine.title}; folder {run_dir}"
            for number in range(len(finished) + 1, len(experiment.stages) + 1):
                path = run_dir / f"stage{number}.safetensors"
                goes_on = finished and experiment.restart != "rate and optimizer"
                carried = optimizer_state.path_of(finished[-1]) if goes_on else None
                job = Job(experiment, number, own, path, _settings(experiment, data, number, seed) | started, carried)
                if force or not _is_finished(job, precision):
                    if not machine.rank:
                        run_log.say(run_dir, about if not trained else f"stage {number} of {len(experiment.stages)}")
                        _discard_what_follows(run_dir, experiment, number)
                    lightning.seed_everything(own, verbose=False)
                    kept = trajectory if number == len(experiment.stages) else None
                    stage.run(job, _network(experiment, finished, initial), data, machine, force, kept)
                    trained = True
                finished.append(path)
            if not trained and not machine.rank:
                run_log.say(run_dir, f"already trained: {run_dir}; --force (in a notebook: force) trains again")
    return TrainingResult.read(finished)


def _discard_what_follows(run_dir: Path, experiment: Experiment, number: int) -> None:
    """Deletes later stages, thresholds, maps and the record: they belong to weights that stage `number` replaces."""
    for later in range(number + 1, len(experiment.stages) + 1):
        path = run_dir / f"stage{later}.safetensors"
        path.unlink(missing_ok=True)
        Folder(path).remove()
    for name in ("thresholds.json", "validation.npy", "test.npy", "record.json"):
        (run_dir / name).unlink(missing_ok=True)


@contextmanager
def _threads(experiment: Experiment) -> Iterator[None]:
    """The profile's number of CPU threads: sums, and so weights, depend on it in their last bits."""
    before, wanted = torch.get_num_threads(), profiles.get(experiment.profile).threads
    torch.set_num_threads(wanted or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _settings(experiment: Experiment, data: Dataset, number: int, seed: int) -> dict:
    """All that the weights of a stage depend on, but for initial weights other than the experiment's."""
    return {
        "experiment": experiment.as_dict(),
        "stage": number,
        "data": data.name,
        "split": data.split_rule,
        "images": {part: int(count) for part, count in data.split.value_counts().sort_index().items()},
        "seed": seed,
    }


def _started_with(experiment: Experiment, first_stage: Path | None, initial: InitialWeights | None) -> dict:
    """The setting `weights`, where the run starts from others than the experiment names; else nothing."""
    wanted = initial.settings(experiment) if initial else {}
    if first_stage is None:
        return wanted
    settings = weights.metadata(first_stage)["settings"]
    found = {"weights": settings["weights"]} if "weights" in settings else {}
    if initial and found != wanted:
        raise TrainingError(
            f"{paths.shown(first_stage)} did not start from the weights that were asked for ({initial.title}); train "
            f"{experiment.starts_from} with them, or leave the choice out."
        )
    return found


def _network(experiment: Experiment, finished: list[Path], initial: InitialWeights | None) -> nn.Module:
    if finished:
        return weights.load(finished[-1], unet.build(experiment, pretrained=False))
    if initial is None:
        starts.needs_file(experiment.name)
    return (initial or InitialWeights(experiment.encoder_weights)).build(experiment)


def _is_finished(job: Job, precision: str) -> bool:
    if not job.path.is_file():
        return False
    about = weights.metadata(job.path)
    refuse_other(job.path, about["settings"], job.settings)
    if wanted := precisions.PRECISIONS[str(precision)]:
        refuse_other(job.path, {"precision": about["cost"].get("precision", "not noted")}, {"precision": wanted})
    # Still there where the process was killed between writing the weights and tidying up.
    Folder(job.path).remove()
    return True
