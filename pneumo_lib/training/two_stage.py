"""Two-stage training: small images first, then larger ones from the first stage's weights (the paper; the deck, phase 2)."""

import logging
import shutil
import time
import warnings
from pathlib import Path

import lightning.pytorch as lightning
import pandas as pd
import torch
from lightning.pytorch.callbacks import ModelCheckpoint
from torch import nn

from pneumo_lib import paths
from pneumo_lib.data.batches import default_workers, training_loader, validation_loader
from pneumo_lib.data.source import Source
from pneumo_lib.experiments import Experiment, Stage
from pneumo_lib.model import unet, weights
from pneumo_lib.runs import Trained
from pneumo_lib.training.averaging import WeightAveraging
from pneumo_lib.training.loop import Segmentation, TrainingError
from pneumo_lib.training.progress import History, Progress


def plan(experiment: Experiment, data: Source) -> pd.DataFrame:
    """What `train` will do, one row a stage: images, pixels, batch, epochs, steps and where its weights come from."""
    images = int((data.split == "train").sum())
    rows = []
    for number, stage in enumerate(experiment.stages, 1):
        steps = stage.epochs * max(1, images // stage.batch_size)
        start = f"stage {number - 1}" if number > 1 else f"encoder: {experiment.encoder_weights or 'random'}"
        if number == 1 and experiment.starts_from:
            start, steps = f"taken over from {experiment.starts_from}", 0
        rows.append(
            {"stage": number, "pixels": stage.image_size, "training images": images, "batch": stage.batch_size}
            | {"epochs": stage.epochs if steps else 0, "steps": steps, "starts from": start}
        )
    return pd.DataFrame(rows).set_index("stage")


def train(
    experiment: Experiment,
    data: Source,
    run_dir: Path,
    seed: int = 0,
    first_stage: Path | None = None,
    force: bool = False,
    workers: int | None = None,
) -> Trained:
    """Trains every stage of an experiment; a stage that is finished is not trained again, one that was cut off goes on.

    Args:
        experiment: which pipeline, at which scale.
        data: images and split.
        run_dir: gets `stage1.safetensors`, `stage1.csv` and so on; checkpoints while a stage runs.
        seed: of the random weights, the order and the augmentation.
        first_stage: finished stage-1 weights of `experiment.starts_from`.
        force: train from the beginning whatever is there.
        workers: loader processes; `None`: as the device needs. It changes no result.

    Raises:
        TrainingError: other settings than those of what is there, no first stage, a loss that is not finite.
    """
    if (experiment.starts_from is None) != (first_stage is None):
        raise TrainingError(
            f"first_stage={first_stage} does not fit {experiment.name}: it starts from {experiment.starts_from}."
        )
    finished = [first_stage] if first_stage else []
    for number in range(len(finished) + 1, len(experiment.stages) + 1):
        path = run_dir / f"stage{number}.safetensors"
        settings = _settings(experiment, data, number, seed)
        if force or not _is_finished(path, settings):
            _train_stage(
                path, settings, experiment, data, number, seed, finished[-1] if finished else None, force, workers
            )
        finished.append(path)
    return Trained.read(finished)


def _settings(experiment: Experiment, data: Source, number: int, seed: int) -> dict:
    """All that the weights of a stage depend on."""
    return {
        "experiment": experiment.as_dict(),
        "stage": number,
        "data": data.name,
        "split": data.split_rule,
        "images": {part: int(count) for part, count in data.split.value_counts().sort_index().items()},
        "seed": seed,
    }


def _is_finished(path: Path, settings: dict) -> bool:
    if not path.is_file():
        return False
    found = weights.about(path)["settings"]
    different = sorted(key for key in settings if found.get(key) != settings[key])
    if different:
        raise TrainingError(
            f"{paths.shown(path)} was trained with another {different[0]} ({found.get(different[0])}); "
            "move its folder away, or train with force=True (-p force True) to replace it."
        )
    return True


def _train_stage(path, settings, experiment, data, number, seed, start: Path | None, force, workers) -> None:
    stage: Stage = experiment.stages[number - 1]
    checkpoints = path.parent / f"stage{number}-checkpoints"
    if force:
        shutil.rmtree(checkpoints, ignore_errors=True)
        path.unlink(missing_ok=True)
    began = time.perf_counter()
    lightning.seed_everything(seed, verbose=False)
    model = unet.build(experiment, pretrained=start is None).to(memory_format=torch.channels_last)
    if start:
        weights.load(start, model)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    train_part, validation_part = data.part("train", stage.image_size), data.part("validation", stage.image_size)
    workers = default_workers(device) if workers is None else workers
    batches = training_loader(train_part, stage.batch_size, seed, number, workers)
    validation = validation_loader(validation_part, stage.batch_size)
    window = experiment.averaging_window(stage)
    history = History(path.with_suffix(".csv"), number, stage.image_size, len(batches) * stage.batch_size, window)
    average = WeightAveraging(window) if window else None
    best = ModelCheckpoint(checkpoints, "best", monitor="val_loss", save_weights_only=True, **_CHECKPOINT)
    last = ModelCheckpoint(checkpoints, "last", **_CHECKPOINT)
    keep = average or best
    trainer = _trainer(
        device, stage, [Progress(f"{experiment.name}, stage {number}"), history, keep, last], path.parent
    )
    module = Segmentation(model, experiment)
    _fit(trainer, module, batches, validation, checkpoints / "last.ckpt")
    if average:
        batches.sampler.set_epoch(stage.epochs)
        average.finish(model, (module.input_of(images.to(device)) for images, _ in batches), torch.device(device))
    else:
        module.load_state_dict(torch.load(best.best_model_path, weights_only=True)["state_dict"])
    scores = trainer.validate(module, validation, verbose=False)[0]
    weights.write(
        path, model, {"settings": settings, "validation": scores, "cost": _cost(began, history, device, model)}
    )
    shutil.rmtree(checkpoints, ignore_errors=True)


# Written at the end of an epoch, after every other callback, so that it holds their state too.
_CHECKPOINT = {"save_top_k": 1, "save_on_train_epoch_end": True, "enable_version_counter": False}


def _trainer(device: str, stage: Stage, callbacks: list, folder: Path) -> lightning.Trainer:
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    # One loader process beside a training CPU is a choice, and so is a small number of steps an epoch.
    warnings.filterwarnings("ignore", message=".*does not have many workers.*")
    warnings.filterwarnings("ignore", message=".*LeafSpec.*", module="lightning")
    return lightning.Trainer(
        accelerator=device if device == "cpu" else "gpu",
        devices=1,
        precision="bf16-mixed" if device == "cuda" else "32-true",
        max_epochs=stage.epochs,
        callbacks=callbacks,
        deterministic="warn" if device == "cuda" else True,
        benchmark=False,
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        use_distributed_sampler=False,
        default_root_dir=folder,
    )


def _fit(trainer, module, batches, validation, checkpoint: Path) -> None:
    resume = checkpoint if checkpoint.is_file() else None
    trainer.fit(module, batches, validation, ckpt_path=resume, weights_only=True if resume else None)
    if trainer.interrupted:
        # Lightning swallows Ctrl-C; unfinished weights must not pass for finished ones.
        raise KeyboardInterrupt


def _cost(began: float, history: History, device: str, model: nn.Module) -> dict:
    rows = pd.DataFrame(history.rows)
    return {
        "device": torch.cuda.get_device_name() if device == "cuda" else "cpu",
        "threads": torch.get_num_threads(),
        "seconds_this_session": round(time.perf_counter() - began, 1),
        "seconds_training": round(float(rows["seconds"].sum()), 1),
        "images_per_second": round(float(rows["images_per_second"].median()), 2),
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
    }
