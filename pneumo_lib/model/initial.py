"""What training starts from: the profile's encoder weights, or a choice of the user's."""

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path

from torch import nn

from pneumo_lib import paths
from pneumo_lib.experiments import Experiment
from pneumo_lib.model import unet, weights
from pneumo_lib.model.unet import WeightsError


@dataclass(frozen=True)
class Initial:
    """Initial weights of the first stage.

    encoder: "imagenet" or `None`, random, as `Experiment.encoder_weights`.
    file: safetensors with weights of the encoder or of the whole network, instead.
    """

    encoder: str | None = None
    file: Path | None = None

    @property
    def title(self) -> str:
        """As a plan shows it."""
        return f"weights: {self.file.name}" if self.file else f"encoder: {self.encoder or 'random'}"

    def settings(self, experiment: Experiment) -> dict:
        """What sets a run's weights apart from the experiment's own; empty where they are those.

        The experiment itself stays as the registry has it, so that a record of the run can still be compared with it.
        """
        if self.file:
            with self.file.open("rb") as file:
                return {"weights": {"file": self.file.name, "sha256": hashlib.file_digest(file, "sha256").hexdigest()}}
        return {} if self.encoder == experiment.encoder_weights else {"weights": self.encoder or "none"}

    def build(self, experiment: Experiment) -> nn.Module:
        """The network, see `unet.build`, with these weights.

        Raises:
            WeightsError: they cannot be had, or are another network's.
        """
        model = unet.build(replace(experiment, encoder_weights=self.encoder))
        return weights.load_start(self.file, model) if self.file else model


def choose(name: str) -> Initial | None:
    """The parameter `weights` of a notebook; `None` for "auto", the profile's own.

    Raises:
        WeightsError: none of auto, imagenet, none, nor a .safetensors file that is there.
    """
    known = {"auto": None, "imagenet": Initial("imagenet"), "none": Initial(None)}
    if isinstance(name, str) and name in known:
        return known[name]
    path = paths.given(str(name)).resolve()
    if path.suffix != ".safetensors":
        raise WeightsError(
            f"weights={name!r} is no choice; give {', '.join(known)} or the path of a .safetensors file."
        )
    if not path.is_file():
        raise WeightsError(
            f"weights={name!r} is no file; give {', '.join(known)} or a .safetensors file that is there."
        )
    return Initial(file=path)
