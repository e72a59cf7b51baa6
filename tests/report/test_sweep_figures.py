import matplotlib.pyplot as plt
import numpy as np
import pytest

from pneumo_lib.errors import SweepError
from pneumo_lib.evaluation.sweep import sweep
from pneumo_lib.report import sweep_figures

B = np.arange(20, 91, 5) / 100


@pytest.fixture(autouse=True)
def without_windows():
    plt.switch_backend("agg")
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def result():
    rng = np.random.default_rng(0)
    probability = rng.random((8, 16, 16)).astype(np.float32)
    truth = probability > 0.7
    truth[:6] = False
    return sweep(probability, truth, B, [1, 16])


def test_curve_marks_both_points_and_the_blank_baseline(result):
    figure = sweep_figures.curve(result, "dsc", deck=(0.45, 16), label="made up", groups=list("aabbccdd"))
    every, positive, negative = figure.axes
    assert "made up" in figure.get_suptitle()
    assert [ax.get_title() for ax in figure.axes] == [
        "all images\n(n = 8)",
        "positive images\n(n = 2)",
        "negative images\n(n = 6)",
    ]
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    b, r, score, _ = result.best("dsc")
    assert f"chosen: B-TH {b:.3f}, R-TH {r}: {score:.3f}" in labels
    assert any(text.startswith("deck's point: B-TH 0.450, R-TH 16") for text in labels)
    assert "empty masks: 0.750" in labels
    lines = {line.get_label(): line for line in positive.get_lines()}
    expected = result.dsc()[6:, :, 1].mean(0)
    np.testing.assert_allclose(lines["R-TH 16 px"].get_ydata(), expected, rtol=1e-12)  # another order of summation


def test_heat_map_shows_every_cell(result):
    figure = sweep_figures.heat_map(result, "stepwise_iou", label="made up")
    drawn = [ax.images[0].get_array() for ax in figure.axes if ax.images]
    assert len(drawn) == 3
    np.testing.assert_allclose(drawn[0], result.stepwise_iou().mean(0).T, rtol=1e-12)


def test_data_without_positive_images_and_the_triplet_rule(result):
    sweep_figures.curve(result.subset(~result.positive))
    sweep_figures.heat_map(result.subset(~result.positive))
    triplet = sweep(np.zeros((2, 4, 4), np.float32), np.zeros((2, 4, 4), bool), [0.3], [(0.7, 5)], "triplet")
    labels = [text.get_text() for text in sweep_figures.curve(triplet).legends[0].get_texts()]
    assert "R-TH 0.7/5 px" in labels
    sweep_figures.heat_map(triplet)


def test_a_point_that_was_not_swept_is_an_error(result):
    with pytest.raises(SweepError, match="was not swept"):
        sweep_figures.curve(result, deck=(0.48, 3072))
