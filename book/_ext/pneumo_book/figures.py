"""All generated figures of the book, by file name."""

from collections.abc import Iterator

from matplotlib.figure import Figure

from pneumo_book import blocks, method_figures, phantom_figures, published_figures, silver, surface
from pneumo_book.experiment_pages import measured
from pneumo_book.stacking import both
from pneumo_lib.experiments import EXPERIMENTS
from pneumo_lib.records import Record
from pneumo_lib.report import score_figures

_DRAWINGS = {
    "noise.svg": published_figures.repeats,
    "leakage.svg": published_figures.leakage,
    "pneumothorax.png": phantom_figures.kinds,
    "anatomy.png": phantom_figures.anatomy,
    "augmentation.png": phantom_figures.augmented,
    "tta.png": phantom_figures.test_time,
    "thresholds.png": phantom_figures.thresholds,
    "rle.svg": method_figures.rle,
    "stages.svg": method_figures.stages,
    "averaging.svg": method_figures.averaging,
    "network.svg": method_figures.network,
}
_PANELS = {
    "paper-against-blank.svg": published_figures.against_blank,
    "stepwise.svg": published_figures.staircase,
    "loss.svg": method_figures.loss,
}
"""Those of several panels, drawn for narrow screens too."""


def draw_all(sets: dict[str, list[Record]], silver_sets: dict[str, list[Record]]) -> Iterator[tuple[str, Figure]]:
    """(file name, figure), one after the other: drawings, then what was run."""
    for name, draw in _DRAWINGS.items():
        yield name, draw()
    for name, draw in _PANELS.items():
        yield from both(name, draw)
    for name in EXPERIMENTS:
        if record := measured(name, sets):
            yield from both(f"{name}-curves.svg", score_figures.curves, record.history, f"{name}, {record.label}")
    if found := next(iter(sets.values()), []):
        yield "outcomes.svg", published_figures.outcomes(found)
        yield "optimism.svg", published_figures.optimism(found)
        if record := blocks.tta_gain_shown(found):
            label = f"{record.name}, test, {record.label}"
            yield from both("tta-effects.svg", score_figures.tta_gain_chart, record.values["tta_effects"], label)
    if data := surface.bundle(sets):
        yield surface.NAME, surface.draw(data)
    yield from silver.draw(silver_sets)
