"""The ceiling's page shows the committed table at every position of its slider."""

from pathlib import Path

import pandas as pd
import pytest

from pneumo_book import think

RESULTS = Path(__file__).resolve().parents[3] / "results" / "challenge-masks"


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> dict[str, str]:
    path = tmp_path_factory.mktemp("data") / "ceiling-data.js"
    think.write_ceiling(path, RESULTS)
    return {path.name: path.read_text(encoding="utf-8")}


@pytest.fixture(scope="module")
def page(open_page, data):
    return open_page("ceiling", data=data)


def _text(page, name: str) -> str:
    return page.locator(f"#removal-ceiling [data-is={name}]").inner_text()


def _slide(page, position: int) -> None:
    page.locator("[data-is=rth]").evaluate(
        "(one, position) => { one.value = position; one.dispatchEvent(new Event('input')); }", position
    )


def test_shows_the_table(page):
    table = pd.read_csv(RESULTS / "ceiling.csv", encoding="utf-8")
    for position in [0, 1, 32, 64, 96, 128, 200, 256]:
        _slide(page, position)
        row = table.iloc[position]
        assert _text(page, "rth-value") == (f"{32 * position} pixels" if position else "none removed")
        shown = [float(_text(page, name)) for name in ("dsc", "stepwise", "positive")]
        # Shown with four decimals, a share with one decimal of a per cent.
        assert shown == pytest.approx(row[["dsc", "stepwise_iou", "positive_dsc"]].tolist(), abs=5.1e-5)
        assert float(_text(page, "erased").removesuffix(" %")) == pytest.approx(100 * row["erased"], abs=0.051)
        assert float(_text(page, "room")) == pytest.approx(row["dsc"] - 9378 / 12047, abs=5.1e-5)
    assert _text(page, "baseline") == "0.7785 ± 0.023"


def test_jumps_to_the_decks_thresholds_and_follows_the_keyboard(page):
    for minimum, dsc in {1024: "0.9395", 2048: "0.8832", 3072: "0.8500", 4096: "0.8321"}.items():
        page.get_by_role("button", name=str(minimum), exact=True).click()
        assert _text(page, "dsc") == dsc
    page.locator("[data-is=rth]").focus()
    page.keyboard.press("ArrowRight")
    assert _text(page, "rth-value") == "4128 pixels"
    assert page.locator("[data-is=rth]").get_attribute("aria-valuetext") == "4128 pixels"


def test_draws_curves_bars_and_the_baseline(page):
    _slide(page, 64)
    bars = page.locator("[data-is=areas] rect.gone").count()
    # 16 bins of one doubling each; those up to 2048 are removed.
    assert (bars, page.locator("[data-is=areas] rect.kept").count()) == (11, 5)
    assert page.locator("[data-is=means] path").count() == 2
    assert page.locator("[data-is=means] .level").count() == page.locator("[data-is=means] .band").count() == 1
    assert page.locator("[data-is=shares] path").count() == 2


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_is_accessible_and_fits_a_phone(open_page, violations, data, theme):
    assert not violations(open_page("ceiling", width=390, theme=theme, data=data))
