"""Every page of the book in a browser: whole, offline, without debris, readable and accessible."""

import json
import re
from pathlib import Path

import pytest
import yaml

REPOSITORY = Path(__file__).resolve().parents[2]
DEBRIS = re.compile(r"Traceback \(most recent|it/s\]|s/it\]|\d+%\|[█▏▎▍▌▋▊▉ ]|<Figure size|\{\{|nan\b")
# A machine that trains at the same time opens pages slowly.
PATIENCE_MS = 120_000
# A fault of the theme, which a page cannot mend: a button with two names.
THEME_BUTTON = ".theme-switch-button"


def _files(node: dict) -> list[str]:
    found = [node.get("file") or node.get("root")]
    for key in ("parts", "chapters", "sections"):
        for child in node.get(key, []):
            found += _files(child)
    return [name for name in found if name]


PAGES = _files(yaml.safe_load((REPOSITORY / "_toc.yml").read_text()))


DRAWINGS = """() => [...document.querySelectorAll("article figure:has(img.stacked)")].map((figure) => ({
    shown: [...figure.querySelectorAll("img")].filter((one) => one.checkVisibility()).map((one) => one.className),
    over: figure.scrollWidth - figure.clientWidth,
}))"""
"""Of each figure of several panels: the classes of the drawings shown, and how far they pass the figure's edge."""


@pytest.fixture(scope="module")
def visits(browser, site):
    """What happened when each page was opened wide: requests, errors, images, text, headings; then narrow."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    context.set_default_timeout(PATIENCE_MS)
    found = {}
    for name in PAGES:
        page, seen = context.new_page(), {"requests": [], "errors": []}
        page.on("request", lambda request, seen=seen: seen["requests"].append(request.url))
        page.on("pageerror", lambda error, seen=seen: seen["errors"].append(str(error)))
        page.on("requestfailed", lambda request, seen=seen: seen["errors"].append(f"failed: {request.url}"))
        page.goto((site / f"{name}.html").as_uri(), wait_until="load")
        found[name] = seen | page.evaluate(
            """() => {
                const images = [...document.querySelectorAll("article img")];
                const ids = [...document.querySelectorAll("article [id]")].map((one) => one.id);
                const headings = [...document.querySelectorAll("article :is(h1, h2, h3, h4)")];
                return {
                    text: document.querySelector("article").innerText,
                    broken: images.filter((one) => one.complete && !one.naturalWidth).map((one) => one.src),
                    silent: images.filter((one) => !one.alt.trim()).map((one) => one.src),
                    twice: ids.filter((id, k) => ids.indexOf(id) < k),
                    levels: headings.map((one) => +one.tagName[1]),
                };
            }"""
        )
        found[name]["wide"] = page.evaluate(DRAWINGS)
        page.set_viewport_size({"width": 390, "height": 800})
        found[name]["narrow"] = page.evaluate(DRAWINGS)
        found[name]["over"] = page.evaluate(
            "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        )
        page.close()
    context.close()
    return found


def test_no_page_asks_another_host(visits):
    foreign = {
        name: [url for url in one["requests"] if not url.startswith(("file:", "data:", "blob:"))]
        for name, one in visits.items()
    }
    assert not {name: urls for name, urls in foreign.items() if urls}


def test_no_page_has_an_error_or_a_broken_image(visits):
    faults = {name: one["broken"] + one["errors"] for name, one in visits.items()}
    assert not {name: found for name, found in faults.items() if found}


def test_no_page_shows_debris(visits):
    assert not {name: found[0] for name, one in visits.items() if (found := DEBRIS.findall(one["text"]))}


def test_figures_have_alternative_text(visits):
    assert not {name: one["silent"] for name, one in visits.items() if one["silent"]}


def test_no_name_of_an_element_stands_twice_on_a_page(visits):
    """A heading is an anchor, which a script's element of the same name would be hidden behind."""
    assert not {name: one["twice"] for name, one in visits.items() if one["twice"]}


def test_headings_are_in_order(visits):
    for name, one in visits.items():
        levels = one["levels"]
        assert levels[0] == 1 and levels.count(1) == 1, name
        assert all(after - before <= 1 for before, after in zip(levels, levels[1:], strict=False)), (name, levels)


def test_comparison_holds_the_numbers_of_the_records(visits, project):
    text = re.sub("[\u2060]", "", visits["book/results/comparison"]["text"])
    answer = re.sub("[\u2060]", "", visits["book/index"]["text"])
    for path in sorted((project / "runs").glob("**/record.json")):
        values = json.loads(path.read_text())
        own = [
            stage
            for stage in values["stages"]
            if stage["settings"]["experiment"]["name"] == values["experiment"]["name"]
        ]
        assert own
        for stage in own:
            assert f"{stage['validation']['val_stepwise_iou']:.3f}" in text
        dsc = values["test"]["validation"]["scores"]["dsc"]
        shown = f"{dsc['value']:.3f} ({dsc['low']:.3f}–{dsc['high']:.3f})"
        assert shown in text
        assert shown in answer


def test_paper_and_deck_stand_beside_ours_labelled(visits):
    text = visits["book/results/comparison"]["text"]
    for number in ("0.7242", "0.7149", "0.7850", "0.7846", "0.8356", "0.8347"):
        assert number in text
    assert "phantom data, demo profile; seed 0" in text
    assert "phantom data, demo profile; seeds 0, 1" in text


def test_experiment_pages_differ_only_in_content(visits):
    headings = {name: visits[f"book/experiments/exp{number}"]["levels"] for number, name in enumerate("12345", 1)}
    assert len({tuple(levels) for levels in headings.values()}) == 1


def test_executed_notebooks_are_pages_without_their_progress(visits, sample):
    text = visits["book/runs/exp1/train"]["text"]
    assert "exp1: train" in text
    assert sample.PROGRESS not in text


def test_panels_stand_side_by_side_or_on_a_narrow_screen_one_above_the_other(visits):
    wide, narrow = ([one for page in visits.values() for one in page[width]] for width in ("wide", "narrow"))
    # The front page, three of the method and its scores, and the curves of the pipelines that were run.
    assert len(wide) == len(narrow) > 4
    assert all(len(one["shown"]) == 1 and "stacked" not in one["shown"][0] for one in wide)
    assert all(len(one["shown"]) == 1 and "stacked" in one["shown"][0] and one["over"] <= 1 for one in narrow)


def test_narrow_screens_do_not_scroll_sideways(visits):
    assert not {name: one["over"] for name, one in visits.items() if one["over"] > 1}


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_accessible(browser, site, axe, scheme):
    # Colours that are still fading in have no contrast yet.
    context = browser.new_context(viewport={"width": 1280, "height": 900}, color_scheme=scheme, reduced_motion="reduce")
    context.set_default_timeout(PATIENCE_MS)
    page, found = context.new_page(), {}
    for name in PAGES:
        page.goto((site / f"{name}.html").as_uri(), wait_until="load")
        page.evaluate(axe)
        report = page.evaluate("axe.run({exclude: ['" + THEME_BUTTON + "']}, {resultTypes: ['violations']})")
        serious = [one for one in report["violations"] if one["impact"] in ("serious", "critical")]
        if serious:
            found[name] = {one["id"]: [node["html"][:160] for node in one["nodes"][:3]] for one in serious}
    context.close()
    assert not found
