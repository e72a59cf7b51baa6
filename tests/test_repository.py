"""The repository as a whole: what the README says is so, nothing is in it that must not be."""

import ast
import re
import subprocess
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from pneumo_book import readme
from pneumo_lib import records

ROOT = Path(__file__).resolve().parents[1]


def tracked() -> list[str]:
    done = subprocess.run(["git", "-C", str(ROOT), "ls-files"], capture_output=True, text=True)
    if done.returncode:
        pytest.skip("not a git checkout")
    return done.stdout.splitlines()


def test_the_readmes_table_is_the_records(tmp_path, monkeypatch):
    """`make results` would change nothing, wherever one's own runs are."""
    text = (ROOT / "README.md").read_text()
    assert readme.updated(text) == text
    monkeypatch.setenv("PNEUMO_HOME", str(tmp_path))
    assert readme.updated(text) == text


def test_the_readme_names_only_what_is_there():
    text = (ROOT / "README.md").read_text()
    for path in re.findall(r"notebooks/\w+\.ipynb", text):
        assert (ROOT / path).is_file(), path
    for target in re.findall(r"^make (\w+)", text, re.MULTILINE):
        assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), re.MULTILINE), target


def test_the_readmes_output_folders_exist_in_a_fresh_clone():
    """papermill refuses an output whose folder is missing."""
    folders = {Path(name).parent.as_posix() for name in tracked()}
    for text in (ROOT / "README.md", *(ROOT / "book").glob("*/*.md")):
        for output in re.findall(r"papermill notebooks/\S+ (?:\S.* > )?([\w/]+)/[\w-]+\.ipynb", text.read_text()):
            assert output in folders, f"{text.name}: {output}"


def test_committed_notebooks_are_those_of_the_committed_records():
    """`make results` publishes both; a page that shows another run's notebook would contradict the tables."""
    for notebook in sorted((ROOT / "results" / "phantom-demo").glob("exp*/seed0/test.ipynb")):
        commit = records.read(notebook.parent).values["environment"]["commit"]
        assert f">{commit}<" in notebook.read_text(encoding="utf-8"), notebook


def test_every_committed_record_is_of_todays_registry_and_says_what_its_data_are():
    found = records.find(ROOT / "results", kind=None)
    assert found
    for record in found:
        if record.values["synthetic"]:
            assert "phantom" in record.label and not record.silver
        else:
            assert "silver labels" in record.label or "tested_on" in record.values
            assert not (record.folder / "gallery.png").exists(), "an X-ray of a patient"
            assert record.per_image["image_id"].tolist() == list(range(1, len(record.per_image) + 1)), "ids of X-rays"


def test_no_xray_no_weights_and_nothing_large_is_committed():
    for name in tracked():
        path = ROOT / name
        assert path.suffix not in {".dcm", ".safetensors", ".ckpt", ".npy", ".pt", ".pth"}, name
        assert not path.is_file() or path.stat().st_size < 2_000_000, name


def _layers() -> dict[str, int]:
    """Each module or package at the top of the library → its height, as CONTRIBUTING lists them."""
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    listed = re.search(r"^Imports point downwards in this list.*?: (.*?)\. ", text, re.MULTILINE | re.DOTALL)[1].split(
        "→"
    )
    return {name: -place for place, names in enumerate(listed) for name in re.findall(r"`(\w+)`", names)}


def _imported(path: Path) -> set[str]:
    """The library's own modules and packages that a file names in its imports, wherever these stand."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition("pneumo_lib.")[2] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module == "pneumo_lib":
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add((node.module or "").partition("pneumo_lib.")[2])
    return {name.split(".")[0] for name in found if name}


def test_imports_run_down_the_list_in_contributing():
    layers, package = _layers(), ROOT / "pneumo_lib"
    tops = {path.stem for path in package.iterdir() if path.suffix == ".py" or (path / "__init__.py").is_file()}
    assert tops - {"__init__"} == set(layers), "CONTRIBUTING lists every module and package at the top"
    for path in sorted(package.rglob("*.py")):
        top = path.relative_to(package).with_suffix("").parts[0]
        if top != "__init__":
            up = [name for name in _imported(path) if layers[name] > layers[top]]
            assert not up, f"{path.relative_to(ROOT)} imports {up}, which stand above it"


def test_every_dependency_is_pinned_within_its_range():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pinned = {
        canonicalize_name(name): version for name, _, version in (line.partition("==") for line in lines) if version
    }
    extras = project["optional-dependencies"]
    for text in project["dependencies"] + extras["book"] + extras["test"]:
        requirement = Requirement(text)
        assert requirement.specifier.contains(pinned[canonicalize_name(requirement.name)]), requirement
