"""2ST-UNet, replicated: two-stage training of a ResNet34 U-Net that outlines pneumothorax in chest X-rays.

The names below are the public face; each loads its module when it is first used, so that `import pneumo_lib` costs nothing.
All other functions keep their modules.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pneumo_lib import metrics, phantom, workflow
    from pneumo_lib.data.radiographs import read_image
    from pneumo_lib.data.siim import load_index
    from pneumo_lib.errors import PneumoError
    from pneumo_lib.evaluation.inference import load_model
    from pneumo_lib.evaluation.sweep import sweep
    from pneumo_lib.experiments import get as get_experiment
    from pneumo_lib.model.losses import BCEDiceLoss
    from pneumo_lib.model.unet import build as build_unet
    from pneumo_lib.records import find as find_records
    from pneumo_lib.runs import start as start_run

__all__ = [
    "BCEDiceLoss",
    "PneumoError",
    "build_unet",
    "find_records",
    "get_experiment",
    "load_index",
    "load_model",
    "metrics",
    "phantom",
    "read_image",
    "start_run",
    "sweep",
    "workflow",
]
_HOME = {
    "BCEDiceLoss": ("pneumo_lib.model.losses", "BCEDiceLoss"),
    "PneumoError": ("pneumo_lib.errors", "PneumoError"),
    "build_unet": ("pneumo_lib.model.unet", "build"),
    "find_records": ("pneumo_lib.records", "find"),
    "get_experiment": ("pneumo_lib.experiments", "get"),
    "load_index": ("pneumo_lib.data.siim", "load_index"),
    "load_model": ("pneumo_lib.evaluation.inference", "load_model"),
    "read_image": ("pneumo_lib.data.radiographs", "read_image"),
    "start_run": ("pneumo_lib.runs", "start"),
    "sweep": ("pneumo_lib.evaluation.sweep", "sweep"),
}


def __getattr__(name: str) -> Any:
    if name in _HOME:
        module, attribute = _HOME[name]
        return getattr(import_module(module), attribute)
    if name in __all__:
        return import_module(f"pneumo_lib.{name}")
    raise AttributeError(f"module 'pneumo_lib' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
