"""What the sweep and the test share: a run's finished model, its predictions and its chosen thresholds."""

import numpy as np
import pandas as pd
import torch
from matplotlib.figure import Figure

from pneumo_lib import metrics
from pneumo_lib.evaluation import explorer_data, postprocessing, tta, tta_effects
from pneumo_lib.evaluation.inference import InferenceNetwork, predict_to
from pneumo_lib.evaluation.postprocessing import Thresholds
from pneumo_lib.evaluation.sweep_result import Counts
from pneumo_lib.metrics import pixel_counts
from pneumo_lib.model import unet, weights
from pneumo_lib.report import style, xray_figures
from pneumo_lib.runs import Run


def model(run: Run) -> torch.nn.Module:
    """The finished network of a run, on the GPU if there is one.

    Raises:
        ParameterError: not trained yet; says how.
    """
    path = run.needs(run.final_weights, "train")
    untrained = unet.build(run.experiment, pretrained=False)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    return weights.load(path, untrained).to(device, memory_format=torch.channels_last).eval()


def predict(run: Run, part: str, transforms: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities float32 (N, H, W) and true masks bool (N, H, W) of "validation" or "test".

    The probabilities are written to `<part>.npy` in the run's folder and memory-mapped from there.
    """
    images = run.dataset.part(part, run.experiment.image_size)
    probability = predict_to(run.folder / f"{part}.npy", model(run), images.images[images.rows], transforms)
    return probability, images.masks[images.rows].view(bool)


def counts_without_removal(run: Run, probability: np.ndarray, truth: np.ndarray) -> Counts:
    """Counts at the pipeline's own binarization threshold (B-TH), every component kept."""
    predicted = postprocessing.apply(probability, run.experiment.binarization_threshold, 0)
    predicted_px, truth_px, intersection_px = pixel_counts(predicted, truth)
    return Counts(predicted_px, truth_px, intersection_px)


def load_thresholds(run: Run) -> tuple[Thresholds, list[str]]:
    """What `save_choice` wrote: (thresholds, augmentation).

    Raises:
        ParameterError: no sweep yet; says how.
        SweepError: damaged.
    """
    return postprocessing.read_thresholds(run.needs(run.folder / "thresholds.json", "sweep"))


def gain_of_tta(run: Run, truth: np.ndarray, chosen: Thresholds, wanted: bool = True) -> pd.DataFrame | None:
    """`tta_effects.table` of the test images with a run's finished model; None where it is not wanted.

    Costs eight forward passes an image: seconds for the demo, on a processor hours at the paper's scale.
    """
    if not wanted:
        return None
    part = run.dataset.part("test", run.experiment.image_size)
    effects = tta_effects.measure(InferenceNetwork(model(run)), part.images[part.rows], truth, chosen)
    return tta_effects.table(effects, truth.any(axis=(1, 2)), part.patients)


def save_pictures(run: Run, gallery: Figure, probability: np.ndarray, truth: np.ndarray, chosen: Thresholds) -> None:
    """Writes what the book shows of a run: its gallery and, of phantoms under rule component, the explorer's data."""
    style.save(gallery, run.folder / "gallery.png")
    script = run.folder / "explorer-data.js"
    script.unlink(missing_ok=True)
    if run.dataset.is_phantom and chosen.rule == "component":
        part = run.dataset.part("test", run.experiment.image_size)
        label = f"{run.experiment.name}, test, {run.label}"
        images = part.images[part.rows]
        explorer_data.write(script, explorer_data.bundle(images, probability, truth, chosen[:2], label))


def first_predictions(run: Run, n: int = 6) -> Figure:
    """n validation images, at the pipeline's own binarization threshold."""
    part = run.dataset.part("validation", run.experiment.image_size)
    rows = part.rows[xray_figures.positives_first(part, n)]
    images, truth = part.images[rows], part.masks[rows] > 0
    predicted = tta.predict(model(run), images) > np.float32(run.experiment.binarization_threshold)
    titles = [f"DSC {value:.2f}" for value in metrics.dsc(predicted, truth)]
    return xray_figures.gallery(images, truth, predicted, titles, f"{run.experiment.name}, validation, {run.label}")
