"""Callbacks of training: averaged weights (SWA), the history as a table, one progress bar with the time left."""

import math
import sys
import time
from collections.abc import Iterable
from pathlib import Path

import lightning.pytorch as lightning
import pandas as pd
import torch
from torch.optim.swa_utils import AveragedModel, update_bn
from tqdm import tqdm

from pneumo_lib import atomic, run_log
from pneumo_lib.hardware import Meter
from pneumo_lib.model import distributed
from pneumo_lib.training.checkpoints import writing


class WeightAveraging(lightning.Callback):
    """Averages the network's weights over the last `epochs` epochs of a stage.

    Source: the deck says which pipelines do it; the window is the follow-up code's (the last 3-5 epochs, running mean).
    Differs from the paper's follow-up code: batch-norm statistics are estimated again for the averaged weights
    (PyTorch's practice, and Izmailov et al. 2018) instead of averaged too, as `statistics=True` does.
    """

    def __init__(self, epochs: int, statistics: bool = False):
        self.epochs, self.statistics = epochs, statistics
        self._state: dict | None = None
        self.average: AveragedModel | None = None

    def setup(self, trainer, pl_module, stage: str) -> None:
        if self.average is None:
            self.average = AveragedModel(
                pl_module.model, avg_fn=_running_mean if self.statistics else None, use_buffers=self.statistics
            )

    def on_fit_start(self, trainer, pl_module) -> None:
        self.average.to(pl_module.device)
        if self._state:
            self.average.load_state_dict(self._state)

    def on_train_epoch_end(self, trainer, pl_module) -> None:
        if trainer.current_epoch >= trainer.max_epochs - self.epochs:
            self.average.update_parameters(pl_module.model)

    def state_dict(self) -> dict:
        # Before the first epoch that counts there is nothing to keep, and a checkpoint is the smaller for it.
        return self.average.state_dict() if self.average.n_averaged else {}

    def load_state_dict(self, state_dict: dict) -> None:
        self._state = state_dict

    @torch.no_grad()
    def finish(self, module, batches: Iterable[tuple[torch.Tensor, torch.Tensor]]) -> None:
        """Puts the mean weights into `module`; unless they are averaged too, estimates its batch-norm statistics again.

        That takes one pass over `batches`.
        """
        model, device = module.model, module.trainer.strategy.root_device
        model.load_state_dict(self.average.module.state_dict())
        if self.statistics:
            return
        update_bn((module.input_of(images.to(device)) for images, _ in batches), module.to(device).model, device)


def _running_mean(mean: torch.Tensor, new: torch.Tensor, n: torch.Tensor) -> torch.Tensor:
    # Counters of batches are whole numbers: the last one stays.
    return mean + (new - mean) / (n + 1) if mean.is_floating_point() else new


# The very first batches are slower: loaders start, kernels are chosen.
_FIRST_TIMED, _LAST_TIMED = 3, 13
VALIDATION = ["val_loss", "val_dsc", "val_positive_dsc", "val_iou", "val_stepwise_iou", "grid_dsc", "grid_positive_dsc"]


