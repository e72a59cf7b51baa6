"""What test-time augmentation changes on single images."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pneumo_lib.evaluation import steps, tta
from pneumo_lib.evaluation.fast import Fast
from pneumo_lib.evaluation.sweep_result import Choice
from pneumo_lib.report.figures import show_xray
from pneumo_lib.report.style import subplots
from pneumo_lib.runs import Run


def side_by_side(run: Run, positions: dict[str, int], transforms: Sequence[str], chosen: Choice, label: str) -> Figure:
    """Test images in rows: original, probability without, with the run's and with all augmentation, and the difference.

    Args:
        run: whose finished model predicts.
        positions: title → position in the test part, one row each.
        transforms: the run's own augmentation.
        chosen: whose binarization threshold is outlined, small regions included.
        label: what the data are.
    """
    part = run.source.part("test", run.experiment.image_size)
    model = Fast(steps.model(run))
    device = next(model.parameters()).device
    sets = {"none": [], ", ".join(transforms) or "none": transforms, "all seven": list(tta.TRANSFORMS)}
    figure, axes = subplots(len(positions), len(sets) + 2, figsize=(12, 2.1 * len(positions) + 0.6), squeeze=False)
    for row, (title, position) in zip(axes, positions.items(), strict=True):
        image, truth = np.array(part.images[part.rows[position]]), part.masks[part.rows[position]]
        # The image's own number, so that random transforms do as in the run's predictions.
        maps = {
            name: tta.mean_of_batch(model, image[None], names, 0, position, device)[0] for name, names in sets.items()
        }
        show_xray(row[0], image, truth=truth)
        row[0].set_ylabel(title, fontsize=9)
        for axis, probability in zip(row[1:], maps.values(), strict=False):
            shown = axis.imshow(probability, cmap="cividis", vmin=0, vmax=1)
            above = probability > np.float32(chosen.binarization_threshold)
            if above.any() and not above.all():
                axis.contour(above.astype(float), [0.5], colors=["white"], linewidths=1)
        figure.colorbar(shown, ax=row[-2], shrink=0.8)
        _difference(figure, row[-1], maps["all seven"] - maps["none"])
    for axis in axes.flat:
        axis.set(xticks=[], yticks=[])
    for axis, name in zip(axes[0], ["original, true outline", *sets, "all seven minus none"], strict=True):
        axis.set_title(name, fontsize=9)
    figure.suptitle(f"Test-time augmentation; white: above B-TH ({label})", fontsize=11)
    return figure


def _difference(figure: Figure, axis: Axes, change: np.ndarray) -> None:
    limit = max(float(np.abs(change).max()), 0.01)
    shown = axis.imshow(change, cmap="RdBu_r", vmin=-limit, vmax=limit)
    figure.colorbar(shown, ax=axis, shrink=0.8)
