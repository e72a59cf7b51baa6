"""The quiz: its source, the page made of it, and what happens when one answers."""

from pathlib import Path

import pytest
import yaml

from pneumo_book import quiz

REPOSITORY = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def chapters() -> list[quiz.Chapter]:
    return quiz.read(REPOSITORY / "book" / "think" / "quiz.yml")


@pytest.fixture(scope="module")
def part(chapters) -> str:
    return quiz.render(chapters)


def test_three_questions_per_chapter_each_of_a_page_in_the_book(chapters):
    pages = [one.page for one in chapters]
    table = (REPOSITORY / "_toc.yml").read_text(encoding="utf-8")
    assert len(set(pages)) == len(pages)
    assert [page for page in pages if f"file: book/{page}\n" not in table] == []
    assert {len(one.questions) for one in chapters} == {3}


def test_options_are_distinct_and_the_right_one_stays_right(chapters):
    text = (REPOSITORY / "book" / "think" / "quiz.yml").read_text(encoding="utf-8")
    source = yaml.load(text, Loader=yaml.BaseLoader)
    right = [one["right"] for chapter in source for one in chapter["questions"]]
    questions = [one for chapter in chapters for one in chapter.questions]
    assert [one.options[one.answer] for one in questions] == right
    assert all(len(set(one.options)) == len(one.options) >= 3 for one in questions)
    # Shuffled: the right option stands at each place for at least a fifth of the questions.
    places = [one.answer for one in questions]
    assert min(places.count(place) for place in range(3)) >= len(questions) / 5


def test_text_is_no_markup():
    question = quiz.Question("Is 1 < 2 & 3 > 2?", ["<b>", "yes"], 1, "1 < 2")
    html = quiz.render([quiz.Chapter("A & B", "a", [question])])
    assert "Is 1 &lt; 2 &amp; 3 &gt; 2?" in html and "&lt;b&gt;" in html and "A &amp; B" in html


def test_tells_right_from_wrong_and_counts_first_choices(open_page, part, chapters):
    page = open_page("quiz", part=part)
    score, first = page.locator("[data-is=score]"), page.locator("fieldset").first
    total, answer = 3 * len(chapters), chapters[0].questions[0].answer
    assert score.inner_text().startswith(f"0 right of 0 answered; {total} questions")
    first.locator("input").nth((answer + 1) % 3).check()
    assert first.locator(".think-verdict").inner_text() == "✗ Wrong."
    assert first.locator("details p").is_visible()
    first.locator("input").nth(answer).check()
    assert first.locator(".think-verdict").inner_text() == "✓ Right."
    assert score.inner_text().startswith("0 right of 1 answered")
    page.locator("fieldset").nth(1).locator("input").nth(chapters[0].questions[1].answer).check()
    assert score.inner_text().startswith("1 right of 2 answered")


def test_is_answered_with_the_keyboard(open_page, part, chapters):
    page = open_page("quiz", part=part)
    first = page.locator("fieldset").first
    first.locator("input").first.focus()
    page.keyboard.press("Space")
    for _ in range(chapters[0].questions[0].answer):
        page.keyboard.press("ArrowDown")
    assert first.locator(".think-verdict").inner_text() == "✓ Right."


def test_can_be_read_without_a_script(browser, write_page, part, chapters):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(write_page("quiz-plain", part=part))
    page.locator("summary").first.click()
    answer = page.locator("details p").first
    assert answer.is_visible() and chapters[0].questions[0].why in answer.inner_text()
    assert page.locator("noscript").inner_text().startswith("Right answers are counted where JavaScript runs")
    context.close()


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_is_accessible_and_fits_a_phone(open_page, violations, part, theme):
    page = open_page("quiz", width=390, theme=theme, part=part)
    page.locator("input").first.check()
    assert not violations(page)
