"""State that a stage can pass to the next in addition to weights: the learning rate that it reached, and Adam's moments."""

import json
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import nn

from pneumo_lib import atomic, paths
from pneumo_lib.errors import TrainingError

_KEYS = ("step", "exp_avg", "exp_avg_sq")


@dataclass(frozen=True)
class OptimizerState:
    """rate: learning rate at the end; moments: parameter name → Adam's `step`, `exp_avg` and `exp_avg_sq`."""

    rate: float
    moments: dict[str, dict[str, torch.Tensor]]

    def put_into(self, optimizer: torch.optim.Adam, model: nn.Module) -> None:
        """Makes the moments those of an optimizer of the same network; its rate stays."""
        for name, parameter in model.named_parameters():
            if name in self.moments:
                moved = {key: tensor.to(parameter.device) for key, tensor in self.moments[name].items()}
                optimizer.state[parameter] = moved


def path_of(weights: Path) -> Path:
    """Where the state that belongs to a stage's weights lies."""
    return weights.with_name(f"{weights.stem}-optimizer.safetensors")


def write(path: Path, optimizer: torch.optim.Adam, model: nn.Module, rate: float) -> None:
    """Writes moments and rate as safetensors."""
    tensors = {
        f"{key}:{name}": optimizer.state[parameter][key].detach().cpu().contiguous()
        for name, parameter in model.named_parameters()
        if parameter in optimizer.state
        for key in _KEYS
    }
    with atomic.replacing(path) as temporary:
        temporary.write_bytes(save(tensors, metadata={"rate": json.dumps(rate), "format": "pt"}))


def read(path: Path) -> OptimizerState:
    """What `write` wrote.

    Raises:
        TrainingError: missing or damaged.
    """
    try:
        with safe_open(path, framework="pt") as file:
            moments: dict[str, dict[str, torch.Tensor]] = {}
            for entry in file.keys():  # noqa: SIM118
                key, _, name = entry.partition(":")
                moments.setdefault(name, {})[key] = file.get_tensor(entry)
            return OptimizerState(json.loads(file.metadata()["rate"]), moments)
    except (OSError, SafetensorError, KeyError, TypeError) as error:
        raise TrainingError(
            f"{paths.shown(path)}, the optimizer of the stage before, cannot be read ({error}); train both stages again "
            "with force=True (-p force True)."
        ) from error
