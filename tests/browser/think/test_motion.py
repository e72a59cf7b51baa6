"""Training in motion: what is recorded of a run, and the page that shows it, from a run of seconds and the committed one."""

import base64
import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from pneumo_book import motion, think
from pneumo_lib import experiments, metrics, runs
from pneumo_lib.published import DECK_GRID

REPOSITORY = Path(__file__).resolve().parents[3]
BOOK, RESULTS = REPOSITORY / "book", REPOSITORY / "results"
PREFIX = "window.pneumoMotion = "


@pytest.fixture(scope="module")
def recording(tmp_path_factory) -> motion.Recording:
    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PNEUMO_HOME", str(home))
        run = runs.start("exp4", profile="smoke")
        return motion.record(run, home / "runs" / "think")


@pytest.fixture(scope="module")
def committed() -> str:
    return (RESULTS / "motion-data.js").read_text(encoding="utf-8")


def _bundle(script: str) -> dict:
    return json.loads(script.removeprefix(PREFIX).rstrip(";\n"))


def test_every_epoch_and_every_average_is_a_moment(recording):
    stages = recording.run.experiment.stages
    expected = [
        (number, epoch) for number, stage in enumerate(stages, 1) for epoch in [*range(1, stage.epochs + 1), None]
    ]
    assert [(one.stage, one.epoch) for one in recording.moments] == expected
    sizes = [one.probability.shape[1:] for one in recording.moments]
    assert sizes == [(stages[stage - 1].image_size,) * 2 for stage, _ in expected]


def test_recorded_maps_give_the_scores_of_the_history(recording):
    threshold = recording.run.experiment.binarization_threshold
    for one in recording.moments:
        truth = motion._validation(recording.run, one.probability.shape[-1]).masks.astype(bool)
        dsc = metrics.dsc(one.probability > np.float32(threshold), truth).mean()
        # The history keeps float32.
        assert dsc == pytest.approx(one.scores["val_dsc"], abs=1e-6)


def test_finished_network_predicts_a_mask_on_the_common_grid(recording):
    mask = motion.predictor(recording)(np.full((256, 256), 90, np.uint8))
    assert (mask.shape, mask.dtype) == ((DECK_GRID, DECK_GRID), bool)


def test_images_shown_are_spread_over_the_areas():
    assert motion.pick(np.array([0, 5, 9, 0, 1, 7, 0, 3])) == [2, 5, 7, 4, 0, 3]
    assert motion.pick(np.array([0, 5, 0])) == [1, 0, 2]
    assert motion.pick(np.array([4])) == [0]


def _levels(moment: dict, images: int) -> np.ndarray:
    encoded = np.frombuffer(base64.b64decode(moment["levels"].split(",")[1]), np.uint8)
    strip = cv2.imdecode(encoded, cv2.IMREAD_GRAYSCALE) // 17
    return np.stack(np.split(strip, images, axis=1))


def test_levels_keep_the_masks_exactly(recording):
    bundle, threshold = motion.bundle(recording), recording.run.experiment.binarization_threshold
    area = motion._validation(recording.run, bundle["size"]).masks.sum((1, 2))
    shown = motion.pick(area)
    for moment, one in zip(bundle["moments"], recording.moments, strict=True):
        expected = one.probability[shown] > np.float32(threshold)
        assert ((_levels(moment, len(shown)) >= 16 * threshold) == expected).all()


def _open(open_page, script: str, **more):
    page = open_page("motion", data={"motion-data.js": script}, **more)
    page.locator("#training-motion").wait_for(state="visible")
    return page


def _slide(page, position: int) -> None:
    page.locator("[data-is=moment]").evaluate(
        "(one, position) => { one.value = position; one.dispatchEvent(new Event('input')); }", position
    )


def _text(page, name: str) -> str:
    return page.locator(f"#training-motion [data-is={name}]").inner_text()


def test_committed_run_is_one_of_phantoms_and_small(committed):
    bundle = _bundle(committed)
    assert bundle["label"].startswith("Phantoms (synthetic X-rays)")
    assert len(bundle["moments"]) == sum(bundle["epochs"]) + 2
    assert bundle["baseline"] == 1 - bundle["positive"] / bundle["images"]
    assert len(committed) < 400_000


