"""Stochastic weight averaging (SWA): the running mean of the weights at the end of the last epochs."""

from collections.abc import Iterable

import lightning.pytorch as lightning
import torch
from torch.optim.swa_utils import AveragedModel, update_bn


class WeightAveraging(lightning.Callback):
    """Averages the network's weights over the last `epochs` epochs of a stage.

    Source: the deck says which pipelines do it; the window is the follow-up code's (the last 3-5 epochs, running mean).
    Differs from the paper's follow-up code: batch-norm statistics are estimated again for the averaged weights
    (PyTorch's practice, and Izmailov et al. 2018) instead of averaged too.
    """

    def __init__(self, epochs: int):
        self.epochs = epochs
        self._state: dict | None = None
        self.average: AveragedModel | None = None

    def setup(self, trainer, pl_module, stage: str) -> None:
        if self.average is None:
            self.average = AveragedModel(pl_module.model)

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
        """Puts the mean weights into `module` and estimates its batch-norm statistics again, in one pass over `batches`."""
        model, device = module.model, module.trainer.strategy.root_device
        model.load_state_dict(self.average.module.state_dict())
        update_bn((module.input_of(images.to(device)) for images, _ in batches), module.to(device).model, device)
