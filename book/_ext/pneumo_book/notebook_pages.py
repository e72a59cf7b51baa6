"""Executed notebooks as pages of the book, and their slim copies that are committed with the records.

python -m pneumo_book.notebook_pages runs/phantom-demo results/phantom-demo
"""

import base64
import importlib
import io
import json
import re
import sys
from pathlib import Path

import nbformat
from PIL import Image

from pneumo_book.markdown import typeset
from pneumo_lib import atomic, paths
from pneumo_lib.errors import RecordError

# The library's modules whose functions draw what notebooks show.
_DRAWING = ("xray_figures", "sweep_figures", "data_figures", "score_figures")
# A page shows what a cell gave, not how far it had got, nor the parameters as papermill set them twice.
_HIDDEN_TAGS = {"parameters": "remove-cell", "injected-parameters": "hide-input"}


def make(notebook: Path, page: Path, title: str, below: str = "") -> None:
    """Copies an executed notebook, under a title of its own, without progress bars; its figures get alternative text.

    Args:
        notebook: as papermill left it.
        page: where the copy goes; a file that is the same already is left alone.
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
    atomic.update_text(page, nbformat.writes(content) + "\n")


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


def keep(runs: Path, results: Path) -> list[Path]:
    """Copies the executed notebooks of the first seed of every run, with small pictures; returns what was written.

    Raises:
        RecordError: no run, or X-rays of patients, whose pictures are never committed.
    """
    found = list(runs.rglob("record.json"))
    if not found or not all(json.loads(path.read_text(encoding="utf-8"))["synthetic"] for path in found):
        raise RecordError(f"{runs} has no run on phantoms alone; pictures of patients are never committed.")
    written = []
    for step in ("data", "train", "sweep", "test"):
        pattern = "data.ipynb" if step == "data" else f"*/seed0/{step}.ipynb"
        for notebook in sorted(runs.glob(pattern)):
            target = results / notebook.relative_to(runs)
            target.parent.mkdir(parents=True, exist_ok=True)
            _write_slim(notebook, target)
            written.append(target)
    return written


def _write_slim(notebook: Path, target: Path) -> None:
    content = nbformat.read(notebook, as_version=4)
    for cell in content.cells:
        for output in cell.get("outputs", []):
            if "image/png" in (data := output.get("data", {})):
                data["image/png"] = slim(data["image/png"])
    # papermill's own notes and the outputs name this machine's folders.
    content.metadata.pop("papermill", None)
    with atomic.replacing(target) as temporary:
        temporary.write_text(nbformat.writes(content).replace(f"{paths.home()}/", "") + "\n", encoding="utf-8")


def slim(picture: str) -> str:
    """A PNG in base64 with 128 colours, or as it was where that is no smaller."""
    file = io.BytesIO()
    Image.open(io.BytesIO(base64.b64decode(picture))).convert("RGB").quantize(128).save(file, "PNG", optimize=True)
    small = base64.b64encode(file.getvalue()).decode()
    return min(small, picture, key=len)


def main() -> None:
    for path in keep(*map(Path, sys.argv[1:3])):
        print(path)


if __name__ == "__main__":
    main()
