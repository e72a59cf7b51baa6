"""What the sweep and the test share: a run's finished model, its predictions and its chosen thresholds."""

import json

import numpy as np
import torch

from pneumo_lib import atomic
from pneumo_lib.evaluation import removal, tta
from pneumo_lib.evaluation.prediction import predict_to
from pneumo_lib.evaluation.sweep_result import Choice, Counts
from pneumo_lib.metrics import pixel_counts
from pneumo_lib.model import unet, weights
from pneumo_lib.runs import Run


def transforms(names: str) -> list[str]:
    """The test-time augmentation of a notebook's parameter: names with commas between, or "none".

    Raises:
        TtaError: an unknown name; lists the valid ones.
    """
    chosen = [name.strip() for name in names.split(",")] if names.strip() != "none" else []
    unknown = [name for name in chosen if name not in tta.TRANSFORMS]
    if unknown:
        raise tta.TtaError(f"tta={unknown[0]!r} is no transform; choose of {', '.join(tta.TRANSFORMS)}, or none.")
    return chosen


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
    return probability, images.masks[images.rows].astype(bool)


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
    """
    found = json.loads(run.needs(run.folder / "thresholds.json", "sweep").read_text())
    return Choice(found["binarization_threshold"], found["removal_threshold"], found["score"]), found["transforms"]
