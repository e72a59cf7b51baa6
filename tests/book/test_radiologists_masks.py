"""What the book says of runs tested on X-rays with radiologists' masks."""

import pytest
import records_made

from pneumo_book import radiologists_masks
from pneumo_lib import paths

TESTED = {"data": "nih", "synthetic": False, "images": 60, "positive": 14, "patients": 30, "left_out": {}}


@pytest.fixture
def found(tmp_path, monkeypatch):
    """Two seeds of an invented pipeline."""
    monkeypatch.setenv("PNEUMO_HOME", str(tmp_path))
    monkeypatch.delenv("PNEUMO_RECORDS", raising=False)
    folder = tmp_path / "results" / "siim_silver-real" / "exp4"
    for seed in range(2):
        place = folder / f"seed{seed}" / "external" / "nih"
        records_made.write(place, "exp4", seed, quality=1, data="siim_silver", synthetic=False, tested_on=TESTED)
    synthetic = TESTED | {"synthetic": True}
    records_made.write(folder / "seed0" / "external" / "phantom", "exp4", 0, tested_on=synthetic)
    assert paths.results() == tmp_path / "results"
    return radiologists_masks.shown()


def test_only_external_tests_on_patients_are_shown(found):
    assert [record.values["tested_on"]["data"] for record in found] == ["nih", "nih"]


def test_two_test_sets_are_told_apart(found, tmp_path):
    larger = TESTED | {"data": "vindr", "images": 90}
    place = tmp_path / "results" / "siim_silver-real" / "exp4" / "seed0" / "external" / "vindr"
    records_made.write(place, "exp4", 0, quality=0.2, data="siim_silver", synthetic=False, tested_on=larger)
    both = radiologists_masks.shown()
    text = radiologists_masks.block(both)
    assert text.index("90 X-rays (14 positive") < text.index("60 X-rays (14 positive")
    assert "On 90 real X-rays" in radiologists_masks.sentence(both) and "one seed" in radiologists_masks.sentence(both)


def test_every_number_stands_with_its_counts_and_interval(found):
    text = radiologists_masks.block(found)
    assert "60 X-rays (14 positive, 30 patients)" in text
    scores = radiologists_masks.scores(found)["exp4"]
    for title in (
        "mean DSC",
        "gain over empty masks",
        "positive-only DSC",
        "AUROC, highest probability",
        "sensitivity",
    ):
        assert "(" in scores[title] and "–" in scores[title], title
    assert scores["seeds"] == "2 seeds"
    sizes = radiologists_masks.by_size(found)
    assert sizes["images"].sum() == 14, "every positive image in one class"


@pytest.mark.parametrize(("share", "outcome"), [(1, "more than empty"), (0, "not distinguishable from empty")])
def test_the_front_pages_sentence_says_whether_it_beats_empty_masks(found, share, outcome):
    for record in found:
        pixels = record.per_image["truth_px"] * share
        for name in ("predicted_px", "intersection_px", "predicted_px_validation", "intersection_px_validation"):
            record.per_image[name] = pixels
        record.per_image["dsc"] = (pixels == record.per_image["truth_px"]).astype(float)
    said = radiologists_masks.sentence(found)
    assert "On 60 real X-rays with radiologists' masks" in said and f"{outcome} masks" in said


def test_without_a_run_the_page_says_how_and_the_front_page_nothing():
    assert "Not run" in radiologists_masks.block([]) and "--test-data" in radiologists_masks.block([])
    assert radiologists_masks.sentence([]) == ""
