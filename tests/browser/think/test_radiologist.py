"""You are the radiologist: marks, answers and scores, on invented pictures; and the committed phantoms."""

import base64
import json
import re
from pathlib import Path

import cv2
import numpy as np
import pytest

from pneumo_book import radiologist
from pneumo_lib import metrics
from pneumo_lib.data import rle

RESULTS = Path(__file__).resolve().parents[3] / "results"
SIZE = 96
RADIUS = 2  # a forty-eighth of the side


def _disc(x: int, y: int) -> np.ndarray:
    rows, columns = np.mgrid[:SIZE, :SIZE]
    return (columns - x) ** 2 + (rows - y) ** 2 <= RADIUS**2


def _box(top: int, left: int, bottom: int, right: int) -> np.ndarray:
    mask = np.zeros((SIZE, SIZE), bool)
    mask[top:bottom, left:right] = True
    return mask


NOTHING = _box(0, 0, 0, 0)
# Two images with a pneumothorax, marked on it and elsewhere; two without one, the second marked.
TRUTH = np.stack([_box(40, 40, 56, 56), _box(4, 4, 20, 10), NOTHING, NOTHING])
MARKS = [(50, 50), (80, 80), None, (30, 60)]
NETWORK = np.stack([_box(40, 40, 56, 52), NOTHING, NOTHING, NOTHING])


def _script(predicted=None, network: str | None = None) -> dict[str, str]:
    picture = radiologist._picture(np.full((SIZE, SIZE), 90, np.uint8))
    images = [
        {
            "picture": picture,
            "truth": rle.encode(truth),
            "kind": "apical" if truth.any() else "",
            "side": "left" if truth.any() else "",
            "predicted": None if predicted is None else rle.encode(predicted[k]),
        }
        for k, truth in enumerate(TRUTH)
    ]
    bundle = {"label": "Invented", "size": SIZE, "network": network, "images": images}
    return {"radiologist-data.js": f"window.pneumoRadiologist = {json.dumps(bundle)};"}


def _marked() -> np.ndarray:
    return np.stack([NOTHING if place is None else _disc(*place) for place in MARKS])


def _expected(marked: np.ndarray) -> list[str]:
    positive = TRUTH.any((1, 2))
    dsc = metrics.dsc(marked, TRUTH)
    found = (marked & TRUTH).any((1, 2))[positive].sum()
    alarms = marked.any((1, 2))[~positive].sum()
    at_challenge = (9378 * (1 - alarms / 2) + 2669 * dsc[positive].mean()) / 12047
    return [
        f"{found} of 2",
        f"{alarms} of 2",
        *(f"{one:.4f}" for one in (dsc.mean(), dsc[positive].mean(), at_challenge)),
    ]


def _open(open_page, data, **more):
    page = open_page("radiologist", data=data, **more)
    page.locator("#radiologist").wait_for(state="visible")
    return page


def _column(page, number: int) -> list[str]:
    return page.locator(f"[data-is=scores] tr td:nth-child({number + 2})").all_inner_texts()


def _click(page, x: int, y: int) -> None:
    box = page.locator("[data-is=xray]").bounding_box()
    scale = box["width"] / SIZE
    page.mouse.click(box["x"] + (x + 0.5) * scale, box["y"] + (y + 0.5) * scale)


def _read_all(page) -> None:
    for place in MARKS:
        if place is None:
            page.get_by_role("button", name="No pneumothorax").click()
        else:
            _click(page, *place)
            page.get_by_role("button", name="Answer").click()


def test_scores_are_those_of_the_marks(open_page):
    page = _open(open_page, _script())
    _read_all(page)
    assert _column(page, 0) == _expected(_marked())
    captions = page.locator("[data-is=gallery] figcaption").all_inner_texts()
    assert [re.sub(r"[\d.]+", "", one).strip() for one in captions] == [
        "apical, left: true positive, DSC",
        "apical, left: marked elsewhere, false negative",
        "no pneumothorax: true negative",
        "no pneumothorax: false positive",
    ]


def test_without_a_network_its_column_is_left_out(open_page):
    page = _open(open_page, _script())
    _read_all(page)
    assert not _column(page, 1)
    assert page.locator("[data-is=missing]").is_visible()
    assert not page.locator("[data-is=network]").is_visible()


