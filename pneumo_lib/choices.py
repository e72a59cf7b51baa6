"""One trained model post-processed in several ways, each with thresholds chosen anew, on the same test images.

Files in a run's folder: `choices-thresholds.csv` with one row for each choice, and `choices.csv` with `image_id`,
`patient_id`, `truth_px` and one column of DSC for each choice, one row for each test image.
"""

from dataclasses import replace

import numpy as np

from pneumo_lib import atomic, rescoring, workflow
from pneumo_lib.evaluation.common_grid import TrueMasks
from pneumo_lib.evaluation.inference import predict_to
from pneumo_lib.evaluation.sweep_result import SweepResult
from pneumo_lib.evaluation.transforms import TRANSFORMS
from pneumo_lib.rescoring import Scored
from pneumo_lib.runs import Run

CHOICES = (
    "default",
    "no-removal",
    "component-3072",
    "mask",
    "triplet",
    "stepwise",
    "on-test",
    "tta-none",
    "tta-seven",
)


def write(run: Run) -> None:
    """Scores every choice for a trained run.

    Raises:
        StepError: its weights are gone.
    """
    truths = rescoring.truths(run)
    found = measure(run, truths)
    atomic.write_csv(run.folder / "choices-thresholds.csv", rescoring.thresholds_table(found, "choice"))
    table = rescoring.images_of(run, truths[1]).assign(**{name: found[name].dsc.round(4) for name in CHOICES})
    atomic.write_csv(run.folder / "choices.csv", table)


def measure(run: Run, truths: tuple[TrueMasks, TrueMasks]) -> dict[str, Scored]:
    """Choice -> thresholds and DSC of each test image.

    Args:
        run: trained.
        truths: true masks of validation and test images on the common grid.
    """
    flipped = _predicted(run, ["flip"])
    validation, test = _swept(flipped, truths)
    found = {
        "default": rescoring.scored(test, validation.best("dsc")),
        "no-removal": rescoring.scored(test, _at_removal(validation, 0).best("dsc")),
        "component-3072": rescoring.scored(test, _at_removal(validation, 3072).best("dsc")),
        "stepwise": rescoring.scored(test, validation.best("stepwise_iou")),
        "on-test": rescoring.scored(test, test.best("dsc")),
    }
    for rule in ("mask", "triplet"):
        found[rule] = _chosen(flipped, truths, rule)
    for name, transforms in (("tta-none", []), ("tta-seven", list(TRANSFORMS))):
        found[name] = _chosen(_predicted(run, transforms), truths)
    return found


def _predicted(run: Run, transforms: list[str]) -> list[np.ndarray]:
    """Probabilities float32 (N, H, W) of validation and test images; the run's own, where it predicted in the same way."""
    own = {"validation": run.folder / "validation.npy", "test": run.folder / "test.npy"}
    if transforms == workflow.load_thresholds(run)[1] and all(path.is_file() for path in own.values()):
        return [np.load(path, mmap_mode="r") for path in own.values()]
    model, found = workflow.model(run), []
    for part in ("validation", "test"):
        images = run.dataset.part(part, run.experiment.image_size)
        path = run.folder / "trajectory" / f"{'-'.join(transforms) or 'none'}-{part}.npy"
        found.append(predict_to(path, model, images.images[images.rows], transforms))
    return found


def _swept(probability: list[np.ndarray], truths: tuple, rule: str = "component") -> list[SweepResult]:
    return [rescoring.swept(maps, truth, rule) for maps, truth in zip(probability, truths, strict=True)]


def _chosen(probability: list[np.ndarray], truths: tuple, rule: str = "component") -> Scored:
    validation, test = _swept(probability, truths, rule)
    return rescoring.scored(test, validation.best("dsc"))


def _at_removal(result: SweepResult, removal_threshold: int) -> SweepResult:
    """The same sweep at one removal threshold."""
    r = result.index(result.binarization_thresholds[0], removal_threshold)[1]
    return replace(
        result,
        predicted_px=result.predicted_px[:, :, r : r + 1],
        intersection_px=result.intersection_px[:, :, r : r + 1],
        removal_thresholds=result.removal_thresholds[r : r + 1],
    )
