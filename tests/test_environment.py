"""What the caller's environment may look like: locale, temporary folder, backend, kernels, shared memory, proxies."""

import ast
import json
import os
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

from pneumo_lib import hardware, locks, paths, profiles
from pneumo_lib.data import dataset
from pneumo_lib.errors import BusyError, ParameterError, WeightsError
from pneumo_lib.experiments import get
from pneumo_lib.model import unet

ROOT = Path(__file__).resolve().parents[1]
MEMBERS_OF_ARCHIVES = {
    "pneumo_lib/data/download.py": "content.open(member)",
    "book/_ext/pneumo_book/notebook_pages.py": "Image.open(io.BytesIO(base64.b64decode(picture)))",
}


def text_files(path: Path):
    """Calls that read or write a text without saying in which encoding."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.Call) or any(word.arg == "encoding" for word in node.keywords):
            continue
        name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        values = [one.value for one in (*node.args, *(word.value for word in node.keywords)) if hasattr(one, "value")]
        binary = any(isinstance(value, str) and "b" in value for value in values)
        of_os = isinstance(node.func, ast.Attribute) and getattr(node.func.value, "id", "") in ("os", "folder")
        if name in ("read_text", "write_text") or (name == "open" and not binary and not of_os):
            yield ast.unparse(node)


@pytest.mark.parametrize("folder", ["pneumo_lib", "book", "benchmarks"])
def test_text_files_are_utf_8_whatever_the_locale(folder):
    for path in (ROOT / folder).rglob("*.py"):
        name = str(path.relative_to(ROOT))
        assert [call for call in text_files(path) if call != MEMBERS_OF_ARCHIVES.get(name)] == [], name


def small_notebook(path: Path, code: str, **metadata) -> Path:
    cells = [
        nbformat.v4.new_code_cell("x = 1", metadata={"tags": ["parameters"]}),
        nbformat.v4.new_code_cell(code),
    ]
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata=kernel | metadata), path)
    return path


def executed(tmp_path: Path, code: str, environment: dict | None = None, **metadata):
    """A notebook of one cell, run by the project's command in a changed environment."""
    small_notebook(tmp_path / "in.ipynb", code, **metadata)
    command = [
        sys.executable,
        "-m",
        "pneumo_lib.cli",
        "notebook",
        str(tmp_path / "in.ipynb"),
        str(tmp_path / "o.ipynb"),
    ]
    done = subprocess.run(command, env=os.environ | (environment or {}), capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return nbformat.read(tmp_path / "o.ipynb", as_version=4)


def test_a_long_temporary_folder_is_no_obstacle(tmp_path):
    """A socket's path may have 107 characters only."""
    long = tmp_path / ("x" * 90)
    long.mkdir()
    assert executed(tmp_path, "print(x)", {"TMPDIR": str(long)}).cells[-1].outputs[0].text == "1\n"


def test_notebooks_draw_whatever_the_backend_of_the_environment(tmp_path):
    code = "from pneumo_lib.report import style\nfigure, axes = style.subplots()\nfigure"
    (output,) = executed(tmp_path, code, {"MPLBACKEND": "Agg"}).cells[-1].outputs
    assert "image/png" in output.data


def test_the_kernel_is_this_python_whatever_kernels_a_user_has(tmp_path):
    folder = tmp_path / "jupyter" / "kernels" / "python3"
    folder.mkdir(parents=True)
    spec = {"argv": ["/bin/false", "{connection_file}"], "display_name": "Python 3", "language": "python"}
    (folder / "kernel.json").write_text(json.dumps(spec))
    environment = {"JUPYTER_PATH": str(tmp_path / "jupyter"), "JUPYTER_PREFER_ENV_PATH": "0"}
    found = executed(tmp_path, "import sys\nprint(sys.executable)", environment)
    assert found.cells[-1].outputs[0].text.strip() == sys.executable


def test_an_executed_notebook_is_not_paired(tmp_path):
    """JupyterLab would write a .py file next to it."""
    found = executed(tmp_path, "x", jupytext={"formats": "ipynb,py:percent"})
    assert "jupytext" not in found.metadata


@pytest.mark.parametrize("name", ["data", "train", "sweep", "test", "predict"])
def test_copies_of_the_notebooks_are_not_paired(name):
    """Nor is what plain papermill makes of them, as their metadata are copied."""
    assert "formats" not in nbformat.read(ROOT / "notebooks" / f"{name}.ipynb", as_version=4).metadata.get(
        "jupytext", {}
    )


@pytest.mark.parametrize("name", ["train.ipynb", "train.py"])
def test_saving_in_jupyterlab_leaves_the_source_as_it_is(tmp_path, name):
    from jupyter_server.services.contents.filemanager import FileContentsManager
    from jupytext.sync_contentsmanager import build_sync_jupytext_contents_manager_class

    for folder in ("notebooks", "mine"):
        (tmp_path / folder).mkdir()
    for path in (ROOT / "notebooks").glob("[jt]*.[tpi]*"):
        (tmp_path / "notebooks" / path.name).write_bytes(path.read_bytes())
    manager = build_sync_jupytext_contents_manager_class(FileContentsManager)(root_dir=str(tmp_path))
    model = manager.get(f"notebooks/{name}")
    # What JupyterLab adds when the kernel answers.
    model["content"]["metadata"]["language_info"] = {"name": "python", "version": "3.12.0"}
    model["content"]["cells"][2]["metadata"] |= {"trusted": True, "collapsed": False}
    manager.save(model, f"notebooks/{name}")
    assert (tmp_path / "notebooks/train.py").read_text() == (ROOT / "notebooks" / "train.py").read_text()
    (tmp_path / "mine/copy.ipynb").write_bytes((tmp_path / "notebooks/train.ipynb").read_bytes())
    manager.save(manager.get("mine/copy.ipynb"), "mine/copy.ipynb")
    found = [path.name for path in (tmp_path / "mine").iterdir() if not path.name.startswith(".")]
    assert found == ["copy.ipynb"], "a copy elsewhere has no source next to it"


@pytest.mark.parametrize("text", ["", " ", "\t"])
def test_blank_data_are_refused(text):
    with pytest.raises(ParameterError, match="data is empty"):
        dataset.open_dataset(text, profiles.get("smoke"))


@pytest.mark.parametrize("proxy", ["socks5://127.0.0.1:9", "nonsense://127.0.0.1:9"])
def test_a_proxy_that_cannot_be_used_is_one_message(monkeypatch, tmp_path, proxy):
    monkeypatch.setenv("ALL_PROXY", proxy)
    monkeypatch.setenv("HTTPS_PROXY", proxy)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(WeightsError, match="could not be loaded"):
        unet.build(get("exp1", "paper"))


@pytest.mark.parametrize(("free", "workers"), [(64_000, 0), (6_000_000, 3), (10**9, 4)])
def test_loader_processes_fit_into_shared_memory(monkeypatch, tmp_path, capsys, free, workers):
    """Batches of 200 kB, 4 ahead and 1 in use: a process needs 1 MB, of half of what is free."""
    monkeypatch.setattr("shutil.disk_usage", lambda path: type("usage", (), {"free": free}))
    assert hardware.affordable_workers(4, 200_000, 4, tmp_path) == workers
    assert ("--shm-size" in capsys.readouterr().err) == (workers < 4)


def test_systems_without_that_folder_have_no_such_limit(tmp_path):
    assert hardware.affordable_workers(4, 10**12, 4, tmp_path / "none") == 4


def test_a_lock_is_held_once_and_ends_with_its_process(tmp_path):
    path = tmp_path / "lock"
    code = "import time\nfrom pathlib import Path\nfrom pneumo_lib import locks\n"
    code += f"with locks.held(Path({str(path)!r}), 'x'):\n    print('held', flush=True)\n    time.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout.readline() == "held\n"
        said = f"another process .number {holder.pid}. is working on the run"
        with pytest.raises(BusyError, match=said), locks.held(path, "the run"):
            pass
        holder.kill()
    with locks.held(path, "the run"):
        pass


def test_paths_in_variables_are_relative_to_the_working_directory(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PNEUMO_HOME", "my home")
    assert paths.home() == tmp_path / "my home"
    assert paths.results() == ROOT / "results", "published records are the repository's where the home has none"
    (tmp_path / "my home" / "results").mkdir(parents=True)
    assert paths.results() == tmp_path / "my home" / "results"
