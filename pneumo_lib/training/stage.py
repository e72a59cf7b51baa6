"""One training stage, from initial weights to weights on disk."""

import signal
import time
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import torch
from lightning.pytorch.callbacks import Checkpoint, ModelCheckpoint
from torch import nn
from torch.utils.data import DataLoader

from pneumo_lib import run_log
from pneumo_lib.data.batches import training_loader, used_images, validation_loader
from pneumo_lib.data.dataset import Dataset
from pneumo_lib.errors import Interrupted
from pneumo_lib.experiments import Experiment, Stage
from pneumo_lib.model import distributed, weights
from pneumo_lib.training import checkpoints, optimizer_state
from pneumo_lib.training.callbacks import History, Progress, WeightAveraging
from pneumo_lib.training.checkpoints import Folder
from pneumo_lib.training.common_grid import CommonGrid
from pneumo_lib.training.module import SegmentationModule
from pneumo_lib.training.trainer import TrainerSetup
from pneumo_lib.training.trajectory import Trajectory


@dataclass(frozen=True)
class Job:
    """Stage `number` (from 1) of an experiment; `path` gets its weights, `settings` are all that these depend on.

    seed: of the random stream; carried: the optimizer of the stage before, if it continues (`optimizer_state`).
    """

    experiment: Experiment
    number: int
    seed: int
    path: Path
    settings: dict
    carried: Path | None = None

    @property
    def stage(self) -> Stage:
        return self.experiment.stages[self.number - 1]

    @property
    def hands_over(self) -> bool:
        """Whether the next stage continues with this one's optimizer."""
        return self.experiment.restart != "rate and optimizer" and self.number < len(self.experiment.stages)

    def pixels_before(self, images: int, world: int) -> int:
        """Pixels that went through the network in earlier stages, of `images` training images."""
        earlier = self.experiment.stages[: self.number - 1]
        return sum(one.epochs * used_images(images, one.batch_size, world) * one.image_size**2 for one in earlier)


def run(
    job: Job, model: nn.Module, data: Dataset, machine: TrainerSetup, force: bool, trajectory: Path | None = None
) -> None:
    """Trains `model` and writes its weights, its history and its cost; resumes from a checkpoint of the same settings.

    Args:
        trajectory: folder that gets the weights of single epochs, see `trajectory.Trajectory`; `None`: none are kept.

    Raises:
        TrainingError: see `two_stage.train`.
    """
    began = time.perf_counter()
    folder = Folder(job.path)
    # The precision belongs to the machine and not to the experiment, but no stage is trained half in one and half in another.
    folder.open(job.settings | {"precision": machine.precision}, force)
    batches, validation = _loaders(job, data, machine)
    module = SegmentationModule(
        _arranged(model, machine, job.stage.epochs * len(batches)),
        job.experiment,
        job.number,
        optimizer_state.read(job.carried) if job.carried else None,
    )
    window = job.experiment.averaging_window(job.stage)
    sampler = batches.sampler
    before = job.pixels_before(sampler.n_images, machine.world)
    history = History(job.path.with_suffix(".csv"), job.number, job.stage.image_size, sampler.used, window, before)
    keep = (
        WeightAveraging(window, job.experiment.averaged_statistics)
        if window
        else _checkpoint(folder, "best", monitor="val_loss", save_weights_only=True)
    )
    progress = Progress(f"{job.experiment.name}, stage {job.number}")
    # The last checkpoint comes after every other callback, so that it holds their state too.
    grid = CommonGrid.of(data, job.stage.image_size, validation.batch_sampler)
    extra = [] if trajectory is None else [Trajectory(trajectory)]
    callbacks = [progress, grid, history, keep, *extra, _checkpoint(folder, "last")]
    trainer = machine.trainer(job.stage.epochs, callbacks, job.path)
    _fit(trainer, module, batches, validation, folder.last, job.path.parent)
    _hand_over(job, module, trainer)
    _take_kept(keep, module, batches, job.stage.epochs)
    scores = trainer.validate(module, validation, verbose=False)[0]
    if trainer.is_global_zero:
        about = {"settings": job.settings, "validation": scores, "cost": _cost(began, history, machine, model)}
        with checkpoints.writing(job.path):
            weights.write(job.path, model, about)
        folder.remove()
        minutes = (time.perf_counter() - began) / 60
        text = (
            f"stage {job.number} is trained: validation DSC {scores['val_dsc']:.3f}, {minutes:.1f} min; {job.path.name}"
        )
        run_log.say(job.path.parent, text, console=False)
        if job.carried:
            # 200 MB, and of no more use.
            job.carried.unlink(missing_ok=True)
    trainer.strategy.barrier()