class History(lightning.Callback):
    """One row per epoch, written to a CSV after each; part of the checkpoint, so that a resumed run has all rows.

    Its column `compute` is the number of pixels through the network forward and backward since the start of training:
    `before` in earlier stages, then images times pixels. `val_*` are at the network's size and the pipeline's own
    binarization threshold, as the deck watches them; `grid_*` on the common grid, see `common_grid`.
    """

    def __init__(
        self, path: Path, stage: int, image_size: int, images_per_epoch: int, averaged_epochs: int, before: int = 0
    ):
        self.path, self.stage, self.image_size, self.images_per_epoch = path, stage, image_size, images_per_epoch
        self.averaged_epochs, self.before = averaged_epochs, before
        self.rows: list[dict] = []

    def on_train_start(self, trainer, pl_module) -> None:
        # Each process counts its GPU; of those on one machine's processor the first counts for all.
        counts = pl_module.device.type == "cuda" or trainer.local_rank == 0
        self._meter = Meter(pl_module.device.type) if counts else None

    def on_train_epoch_start(self, trainer, pl_module) -> None:
        self._started = time.perf_counter()

    def on_validation_start(self, trainer, pl_module) -> None:
        self._trained = time.perf_counter()

    def on_train_epoch_end(self, trainer, pl_module) -> None:
        values, summary = (
            {name: float(trainer.callback_metrics[name]) for name in VALIDATION},
            pl_module.epoch_summary(),
        )
        if trainer.logger:
            # Lightning itself passes on what the module logs: the validation.
            trainer.logger.log_metrics(summary, trainer.global_step)
        self.rows.append(
            {"stage": self.stage, "image_size": self.image_size, "epoch": trainer.current_epoch + 1}
            | {"compute": self.before + (trainer.current_epoch + 1) * self.images_per_epoch * self.image_size**2}
            | summary
            | values
            | {
                "averaged": trainer.current_epoch >= trainer.max_epochs - self.averaged_epochs,
                "images_per_second": self.images_per_epoch / (self._trained - self._started),
                "seconds": time.perf_counter() - self._started,
                "energy_joules": self._energy(),
            }
        )
        if trainer.is_global_zero:
            with writing(self.path):
                atomic.write_csv(self.path, pd.DataFrame(self.rows))
            said = f"stage {self.stage}, epoch {trainer.current_epoch + 1} of {trainer.max_epochs}: validation loss "
            said += f"{values['val_loss']:.4f}, DSC {values['val_dsc']:.4f}"
            run_log.say(self.path.parent, said, console=False)

    def _energy(self) -> float:
        told = [joules for joules in distributed.all_gather(self._meter and self._meter.joules()) if joules is not None]
        return sum(told) if told else math.nan

    def state_dict(self) -> dict:
        return {"rows": self.rows}

    def load_state_dict(self, state_dict: dict) -> None:
        self.rows = list(state_dict["rows"])


class Progress(lightning.Callback):
    """One bar on stderr over all steps of a stage, with the last epoch's validation scores.

    Pages drop stderr, so that no bar stays in them; where stderr is no terminal (a notebook run by papermill, a log file) a
    line now and then takes the place of frames. The first steps give an estimate of the time, printed once.
    """

    def __init__(self, title: str):
        self.title = title

    def on_train_start(self, trainer, pl_module) -> None:
        self.bar = tqdm(
            disable=not trainer.is_global_zero,
            total=trainer.max_epochs * trainer.num_training_batches,
            initial=trainer.current_epoch * trainer.num_training_batches,
            desc=self.title,
            unit="batch",
            mininterval=0.5 if sys.stderr.isatty() else 20,
            dynamic_ncols=True,
            file=sys.stderr,
        )
        self._seen = 0

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx) -> None:
        self.bar.update()
        self._seen += 1
        if self._seen in (_FIRST_TIMED, _LAST_TIMED):
            self._estimate()

    def _estimate(self) -> None:
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        if self._seen == _FIRST_TIMED:
            self._since = time.perf_counter()
            return
        each = (time.perf_counter() - self._since) / (_LAST_TIMED - _FIRST_TIMED)
        left = self.bar.total - self.bar.n
        if not self.bar.disable:
            tqdm.write(f"{self.title}: {left} batches to go, about {_duration(left * each)}", file=sys.stderr)

    def on_train_epoch_end(self, trainer, pl_module) -> None:
        seen = trainer.callback_metrics
        self.bar.set_postfix_str(
            f"epoch {trainer.current_epoch + 1}/{trainer.max_epochs}, validation loss {seen['val_loss']:.3f}, "
            f"DSC {seen['val_dsc']:.3f}",
            refresh=False,
        )

    def on_train_end(self, trainer, pl_module) -> None:
        self.bar.close()

    def on_exception(self, trainer, pl_module, exception) -> None:
        if hasattr(self, "bar"):
            self.bar.close()


def _duration(seconds: float) -> str:
    return (
        f"{seconds:.0f} s"
        if seconds < 90
        else f"{seconds / 60:.0f} min"
        if seconds < 5400
        else f"{seconds / 3600:.1f} h"
    )
