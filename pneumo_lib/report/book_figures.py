"""All generated figures of the book, by file name."""

from collections.abc import Iterator

from matplotlib.figure import Figure

from pneumo_lib.experiments import EXPERIMENTS
from pneumo_lib.report import drawings, figures, network_drawing, published, silver, tta_gain, xray_drawings
from pneumo_lib.report.experiment_pages import measured
from pneumo_lib.report.records import Record

_DRAWINGS = {
    "paper-against-blank.svg": published.against_blank,
    "noise.svg": published.repeats,
    "stepwise.svg": published.staircase,
    "leakage.svg": published.leakage,
    "pneumothorax.png": xray_drawings.kinds,
    "anatomy.png": xray_drawings.anatomy,
    "augmentation.png": xray_drawings.augmented,
    "tta.png": xray_drawings.test_time,
    "thresholds.png": xray_drawings.thresholds,
    "rle.svg": drawings.rle,
    "loss.svg": drawings.loss,
    "stages.svg": drawings.stages,
    "averaging.svg": drawings.averaging,
    "network.svg": network_drawing.network,
}


def draw_all(sets: dict[str, list[Record]], silver_sets: dict[str, list[Record]]) -> Iterator[tuple[str, Figure]]:
    """(file name, figure), one after the other: drawings, then what was run."""
    for name, draw in _DRAWINGS.items():
        yield name, draw()
    for name in EXPERIMENTS:
        if record := measured(name, sets):
            yield f"{name}-curves.svg", figures.curves(record.history, f"{name}, {record.label}")
    if found := next(iter(sets.values()), []):
        yield "outcomes.svg", published.outcomes(found)
        yield "optimism.svg", published.optimism(found)
        if record := tta_gain.shown(found):
            yield "tta-effects.svg", tta_gain.draw(record.values["tta_effects"], f"{record.name}, test, {record.label}")
    yield from silver.draw(silver_sets)
