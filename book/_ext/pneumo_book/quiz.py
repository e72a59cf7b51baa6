"""The quiz: three questions per chapter, from one source file to a page that can be read without a script too."""

import random
from dataclasses import dataclass
from html import escape
from pathlib import Path

import yaml


@dataclass(frozen=True)
class Question:
    """`options` in the order shown; `answer` is the right one's position; `why` explains it."""

    question: str
    options: list[str]
    answer: int
    why: str


@dataclass(frozen=True)
class Chapter:
    """A page of the book, by its path below `book/` without an ending, and its questions."""

    title: str
    page: str
    questions: list[Question]


def read(path: Path) -> list[Chapter]:
    """The chapters of `quiz.yml`. Every value is text, so that numbers stay as written; options are shuffled, always alike."""
    chapters = yaml.load(path.read_text(encoding="utf-8"), Loader=yaml.BaseLoader)
    return [
        Chapter(one["chapter"], one["page"], [_question(**values) for values in one["questions"]]) for one in chapters
    ]


def _question(question: str, right: str, wrong: list[str], why: str) -> Question:
    options = random.Random(question).sample([right, *wrong], 1 + len(wrong))
    return Question(question, options, options.index(right), why)


def render(chapters: list[Chapter]) -> str:
    """The quiz as HTML, for a page in `book/think/`; quiz.js adds the counting of right answers."""
    parts = [_chapter(number, one) for number, one in enumerate(chapters, 1)]
    total = sum(len(one.questions) for one in chapters)
    status = f'<p class="think-status" role="status" data-is="score" data-total="{total}"></p>'
    closing = (
        "<noscript><p>Right answers are counted where JavaScript runs; without it, open the answers.</p></noscript>"
    )
    script = '<script src="../../_static/quiz.js"></script>'
    return f'<div id="quiz-questions" class="think">\n{"".join(parts)}{status}\n{closing}\n</div>\n{script}\n'


def _chapter(number: int, chapter: Chapter) -> str:
    questions = "".join(_fieldset(f"quiz-{number}-{k}", one) for k, one in enumerate(chapter.questions, 1))
    link = f'<a href="../{escape(chapter.page)}.html">{escape(chapter.title)}</a>'
    return f'<section id="quiz-{number}">\n<h2>{link}</h2>\n{questions}</section>\n'


def _fieldset(name: str, one: Question) -> str:
    options = "".join(
        f'<label><input type="radio" name="{name}" value="{k}"> {escape(option)}</label>\n'
        for k, option in enumerate(one.options)
    )
    answer = f"<strong>{escape(one.options[one.answer])}.</strong> {escape(one.why)}"
    return (
        f'<fieldset data-answer="{one.answer}">\n<legend>{escape(one.question)}</legend>\n{options}'
        f'<p class="think-verdict" role="status"></p>\n'
        f"<details><summary>Answer</summary><p>{answer}</p></details>\n</fieldset>\n"
    )