def test_committed_run_is_as_the_page_tells(committed):
    bundle, told = _bundle(committed), think.motion_numbers(RESULTS)
    moments, baseline = bundle["moments"], bundle["baseline"]
    empty = moments[: int(told["motion_empty_epochs"])]
    assert {one["empty"] for one in empty} == {bundle["images"]} and len(empty) > 1
    assert {one["scores"]["val_dsc"] for one in empty} == {baseline}
    losses = [one["scores"]["val_loss"] for one in empty]
    assert losses == sorted(losses, reverse=True)
    # "Up and down around the baseline", "on many without one", "costs once more".
    drawn = [one["scores"]["val_dsc"] for one in moments[len(empty) :] if one["stage"] == 1]
    assert min(drawn) < baseline < max(drawn) and float(told["motion_lowest_dsc"]) < baseline
    assert int(told["motion_lowest_masks"]) > 1.5 * int(told["motion_lowest_found"])
    assert float(told["motion_second_dsc"]) < baseline
    # "Averaging does not always help".
    assert float(told["motion_averaged_dsc"]) < float(told["motion_last_dsc"])
    assert bundle["epochs"] == [stage.epochs for stage in experiments.get("exp4", "study").stages]


def test_page_tells_the_numbers_of_a_run(tmp_path):
    rows = [
        (1, 1, 4, 2, 0.5, 0.0, 1.5),
        (1, 2, 1, 1, 0.25, 0.1, 1.0),
        (1, None, 1, 1, 0.3, 0.1, 0.9),
        (2, 1, 0, 0, 0.2, 0.4, 0.8),
    ]
    rows += [(2, 2, 2, 0, 0.75, 0.6, 0.7), (2, None, 2, 0, 0.8, 0.6, 0.6)]
    names = ("val_dsc", "val_positive_dsc", "val_loss")
    moments = [
        {
            "stage": stage,
            "epoch": epoch,
            "empty": empty,
            "missed": missed,
            "scores": dict(zip(names, scores, strict=True)),
        }
        for stage, epoch, empty, missed, *scores in rows
    ]
    run = {"moments": moments, "images": 4, "positive": 2, "baseline": 0.5}
    think.write_script(tmp_path / "motion-data.js", "pneumoMotion", run)
    told = {name.removeprefix("motion_"): text for name, text in think.motion_numbers(tmp_path).items()}
    assert (told["empty_epochs"], told["loss_from"], told["loss_to"]) == ("1", "1.50", "1.50")
    assert (told["lowest_epoch"], told["lowest_masks"], told["lowest_found"]) == ("2", "3", "1")
    assert (told["lowest_dsc"], told["lowest_positive"]) == ("0.25", "0.10")
    assert (told["second_dsc"], told["second_masks"]) == ("0.20", "4")
    assert (told["last_dsc"], told["averaged_dsc"]) == ("0.75", "0.80")


def test_page_shows_each_moment_of_the_committed_run(open_page, committed):
    bundle, page = _bundle(committed), _open(open_page, committed)
    size, shown = bundle["size"], bundle["shown"]
    packed = [np.frombuffer(base64.b64decode(one["truth"]), np.uint8) for one in shown]
    truth = np.stack([np.unpackbits(one).reshape(size, size).astype(bool) for one in packed])
    for position, moment in enumerate(bundle["moments"]):
        _slide(page, position)
        assert _text(page, "dsc") == f"{moment['scores']['val_dsc']:.4f}"
        assert _text(page, "empty") == f"{moment['empty']} of {bundle['images']}"
        mask = _levels(moment, len(shown)) >= 16 * bundle["threshold"]
        mask = mask.repeat(size // mask.shape[1], 1).repeat(size // mask.shape[2], 2)
        captions = page.locator("[data-is=images] figcaption").all_inner_texts()
        assert [one.split("DSC ")[1] for one in captions] == [f"{one:.2f}" for one in metrics.dsc(mask, truth)]
        assert ["empty mask" in one for one in captions] == (~mask.any((1, 2))).tolist()
    assert page.locator("[data-is=losses] circle").count() == 2
    assert page.locator("[data-is=scores] path").count() == 2


def test_plays_by_itself_and_stops_at_the_end(open_page, committed):
    page = _open(open_page, committed)
    last = int(page.locator("[data-is=moment]").get_attribute("max"))
    _slide(page, last - 1)
    page.get_by_role("button", name="Play").click()
    assert _text(page, "play") == "Pause"
    page.get_by_role("button", name="Play").wait_for()
    assert page.locator("[data-is=moment]").input_value() == str(last)
    assert "averaged" in _text(page, "moment-name")


def test_slides_with_the_keyboard(open_page, committed):
    page = _open(open_page, committed)
    page.locator("[data-is=moment]").focus()
    page.keyboard.press("ArrowRight")
    assert "epoch 2 of" in page.locator("[data-is=moment]").get_attribute("aria-valuetext")
    page.keyboard.press("End")
    assert "averaged" in _text(page, "moment-name")


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_is_accessible_and_fits_a_phone(open_page, violations, committed, theme):
    assert not violations(_open(open_page, committed, width=390, theme=theme))
