"""The Lightning module: training step, validation, and the end of an epoch."""

import math

import lightning.pytorch as lightning
import numpy as np
import torch
from torch import nn

from pneumo_lib import metrics
from pneumo_lib.errors import TrainingError
from pneumo_lib.experiments import Experiment
from pneumo_lib.model import distributed
from pneumo_lib.model.losses import BCEDiceLoss
from pneumo_lib.training.optimizer_state import OptimizerState

# On a GPU, asking for the loss's value stalls the queue, so that it is asked for only every so many steps.
_STEPS_BETWEEN_CHECKS_ON_GPU = 50


class SegmentationModule(lightning.LightningModule):
    """Stage `number` of an experiment: Adam, its learning rate reduced on a plateau of the validation loss or by cosine.

    Batches are uint8 images and masks (N, 1, H, W).

    Args:
        carried: the optimizer of the stage before, where the experiment does not restart all of it.
    """

    def __init__(
        self,
        model: nn.Module,
        experiment: Experiment,
        number: int = 1,
        carried: OptimizerState | None = None,
    ):
        super().__init__()
        self.model, self.experiment, self.number = model, experiment, number
        self.carried = carried
        self.loss = BCEDiceLoss(experiment.dice_smooth)
        self._plateau_state: dict | None = None

    def configure_optimizers(self):
        # Fused: one pass over the 24 million parameters instead of several.
        optimizer = torch.optim.Adam(self.model.parameters(), lr=self._first_rate(), fused=True)
        if self.carried:
            self.carried.put_into(optimizer, self.model)
        # Keras lowers the rate after `patience` epochs without improvement by more than 1e-4, PyTorch after one more.
        self.plateau = torch.optim.lr_scheduler.ReduceLROnPlateau(
            optimizer,
            factor=self.experiment.plateau_factor,
            patience=max(0, self.experiment.plateau_patience - 1),
            threshold=1e-4,
            threshold_mode="abs",
        )
        if self._plateau_state:
            self.plateau.load_state_dict(self._plateau_state)
        return optimizer

    def _first_rate(self) -> float:
        # The count of a plateau begins anew in any case: losses at another image size are not comparable.
        if self.carried and self.experiment.restart == "nothing":
            return self.carried.rate
        return self.experiment.initial_rate(self.number)

    @property
    def rate(self) -> float:
        """The learning rate in force."""
        return self.plateau.optimizer.param_groups[0]["lr"]

    def input_of(self, images: torch.Tensor) -> torch.Tensor:
        """uint8 (N, 1, H, W) → the network's input, channels last in memory."""
        batch = images.float().div_(255).expand(-1, self.model.channels, -1, -1)
        return batch.contiguous(memory_format=torch.channels_last)

    def on_train_epoch_start(self) -> None:
        self._loss_sum = torch.zeros((), device=self.device)
        if self.experiment.schedule == "cosine":
            # From the epoch's number alone, so that a resumed run has the same rates.
            share = self.current_epoch / self.trainer.max_epochs
            for group in self.plateau.optimizer.param_groups:
                group["lr"] = self._first_rate() * (1 + math.cos(math.pi * share)) / 2

    def training_step(self, batch, batch_idx):
        images, masks = batch
        loss = self.loss(self.model(self.input_of(images)), masks)
        self._loss_sum += loss.detach()
        if self.device.type == "cpu" or batch_idx % _STEPS_BETWEEN_CHECKS_ON_GPU == 0:
            self._check_finite(batch_idx)
        return loss

    def on_train_epoch_end(self) -> None:
        self._check_finite(self.trainer.num_training_batches - 1)
        # Stepped here and not by Lightning, which would do so after the checkpoint is written: a resumed run would then
        # miss one step.
        if self.experiment.schedule == "plateau":
            self.plateau.step(float(self.trainer.callback_metrics["val_loss"]))

    def epoch_summary(self) -> dict[str, float]:
        """The epoch's mean training loss and its learning rate, for a callback at its end."""
        mean = float(distributed.all_sum(self._loss_sum)) / distributed.world_size() / self.trainer.num_training_batches
        return {
            "train_loss": mean,
            "learning_rate": self.rate,
        }

    def on_validation_epoch_start(self) -> None:
        self._counts: list[torch.Tensor] = []
        self._val_loss: list[torch.Tensor] = []

    def validation_step(self, batch, batch_idx):
        images, masks = batch
        logits = self.model(self.input_of(images)).float()
        self._val_loss.append(self.loss(logits, masks) * len(images))
        probability = torch.sigmoid(logits)
        predicted = probability > self.experiment.binarization_threshold
        truth = masks.bool()
        self._counts.append(torch.stack([m.flatten(1).sum(1) for m in (predicted, truth, predicted & truth)]))
        # For callbacks.
        return probability

    def on_validation_epoch_end(self) -> None:
        # All processes end up with the counts of all images, so that plateau and best epoch are the same on each.
        found = distributed.all_gather(
            (torch.stack(self._val_loss).sum().item(), torch.cat(self._counts, dim=1).cpu().numpy())
        )
        counts = np.concatenate([rank_counts for _, rank_counts in found], axis=1)
        self.log("val_loss", sum(loss for loss, _ in found) / counts.shape[1])
        positive = counts[1] > 0
        dsc = metrics.dsc_from_counts(*counts)
        self.log("val_dsc", float(dsc.mean()))
        self.log("val_positive_dsc", float(dsc[positive].mean()) if positive.any() else math.nan)
        self.log("val_iou", float(metrics.iou_from_counts(*counts).mean()))
        self.log("val_stepwise_iou", float(metrics.stepwise_iou_from_counts(*counts).mean()))

    def on_save_checkpoint(self, checkpoint: dict) -> None:
        checkpoint["plateau"] = self.plateau.state_dict()

    def on_load_checkpoint(self, checkpoint: dict) -> None:
        self._plateau_state = checkpoint["plateau"]

    def _check_finite(self, batch_idx: int) -> None:
        if not torch.isfinite(self._loss_sum):
            rate = self.optimizers().param_groups[0]["lr"]
            raise TrainingError(
                f"the loss is {float(self._loss_sum)} in epoch {self.current_epoch + 1}, by batch {batch_idx + 1}, at "
                f"learning rate {rate:g}; the last good checkpoint is kept: lower the learning rate or look at the data."
            )
