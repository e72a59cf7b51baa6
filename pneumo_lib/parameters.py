"""The parameters of notebooks and commands, and the checks of what a user types."""

import ast
import sys
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING

from pneumo_lib import paths
from pneumo_lib.errors import ParameterError, SweepError, TtaError, WeightsError
from pneumo_lib.evaluation.postprocessing import CRITERIA, RULES
from pneumo_lib.evaluation.transforms import TRANSFORMS

if TYPE_CHECKING:
    from pneumo_lib.model.weights import InitialWeights


@dataclass(frozen=True)
class Parameter:
    """A parameter of notebooks and commands: its type is its default's, `meaning` its help."""

    default: str | int | bool
    meaning: str


PARAMETERS = {
    "exp": Parameter("exp4", "exp1 ... exp5, or a variant such as exp3-own"),
    "data": Parameter("phantom", "phantom, or the folder of a copy of SIIM-ACR"),
    "profile": Parameter("demo", "paper (hours on a GPU), half (hours on two cores), demo (minutes), smoke (seconds)"),
    "seed": Parameter(0, "random seed of weights, order and augmentation"),
    "split": Parameter(
        "auto",
        "patient, deck, deck-2k, follow-up, follow-up-90-10, trial; auto: patient where known, else deck",
    ),
    "patients": Parameter("", "CSV of image ids and NIH file names; empty: the data set's own, if it has one"),
    "on_error": Parameter("stop", "X-rays that cannot be read: stop and name all of them, or skip (leave them out)"),
    "weights": Parameter("auto", "imagenet, none (random), or a .safetensors file; auto: the profile's"),
    "encoder": Parameter("auto", "any encoder of segmentation_models_pytorch; auto: the experiment's"),
    "accumulate": Parameter(1, "forward passes per step, if a batch does not fit into memory"),
    "precision": Parameter("auto", "32 (float32), bf16 (mixed); auto: bf16 if the device has instructions for it"),
    "logger": Parameter(
        "none", "none, or tensorboard: curves in the run's folder tensorboard/; needs the extra of that name"
    ),
    "force": Parameter(False, "train from the beginning even if weights exist"),
    "tta": Parameter("flip", "flip, contrast, brightness, crop, elastic, grid, optical, separated by commas; or none"),
    "rule": Parameter(
        "component", "post-processing: component (the deck), mask (the follow-up code), triplet (the first place)"
    ),
    "criterion": Parameter("dsc", "criterion for thresholds on validation: dsc (mean DSC), iou, stepwise_iou"),
    "test_data": Parameter(
        "", "folders of other data to test on, separated by commas; empty: the run's own test images"
    ),
    "test_patients": Parameter("", "as patients, for test_data"),
    "seen": Parameter("refuse", "images of test_data that the run has seen: refuse, or leave-out"),
    "tta_table": Parameter(
        True, "measure what each augmentation adds: 8 forward passes per image, hours for paper without a GPU"
    ),
}
"""Every parameter of notebooks/train, sweep and test and of the commands of the same names."""
RUN = ("exp", "data", "profile", "seed", "split", "patients", "on_error")
"""The parameters that name a run."""
TRAIN = (*RUN, "weights", "encoder", "accumulate", "precision", "logger", "force")
LOGGERS = ("none", "tensorboard")
SWEEP = (*RUN, "tta", "rule", "criterion")
TEST = (*RUN, "tta_table", "test_data", "test_patients", "seen")


def checked_weights(name: str) -> "InitialWeights | None":
    """The parameter `weights` of a notebook; `None` for "auto", the profile's own.

    Raises:
        WeightsError: none of auto, imagenet, none, nor a .safetensors file that is there.
    """
    if name == "auto":
        return None
    # PyTorch takes seconds to import, and the default needs none of it.
    from pneumo_lib.model.weights import InitialWeights

    known = {"imagenet": "imagenet", "none": None}
    if isinstance(name, str) and name in known:
        return InitialWeights(known[name])
    path = paths.given(str(name)).resolve()
    choices = ", ".join(("auto", *known))
    if path.suffix != ".safetensors":
        raise WeightsError(f"unknown weights={name!r}; choose {choices} or the path of a .safetensors file.")
    if not path.is_file():
        raise WeightsError(
            f"weights={name!r} is not a file; choose {choices} or the path of an existing .safetensors file."
        )
    return InitialWeights(file=path)


