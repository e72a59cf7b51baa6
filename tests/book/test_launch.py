"""Links to Binder and Colab, and what else serves them and the workflows."""

import re
import subprocess
from pathlib import Path

import pytest
import yaml

from pneumo_book import launch

REPOSITORY = Path(__file__).resolve().parents[2]
WORKFLOWS = sorted((REPOSITORY / ".github" / "workflows").glob("*.yml"))


@pytest.fixture
def clone(tmp_path, monkeypatch):
    """Makes a repository with an `origin` the home."""
    for name in ("GITHUB_REPOSITORY", "GITHUB_SERVER_URL", "GITHUB_REF_TYPE", "GITHUB_REF_NAME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("pneumo_lib.paths.repository", lambda: tmp_path)

    def make(origin: str) -> None:
        subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
        subprocess.run(["git", "-C", str(tmp_path), "remote", "add", "origin", origin], check=True)

    return make


@pytest.mark.parametrize("ending", ["", ".git", "/"])
def test_a_public_clone_knows_its_address(clone, ending):
    clone(f"https://github.com/someone/2st-unet{ending}")
    assert launch.address() == ("someone", "2st-unet", "main")
    assert launch.address().binder("train") == (
        "https://mybinder.org/v2/gh/someone/2st-unet/main?urlpath=lab/tree/notebooks/train.ipynb"
    )
    assert launch.address().colab("train") == (
        "https://colab.research.google.com/github/someone/2st-unet/blob/main/notebooks/train.ipynb"
    )
    assert '%pip install "git+https://github.com/someone/2st-unet@main"' in launch.block()


@pytest.mark.parametrize(
    "origin",
    [
        "git@github.com:someone/2st-unet.git",
        "/srv/2st-unet",
        "https://someone:secret@github.com/someone/2st-unet",
        "https://git.example.org/someone/2st-unet",
        "https://github.com.example.org/someone/2st-unet",
    ],
)
def test_other_addresses_give_no_links(clone, origin):
    clone(origin)
    assert launch.address() is None and launch.line("train") == ""
    assert "secret" not in launch.block() and "](" not in launch.block()


def test_without_a_repository_there_are_no_links(clone):
    assert launch.address() is None


def test_the_workflows_tag_comes_first(clone, monkeypatch):
    clone("https://github.com/fork/2st-unet")
    for name, value in {
        "GITHUB_SERVER_URL": "https://github.com",
        "GITHUB_REPOSITORY": "someone/2st-unet",
        "GITHUB_REF_TYPE": "tag",
        "GITHUB_REF_NAME": "v0.1.0",
    }.items():
        monkeypatch.setenv(name, value)
    assert launch.address() == ("someone", "2st-unet", "v0.1.0")
    monkeypatch.setenv("GITHUB_REF_TYPE", "branch")
    monkeypatch.setenv("GITHUB_REF_NAME", "12/merge")
    assert launch.address().reference == "main"


def test_linked_notebooks_are_there():
    assert {path.stem for path in (REPOSITORY / "notebooks").glob("*.ipynb")} == set(launch.NOTEBOOKS)


def test_binder_installs_this_package_as_tested():
    """conda and repo2docker write the pip lines to a file beside environment.yml, so its paths are relative to that."""
    content = yaml.safe_load((REPOSITORY / "environment.yml").read_text())
    lines = next(one["pip"] for one in content["dependencies"] if isinstance(one, dict))
    named = dict(line.split(" ", 1) for line in lines)
    assert (REPOSITORY / named["--constraint"]).is_file()
    assert named["--editable"].startswith(".[")
    pinned = next(one for one in content["dependencies"] if str(one).startswith("python="))
    assert pinned == "python=3.11", "the version that constraints.txt was made with"


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_workflows_call_what_is_there(path):
    makefile = (REPOSITORY / "Makefile").read_text()
    content = yaml.safe_load(path.read_text())
    steps = [step for job in content["jobs"].values() for step in job["steps"]]
    commands = [step["run"] for step in steps if "run" in step]
    targets = [target for text in commands for target in re.findall(r"make (\w+)", text)]
    assert targets, "it does nothing"
    for target in targets:
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target
    assert content["permissions"]["contents"] == "read"


def test_what_is_published_is_what_is_built():
    publish = yaml.safe_load((REPOSITORY / ".github" / "workflows" / "publish.yml").read_text())
    upload = next(step for step in publish["jobs"]["publish"]["steps"] if "upload-pages" in step.get("uses", ""))
    assert f"{upload['with']['path']}/index.html" in (REPOSITORY / "Makefile").read_text()
    # YAML reads the key `on` as a truth value.
    assert publish[True]["push"]["tags"] == ["v*"]