def _loaders(job: Job, data: Dataset, machine: TrainerSetup) -> tuple[DataLoader, DataLoader]:
    training, validation = (data.part(name, job.stage.image_size) for name in ("train", "validation"))
    machine.check(job.stage, len(validation))
    share = {"rank": machine.rank, "world": machine.world}
    batches = training_loader(
        training,
        job.stage.batch_size,
        job.seed,
        job.number,
        machine.workers,
        job.experiment.augmentation_strength,
        job.experiment.augmentation_list,
        accumulate=machine.accumulate,
        **share,
    )
    return batches, validation_loader(validation, job.stage.batch_size, **share)


def _arranged(model: nn.Module, machine: TrainerSetup, steps: int) -> nn.Module:
    """The network in the fastest memory format for convolutions; synchronised between processes, compiled if that pays."""
    model = model.to(memory_format=torch.channels_last)
    if machine.world > 1:
        channels = model.channels
        model = distributed.synchronised(model, machine.device)
        model.channels = channels
    if machine.compiles(steps):
        model.compile()
    return model


def _checkpoint(folder: Folder, name: str, **options) -> Checkpoint:
    return ModelCheckpoint(
        folder.path, name, save_top_k=1, save_on_train_epoch_end=True, enable_version_counter=False, **options
    )


def _fit(trainer, module, batches, validation, checkpoint: Path, run_dir: Path) -> None:
    resume = checkpoint if checkpoint.is_file() else None
    on_interrupt = signal.getsignal(signal.SIGINT)
    if resume and trainer.is_global_zero:
        done = torch.load(resume, map_location="cpu", mmap=True, weights_only=True)["epoch"] + 1
        run_log.say(run_dir, f"resumes after epoch {done} of {trainer.max_epochs}")
    try:
        trainer.fit(module, batches, validation, ckpt_path=resume, weights_only=True if resume else None)
    except SystemExit:
        # Lightning answers Ctrl-C by ending the process and by ignoring any further one; a notebook has to continue.
        if not trainer.interrupted:
            raise
        signal.signal(signal.SIGINT, on_interrupt)
        text = f"stopped after epoch {trainer.current_epoch} of {trainer.max_epochs}; run again to continue"
        run_log.say(run_dir, text, console=False)
        # Neither this error nor Lightning's own helps the person who pressed Ctrl-C.
        raise Interrupted(text) from None


def _hand_over(job: Job, module: SegmentationModule, trainer) -> None:
    """Writes the optimizer after the last epoch, if the next stage continues with it; before the weights say "finished"."""
    if job.hands_over and trainer.is_global_zero:
        path = optimizer_state.path_of(job.path)
        with checkpoints.writing(path):
            optimizer_state.write(path, trainer.optimizers[0], module.model, module.rate)


def _take_kept(
    keep: Checkpoint | WeightAveraging, module: SegmentationModule, batches: DataLoader, epochs: int
) -> None:
    """Puts the mean weights, or those of the best epoch, into the module."""
    if not isinstance(keep, WeightAveraging):
        module.load_state_dict(torch.load(keep.best_model_path, weights_only=True)["state_dict"])
        return
    # An epoch of its own: the images of the pass are drawn like those of one more epoch.
    batches.sampler.set_epoch(epochs)
    keep.finish(module, batches)


def _cost(began: float, history: History, machine: TrainerSetup, model: nn.Module) -> dict:
    rows = pd.DataFrame(history.rows)
    energy = rows["energy_joules"].sum(min_count=1)
    return {
        "device": torch.cuda.get_device_name() if machine.device == "cuda" else "cpu",
        "processes": machine.world,
        "accumulate": machine.accumulate,
        "threads": torch.get_num_threads(),
        "precision": machine.precision,
        "seconds_this_session": round(time.perf_counter() - began, 1),
        "seconds_training": round(float(rows["seconds"].sum()), 1),
        "images_per_second": round(float(rows["images_per_second"].median()), 2),
        "peak_memory_gb": round(machine.peak_memory(), 2),
        "energy_kj": None if pd.isna(energy) else round(float(energy) / 1000, 2),
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
    }
