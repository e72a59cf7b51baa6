"""The public face: a dozen names, and nothing loaded before one is used."""

import subprocess
import sys

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