def checked_encoder(name: str) -> str | None:
    """The parameter `encoder` of a notebook; `None` for "auto", the experiment's own.

    Raises:
        ParameterError: unknown; names similar ones.
    """
    if name == "auto":
        return None
    # The list of names comes with PyTorch, which takes seconds to import.
    from pneumo_lib.model import unet

    return unet.checked_encoder(name)


def checked_transforms(names: str) -> list[str]:
    """The test-time augmentation of a notebook's parameter: names separated by commas, or "none".

    Raises:
        TtaError: an unknown name, and lists the valid ones; a name twice; no text.
    """
    if not isinstance(names, str):
        raise TtaError(f"tta must be text, not {names!r}: {', '.join(TRANSFORMS)}, separated by commas, or none.")
    chosen = [name.strip() for name in names.split(",")] if names.strip() != "none" else []
    unknown = [name for name in chosen if name not in TRANSFORMS]
    if unknown:
        raise TtaError(f"unknown transform in tta={unknown[0]!r}; choose from {', '.join(TRANSFORMS)}, or none.")
    if len(set(chosen)) < len(chosen):
        raise TtaError(f"tta={names!r} names a transform twice, which would vote twice; name each once.")
    return chosen


def checked_rule(rule: str) -> str:
    """A notebook's parameter `rule`, if it is one; see `sweep.sweep`.

    Raises:
        SweepError: it is not; lists the valid ones.
    """
    if rule not in RULES:
        raise SweepError(f"unknown rule={rule!r}; choose from {', '.join(RULES)}.")
    return rule


def checked_criterion(criterion: str) -> str:
    """A notebook's parameter `criterion`, if it is one.

    Raises:
        SweepError: it is not; lists the valid ones.
    """
    if criterion not in CRITERIA:
        raise SweepError(f"unknown criterion={criterion!r}; choose from {', '.join(CRITERIA)}.")
    return criterion


def checked_logger(name: str) -> str:
    """A notebook's parameter `logger`, if it is one that can be used here.

    Raises:
        ParameterError: it is not one of `LOGGERS`, or its package is not installed.
    """
    if name not in LOGGERS:
        raise ParameterError(f"unknown logger={name!r}; choose from {', '.join(LOGGERS)}.")
    if name == "tensorboard" and find_spec(name) is None:
        raise ParameterError(
            "logger='tensorboard' needs TensorBoard, which is not installed; pip install 'pneumo-lib[tensorboard]' or "
            "leave the logger at none."
        )
    return name


def checked_switch(name: str, value: bool) -> bool:
    """A notebook's parameter that is true or false.

    Raises:
        ParameterError: it is neither, as papermill's `-p name true` is a text.
    """
    if not isinstance(value, bool):
        raise ParameterError(f"{name} must be true or false, not {value!r}; with papermill, pass it as: -p {name} True")
    return value


def refuse_unknown() -> None:
    """Checks, inside a notebook that papermill runs, that the notebook has every parameter that was given.

    papermill itself only warns of an unknown one and runs with the defaults.

    Raises:
        ParameterError: it has not; lists those that it has.
    """
    shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
    cells = list(shell.user_ns.get("In", [])) if shell else []
    for before, cell in zip(cells, cells[1:], strict=False):
        if cell.startswith("# Parameters\n"):  # as papermill writes them
            refuse_undeclared(before, cell)


def refuse_undeclared(declared: str, injected: str) -> None:
    """Checks that every name assigned in the cell `injected` is assigned in the cell `declared` too.

    Raises:
        ParameterError: one is not.
    """
    known = _assigned(declared)
    for name in _assigned(injected):
        if name not in known:
            raise ParameterError(f"unknown parameter {name!r}; this notebook has {', '.join(known)}.")


def _assigned(source: str) -> list[str]:
    names = []
    for line in ast.parse(source).body:
        targets = line.targets if isinstance(line, ast.Assign) else [getattr(line, "target", None)]
        names += [target.id for target in targets if isinstance(target, ast.Name)]
    return names
