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
    """`mean (low-high)` to three places, `mean (–)` where it has no interval, or a dash where there is no number."""
    if interval is None:
        return "–"
    value, low, high = interval
    return f"{value:z.3f} (–)" if low is None or np.isnan(low) else f"{value:z.3f} ({low:z.3f}–{high:z.3f})"


# Okabe and Ito's colours, distinguishable for colour-blind readers and on grey X-rays.
TRUE, PREDICTED, NEUTRAL = "#E69F00", "#56B4E9", "#009E73"


def subplots(*args, **kwargs) -> tuple[Figure, Any]:
    """`pyplot.subplots`, constrained layout, with a figure that a notebook shows once: where a cell ends with it.

    Figures that pyplot keeps are shown a second time at the end of the cell, and are never freed.
    """
    figure, axes = plt.subplots(*args, **({"layout": "constrained"} | kwargs))
    plt.close(figure)
    return figure, axes


def save(figure: Figure, path: Path) -> None:
    """Writes a figure as PNG, whole or not at all."""
    with atomic.replacing(path) as temporary:
        figure.savefig(temporary, format="png", dpi=90, facecolor="white")
