"""An executed notebook as a page of the book: `python -m pneumo_book.notebook_pages in.ipynb out.ipynb "exp4: train"`."""

import importlib
import re
from pathlib import Path

import nbformat

from pneumo_book.markdown import typeset
from pneumo_lib import atomic

# The library's modules whose functions draw what notebooks show.
_DRAWING = ("xray_figures", "sweep_figures", "data_figures", "score_figures")
# A page shows what a cell gave, not how far it had got, nor the parameters as papermill set them twice.
_HIDDEN_TAGS = {"parameters": "remove-cell", "injected-parameters": "hide-input"}


def make(notebook: Path, page: Path, title: str, below: str = "") -> None:
    """Copies an executed notebook, under a title of its own, without progress bars; its figures get alternative text.

    Args:
        notebook: as papermill left it.
        page: where the copy goes.
        title: takes the place of the notebook's own.
        below: Markdown that follows the title.
    """
    content = nbformat.read(notebook, as_version=4)
    introduction = content.cells[0].source.partition("\n")[2]
    content.cells[0].source = f"# {title}\n\n{below}\n{introduction}"
    text = introduction
    for cell in content.cells:
        if cell.cell_type == "markdown":
            text = cell.source
        elif any("image/png" in output.get("data", {}) for output in cell.outputs):
            cell.metadata["mystnb"] = {"image": {"alt": alternative(cell.source, text)}}
        tags = cell.metadata.get("tags", [])
        cell.metadata["tags"] = tags + [_HIDDEN_TAGS[tag] for tag in tags if tag in _HIDDEN_TAGS]
        if cell.cell_type == "code":
            cell.outputs = [output for output in cell.outputs if output.get("name") != "stderr"]
            for output in cell.outputs:
                if "text/html" in (data := output.get("data", {})):
                    data["text/html"] = re.sub(r">[^<>]+<", lambda text: typeset(text[0]), data["text/html"])
    # papermill's own notes name this machine's folders.
    content.metadata.pop("papermill", None)
    with atomic.replacing(page) as temporary:
        nbformat.write(content, temporary)


def alternative(source: str, above: str) -> str:
    """What stands for a cell's figure where it is not seen: what the function that draws it says of itself.

    Args:
        source: of the cell; `score_figures.curves(...)` has the first sentence of that function's docstring.
        above: Markdown of the nearest text above; its first sentence stands in where the cell calls no such function.
    """
    text = " ".join(re.sub(r"^#.*$", "", above, flags=re.MULTILINE).split())
    for module, function in re.findall(rf"\b({'|'.join(_DRAWING)})\.(\w+)\(", source):
        drawn_by = getattr(importlib.import_module(f"pneumo_lib.report.{module}"), function)
        text = drawn_by.__doc__.partition("\n")[0]
    return re.sub(r"[*`\[\]]", "", re.split(r"(?<=\.) ", text, maxsplit=1)[0]) or "Figure of this notebook."
