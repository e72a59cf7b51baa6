"""A data set small enough to train on in a test: bright discs on noise, in memory.

Run as a script, `python toy.py RUN_DIR EXPERIMENT [WORKERS]` trains on it, so that a test can kill it.
"""

import sys
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from pneumo_lib import experiments, training
from pneumo_lib.data.source import Part

PARTS = {"train": 12, "validation": 6, "test": 6}


@dataclass(frozen=True)
class ToyData:
    """Stands for `data.source.Source`."""

    name: str = "toy"
    split_rule: str = "by hand"

    @property
    def split(self) -> pd.Series:
        return pd.Series(np.repeat(list(PARTS), list(PARTS.values())), name="split")

    def part(self, name: str, size: int) -> Part:
        rng = np.random.default_rng(len(name))
        n = PARTS[name]
        y, x = np.mgrid[:size, :size] / size
        centres, radii = rng.uniform(0.3, 0.7, (n, 2, 1, 1)), rng.uniform(0.1, 0.3, (n, 1, 1))
        radii[::3] = 0
        masks = ((y - centres[:, 0]) ** 2 + (x - centres[:, 1]) ** 2 < radii**2).astype(np.uint8)
        images = (rng.normal(60, 10, masks.shape) + 120 * masks).clip(0, 255).astype(np.uint8)
        index = pd.DataFrame({"image_id": [f"{name}{i}" for i in range(n)], "positive": masks.any((1, 2))})
        return Part(images, masks, index.assign(patient_id=pd.NA), np.arange(n))


def experiment(name: str = "exp4", epochs: int = 3, **changes) -> experiments.Experiment:
    """An experiment at 32 and 64 pixels, 4 images a batch, a few epochs a stage, the last two averaged."""
    smoke = experiments.get(name, "smoke")
    stages = {
        field: replace(stage, batch_size=4, epochs=epochs)
        for field in ("stage1", "stage2")
        if (stage := getattr(smoke, field))
    }
    averaged = {"averaged_epochs": 2} if smoke.averaged_epochs else {}
    return replace(smoke, **(stages | averaged | changes))


if __name__ == "__main__":
    run_dir, name, *workers = sys.argv[1:]
    training.train(experiment(name), ToyData(), Path(run_dir), workers=int(workers[0]) if workers else 0)
