"""The explorer in a browser shows what the library's sweep counts, by mouse or keyboard."""

import json
import re

import numpy as np
import pytest

from pneumo_lib.evaluation import postprocessing
from pneumo_lib.evaluation.sweep import sweep

ADDRESS = "book/sweep/explorer.html"


@pytest.fixture(scope="module")
def page(browser, site):
    opened = browser.new_page(viewport={"width": 1280, "height": 900})
    opened.goto((site / ADDRESS).as_uri(), wait_until="load")
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def swept(sample, bundle):
    _, probability, truth = sample.maps()
    return sweep(probability, truth, removal_thresholds=bundle["removal"])


@pytest.fixture(scope="module")
def bundle(site):
    script = (site / "_static" / "explorer-data-exp4.js").read_text()
    return json.loads(script.removeprefix("window.pneumoBundle = ").rstrip(";\n"))


def _shown(page, name: str) -> str:
    return page.locator(f"#explorer-root [data-is={name}]").inner_text()


def _set(page, image: int, b: int, r: int) -> None:
    page.evaluate(
        """([image, b, r]) => {
            const root = document.getElementById("explorer-root");
            root.querySelectorAll("[data-is=images] input")[image].click();
            for (const [name, value] of [["bth", b], ["rth", r]]) {
                const slider = root.querySelector(`[data-is=${name}]`);
                slider.value = value;
                slider.dispatchEvent(new Event("input"));
            }
        }""",
        [image, b, r],
    )


def test_shows_what_the_sweep_counts(page, swept, bundle):
    dsc, mean = swept.dsc(), swept.mean("dsc")
    for image in range(len(bundle["images"])):
        n = bundle["images"][image]["number"]
        for b in (0, 1, 137, 300, 455, 700):
            for r in (0, 1, 2, 5, len(bundle["removal"]) - 1):
                _set(page, image, b, r)
                assert int(_shown(page, "predicted")) == swept.predicted_px[n, b, r]
                assert int(_shown(page, "intersection")) == swept.intersection_px[n, b, r]
                assert float(_shown(page, "dsc")) == pytest.approx(dsc[n, b, r], abs=5.1e-5)
                assert float(_shown(page, "mean")) == pytest.approx(mean[b, r], abs=5.1e-5)


def test_paints_what_the_library_keeps(page, sample, bundle):
    _, probability, _ = sample.maps()
    _set(page, 0, 300, 1)
    painted = page.evaluate(
        """() => {
            const canvas = document.querySelector("#explorer-root [data-is=picture]");
            return [...canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data];
        }"""
    )
    size = bundle["size"]
    colours = np.array(painted).reshape(size, size, 4)[..., :3].astype(int)
    number, removal = bundle["images"][0]["number"], bundle["removal"][1]
    kept = postprocessing.apply(probability[number], bundle["thresholds"][300], removal)
    # The images are grey 90; the predicted mask is tinted blue, true outlines orange.
    blue = colours[..., 2] - colours[..., 0] > 20
    orange = colours[..., 0] - colours[..., 2] > 20
    assert (blue == kept)[~orange].all()
    assert blue.any()


def test_another_pipeline_can_be_chosen(page, site):
    choice = page.locator("#explorer-root [data-is=pipeline]")
    assert choice.input_value() == "exp4" and choice.locator("option").all_inner_texts() == ["exp2", "exp4"]
    choice.select_option("exp2")
    page.wait_for_function(
        "() => document.querySelector('#explorer-root [data-is=label]')?.textContent.includes('exp2')"
    )
    assert page.locator("#explorer-root [data-is=picture]").get_attribute("width") == "64"
    # R-TH in pixels of this size and of the common grid: 64 times as many.
    _set(page, 0, 300, 1)
    own, grid = re.fullmatch(r"(\d+) pixels \((\d+) at 512 x 512\)", _shown(page, "rth-value")).groups()
    assert int(grid) == 64 * int(own)
    page.goto((site / ADDRESS).as_uri(), wait_until="load")
    assert choice.input_value() == "exp4"


def test_works_with_the_keyboard(page, bundle):
    _set(page, 0, 300, 1)
    page.locator("#explorer-root [data-is=bth]").focus()
    page.keyboard.press("ArrowRight")
    assert _shown(page, "bth-value") == f"{bundle['thresholds'][301]:.3f}"
    page.keyboard.press("Tab")
    page.keyboard.press("ArrowRight")
    assert _shown(page, "rth-value").startswith(f"{bundle['removal'][2]} pixels (")
    before = page.url
    page.locator("#explorer-root [data-is=images] input").first.focus()
    page.keyboard.press("ArrowRight")
    assert page.locator("#explorer-root [data-is=images] input").nth(1).is_checked()
    assert page.url == before


def test_jumps_to_the_chosen_and_the_decks_pair(page, bundle):
    page.locator("#explorer-root [data-is=to-deck]").click()
    assert _shown(page, "bth-value") == f"{bundle['deck'][0]:.3f}"
    page.locator("#explorer-root [data-is=to-chosen]").click()
    assert _shown(page, "bth-value") == f"{bundle['chosen'][0]:.3f}"


def test_is_small(site):
    assert sum((site / "_static" / name).stat().st_size for name in ("explorer.js", "explorer-data-exp4.js")) < 3e6
