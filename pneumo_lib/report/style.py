"""What all figures share: colours, and how a figure is made."""

import matplotlib.pyplot as plt
from matplotlib.figure import Figure

# Okabe and Ito's colours, told apart by colour-blind readers and on grey X-rays.
TRUE, PREDICTED, NEUTRAL = "#E69F00", "#56B4E9", "#009E73"


def subplots(*args, **kwargs) -> tuple[Figure, object]:
    """`pyplot.subplots`, constrained layout, with a figure that a notebook shows once: where a cell ends with it.

    Figures that pyplot keeps are shown a second time at the end of the cell, and are never freed.
    """
    figure, axes = plt.subplots(*args, **({"layout": "constrained"} | kwargs))
    plt.close(figure)
    return figure, axes
