"""Figures with X-rays, on invented images."""

import matplotlib.pyplot as plt
import numpy as np
import pytest

from pneumo_lib.report import xray_figures


@pytest.fixture(autouse=True)
def without_windows():
    plt.switch_backend("agg")
    yield
    plt.close("all")


def test_maps_side_by_side_end_with_the_last_minus_the_first():
    """One map that no threshold cuts, one that it does, and their difference."""
    low, high = np.full((8, 8), 0.25, np.float32), np.full((8, 8), 0.75, np.float32)
    high[:4] = 0.5
    images, truths = np.zeros((2, 8, 8), np.uint8), np.zeros((2, 8, 8), np.uint8)
    maps = {title: {"none": low, "flip": low, "all": high} for title in ("best", "worst")}
    figure = xray_figures.tta_side_by_side(images, truths, maps, 0.6, "made up")
    panels = [axis for axis in figure.axes if axis.get_label() != "<colorbar>"]
    assert len(panels) == 2 * 5
    assert [axis.get_title() for axis in panels[:5]][1:] == ["none", "flip", "all", "all minus none"]
    change = panels[4].images[0].get_array()
    assert change[0, 0] == 0.25 and change[7, 7] == 0.5
