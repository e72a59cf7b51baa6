"""The steps of a run as functions, and what sweep and test share: model, predictions, thresholds."""

from pathlib import Path

import numpy as np
import pandas as pd
import torch
from matplotlib.figure import Figure

from pneumo_lib import metrics, parameters, records, training
from pneumo_lib.data.dataset import Subset
from pneumo_lib.evaluation import explorer_data, measures, postprocessing, scores, sweep, tta, tta_effects
from pneumo_lib.evaluation.common_grid import CommonGridMaps, TrueMasks
from pneumo_lib.evaluation.inference import InferenceNetwork, predict_to
from pneumo_lib.evaluation.postprocessing import Thresholds
from pneumo_lib.evaluation.sweep_result import Counts, SweepResult
from pneumo_lib.evaluation.transforms import TRANSFORMS
from pneumo_lib.model import unet, weights
from pneumo_lib.records import Record
from pneumo_lib.report import style, xray_figures
from pneumo_lib.runs import ExternalRun, Run
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


def predict(run: Run, part: str, transforms: list[str]) -> tuple[CommonGridMaps, TrueMasks]:
    """Probability maps and true masks of "validation" or "test" on the common grid, (N, 512, 512) each, read one by one.

    The maps are written to `<part>.npy` in the run's folder, at the network's own size, and memory-mapped from there.
    """
    images, network = run.dataset.part(part, run.experiment.image_size), model(run)
    # What was made of earlier maps would not belong to these.
    for name in ("record.json", *(["thresholds.json"] if part == "validation" else [])):
        (run.folder / name).unlink(missing_ok=True)
    probability = predict_to(run.folder / f"{part}.npy", network, images.images[images.rows], transforms)
    return CommonGridMaps(probability), true_masks(run, part)


def true_masks(run: Run, part: str) -> TrueMasks:
    """The true masks of "validation" or "test" on the common grid."""
    return TrueMasks(run.dataset.labels(part, run.experiment.image_size))


def swept(probability: CommonGridMaps, truth: TrueMasks, rule: str = "component") -> SweepResult:
    """Every pair of thresholds on the common grid, see `sweep.sweep`."""
    return sweep.sweep(probability, truth, removal_thresholds=postprocessing.removal_grid(rule), rule=rule)


def counts_without_removal(run: Run, result: SweepResult, probability: CommonGridMaps, truth: TrueMasks) -> Counts:
    """Counts at the pipeline's own binarization threshold (B-TH), every component kept."""
    if result.rule != "component":
        # Other rules have no grid point without removal.
        result = sweep.sweep(probability, truth, removal_thresholds=[0])
    return result.at(run.experiment.binarization_threshold, 0)


def scored(
    run: Run,
    part: str,
    found: dict,
    probability: CommonGridMaps,
    truth: TrueMasks,
    chosen: Thresholds,
) -> pd.DataFrame:
    """The table per image of "validation" or "test": scores before thresholds, counts of each protocol, the headline's masks.

    Args:
        found: of `scores.protocols`; of validation images the headline alone.
        chosen: the headline's thresholds.
    """
    index = run.dataset.part(part, run.experiment.image_size).index
    table = measures.per_image(index, probability, truth, chosen)
    extra = [measures.image_scores(probability.probability), scores.per_image_counts(found)]
    return pd.concat([table, *extra], axis=1)


def validated(run: Run, chosen: Thresholds) -> pd.DataFrame:
    """`validation.csv`: the validation images' scores with the thresholds chosen on them, from the maps of the sweep."""
    run = run.own
    index = run.dataset.part("validation", run.experiment.image_size).index
    path = run.needs(run.folder / "validation.npy", "sweep")
    probability, truth = CommonGridMaps(np.load(path, mmap_mode="r")), true_masks(run, "validation")
    table = measures.per_image(index, probability, truth, chosen)
    counts = {f"{name}_validation": table[name] for name in ("predicted_px", "intersection_px")}
    kept = table[["image_id", "patient_id", "truth_px", "dsc", "iou", "stepwise_iou"]]
    return pd.concat([kept, measures.image_scores(probability.probability), pd.DataFrame(counts)], axis=1)


def chosen_on_validation(run: Run, chosen: Thresholds) -> dict[str, Thresholds]:
    """The pairs chosen on validation, see `scores.choose`, from the maps that the sweep wrote."""
    run = run.own
    path = run.needs(run.folder / "validation.npy", "sweep")
    result = swept(CommonGridMaps(np.load(path, mmap_mode="r")), true_masks(run, "validation"), chosen.rule)
    return scores.choose(result, criterion(run)) | {"validation": chosen}


def criterion(run: Run) -> str:
    """The criterion of a run's choice of thresholds."""
    return postprocessing.criterion_of(run.needs(run.own.folder / "thresholds.json", "sweep"))


def load_thresholds(run: Run) -> tuple[Thresholds, list[str]]:
    """What `postprocessing.save_thresholds` wrote: (thresholds, augmentation).

    Raises:
        StepError: no sweep yet; says how.
        SweepError: damaged.
    """
    return postprocessing.read_thresholds(run.needs(run.own.folder / "thresholds.json", "sweep"))


def gain_of_tta(run: Run, truth: TrueMasks, chosen: Thresholds, wanted: bool = True) -> pd.DataFrame | None:
    """`tta_effects.table` of the test images with a run's finished model; None where it is not wanted.

    For all seven transforms together thresholds are also chosen anew, on validation. Costs eight forward passes per image:
    seconds for the demo, on a processor hours at the paper's scale.
    """
    if not wanted:
        return None
    part, network = run.dataset.part("test", run.experiment.image_size), InferenceNetwork(model(run))
    validation = run.dataset.part("validation", run.experiment.image_size)
    maps = CommonGridMaps(tta.predict(network, validation.images[validation.rows], list(TRANSFORMS)))
    again = swept(maps, true_masks(run, "validation"), chosen.rule).best(criterion(run))
    effects = tta_effects.measure(network, part.images[part.rows], truth, chosen, again=again)
    return tta_effects.table(effects, truth.any_pixel(), part.patients)


