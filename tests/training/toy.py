"""A data set and a network small enough to train in a test: bright discs on noise, and three levels of a ResNet18.

`process` trains in a process of its own, so that a test can kill it.
"""

import multiprocessing
import os
import resource
import signal
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
import segmentation_models_pytorch as smp
import torch

from pneumo_lib import atomic, experiments, training
from pneumo_lib import hardware as precisions
from pneumo_lib.data.dataset import Subset
from pneumo_lib.experiments import Experiment
from pneumo_lib.training import TrainingError, callbacks
from pneumo_lib.training.checkpoints import Folder, WholeFiles

PARTS = {"train": 12, "validation": 8, "test": 4}
_unet = smp.Unet


def small_unet(name: str, **options) -> torch.nn.Module:
    """In the place of `smp.Unet`, whose full size takes a second a step."""
    model = _unet("resnet18", encoder_depth=3, decoder_channels=(16, 8, 8), **options)
    # The library keeps the levels that it does not use.
    model.encoder.layer3, model.encoder.layer4 = torch.nn.Identity(), torch.nn.Identity()
    return model


def no_bfloat16(device: str) -> bool:
    """In the place of `precision.has_bfloat16`, so that a test gives the same on every machine."""
    return False


@dataclass(frozen=True)
class ToyData:
    """Stands for `data.dataset.Dataset`."""

    name: str = "toy"
    label: str = "toy data"
    split_rule: str = "by hand"

    @property
    def split(self) -> pd.Series:
        return pd.Series(np.repeat(list(PARTS), list(PARTS.values())), name="split")

    def part(self, name: str, size: int) -> Subset:
        rng = np.random.default_rng(len(name))
        n = PARTS[name]
        y, x = np.mgrid[:size, :size] / size
        centres, radii = rng.uniform(0.3, 0.7, (n, 2, 1, 1)), rng.uniform(0.1, 0.3, (n, 1, 1))
        radii[::3] = 0
        masks = ((y - centres[:, 0]) ** 2 + (x - centres[:, 1]) ** 2 < radii**2).astype(np.uint8)
        images = (rng.normal(60, 10, masks.shape) + 120 * masks).clip(0, 255).astype(np.uint8)
        index = pd.DataFrame({"image_id": [f"{name}{i}" for i in range(n)], "positive": masks.any((1, 2))})
        return Subset(images, masks, index.assign(patient_id=pd.NA), np.arange(n))


def experiment(name: str = "exp4", epochs: int = 3, **changes) -> Experiment:
    """An experiment at 32 and 64 pixels, 4 images per batch, a few epochs per stage, the last two averaged."""
    smoke = experiments.get(name, "smoke")
    stages = {"stages": tuple(replace(stage, batch_size=4, epochs=epochs) for stage in smoke.stages)}
    averaged = {"averaged_epochs": 2} if smoke.averaged_epochs else {}
    return replace(smoke, **(stages | averaged | changes))


# A server that has imported all of it, so that a process starts in no time.
_processes = multiprocessing.get_context("forkserver")
_processes.set_forkserver_preload(["pneumo_lib.training"])


def process(target, *arguments) -> multiprocessing.Process:
    """A started process that calls `target(*arguments)` with the small network, one thread and float32."""
    started = _processes.Process(target=_prepared, args=(target, *arguments))
    started.start()
    return started


def _prepared(target, *arguments) -> None:
    smp.Unet, precisions.has_bfloat16 = small_unet, no_bfloat16
    torch.set_num_threads(1)
    target(*arguments)


def run(folder: Path, name: str = "exp4", precision: str = "auto", first: Path | None = None, **changes) -> None:
    """Trains to the end."""
    training.train(experiment(name, **changes), ToyData(), folder, first_stage=first, workers=0, precision=precision)


def run_and_die(folder: Path, moment: str) -> None:
    """Trains until SIGKILL ends the process at a `moment` that chance would seldom find."""
    owner, function = {
        "batch-norm pass": (callbacks, "update_bn"),
        "between the stages": (Folder, "remove"),
        "half a checkpoint": (atomic.Path, "replace"),
    }[moment]
    original, calls = getattr(owner, function), []

    def dies(*arguments, **options):
        calls.append(arguments)
        if moment != "half a checkpoint":
            os.kill(os.getpid(), signal.SIGKILL)
        # The second time that a checkpoint is to take the place of the one before.
        written = [paths for paths in calls if str(paths[-1]).endswith("last.ckpt")]
        if len(written) == 2:
            os.truncate(written[-1][0], 1000)
            os.kill(os.getpid(), signal.SIGKILL)
        return original(*arguments, **options)

    setattr(owner, function, dies)
    run(folder)


def run_on_a_full_disk(folder: Path, queue) -> None:
    """Trains where no file can grow beyond the checkpoint of the first epoch; puts the error into the queue."""
    original = WholeFiles.save_checkpoint

    def fills(self, *arguments, **options):
        original(self, *arguments, **options)
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))

    WholeFiles.save_checkpoint = fills
    try:
        run(folder)
    except TrainingError as error:
        queue.put(str(error))


def run_as_rank(folder: Path, rank: int, world: int, port: int, options: dict) -> None:
    """Trains as one of several processes, as `torchrun` starts them."""
    os.environ |= {
        "TORCHELASTIC_RUN_ID": "toy", "RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(world),
        "LOCAL_WORLD_SIZE": str(world), "GROUP_RANK": "0", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port),
    }  # fmt: skip
    run(folder, **options)
