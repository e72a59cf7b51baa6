"""The ceiling of R-TH: on invented masks by hand, and on the challenge's own where their public table is installed."""

import importlib.util
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pneumo_lib.data import annotations, rle
from pneumo_lib.errors import SiimError
from pneumo_lib.evaluation import ceiling

SIDE = 8
RESULTS = Path(__file__).parents[2] / "results" / "challenge-masks"


def _mask(*boxes: tuple[int, int, int, int]) -> np.ndarray:
    mask = np.zeros((SIDE, SIDE), bool)
    for top, left, bottom, right in boxes:
        mask[top:bottom, left:right] = True
    return mask


EMPTY = _mask()
ONE = _mask((0, 0, 2, 2))  # 4 px
TWO = _mask((0, 0, 3, 3), (6, 6, 7, 7))  # 9 px and, apart, 1 px
CORNERS = _mask((0, 0, 2, 2), (2, 2, 3, 3))  # 5 px: touching at a corner is touching


def test_component_areas_are_8_connected():
    areas = ceiling.component_areas([EMPTY, ONE, TWO, CORNERS])
    assert [sorted(one.tolist()) for one in areas] == [[], [4], [1, 9], [5]]


def test_curve_by_hand():
    found = ceiling.curve(ceiling.component_areas([EMPTY, ONE, TWO, CORNERS]), [0, 2, 5, 6, 10])
    # R-TH 2 removes the single pixel of TWO: DSC 2 x 9 / (9 + 10), IoU .9, above .50 to .85 but not above .90: 8 of 10.
    # R-TH 5 erases ONE too and keeps CORNERS, whose area is exactly 5; 6 erases CORNERS; 10 erases all.
    two = 18 / 19
    expected = pd.DataFrame(
        {
            "removal_threshold": [0, 2, 5, 6, 10],
            "dsc": [1, (3 + two) / 4, (2 + two) / 4, (1 + two) / 4, 1 / 4],
            "stepwise_iou": [1, 3.8 / 4, 2.8 / 4, 1.8 / 4, 1 / 4],
            "positive_dsc": [1, (2 + two) / 3, (1 + two) / 3, two / 3, 0],
            "erased": [0, 0, 1 / 3, 2 / 3, 1],
        }
    )
    pd.testing.assert_frame_equal(found, expected, check_dtype=False)


def test_table_unites_the_rows_of_an_image_and_counts_on_the_smaller_grid():
    # At half the size every 2 x 2 block is one pixel: two rows of 2 x 4 pixels unite to 4 pixels.
    halves = [_mask((0, 0, 2, 4)), _mask((2, 0, 4, 4))]
    rows = pd.DataFrame({"image_id": ["a", "b", "a"], "rle": [rle.encode(halves[0]), "-1", rle.encode(halves[1])]})
    found = ceiling.table(rows, size=4, removal_thresholds=[4, 5], side=SIDE)
    assert found["dsc"].tolist() == [1, 0.5]
    assert found["erased"].tolist() == [0, 1]


def test_histogram_counts_components():
    found = ceiling.histogram(ceiling.component_areas([EMPTY, ONE, TWO, CORNERS]), [1, 4, 5, 10])
    assert found["components"].tolist() == [1, 1, 2]


@pytest.mark.parametrize("masks", [[], [EMPTY]])
def test_without_a_pneumothorax_there_is_no_ceiling(masks):
    with pytest.raises(SiimError, match=f"None of the {len(masks)} masks has a pixel"):
        ceiling.curve(ceiling.component_areas(masks))


def test_baseline_error_by_hand():
    # sqrt(.5 x .5 / 100) = .05, times the normal quantile; the interval halves with four times as many images.
    assert ceiling.baseline_error(0.5, 100) == pytest.approx(0.0979982)
    assert ceiling.baseline_error(0.5, 400) == pytest.approx(0.0979982 / 2)
    assert ceiling.baseline_error(1.0, 100) == 0


@pytest.fixture(scope="module")
def challenge() -> pd.DataFrame:
    found = importlib.util.find_spec("torchxrayvision")
    if found is None:
        pytest.skip("torchxrayvision, which brings the challenge's table of masks, is not installed")
    folder = Path(found.submodule_search_locations[0])
    return annotations.read(folder / "data" / "siim-pneumothorax-train-rle.csv.gz")


def _assert_known(row: pd.Series, dsc: float, stepwise_iou: float, positive_dsc: float, erased: float) -> None:
    # The known values are rounded to four places, and to three for the share that is erased.
    assert row[["dsc", "stepwise_iou", "positive_dsc"]].tolist() == pytest.approx(
        [dsc, stepwise_iou, positive_dsc], abs=5.1e-5
    )
    assert row["erased"] == pytest.approx(erased, abs=5.1e-4)


def test_known_ceilings_of_the_challenge(challenge):
    # Known from an independent script over the same annotations.
    found = ceiling.table(challenge, removal_thresholds=[1024, 2048, 3072, 4096])
    _assert_known(found.loc[0], 0.9395, 0.9341, 0.7268, 0.261)
    _assert_known(found.loc[1], 0.8832, 0.8774, 0.4728, 0.514)
    _assert_known(found.loc[2], 0.8500, 0.8455, 0.3230, 0.667)
    _assert_known(found.loc[3], 0.8321, 0.8282, 0.2424, 0.749)
    full = ceiling.table(challenge, size=1024, removal_thresholds=[3072])
    _assert_known(full.loc[0], 0.9572, 0.9528, 0.8066, 0.183)


def test_the_committed_tables_are_made_by_the_command(challenge, tmp_path, monkeypatch):
    monkeypatch.setattr("sys.argv", ["ceiling", str(tmp_path)])
    ceiling.main()
    made = {path.name: path.read_text() for path in tmp_path.iterdir()}
    assert made == {path.name: path.read_text() for path in RESULTS.iterdir()}


def test_published_ceiling_is_the_known_one():
    """The committed table, which the book shows."""
    found = pd.read_csv(RESULTS / "ceiling.csv", encoding="utf-8").set_index("removal_threshold")
    assert len(found) == 257 and list(found.loc[0]) == [1, 1, 1, 0]
    _assert_known(found.loc[1024], 0.9395, 0.9341, 0.7268, 0.261)
    _assert_known(found.loc[3072], 0.8500, 0.8455, 0.3230, 0.667)
    # Raising R-TH removes more components, so no score of a perfect predictor can rise.
    assert (np.diff(found[["dsc", "stepwise_iou", "positive_dsc"]], axis=0) <= 0).all()
    assert pd.read_csv(RESULTS / "areas.csv", encoding="utf-8")["components"].sum() == 3805
    baseline = pd.read_csv(RESULTS / "baseline.csv", encoding="utf-8").set_index("images")
    assert baseline["baseline"].unique() == pytest.approx([9378 / 12047], abs=5.1e-7)
    assert baseline.loc[[1205, 1830], "error_95"].tolist() == pytest.approx([0.023, 0.019], abs=5e-4)