def tta_pictures(run: Run, positions: dict[str, int], transforms: list[str], chosen: Thresholds, label: str) -> Figure:
    """Test images under none, the run's own and all transforms, by its finished model.

    Args:
        positions: title → position among the test images, one row of the figure each.
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


def gallery(run: Run, part: Subset, probability: CommonGridMaps, per_image: pd.DataFrame, chosen: Thresholds) -> Figure:
    """Test images from the best to the failures: original, truth and prediction, at the network's own size."""
    kinds = xray_figures.pick(per_image)
    shown = list(kinds.values())
    truth = part.masks[part.rows[shown]] > 0
    predicted = postprocessing.apply(np.stack([probability[row] for row in shown]), *chosen[:2], chosen.rule)
    predicted = np.stack([postprocessing.to_shape(mask, truth.shape[1:]) for mask in predicted])
    titles = [f"{title}\nDSC {per_image['dsc'][row]:.2f}" for title, row in kinds.items()]
    label = f"{run.experiment.name}, test, {run.label}"
    return xray_figures.gallery(part.images[part.rows[shown]], truth, predicted, titles, label)


def save_pictures(run: Run, picture: Figure, probability: CommonGridMaps, chosen: Thresholds) -> None:
    """Writes what the book shows of a run: its gallery and, of phantoms under rule component, the explorer's data."""
    style.save(picture, run.folder / "gallery.png")
    script = run.folder / "explorer-data.js"
    script.unlink(missing_ok=True)
    if run.dataset.is_phantom and chosen.rule == "component":
        part = run.dataset.part("test", run.experiment.image_size)
        label = f"{run.experiment.name}, test, {run.label}"
        images, truth = part.images[part.rows], part.masks[part.rows].view(bool)
        explorer_data.write(script, explorer_data.bundle(images, probability.probability, truth, chosen[:2], label))


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
    workers: int | None = None,
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
        workers=workers,
    )


def sweep_run(run: Run, tta: str = "flip", rule: str = "component", criterion: str = "dsc") -> Thresholds:
    """Chooses the thresholds of a trained run on its validation images, and writes them to its folder.

    Raises:
        TtaError, SweepError: a wrong value.
        StepError: not trained yet; says how.
    """
    transforms, rule = parameters.checked_transforms(tta), parameters.checked_rule(rule)
    criterion = parameters.checked_criterion(criterion)
    chosen = swept(*predict(run, "validation", transforms), rule).best(criterion)
    postprocessing.save_thresholds(run.folder, chosen, transforms, criterion)
    return chosen


def test_run(run: Run, tta_table: bool = True) -> Record:
    """Scores a run on its test images with the thresholds chosen on validation, and writes its record and pictures.

    Raises:
        StepError: not trained or not swept yet; says how.
    """
    chosen, transforms = load_thresholds(run)
    probability, truth = predict(run, "test", transforms)
    part = run.dataset.part("test", run.experiment.image_size)
    result = swept(probability, truth, chosen.rule)
    found = protocols(run, result, probability, truth, chosen)
    per_image = scored(run, "test", found, probability, truth, chosen)
    save_pictures(run, gallery(run, part, probability, per_image, chosen), probability, chosen)
    gain = gain_of_tta(run, truth, chosen, wanted=tta_table)
    measured = measure(run, result, found, probability, truth, per_image) | {
        "tta_effects": None if gain is None else gain.to_dict("records")
    }
    return write_record(run, chosen, transforms, measured, per_image)


def protocols(run: Run, result: SweepResult, probability: CommonGridMaps, truth: TrueMasks, chosen: Thresholds) -> dict:
    """`scores.protocols` of a run's test images."""
    pairs = chosen_on_validation(run, chosen)
    unfiltered = counts_without_removal(run, result, probability, truth)
    return scores.protocols(result, unfiltered, pairs, run.experiment, criterion(run))


def measure(
    run: Run, result: SweepResult, found: dict, probability: CommonGridMaps, truth: TrueMasks, per_image: pd.DataFrame
) -> dict:
    """All that a record says of the test images, without the table of test-time augmentation."""
    part = run.dataset.part("test", run.experiment.image_size)
    patients = part.patients
    return {
        "test": scores.compare(found, patients),
        "selection_gap": scores.selection_gap(found, patients, criterion(run)),
        "optimism": scores.optimism(result, patients, criterion(run))._asdict(),
        "detection": measures.measure_detection(per_image, patients),
        "subgroups": measures.measure_subgroups(per_image["dsc"], part.index).to_dict("records"),
        "calibration": measures.measure_calibration(probability, truth, patients),
    }


def write_record(
    run: Run, chosen: Thresholds, transforms: list[str], measured: dict, per_image: pd.DataFrame
) -> Record:
    """Writes `record.json` and its tables."""
    trained = run.trained()
    about = {
        "stages": trained.stages,
        "transforms": transforms,
        "criterion": criterion(run),
        "chosen": chosen._asdict() | {"at_edge": postprocessing.edges(chosen)},
    }
    values = records.about(run.own) | {"label": run.label} | about | measured
    if isinstance(run, ExternalRun):
        # What is synthetic is published with pictures; it is the tested images that count.
        values |= {"tested_on": run.dataset.tested_on(), "synthetic": run.dataset.is_phantom}
    return records.write(run.folder, values, per_image, trained.history, validated(run, chosen))
