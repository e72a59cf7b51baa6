"""The book, built once from invented records, and a browser that opens it."""

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from filelock import FileLock

_SAMPLE = Path(__file__).parents[1] / "book" / "sample.py"
_FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def _sample():
    spec = importlib.util.spec_from_file_location("book_sample", _SAMPLE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def sample():
    return _sample()


@pytest.fixture(scope="session")
def project(sample, tmp_path_factory) -> Path:
    """A folder with the book's sources, runs and the built pages; shared by parallel workers."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if os.environ.get("PYTEST_XDIST_WORKER") else base) / "project"
    with FileLock(f"{folder}.lock"):
        if not folder.is_dir():
            sample.write_project(folder)
            build(folder)
    return folder


def build(folder: Path) -> None:
    """`make book`'s last step."""
    command = [str(Path(sys.executable).with_name("jupyter-book")), "build", ".", "--path-output", "book", "-W", "-q"]
    environment = os.environ | {"PNEUMO_HOME": str(folder), "PNEUMO_RECORDS": "runs/phantom-demo"}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]


@pytest.fixture(scope="session")
def site(project) -> Path:
    return project / "book" / "_build" / "html"


@pytest.fixture(scope="session")
def browser():
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("chromium is not installed; on Debian: apt-get install chromium")
    sync_api = pytest.importorskip("playwright.sync_api")
    with sync_api.sync_playwright() as driver:
        opened = driver.chromium.launch(executable_path=chromium, args=_FLAGS)
        yield opened
        opened.close()


@pytest.fixture(scope="session")
def axe(tmp_path_factory) -> str:
    """axe-core's source, from the npm registry or the file that AXE_CORE names."""
    if named := os.environ.get("AXE_CORE"):
        return Path(named).read_text()
    if shutil.which("npm") is None:
        pytest.skip("npm is not installed, so axe-core cannot be had")
    folder = tmp_path_factory.mktemp("axe")
    done = subprocess.run(
        ["npm", "pack", "axe-core@4", "--silent"], cwd=folder, capture_output=True, text=True, timeout=120
    )
    if done.returncode:
        pytest.skip(f"npm cannot fetch axe-core: {done.stderr.strip()[-200:]}")
    shutil.unpack_archive(folder / done.stdout.split()[-1], folder, "gztar")
    return (folder / "package" / "axe.min.js").read_text()
