"""An executed notebook as a page of the book: `python -m pneumo_lib.report.page in.ipynb out.ipynb "exp4: train"`."""

import base64
import sys
from pathlib import Path

import nbformat

from pneumo_lib import atomic

# A page shows what a cell gave, not how far it had got, nor the parameters as papermill set them twice.
_HIDDEN_TAGS = {"parameters": "remove-cell", "injected-parameters": "hide-input"}


def make(notebook: Path, page: Path, title: str) -> None:
    """Copies an executed notebook, under a title of its own and without progress bars."""
    content = nbformat.read(notebook, as_version=4)
    content.cells[0].source = f"# {title}\n" + content.cells[0].source.partition("\n")[2]
    for cell in content.cells:
        tags = cell.metadata.get("tags", [])
        cell.metadata["tags"] = tags + [_HIDDEN_TAGS[tag] for tag in tags if tag in _HIDDEN_TAGS]
        if cell.cell_type == "code":
            cell.outputs = [output for output in cell.outputs if output.get("name") != "stderr"]
    # papermill's own notes name this machine's folders.
    content.metadata.pop("papermill", None)
    with atomic.replacing(page) as temporary:
        nbformat.write(content, temporary)


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
