"""Start-up and memory of training: `python benchmarks/start.py [--exp exp4] [--profile demo] [--data phantom]`.

Prints the seconds from the start of a process to its first training step, on prepared data (line to meet: under 10 s), and
the memory that it holds after each of eight epochs (to be flat after the second). The network is the full one; an epoch is
cut to a few batches. Prepared arrays are made first where there are none; nothing else is kept. Linux only.
"""

import argparse
import subprocess
import sys
import tempfile
import time
import warnings
from dataclasses import replace
from pathlib import Path

import lightning.pytorch as lightning

from pneumo_lib import runs
from pneumo_lib.data.batches import training_loader, validation_loader
from pneumo_lib.data.dataset import Subset
from pneumo_lib.model import unet
from pneumo_lib.runs import Run
from pneumo_lib.training.module import SegmentationModule
from pneumo_lib.training.trainer import TrainerSetup

EPOCHS, BATCHES = 8, 4


class Report(lightning.Callback):
    """Says when the first step begins and what each epoch leaves in memory."""

    def __init__(self, began: float):
        self.began = began

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx) -> None:
        if trainer.global_step == 0:
            print(f"{time.time() - self.began:.1f} s to the first step", flush=True)

    def on_train_epoch_end(self, trainer, pl_module) -> None:
        lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
        kilobytes = next(int(line.split()[1]) for line in lines if line.startswith("VmRSS"))
        print(f"epoch {trainer.current_epoch + 1}: {kilobytes / 1000:.0f} MB", flush=True)


def cut(part: Subset, images: int) -> Subset:
    return replace(part, index=part.index[:images], rows=part.rows[:images])


def train(run: Run, began: float) -> None:
    """As a first stage is trained."""
    experiment, machine = run.experiment, TrainerSetup.here()
    stage = experiment.stages[0]
    parts = [
        cut(run.dataset.part(name, stage.image_size), stage.batch_size * BATCHES) for name in ("train", "validation")
    ]
    module = SegmentationModule(unet.build(experiment), experiment)
    batches = training_loader(parts[0], stage.batch_size, seed=0, stage=1, workers=machine.workers)
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings(action="ignore"):
        trainer = machine.trainer(EPOCHS, [Report(began)], folder)
        trainer.fit(module, batches, validation_loader(parts[1], stage.batch_size))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--exp", default="exp4")
    parser.add_argument("--profile", default="demo")
    parser.add_argument("--data", default="phantom")
    parser.add_argument("--began", type=float, help=argparse.SUPPRESS)
    options = parser.parse_args()
    run = runs.start(options.exp, options.data, options.profile)
    if options.began:
        train(run, options.began)
        return
    run.dataset.prepare()
    print(
        f"{TrainerSetup.here().title}, {run.experiment.name}, {run.label}, {len(run.dataset.split)} images", flush=True
    )
    # A process of its own: this one has imported everything already.
    subprocess.run([sys.executable, *sys.argv, "--began", str(time.time())], check=True)


if __name__ == "__main__":
    main()
