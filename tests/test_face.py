"""The public face: a dozen names, and nothing loaded before one is used."""

import subprocess
import sys
from pathlib import Path

import pytest

import pneumo_lib


def test_importing_the_package_loads_no_heavy_library():
    code = "import sys, pneumo_lib; print({'torch', 'numpy', 'pandas', 'matplotlib'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "set()"


@pytest.mark.parametrize("name", pneumo_lib.__all__)
def test_every_name_is_there(name):
    assert getattr(pneumo_lib, name) is not None and name in dir(pneumo_lib)


def test_another_name_is_none():
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        getattr(pneumo_lib, "nothing")  # noqa: B009


def test_the_api_page_names_the_whole_face():
    page = (Path(__file__).resolve().parents[1] / "book" / "reference" / "api.md").read_text()
    assert all(f"`{name}`" in page for name in pneumo_lib.__all__)
