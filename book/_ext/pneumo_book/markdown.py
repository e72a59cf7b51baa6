"""Tables as MyST Markdown, the language of the book's pages."""

import re

import pandas as pd

_LONG = 35


def table(frame: pd.DataFrame, caption: str, first: str = "") -> str:
    """A table with its caption; the index is the first column, headed `first`."""
    header = [first or frame.index.name or "", *frame.columns]
    rows = [[name, *values] for name, values in zip(frame.index, frame.itertuples(index=False), strict=True)]
    lines = [_row(header), _row(["---"] * len(header)), *map(_row, rows)]
    return f":::{{table}} {caption}\n" + "\n".join(lines) + "\n:::\n"


def figure(name: str, alt: str, caption: str) -> str:
    """A generated figure (a file of book/generated/figures) with alternative text and caption."""
    return f":::{{figure}} /book/generated/figures/{name}\n:alt: {' '.join(alt.split())}\n\n{caption}\n:::\n"


def command(*lines: str) -> str:
    """Commands to type, one per line."""
    return "```shell\n" + "\n".join(lines) + "\n```\n"


def typeset(text: str) -> str:
    """Intervals break before their bracket, if they must, not within it; a minus is one, and no dash stands before it."""
    text = re.sub(r"(?<=\d)–(?=-\d)", "\u00a0to\u00a0", text)
    return re.sub(r"(?<![\w`.-])-(?=\d)", "\u2212", re.sub(r"(?<=\d)–(?=\d)", "\u2060–\u2060", text))


def _row(cells: list) -> str:
    return "| " + " | ".join(map(_cell, cells)) + " |"


def _cell(value) -> str:
    # A bar would start a new cell, a line break a new row.
    text = typeset(re.sub(r"[ \n]+", " ", str(value).replace("|", "\\|")).strip())
    # Beside many columns a sentence keeps a width at which it can be read (book.css).
    return f"[{text}]{{.long}}" if len(text) > _LONG and not set("[]") & set(text) else text
