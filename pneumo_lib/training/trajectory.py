"""Weights of every epoch of a stage, so that one training can be ended in several ways."""

import math
from pathlib import Path

import lightning.pytorch as lightning
import torch
from safetensors.torch import load_file, save_file

from pneumo_lib import atomic, paths
from pneumo_lib.errors import StepError

EPOCHS = 5
"""Last epochs whose weights are kept: as many as the longest average takes."""
BEST = "best"


class Trajectory(lightning.Callback):
    """Keeps the network's weights after each of a stage's last `EPOCHS` epochs and after that of lowest validation loss.

    Files in `folder`: `epoch<n>.safetensors`, counted from 1, and `best.safetensors`.
    """

    def __init__(self, folder: Path):
        self.folder, self.lowest = folder, math.inf

    def on_train_epoch_end(self, trainer, pl_module) -> None:
        loss = float(trainer.callback_metrics["val_loss"])
        better = loss < self.lowest
        self.lowest = min(loss, self.lowest)
        if not trainer.is_global_zero:
            return
        if better:
            self._write(pl_module.model, BEST)
        if trainer.current_epoch >= trainer.max_epochs - EPOCHS:
            self._write(pl_module.model, f"epoch{trainer.current_epoch + 1}")

    def _write(self, model: torch.nn.Module, name: str) -> None:
        state = {key: value.detach().cpu().contiguous() for key, value in model.state_dict().items()}
        with atomic.replacing(self.folder / f"{name}.safetensors") as temporary:
            save_file(state, temporary)

    def state_dict(self) -> dict:
        return {"lowest": self.lowest}

    def load_state_dict(self, state_dict: dict) -> None:
        self.lowest = state_dict["lowest"]


def read(folder: Path, last: int) -> list[dict[str, torch.Tensor]]:
    """The weights after the last epochs, oldest first; fewer than `last` where the stage was shorter.

    Raises:
        StepError: none are there.
    """
    files = sorted(folder.glob("epoch*.safetensors"), key=lambda path: int(path.stem.removeprefix("epoch")))
    if not files:
        raise StepError(f"no weights of single epochs in {paths.shown(folder)}; train the run again with them.")
    return [load_file(path) for path in files[-last:]]


def read_best(folder: Path) -> dict[str, torch.Tensor]:
    """The weights after the epoch of lowest validation loss.

    Raises:
        StepError: they are not there.
    """
    path = folder / f"{BEST}.safetensors"
    if not path.is_file():
        raise StepError(f"{paths.shown(path)} is missing; train the run again with its single epochs kept.")
    return load_file(path)


def mean(states: list[dict[str, torch.Tensor]]) -> dict[str, torch.Tensor]:
    """The mean of equal sets of tensors, batch-norm statistics among them; of counters the last one's."""
    return {
        name: torch.stack([state[name].double() for state in states]).mean(0).to(value.dtype)
        if value.is_floating_point()
        else value
        for name, value in states[-1].items()
    }
