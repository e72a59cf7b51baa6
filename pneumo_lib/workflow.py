"""The steps of a run as functions, and what the notebooks of sweep and test share: model, predictions, thresholds."""

from pathlib import Path

import numpy as np
import pandas as pd
import torch
from matplotlib.figure import Figure

from pneumo_lib import metrics, parameters, records, training
from pneumo_lib.evaluation import explorer_data, measures, postprocessing, scores, sweep, tta, tta_effects
from pneumo_lib.evaluation.inference import InferenceNetwork, predict_to
from pneumo_lib.evaluation.postprocessing import Thresholds
from pneumo_lib.evaluation.sweep_result import Counts
from pneumo_lib.evaluation.transforms import TRANSFORMS
from pneumo_lib.metrics import pixel_counts
from pneumo_lib.model import unet, weights
from pneumo_lib.records import Record
from pneumo_lib.report import style, xray_figures
from pneumo_lib.runs import Run
from pneumo_lib.training.two_stage import TrainingResult


def model(run: Run) -> torch.nn.Module:
    """The finished network of a run, on the GPU if there is one.

    Raises:
        StepError: not trained yet; says how.
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
    """What `postprocessing.save_thresholds` wrote: (thresholds, augmentation).

    Raises:
        StepError: no sweep yet; says how.
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


def tta_pictures(run: Run, positions: dict[str, int], transforms: list[str], chosen: Thresholds, label: str) -> Figure:
    """Test images under none, the run's own and all transforms, by its finished model.

    Args:
        positions: title → position in the test part, one row of the figure each.
        transforms: the run's own.
        chosen: whose binarization threshold is outlined.
        label: what the data are.
    """
    part, network = run.dataset.part("test", run.experiment.image_size), InferenceNetwork(model(run))
    device = next(network.parameters()).device
    sets = {"none": [], ", ".join(transforms) or "none": transforms, "all seven": list(TRANSFORMS)}
    rows = part.rows[list(positions.values())]
    images, truths = part.images[rows], part.masks[rows]
    # Each image under its own number, so that random transforms do as in the run's predictions.
    maps = {
        title: {
            name: tta.mean_of_batch(network, image[None], names, 0, position, device)[0] for name, names in sets.items()
        }
        for image, (title, position) in zip(images, positions.items(), strict=True)
    }
    return xray_figures.tta_side_by_side(images, truths, maps, chosen.binarization_threshold, label)


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


def train_run(
    run: Run,
    accumulate: int = 1,
    precision: str = "auto",
    force: bool = False,
    logger: str = "none",
    trajectory: Path | None = None,
) -> TrainingResult:
    """Trains all stages of a run, or finds them finished; see `training.train` for the arguments and errors."""
    first = run.first_stage()
    return training.train(
        run.experiment,
        run.dataset,
        run.folder,
        run.seed,
        first,
        force,
        initial=run.initial,
        accumulate=accumulate,
        precision=precision,
        logger=logger,
        trajectory=trajectory,
    )


def sweep_run(run: Run, tta: str = "flip", rule: str = "component") -> Thresholds:
    """Chooses the thresholds of a trained run on its validation images, and writes them to its folder.

    Raises:
        TtaError, SweepError: a wrong value.
        StepError: not trained yet; says how.
    """
    transforms, rule = parameters.checked_transforms(tta), parameters.checked_rule(rule)
    probability, truth = predict(run, "validation", transforms)
    grid = postprocessing.removal_grid(run.experiment.image_size, rule)
    chosen = sweep.sweep(probability, truth, removal_thresholds=grid, rule=rule).best("dsc")
    postprocessing.save_thresholds(run.folder, chosen, transforms)
    return chosen


def test_run(run: Run, tta_table: bool = True) -> Record:
    """Scores a run on its test images with the thresholds chosen on validation, and writes its record and pictures.

    Raises:
        StepError: not trained or not swept yet; says how.
    """
    chosen, transforms = load_thresholds(run)
    probability, truth = predict(run, "test", transforms)
    part = run.dataset.part("test", run.experiment.image_size)
    predicted = postprocessing.apply(probability, *chosen[:2], chosen.rule)
    per_image = measures.per_image(part, predicted, truth)
    kinds = xray_figures.pick(per_image)
    shown = list(kinds.values())
    titles = [f"{title}\nDSC {per_image['dsc'][row]:.2f}" for title, row in kinds.items()]
    label = f"{run.experiment.name}, test, {run.label}"
    gallery = xray_figures.gallery(part.images[part.rows[shown]], truth[shown], predicted[shown], titles, label)
    save_pictures(run, gallery, probability, truth, chosen)
    grid = postprocessing.removal_grid(run.experiment.image_size, chosen.rule)
    result = sweep.sweep(probability, truth, removal_thresholds=grid, rule=chosen.rule)
    unfiltered = counts_without_removal(run, probability, truth)
    gain = gain_of_tta(run, truth, chosen, wanted=tta_table)
    trained = run.trained()
    measured = {
        "stages": trained.stages,
        "transforms": transforms,
        "chosen": chosen._asdict(),
        "test": scores.compare(result, unfiltered, chosen, run.experiment, part),
        "optimism": scores.optimism(result, chosen, part),
        "detection": measures.measure_detection(per_image, part.patients),
        "subgroups": measures.measure_subgroups(per_image["dsc"], part.index).to_dict("records"),
        "calibration": measures.measure_calibration(probability, truth, part.patients),
        "tta_effects": None if gain is None else gain.to_dict("records"),
    }
    return records.write(run.folder, records.about(run) | measured, per_image, trained.history)
