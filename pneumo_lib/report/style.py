"""Shared parts of all figures: colours, creating and saving them, and the text of an interval."""

import os
import sys
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from pneumo_lib import atomic

_INLINE = "module://matplotlib_inline.backend_inline"


def draw_in_notebooks() -> None:
    """Makes a notebook show figures although the environment variable MPLBACKEND names another backend."""
    shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
    if hasattr(shell, "kernel") and os.environ.get("MPLBACKEND", _INLINE) not in (_INLINE, "inline"):
        shell.run_line_magic("matplotlib", "inline")


draw_in_notebooks()


def interval_text(interval) -> str:
    """`value (low-high)` to three places, `value (–)` where it has no interval, or a dash where there is no number.

    Args:
        interval: an Interval, (value, low, high), or an Interval as a record's JSON holds it; None: no number.
    """
    value, low, high = ends(interval)
    if value is None or np.isnan(value):
        return "–"
    return f"{value:z.3f} (–)" if low is None or np.isnan(low) else f"{value:z.3f} ({low:z.3f}–{high:z.3f})"


def ends(interval) -> tuple:
    """(value, low, high) of what `interval_text` takes."""
    if interval is None:
        return None, None, None
    return tuple(interval[name] for name in ("value", "low", "high")) if isinstance(interval, dict) else tuple(interval)


# Okabe and Ito's colours, distinguishable for colour-blind readers and on grey X-rays.
TRUE, PREDICTED, NEUTRAL = "#E69F00", "#56B4E9", "#009E73"


def subplots(*args, **kwargs) -> tuple[Figure, Any]:
    """`pyplot.subplots`, constrained layout, with a figure that a notebook shows once: where a cell ends with it.

    Figures that pyplot keeps are shown a second time at the end of the cell, and are never freed.
    """
    figure, axes = plt.subplots(*args, **({"layout": "constrained"} | kwargs))
    plt.close(figure)
    return figure, axes


COLUMN, NARROW = 7.15, 3.75
"""Widths of a page's column and of a phone's in inches: figures of this width are shown with their fonts as they are."""


def panels(count: int | tuple[int, int], size: tuple[float, float], *, stacked: bool, **kwargs) -> tuple[Figure, Any]:
    """`count` panels and their axes in reading order: side by side, or one above the other for a narrow screen.

    Args:
        count: a number, or that of rows and of columns where they stand side by side.
        size: width and height in inches of the figure side by side.
        stacked: one above the other, each with numbers of its own on both axes.
    """
    rows, columns = count if isinstance(count, tuple) else (1, count)
    if stacked:
        size = (NARROW, max(2.2, size[1] / rows) * rows * columns)
        rows, columns = rows * columns, 1
    figure, axes = subplots(rows, columns, figsize=size, squeeze=False, **kwargs)
    if stacked:
        for axis in axes.flat:
            axis.tick_params(labelbottom=True)
    return figure, axes.flat


def save(figure: Figure, path: Path) -> None:
    """Writes a figure as PNG, whole or not at all."""
    with atomic.replacing(path) as temporary:
        figure.savefig(temporary, format="png", dpi=160, facecolor="white")
