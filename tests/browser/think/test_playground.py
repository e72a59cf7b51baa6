"""The playground shows what the library computes: scores, losses, gradients and run-length codes."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from pneumo_lib import metrics
from pneumo_lib.data import rle
from pneumo_lib.model.losses import soft_dice_loss

SIDE = 16
PRESETS = 7
PROBABILITIES = (0.51, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 0.999)


@pytest.fixture(scope="module")
def page(open_page):
    return open_page("playground")


def _text(page, name: str) -> str:
    return page.locator(f"#mask-playground [data-is={name}]").inner_text()


def _mask(page, name: str) -> np.ndarray:
    cells = f"#mask-playground [data-is={name}] [role=gridcell]"
    on = page.eval_on_selector_all(cells, "all => all.map(one => one.getAttribute('aria-selected') === 'true')")
    return np.array(on).reshape(SIDE, SIDE)


def _choose(page, preset: int, probability: int = 4, smooth: str = "1") -> None:
    page.evaluate(
        """([preset, probability, smooth]) => {
            const root = document.getElementById("mask-playground");
            root.querySelectorAll("[data-is=presets] button")[preset].click();
            root.querySelector(`[name=playground-smooth][value="${smooth}"]`).click();
            const slider = root.querySelector("[data-is=probability]");
            slider.value = probability;
            slider.dispatchEvent(new Event("input"));
        }""",
        [preset, probability, smooth],
    )


def _gradients(page) -> np.ndarray:
    """(2, 256): what the page says of each pixel when it has the focus."""
    sentences = page.eval_on_selector_all(
        "#mask-playground [data-is=truth] [role=gridcell]",
        "all => all.map(one => { one.focus(); return document.querySelector('[data-is=pixel]').textContent; })",
    )
    numbers = [sentence.rstrip(".").split("gradient of BCE ")[1].split(", of the Dice loss ") for sentence in sentences]
    return np.array(numbers, float).T


def _losses(predicted: np.ndarray, truth: np.ndarray, probability: float, smooth: float):
    """BCE and Dice loss of the library, and their gradients with respect to the logits, in float64."""
    p = np.where(predicted, probability, 1 - probability)
    logits = torch.tensor(np.log(p / (1 - p))[None, None], requires_grad=True)
    target = torch.tensor(truth[None, None], dtype=torch.float64)
    values = [F.binary_cross_entropy_with_logits(logits, target), soft_dice_loss(logits, target, smooth)]
    gradients = [torch.autograd.grad(value, logits)[0].numpy().ravel() for value in values]
    return [value.item() for value in values], np.stack(gradients)


@pytest.mark.parametrize("preset", range(PRESETS))
@pytest.mark.parametrize("smooth", ["1", "1e-5", "0"])
def test_shows_what_the_library_computes(page, preset, smooth):
    for number in (0, 4, 7):
        _choose(page, preset, number, smooth)
        predicted, truth = _mask(page, "predicted"), _mask(page, "truth")
        for name, metric in (("dsc", metrics.dsc), ("iou", metrics.iou), ("stepwise", metrics.stepwise_iou)):
            # Shown with four decimals.
            assert float(_text(page, name)) == pytest.approx(metric(predicted[None], truth[None])[0], abs=5.1e-5)
        (bce, dice), gradients = _losses(predicted, truth, PROBABILITIES[number], float(smooth))
        shown = [float(_text(page, name)) for name in ("bce", "dice", "loss")]
        assert shown == pytest.approx([bce, dice, bce + dice], abs=5.1e-5)
        # Shown with four digits; where truth and prediction are empty and nothing smooths, the exact value is 0, and
        # autograd leaves a rounding error.
        assert _gradients(page) == pytest.approx(gradients, rel=6e-4, abs=1e-15)


def test_presets_are_the_cases_that_matter(page):
    names = page.locator("#mask-playground [data-is=presets] button").all_inner_texts()
    cases = {}
    for preset, name in enumerate(names):
        _choose(page, preset)
        cases[name] = (_text(page, "counts"), float(_text(page, "dsc")), float(_text(page, "stepwise")))
    assert len(names) == PRESETS
    assert cases["both empty"] == ("0 / 0 / 0", 1, 1)
    assert cases["one false pixel"] == ("1 / 0 / 0", 0, 0)
    assert cases["one true pixel, missed"] == ("0 / 1 / 0", 0, 0)
    # Two 6 x 6 boxes: shifted by 3 they share 18 pixels, IoU 18/54; by 1 they share 30, IoU 30/42 = .714.
    assert cases["half overlap"] == ("36 / 36 / 18", 0.5, 0)
    assert cases["off by one"] == ("36 / 36 / 30", 0.8333, 0.5)
    assert cases["thin rim, off by one"] == ("28 / 28 / 14", 0.5, 0)


def test_without_smoothing_an_empty_truth_gives_no_gradient(page):
    _choose(page, 0, smooth="0")
    assert float(_text(page, "dice")) == 1
    assert not _gradients(page)[1].any()


def test_is_painted_with_the_keyboard(page):
    _choose(page, 0)
    page.locator("#mask-playground [data-is=truth] [tabindex='0']").focus()
    page.keyboard.press("Home")
    for _ in range(SIDE):
        page.keyboard.press("ArrowUp")
    page.keyboard.press("Space")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    assert np.argwhere(_mask(page, "truth")).tolist() == [[0, 0], [1, 1]]
    assert _text(page, "pixel").startswith("Row 2, column 2: truth 1, probability 0.1;")
    # Only one pixel of a grid is reached by the tabulator.
    assert page.locator("#mask-playground [data-is=truth] [tabindex='0']").count() == 1


def test_is_painted_with_the_mouse(page):
    _choose(page, 0)
    cells = page.locator("#mask-playground [data-is=predicted] [role=gridcell]")
    start, end = cells.nth(SIDE + 2).bounding_box(), cells.nth(SIDE + 5).bounding_box()
    page.mouse.move(start["x"] + 5, start["y"] + 5)
    page.mouse.down()
    page.mouse.move(end["x"] + 5, end["y"] + 5, steps=12)
    page.mouse.up()
    page.mouse.move(end["x"] + 5, end["y"] + 60)
    assert np.argwhere(_mask(page, "predicted")).tolist() == [[1, x] for x in range(2, 6)]


@pytest.fixture(scope="module")
def encoding(open_page):
    page = open_page("playground")
    page.locator("#playground-tab-scores").focus()
    page.keyboard.press("ArrowRight")
    assert page.locator("#playground-rle").is_visible() and not page.locator("#playground-scores").is_visible()
    return page


def test_paints_the_code_and_codes_the_painting(encoding):
    random = np.random.default_rng(0)
    corner = np.zeros((SIDE, SIDE), bool)
    corner[-1, -1] = True
    for mask in [random.random((SIDE, SIDE)) < share for share in (0, 0.05, 0.5, 1)] + [corner, corner.T[::-1]]:
        encoding.locator("[data-is=code]").fill(rle.encode(mask))
        assert (_mask(encoding, "painted") == mask).all()
        encoding.locator("[data-is=painted] [tabindex='0']").focus()
        for _ in range(3):
            # Two strokes change a pixel and change it back: the code is then the page's own.
            encoding.keyboard.press("Space")
        changed = _mask(encoding, "painted")
        assert (changed != mask).sum() == 1
        assert encoding.locator("[data-is=code]").input_value() == rle.encode(changed)


@pytest.mark.parametrize(
    "code", ["", "  ", "3", "1 2 3", "a 3", "-1 2", "1.5 2", "-1", " -1 ", "0 0", "4 0 1 1", "255 1", "255 2", "257 1"]
    + ["0 256", "0 257", "1 2\n3 4", "0x1 2", "1e2 3", "99999999999999999999 1"],
)  # fmt: skip
def test_refuses_what_the_library_refuses(encoding, code):
    encoding.locator("[data-is=code]").fill(code)
    invalid = encoding.locator("[data-is=code]").get_attribute("aria-invalid") == "true"
    message = _text(encoding, "message")
    try:
        expected = rle.decode(code, (SIDE, SIDE))
    except rle.RleError:
        assert invalid
        # One sentence.
        assert message[0].isupper() and message.endswith(".") and ". " not in message
    else:
        assert not invalid
        assert (_mask(encoding, "painted") == expected).all()
        assert message == f"{expected.sum()} of 256 pixels are on."


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("tab", ["scores", "rle"])
def test_is_accessible_and_fits_a_phone(open_page, violations, theme, tab):
    page = open_page("playground", width=390, theme=theme)
    page.locator(f"#playground-tab-{tab}").click()
    assert not violations(page)
