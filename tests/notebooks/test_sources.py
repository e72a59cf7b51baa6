"""The notebooks as files: in step with their sources, thin, documented."""

import ast
import re
from pathlib import Path

import jupytext
import nbformat
import pytest

from pneumo_lib import notebook

FOLDER = Path(__file__).resolve().parents[2] / "notebooks"
SOURCES = sorted(FOLDER.glob("*.py"))


@pytest.fixture(params=SOURCES, ids=lambda path: path.stem)
def source(request) -> Path:
    return request.param


def test_every_notebook_has_a_source_and_the_other_way_round():
    assert [path.stem for path in SOURCES] == sorted(path.stem for path in FOLDER.glob("*.ipynb"))
    assert {"train", "sweep", "test", "data"} <= {path.stem for path in SOURCES}


def test_notebook_and_source_agree(source):
    """`make notebooks` would change nothing."""
    written = nbformat.read(source.with_suffix(".ipynb"), as_version=4)
    wanted = jupytext.read(source)
    assert [(cell.cell_type, cell.source) for cell in written.cells] == [
        (cell.cell_type, cell.source) for cell in wanted.cells
    ]


def test_notebook_has_no_outputs_and_no_injected_parameters(source):
    for cell in nbformat.read(source.with_suffix(".ipynb"), as_version=4).cells:
        assert not cell.get("outputs") and not cell.get("execution_count")
        assert "injected-parameters" not in cell.metadata.get("tags", [])


def test_notebook_is_thin(source):
    """A few calls a cell: no function, no class, no loop."""
    tree = ast.parse(source.read_text())
    for node in ast.walk(tree):
        assert not isinstance(node, ast.FunctionDef | ast.ClassDef | ast.For | ast.While | ast.Lambda), node.lineno
    for cell in jupytext.read(source).cells:
        if cell.cell_type == "code":
            assert len(cell.source.splitlines()) <= 15


def test_every_parameter_is_explained(source):
    """`papermill --help-notebook` shows a type, a default and a sentence for each."""
    parameters = notebook.parameters_of(source.with_suffix(".ipynb"))
    assert parameters
    for name, about in parameters.items():
        assert about["help"] and about["inferred_type_name"] in ("str", "int", "bool"), name


def test_the_first_cell_after_the_parameters_checks_them(source):
    cells = [cell for cell in jupytext.read(source).cells if cell.cell_type == "code"]
    assert "parameters" in cells[0].metadata["tags"]
    names = notebook.parameters_of(source.with_suffix(".ipynb"))
    for name in names:
        assert re.search(rf"\b{name}\b", cells[1].source), f"{name} is not checked"
