"""Detection, subgroups and calibration of one run, by hand."""

import numpy as np
import pandas as pd
import pytest

from pneumo_book import blocks
from pneumo_lib.data.dataset import Subset
from pneumo_lib.evaluation import measures, postprocessing
from pneumo_lib.evaluation.postprocessing import Thresholds
from pneumo_lib.report import score_figures, tables


@pytest.fixture
def part():
    """Four images of 32 pixels: true positive with a false region next to it, false negative, false positive, true negative."""
    truth, predicted = np.zeros((2, 4, 32, 32), bool)
    truth[0, :4, :4] = truth[1, 8:10, 8:10] = True
    predicted[0, :4, :2] = predicted[0, 20, 20] = True
    predicted[2, 5:8, 5:8] = True
    index = pd.DataFrame(
        {
            "image_id": list("abcd"),
            "patient_id": ["1", "2", "3", "3"],
            "view": ["PA", "AP", "PA", None],
            "sex": ["F", "M", "M", "M"],
            "age_years": [30.0, 413.0, 65.0, 65.0],
            "mask_area_px": pd.array([16 * 1024, 4 * 1024, 0, 0], "Int64"),
            "pixel_spacing_mm": [0.125, np.nan, 0.0625, 0.25],
            "side_px": [1024, 1024, 2048, 512],
        }
    )
    return Subset(np.zeros((4, 32, 32), np.uint8), truth.astype(np.uint8), index, np.arange(4)), predicted, truth


def table(part) -> pd.DataFrame:
    """The table per image of masks that a threshold of one half makes."""
    subset, predicted, truth = part
    return measures.per_image(subset.index, predicted.astype(np.float32), truth, Thresholds(0.5, 0, 0.0))


def test_per_image_holds_what_the_figures_need(part):
    frame = table(part)
    assert frame["largest_px"].tolist() == [8, 0, 9, 0]
    counts = frame[["lesions_true", "lesions_found", "regions", "false_regions"]].to_numpy().tolist()
    assert counts == [[1, 1, 2, 1], [1, 0, 0, 0], [0, 0, 1, 1], [0, 0, 0, 0]]
    # 0.125 mm at 1024 pixels are 4 mm at 32, as are 0.0625 mm at 2048: a pixel is 0.16 cm².
    np.testing.assert_allclose(frame["truth_cm2"], [2.56, np.nan, 0, 0], rtol=0, atol=1e-9)
    np.testing.assert_allclose(frame["predicted_cm2"], [1.44, np.nan, 1.44, 0], rtol=0, atol=1e-9)
    assert frame["age_band"].tolist() == ["18-39", "unknown", "60-79", "60-79"]


def test_detection_by_hand(part):
    frame = table(part).assign(max_probability=[0.8, 0.1, 0.9, 0.1], top_percent_mean=[0.7, 0.1, 0.6, 0.2])
    found = measures.measure_detection(frame, part[0].patients)
    assert list(found) == list(tables.DETECTION_TITLES)
    assert (found["sensitivity"].value, found["specificity"].value) == (0.5, 0.5)
    # 0.8 and 0.1 against 0.9 and 0.1: of four pairs one is won (0.8 above 0.1) and one tied; then two are won.
    assert (found["auroc"].value, found["auroc_top"].value) == (1.5 / 4, 2 / 4)
    assert (found["lesion_sensitivity"].value, found["false_alarms"].value) == (0.5, 0.5)
    assert (found["area_error_px"].value, found["area_bias_px"].value) == ((7 + 4) / 2, -(7 + 4) / 2)
    assert found["area_bias_cm2"].value == pytest.approx(-1.12)
    assert tables.detection_table(found).loc["sensitivity", "value"] == "0.500 (–)"
    nothing = measures.measure_detection(frame[frame["truth_px"] == 0])
    assert nothing["sensitivity"] is None and nothing["auroc"] is None and nothing["area_error_cm2"] is None


def test_subgroups_have_their_own_blank_baseline(part):
    found = measures.measure_subgroups([0.6, 0.0, 0.0, 1.0], part[0].index)
    table = tables.subgroup_table(found)
    assert table.loc["all", ["images", "with pneumothorax", "empty masks"]].tolist() == [4, 2, "0.500"]
    assert table.loc["sex: F", "empty masks"] == "0.000" and table.loc["view: unknown", "positive-only DSC"] == "–"
    assert found.set_index("group").loc["all", "positive_mean"] == pytest.approx(0.3)
    score_figures.subgroup_chart(found, "made up")
    without = measures.measure_subgroups([1.0, 1.0], part[0].index.iloc[2:].reset_index(drop=True))
    assert without["positive_mean"].isna().all()
    score_figures.subgroup_chart(without, "made up")


def test_calibration_of_certain_and_right_maps_is_perfect(part):
    truth = part[2]
    found = measures.measure_calibration(truth.astype(np.float32), truth)
    assert found["ece"].value == 0 and found["curve"][9]["frequency"] == 1 and found["curve"][9]["n"] == 20
    half = measures.measure_calibration(np.full(truth.shape, 0.55, np.float32), truth)
    assert half["ece"].value == pytest.approx(0.55 - 20 / truth.size, abs=1e-6)  # 0.55 in float32
    score_figures.reliability_diagram(half, "made up")


def test_what_was_not_measured_is_said():
    assert tables.tta_gain_table(None) == "not measured" and score_figures.tta_gain_chart(None, "made up") is None
    assert "Not run" in blocks.tta_gain_block([])


def test_the_triplet_grid_and_the_decks_point():
    assert postprocessing.removal_grid("triplet").tolist()[:3] == [[0.5, 150], [0.5, 200], [0.5, 1024]]
    assert postprocessing.removal_grid("mask").tolist() == [0, 64, 128, 256, 512, 1024, 2048, 3072, 4096]
    assert postprocessing.deck_thresholds() == (0.48, 3072) and postprocessing.deck_thresholds("mask") is None


def test_a_choice_at_the_edge_of_its_grid_is_said():
    assert postprocessing.edges(Thresholds(0.5, 0, 0.8)) == []
    assert postprocessing.edges(Thresholds(0.9, 4096, 0.8)) == ["B-TH", "R-TH"]
    assert postprocessing.edges(Thresholds(0.2, (0.7, 150), 0.8, "triplet")) == ["B-TH"]
