"""What the sweep and the test share: a run's finished model, its predictions and its chosen thresholds."""

import numpy as np
import pandas as pd
import torch

from pneumo_lib import atomic
from pneumo_lib.evaluation import removal, sweep_result, tta, tta_effects
from pneumo_lib.evaluation.fast import Fast
from pneumo_lib.evaluation.prediction import predict_to
from pneumo_lib.evaluation.sweep import RULES, SweepError
from pneumo_lib.evaluation.sweep_result import Choice, Counts
from pneumo_lib.metrics import pixel_counts
from pneumo_lib.model import unet, weights
from pneumo_lib.runs import Run, RunError


def transforms(names: str) -> list[str]:
    """The test-time augmentation of a notebook's parameter: names with commas between, or "none".

    Raises:
        TtaError: an unknown name, and lists the valid ones; a name twice; no text.
    """
    if not isinstance(names, str):
        raise tta.TtaError(f"tta={names!r} is no text; give {', '.join(tta.TRANSFORMS)} with commas between, or none.")
    chosen = [name.strip() for name in names.split(",")] if names.strip() != "none" else []
    unknown = [name for name in chosen if name not in tta.TRANSFORMS]
    if unknown:
        raise tta.TtaError(f"tta={unknown[0]!r} is no transform; choose of {', '.join(tta.TRANSFORMS)}, or none.")
    if len(set(chosen)) < len(chosen):
        raise tta.TtaError(f"tta={names!r} names a transform twice, which would vote twice; name each once.")
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
        RunError: it is neither, as papermill's `-p name true` is a text.
    """
    if not isinstance(value, bool):
        raise RunError(f"{name}={value!r} is neither true nor false; with papermill, pass it as: -p {name} True")
    return value


def model(run: Run) -> torch.nn.Module:
    """The finished network of a run, on the GPU if there is one.

    Raises:
        RunError: not trained yet; says how.
    """
    path = run.needs(run.final_weights, "train")
    untrained = unet.build(run.experiment, pretrained=False)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    return weights.load(path, untrained).to(device, memory_format=torch.channels_last).eval()


def predict(run: Run, part: str, transforms: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities float32 (N, H, W) and true masks bool (N, H, W) of "validation" or "test".

    The probabilities are written to `<part>.npy` in the run's folder and memory-mapped from there.
    """
    images = run.source.part(part, run.experiment.image_size)
    probability = predict_to(run.folder / f"{part}.npy", model(run), images.images[images.rows], transforms)
    return probability, images.masks[images.rows].view(bool)


def counts_without_removal(run: Run, probability: np.ndarray, truth: np.ndarray) -> Counts:
    """Counts at the pipeline's own binarization threshold (B-TH), every component kept."""
    predicted = removal.apply(probability, run.experiment.binarization_threshold, 0)
    predicted_px, truth_px, intersection_px = pixel_counts(predicted, truth)
    return Counts(predicted_px, truth_px, intersection_px)


def save_choice(run: Run, chosen: Choice, transforms: list[str]) -> None:
    """Writes the thresholds chosen on validation, and the augmentation they were chosen with, to `thresholds.json`."""
    atomic.write_json(run.folder / "thresholds.json", chosen._asdict() | {"transforms": transforms})


def load_choice(run: Run) -> tuple[Choice, list[str]]:
    """What `save_choice` wrote: (thresholds, augmentation).

    Raises:
        RunError: no sweep yet; says how.
        ChoiceError: damaged.
    """
    return sweep_result.read_choice(run.needs(run.folder / "thresholds.json", "sweep"))


def gain_of_tta(run: Run, truth: np.ndarray, chosen: Choice, wanted: bool = True) -> pd.DataFrame | None:
    """`tta_effects.table` of the test images with a run's finished model; None where it is not wanted.

    Costs eight forward passes an image: seconds for the demo, on a processor hours at the paper's scale.
    """
    if not wanted:
        return None
    part = run.source.part("test", run.experiment.image_size)
    effects = tta_effects.measure(Fast(model(run)), part.images[part.rows], truth, chosen)
    return tta_effects.table(effects, truth.any(axis=(1, 2)), part.patients)
