"""Histograms of grey levels, and the figure that compares a data set with real X-rays."""

import numpy as np
import pandas as pd
import pytest

from pneumo_lib import challenge
from pneumo_lib.report import data_figures


def test_a_flat_image_fills_one_bin():
    found = data_figures.grey_shares([np.full((512, 512), 17, np.uint8), np.full((256, 256), 255, np.uint8)])
    assert found.shape == (2, 32)
    assert found[0, 2] == 1 and found[1, 31] == 1 and found.sum() == 2


def test_the_table_is_mean_and_spread_over_images():
    found = data_figures.grey_table([np.zeros((256, 256), np.uint8), np.full((256, 256), 255, np.uint8)])
    assert found["mean"][0] == found["mean"][31] == 0.5 and found["sd"][0] == 0.5 and found["images"][0] == 2


def test_overlap_of_equal_and_of_disjoint_histograms():
    one, other = np.eye(32)[3], np.eye(32)[9]
    assert data_figures.grey_overlap(one, one) == 1 and data_figures.grey_overlap(one, other) == 0


def test_the_real_histogram_is_whole():
    real = pd.read_csv(challenge.GREY_LEVELS)
    assert len(real) == data_figures.GREY_BINS
    # Rounding 32 shares to six places moves their sum by less than this.
    assert real["mean"].sum() == pytest.approx(1, abs=32e-6)


@pytest.mark.parametrize("area", [[500, 9000], []])
def test_the_figure_stands_with_and_without_positives(area):
    index = pd.DataFrame({"positive": [True] * len(area) + [False], "mask_area_px": [*area, 0]})
    figure = data_figures.beside_real(index, np.zeros((3, 64, 64), np.uint8), "phantom data")
    assert "%" in figure.axes[1].get_title()