def test_stands_next_to_the_network(open_page):
    page = _open(open_page, _script(NETWORK, "exp4, invented"))
    _read_all(page)
    assert _column(page, 1) == _expected(NETWORK)
    assert "exp4, invented" in page.locator("[data-is=report] caption").inner_text()
    assert not page.locator("[data-is=missing]").is_visible()


def test_is_read_with_the_keyboard(open_page):
    page = _open(open_page, _script())
    page.locator("[data-is=xray]").focus()
    # From the middle, (48, 48), to (52, 48) in small steps; Enter marks there and answers.
    for _ in range(2):
        page.keyboard.press("Shift+ArrowRight")
    page.keyboard.press("Enter")
    assert page.locator("[data-is=progress]").inner_text() == "Image 2 of 4."
    page.keyboard.press("Space")
    assert page.locator("[data-is=progress]").inner_text() == "Image 2 of 4, marked."
    page.keyboard.press("c")
    assert page.locator("[data-is=progress]").inner_text() == "Image 2 of 4."
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Space")
    page.keyboard.press("Enter")
    page.keyboard.press("n")
    page.keyboard.press("N")
    marked = np.stack([_disc(52, 48), _disc(48, 50), NOTHING, NOTHING])
    assert _column(page, 0) == _expected(marked)
    page.keyboard.press("Enter")
    assert page.locator("[data-is=progress]").inner_text() == "Image 1 of 4."


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_is_accessible_and_fits_a_phone(open_page, violations, theme):
    page = _open(open_page, _script(NETWORK, "exp4, invented"), width=390, theme=theme)
    assert not violations(page)
    for _ in TRUTH:
        page.get_by_role("button", name="No pneumothorax").click()
    assert not violations(page)


@pytest.fixture(scope="module")
def committed() -> str:
    return (RESULTS / "radiologist-data.js").read_text(encoding="utf-8")


def _bundle(script: str) -> dict:
    return json.loads(script.removeprefix("window.pneumoRadiologist = ").rstrip(";\n"))


def _masks(bundle: dict, name: str) -> np.ndarray:
    return np.stack([rle.decode(one[name], (bundle["size"],) * 2) for one in bundle["images"]])


def test_committed_images_are_the_phantoms_of_today(committed):
    bundle = _bundle(committed)
    # Positive and negative images are among the first six.
    for one, index in zip(bundle["images"][:6], radiologist.chosen(), strict=False):
        drawn = radiologist._image(index, None)
        assert [one[name] for name in ("truth", "kind", "side")] == [drawn[name] for name in ("truth", "kind", "side")]
        difference = _decoded(one["picture"]) - _decoded(drawn["picture"])
        # Equal but for the rounding of another processor or another version of the codec.
        assert np.abs(difference).mean() < 1


def _decoded(picture: str) -> np.ndarray:
    encoded = np.frombuffer(base64.b64decode(picture.split(",")[1]), np.uint8)
    return cv2.imdecode(encoded, cv2.IMREAD_GRAYSCALE).astype(float)


def test_committed_images_are_of_both_kinds_and_small(committed):
    bundle = _bundle(committed)
    truth = _masks(bundle, "truth")
    assert truth.any((1, 2)).tolist() == [bool(one["kind"]) for one in bundle["images"]]
    assert (len(truth), truth.any((1, 2)).sum()) == (20, 10)
    assert bundle["label"] == "Phantoms (synthetic X-rays)"
    assert len(committed) < 400_000


def test_committed_network_is_scored_like_a_reader(open_page, committed):
    bundle = _bundle(committed)
    truth, predicted = _masks(bundle, "truth"), _masks(bundle, "predicted")
    page = _open(open_page, {"radiologist-data.js": committed})
    for _ in truth:
        page.get_by_role("button", name="No pneumothorax").click()
    assert _column(page, 0)[:3] == ["0 of 10", "0 of 10", "0.5000"]
    dsc, positive = metrics.dsc(predicted, truth), truth.any((1, 2))
    found = (predicted & truth).any((1, 2)).sum()
    expected = [f"{found} of 10", f"{predicted.any((1, 2))[~positive].sum()} of 10", f"{dsc.mean():.4f}"]
    assert _column(page, 1)[:3] == expected


def test_network_masks_are_brought_to_the_pages_size():
    image = radiologist._image(radiologist.chosen()[0], predict=lambda xray: xray[::4, ::4] > 255 // 2)
    mask = rle.decode(image["predicted"], (radiologist.SIZE, radiologist.SIZE))
    assert 0.05 < mask.mean() < 0.95
