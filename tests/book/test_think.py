"""What the extension of the pages to think with writes before the book is built."""

import json
import shutil
from pathlib import Path

import pytest
from sphinx.errors import ExtensionError

from pneumo_book import think

REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.fixture
def book(tmp_path) -> Path:
    (tmp_path / "book" / "think").mkdir(parents=True)
    shutil.copy(REPOSITORY / "book" / "think" / "quiz.yml", tmp_path / "book" / "think")
    return tmp_path / "book"


def test_writes_the_data_of_every_page_and_nothing_twice(book):
    think.write(book, REPOSITORY / "results")
    made = sorted(path.relative_to(book / "generated").as_posix() for path in (book / "generated").rglob("*.*"))
    assert made == ["quiz.html", "static/ceiling-data.js", "static/motion-data.js", "static/radiologist-data.js"]
    times = [(book / "generated" / name).stat().st_mtime_ns for name in made]
    think.write(book, REPOSITORY / "results")
    assert [(book / "generated" / name).stat().st_mtime_ns for name in made] == times


def test_missing_data_are_named_with_the_command_that_makes_them(book, tmp_path):
    shutil.copytree(REPOSITORY / "results" / "challenge-masks", tmp_path / "results" / "challenge-masks")
    with pytest.raises(ExtensionError, match=r"motion-data.js is missing; .*make think"):
        think.write(book, tmp_path / "results")


def test_a_script_sets_plain_values(tmp_path):
    think.write_script(tmp_path / "a.js", "name", {"a": [1, None]})
    text = (tmp_path / "a.js").read_text(encoding="utf-8")
    assert json.loads(text.removeprefix("window.name = ").removesuffix(";\n")) == {"a": [1, None]}
    # JSON has no such number, and a page would not load.
    with pytest.raises(ValueError, match="not JSON compliant"):
        think.write_script(tmp_path / "b.js", "name", {"a": float("nan")})


@pytest.mark.parametrize("name", ["playground", "ceiling", "radiologist", "motion"])
def test_every_page_says_what_it_needs_in_one_sentence(name):
    part = (REPOSITORY / "book" / "think" / f"{name}.html.inc").read_text(encoding="utf-8")
    sentence = part.split("<noscript><p>")[1].split("</p>")[0]
    assert sentence.endswith("needs JavaScript.") and sentence.count(".") == 1
