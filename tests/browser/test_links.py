"""Every link within the built book leads to a file that is there and to a place in it that exists."""

from functools import cache
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from bs4 import BeautifulSoup

ELSEWHERE = ("http:", "https:", "mailto:", "data:", "javascript:")


@cache
def _read(path: Path) -> BeautifulSoup:
    return BeautifulSoup(path.read_text(encoding="utf-8"), "html.parser")


@cache
def _anchors(path: Path) -> frozenset[str]:
    return frozenset(tag["id"] for tag in _read(path).find_all(id=True)) | {"", "top"}


def _links(path: Path) -> list[str]:
    page = _read(path)
    found = [tag[name] for name in ("href", "src") for tag in page.find_all(attrs={name: True})]
    return [link for link in found if not link.startswith(ELSEWHERE)]


def broken(site: Path) -> list[str]:
    """`page: link` of every link within the site that leads nowhere."""
    faults = []
    # The theme leaves its own templates in _static.
    for path in sorted(set(site.rglob("*.html")) - set((site / "_static").rglob("*"))):
        for link in sorted(set(_links(path))):
            parts = urlsplit(link)
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            there = target.is_file() or (target / "index.html").is_file()
            if not there or (target.suffix == ".html" and unquote(parts.fragment) not in _anchors(target)):
                faults.append(f"{path.relative_to(site)}: {link}")
    return faults


def test_no_link_within_the_book_is_broken(site):
    assert len(list(site.rglob("*.html"))) > 40
    assert not broken(site)


@pytest.mark.parametrize("link", ["gone.html", "other.html#gone", "#gone", "gone.png"])
def test_a_broken_link_is_found(tmp_path, link):
    (tmp_path / "other.html").write_text('<p id="there"><a href="page.html">back</a></p>')
    (tmp_path / "page.html").write_text(f'<a href="{link}">x</a><a href="other.html#there">y</a><a href="#">z</a>')
    assert broken(tmp_path) == [f"page.html: {link}"]
