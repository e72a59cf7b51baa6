"""Names of runs whose encoder or initial weights are not their experiment's: `exp4+tu-tf_efficientnet_lite0+imagenet`.

Such a name is a valid `exp` everywhere and names the run's folder, so that no two starts share one. Imports no PyTorch.
"""

import re
from dataclasses import dataclass, replace

from pneumo_lib.errors import ParameterError, WeightsError

SEPARATOR = "+"
_KNOWN = {"imagenet": "imagenet", "random": None}
_FILE = re.compile(r"[A-Za-z0-9_.-]+-[0-9a-f]{8}")


@dataclass(frozen=True)
class Start:
    """What a run's first stage starts from; `None`: as the experiment says.

    encoder: one of segmentation-models-pytorch.
    weights: "imagenet", "random", or the label of a file: its name and the first eight digits of its SHA-256.
    """

    encoder: str | None = None
    weights: str | None = None


def parse(name: str) -> tuple[str, Start]:
    """A run's name → the name of its experiment, and its start.

    Raises:
        ParameterError: more than one encoder or more than one kind of weights.
    """
    base, *parts = name.split(SEPARATOR)
    weights = [part for part in parts if part in _KNOWN or _FILE.fullmatch(part)]
    encoders = [part for part in parts if part not in weights]
    if len(weights) > 1 or len(encoders) > 1 or "" in parts:
        raise ParameterError(f"exp={name!r} is not a run; give an experiment, or experiment+encoder+weights.")
    return base, Start(encoders[0] if encoders else None, weights[0] if weights else None)


def joined(base: str, start: Start) -> str:
    """The name of a run, see `parse`."""
    return SEPARATOR.join(part for part in (base, start.encoder, start.weights) if part)


def chosen(name: str, encoder: str | None, weights: str | None) -> str:
    """A run's name with another encoder or other weights where these are given."""
    if not isinstance(name, str):
        return name
    base, start = parse(name)
    return joined(base, Start(encoder or start.encoder, weights or start.weights))


def apply(experiment, start: Start):
    """The experiment with another start, named so; what equals the experiment's own is not named."""
    if start == Start():
        return experiment
    encoder = start.encoder if start.encoder != experiment.encoder else None
    same = start.weights in _KNOWN and _KNOWN[start.weights] == experiment.encoder_weights
    found = Start(encoder, None if same else start.weights)
    changes: dict[str, str | None] = {"encoder": encoder} if encoder else {}
    if found.weights in _KNOWN:
        changes["encoder_weights"] = _KNOWN[found.weights]
    if experiment.starts_from:
        changes["starts_from"] = joined(experiment.starts_from, found)
    return replace(experiment, name=joined(experiment.name, found), **changes)


def needs_file(name: str) -> None:
    """Refuses to train a run that is named after a weights file without that file.

    Raises:
        WeightsError: its name has a file's label; says what to pass.
    """
    label = parse(name)[1].weights
    if label and label not in _KNOWN:
        raise WeightsError(f"{name} starts from the weights file {label.rpartition('-')[0]}; pass it: -p weights FILE.")
