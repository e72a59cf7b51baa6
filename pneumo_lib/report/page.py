"""An executed notebook as a page of the book: `python -m pneumo_lib.report.page in.ipynb out.ipynb "exp4: train"`."""

import base64
import importlib
import re
import sys
from pathlib import Path

import nbformat

from pneumo_lib import atomic
from pneumo_lib.report.markdown import typeset

# The library's modules whose functions draw what notebooks show.
_DRAWING = ("figures", "surfaces", "data_figures", "calibration", "subgroups", "tta_gain", "tta_pictures")
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
        source: of the cell; `figures.curves(...)` has the first sentence of that function's docstring.
        above: Markdown of the nearest text above; its first sentence stands in where the cell calls no such function.
    """
    text = " ".join(re.sub(r"^#.*$", "", above, flags=re.MULTILINE).split())
    for module, function in re.findall(rf"\b({'|'.join(_DRAWING)})\.(\w+)\(", source):
        drawn_by = getattr(importlib.import_module(f"pneumo_lib.report.{module}"), function)
        text = drawn_by.__doc__.partition("\n")[0]
    return re.sub(r"[*`\[\]]", "", re.split(r"(?<=\.) ", text, maxsplit=1)[0]) or "Figure of this notebook."


def picture(notebook: Path, call: str) -> bytes | None:
    """The PNG that the cell with `call` in its source gave, e.g. "figures.gallery("; None where there is none."""
    for cell in nbformat.read(notebook, as_version=4).cells:
        if cell.cell_type == "code" and call in cell.source:
            for output in cell.outputs:
                if "image/png" in output.get("data", {}):
                    return base64.b64decode(output["data"]["image/png"])
    return None


if __name__ == "__main__":
    make(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3])
