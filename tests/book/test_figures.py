"""Every figure of the book, from the committed results: nothing is cut off at an edge, no label lies on another."""

from itertools import chain, combinations

import matplotlib
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.text import Text

from pneumo_book import comparison, extension, figures, study_blocks, study_figures

EDGE = 0.03
"""Inches by which the empty rim of a box or half a line may pass the edge: less than a millimetre."""
TOUCH = 2
"""Pixels by which two boxes may overlap: text fills less than its box."""


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch, matplotlib.rc_context():
        # A home without runs: what is drawn is what is committed.
        patch.setenv("PNEUMO_HOME", str(tmp_path_factory.mktemp("home")))
        patch.delenv("PNEUMO_RECORDS", raising=False)
        sets, silver = comparison.shown_sets(), comparison.shown_sets(silver=True)
        found = dict(chain(figures.draw_all(sets, silver), study_figures.draw_all(study_blocks.load())))
        for figure in found.values():
            extension.legible(figure)
            FigureCanvasAgg(figure).draw()
    return found


def test_nothing_is_cut_off(drawn):
    assert {"tta-effects.svg", "outcomes.svg", "claims-convergence.svg"} <= set(drawn)
    for name, figure in drawn.items():
        box, (width, height) = figure.get_tightbbox(figure.canvas.get_renderer()), figure.get_size_inches()
        over = max(-box.x0, -box.y0, box.x1 - width, box.y1 - height)
        assert over <= EDGE, f"{name} is cut off: {over:.2f} inches are outside"


def test_no_label_lies_on_another(drawn):
    for name, figure in drawn.items():
        for one, other in combinations(_labels(figure), 2):
            a, b = (label.get_window_extent(figure.canvas.get_renderer()) for label in (one, other))
            width, height = min(a.x1, b.x1) - max(a.x0, b.x0), min(a.y1, b.y1) - max(a.y0, b.y0)
            assert min(width, height) <= TOUCH, f"{name}: {_said(one)} lies on {_said(other)}"


def _labels(figure) -> list:
    """Titles, names of axes and legends."""
    named = [figure._suptitle, figure._supxlabel, figure._supylabel, *figure.legends]
    for axis in figure.axes:
        named += [axis.title, axis._left_title, axis.xaxis.label, axis.yaxis.label, axis.get_legend()]
    return [one for one in named if one is not None and not (isinstance(one, Text) and not one.get_text())]


def _said(label) -> str:
    return repr(label.get_text()) if isinstance(label, Text) else "a legend"
