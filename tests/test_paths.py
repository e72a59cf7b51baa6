"""Names of folders, and what is shown of a path."""

import pytest

from pneumo_lib import paths
from pneumo_lib.errors import ParameterError


@pytest.mark.parametrize(("name", "slug"), [("a b", "a-b"), ("../x", "x"), ("", "data"), ("..", "data"), ("é", "data")])
def test_slugs_are_safe_folder_names(name, slug):
    assert paths.slug(name) == slug


def test_shown_paths_name_no_folder_of_the_machine(tmp_path, monkeypatch):
    home = tmp_path / "home"
    monkeypatch.setenv("PNEUMO_HOME", str(home))
    assert paths.shown(home / "runs" / "x") == "runs/x"
    assert paths.shown(home.parent / "elsewhere" / "y.csv") == "y.csv"


def test_a_home_of_nobody_is_a_sentence(monkeypatch):
    monkeypatch.setenv("PNEUMO_HOME", "~nobody-of-that-name/x")
    with pytest.raises(ParameterError, match="begins with the home folder of an unknown user"):
        paths.home()
