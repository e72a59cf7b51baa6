"""The pages to think with, each on a page of its own with the book's styles: no book has to be built for them."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

BOOK = Path(__file__).resolve().parents[3] / "book"
PATIENCE_MS = 60_000
PAGE = """<!doctype html><html lang="en" data-theme="{theme}"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width"><title>{name}</title>{styles}</head>
<body><main><article class="bd-article"><h1>{name}</h1>{part}</article></main></body></html>"""


def _styles() -> str:
    themes = [pytest.importorskip("pydata_sphinx_theme"), pytest.importorskip("sphinx_book_theme")]
    folders = [Path(theme.__file__).parent / "theme" / theme.__name__ / "static" / "styles" for theme in themes]
    sheets = [
        folders[0] / "pydata-sphinx-theme.css",
        folders[1] / "sphinx-book-theme.css",
        *(BOOK / "_static" / name for name in ("book.css", "think.css")),
    ]
    return "".join(f'<link rel="stylesheet" href="{path.as_uri()}">' for path in sheets)


@pytest.fixture(scope="module")
def write_page(tmp_path_factory) -> Callable[..., str]:
    """Writes `book/think/<name>.html` from the page's part, with its scripts; returns the address."""
    root = tmp_path_factory.mktemp("pages")
    shutil.copytree(BOOK / "_static", root / "_static")

    def write(name: str, theme: str = "light", part: str | None = None, data: dict[str, str] | None = None) -> str:
        for script, text in (data or {}).items():
            (root / "_static" / script).write_text(text, encoding="utf-8")
        path = root / "book" / "think" / f"{name}-{theme}.html"
        path.parent.mkdir(parents=True, exist_ok=True)
        part = part or (BOOK / "think" / f"{name}.html.inc").read_text(encoding="utf-8")
        path.write_text(PAGE.format(name=name, theme=theme, styles=_styles(), part=part), encoding="utf-8")
        return path.as_uri()

    return write


@pytest.fixture(scope="module")
def open_page(browser, write_page):
    """Opens such a page and gives it; an error of a script or a failed request fails the test that meets it."""
    opened = []

    def open_(name: str, width: int = 1280, theme: str = "light", **more):
        page = browser.new_page(viewport={"width": width, "height": 900})
        page.set_default_timeout(PATIENCE_MS)
        page.faults = []
        page.on("pageerror", lambda error: page.faults.append(str(error)))
        page.on("requestfailed", lambda request: page.faults.append(request.url))
        page.goto(write_page(name, theme, **more), wait_until="load")
        assert not page.faults
        opened.append(page)
        return page

    yield open_
    for page in opened:
        page.close()


@pytest.fixture(scope="module")
def violations(axe):
    """What axe finds on a page, by rule, and whether the page is wider than its window."""

    def find(page) -> dict[str, list[str]]:
        page.evaluate(axe)
        report = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
        found = {one["id"]: [node["html"][:200] for node in one["nodes"][:3]] for one in report["violations"]}
        beyond = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        return found | ({"too wide": [f"{beyond} pixels"]} if beyond > 0 else {})

    return find
