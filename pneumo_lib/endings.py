"""One training ended in several ways: each ending's weights with thresholds of its own, on the same test images.

Files in a run's `endings/`: `<ending>.csv` with `image_id`, `patient_id`, `truth_px`, `dsc`, `max_probability`, one row for
each test image, and, last, `thresholds.csv` with one row for each ending.
"""

from pathlib import Path
from typing import cast

import numpy as np
import torch
from torch import nn
from torch.optim.swa_utils import update_bn

from pneumo_lib import atomic, rescoring
from pneumo_lib.data.batches import EpochOrder, training_loader
from pneumo_lib.evaluation.common_grid import TrueMasks
from pneumo_lib.evaluation.inference import predict_to
from pneumo_lib.experiments import stream
from pneumo_lib.model import unet
from pneumo_lib.rescoring import Scored
from pneumo_lib.runs import Run
from pneumo_lib.training import trajectory
from pneumo_lib.training.module import SegmentationModule

ENDINGS = ("last", "last-bn", "best", "mean-2", "mean-5", "mean-5-averaged")
"""Last epoch; the same with batch-norm statistics estimated again; lowest validation loss; mean of the last 2 and of the
last 5 epochs, statistics estimated again; mean of the last 5, statistics averaged too."""
TRANSFORMS = ["flip"]


def write(run: Run, folder: Path) -> None:
    """Scores every ending of a trained run.

    Args:
        run: trained with its trajectory kept.
        folder: of the trajectory.

    Raises:
        StepError: the trajectory is missing.
    """
    truths = rescoring.truths(run)
    images = rescoring.images_of(run, truths[1])
    found = {}
    for name in ENDINGS:
        found[name], highest = _score(run, network(run, folder, name), truths)
        table = images.assign(dsc=found[name].dsc.round(4), max_probability=highest.round(5))
        atomic.write_csv(run.folder / "endings" / f"{name}.csv", table)
    atomic.write_csv(run.folder / "endings" / "thresholds.csv", rescoring.thresholds_table(found, "ending"))


def network(run: Run, folder: Path, ending: str) -> nn.Module:
    """The network of a run as it ends, ready to predict."""
    model: nn.Module = unet.build(run.experiment, pretrained=False)
    model.load_state_dict(_state(folder, ending))
    model = model.to("cuda" if torch.cuda.is_available() else "cpu").to(memory_format=torch.channels_last)
    if ending in ("last-bn", "mean-2", "mean-5"):
        estimate_statistics(run, model)
    return model.eval()


def _state(folder: Path, ending: str) -> dict[str, torch.Tensor]:
    if ending == "best":
        return trajectory.read_best(folder)
    epochs = {"mean-2": 2, "mean-5": 5, "mean-5-averaged": 5}.get(ending, 1)
    return trajectory.mean(trajectory.read(folder, epochs))


@torch.no_grad()
def estimate_statistics(run: Run, model: nn.Module) -> None:
    """Estimates batch-norm statistics again, in one pass over the last stage's training images, as at the end of training."""
    number = len(run.experiment.stages)
    stage = run.experiment.stages[-1]
    batches = training_loader(
        run.dataset.part("train", stage.image_size),
        stage.batch_size,
        stream(run.experiment, run.seed),
        number,
        workers=0,
        strength=run.experiment.augmentation_strength,
        listed=run.experiment.augmentation_list,
    )
    cast(EpochOrder, batches.sampler).set_epoch(stage.epochs)
    module, device = SegmentationModule(model, run.experiment, number), next(model.parameters()).device
    update_bn((module.input_of(images.to(device)) for images, _ in batches), model, device)


def _score(run: Run, model: nn.Module, truths: tuple[TrueMasks, TrueMasks]) -> tuple[Scored, np.ndarray]:
    """(thresholds and DSC, highest probability of each test image on the grid)."""
    results, highest = [], np.empty(0)
    for part, truth in zip(("validation", "test"), truths, strict=True):
        images = run.dataset.part(part, run.experiment.image_size)
        path = run.folder / "trajectory" / f"{part}.npy"
        probability = predict_to(path, model, images.images[images.rows], TRANSFORMS)
        highest = np.array([one.max() for one in probability])
        results.append(rescoring.swept(probability, truth))
    validation, test = results
    return rescoring.scored(test, validation.best("dsc")), highest
