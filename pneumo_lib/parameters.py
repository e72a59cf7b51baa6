"""The parameters of notebooks and commands, and the checks of what a user types."""

from pneumo_lib import paths
from pneumo_lib.errors import ParameterError, SweepError, TtaError, WeightsError
from pneumo_lib.evaluation.postprocessing import RULES
from pneumo_lib.evaluation.transforms import TRANSFORMS
from pneumo_lib.model.weights import InitialWeights


def checked_weights(name: str) -> InitialWeights | None:
    """The parameter `weights` of a notebook; `None` for "auto", the profile's own.

    Raises:
        WeightsError: none of auto, imagenet, none, nor a .safetensors file that is there.
    """
    known = {"auto": None, "imagenet": InitialWeights("imagenet"), "none": InitialWeights(None)}
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
    return InitialWeights(file=path)


def checked_transforms(names: str) -> list[str]:
    """The test-time augmentation of a notebook's parameter: names with commas between, or "none".

    Raises:
        TtaError: an unknown name, and lists the valid ones; a name twice; no text.
    """
    if not isinstance(names, str):
        raise TtaError(f"tta={names!r} is no text; give {', '.join(TRANSFORMS)} with commas between, or none.")
    chosen = [name.strip() for name in names.split(",")] if names.strip() != "none" else []
    unknown = [name for name in chosen if name not in TRANSFORMS]
    if unknown:
        raise TtaError(f"tta={unknown[0]!r} is no transform; choose of {', '.join(TRANSFORMS)}, or none.")
    if len(set(chosen)) < len(chosen):
        raise TtaError(f"tta={names!r} names a transform twice, which would vote twice; name each once.")
    return chosen


def checked_rule(rule: str) -> str:
    """A notebook's parameter `rule`, if it is one; see `sweep.sweep`.

    Raises:
        SweepError: it is not; lists the valid ones.
    """
    if rule not in RULES:
        raise SweepError(f"rule={rule!r} is no removal rule; choose one of {', '.join(RULES)}.")
    return rule


def checked_switch(name: str, value: bool) -> bool:
    """A notebook's parameter that is true or false.

    Raises:
        ParameterError: it is neither, as papermill's `-p name true` is a text.
    """
    if not isinstance(value, bool):
        raise ParameterError(f"{name}={value!r} is neither true nor false; with papermill, pass it as: -p {name} True")
    return value
