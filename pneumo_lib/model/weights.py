"""Trained weights on disk: safetensors with their configuration inside, read without unpickling anything."""

import json
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save
from torch import nn

from pneumo_lib import atomic, paths
from pneumo_lib.errors import PneumoError


class WeightsError(PneumoError):
    """A weights file that is missing, damaged or another network's."""


def write(path: Path, model: nn.Module, about: dict) -> None:
    """Writes the network's weights, and `about` (plain values) in the file's header."""
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()}
    with atomic.replacing(path) as temporary:
        temporary.write_bytes(save(tensors, metadata={"about": json.dumps(about)}))


def about(path: Path) -> dict:
    """What `write` was told about the weights.

    Raises:
        WeightsError: not a weights file of this package.
    """
    try:
        with safe_open(path, framework="pt") as file:
            return json.loads((file.metadata() or {})["about"])
    except (OSError, SafetensorError, KeyError, json.JSONDecodeError) as error:
        raise WeightsError(
            f"{paths.shown(path)} is no weights file written by this package ({error}); train it again."
        ) from error


def load(path: Path, model: nn.Module) -> nn.Module:
    """Puts the weights of a file into `model` and returns it.

    Raises:
        WeightsError: missing, damaged, or of a network with other layers or channels.
    """
    try:
        model.load_state_dict(load_file(path))
    except FileNotFoundError as error:
        raise WeightsError(f"{paths.shown(path)} is missing; train the experiment first.") from error
    except (OSError, SafetensorError) as error:
        raise WeightsError(f"{paths.shown(path)} is damaged ({error}); delete it and train again.") from error
    except RuntimeError as error:
        raise WeightsError(
            f"{paths.shown(path)} holds weights of another network; check the experiment's channels."
        ) from error
    return model
