"""The notebooks as their users run them: through papermill and the project's own command, from another folder."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pandas as pd
import pytest

from pneumo_book import notebook_pages
from pneumo_lib import cli, notebook, parameters, records, runs
from pneumo_lib.errors import NotebookError, PneumoError, StepError

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOKS = ROOT / "notebooks"
PAPERMILL = [sys.executable, "-m", "papermill"]
REAL = os.environ.get("PNEUMO_REAL_DATA")


def execute(home: Path, name: str, exp: str, **parameters) -> Path:
    """Runs a notebook in profile smoke with everything it writes below `home`."""
    output = home / f"{exp}-{name}.ipynb"
    given = {"exp": exp, "profile": "smoke"} | parameters
    arguments = [text for key, value in given.items() for text in ("-p", key, str(value))]
    command = [
        sys.executable,
        "-m",
        "pneumo_lib.cli",
        "notebook",
        str(NOTEBOOKS / f"{name}.ipynb"),
        str(output),
        *arguments,
    ]
    subprocess.run(command, check=True, cwd=home, env=os.environ | {"PNEUMO_HOME": str(home)})
    return output


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """exp2 run whole, on 24 phantoms."""
    home = tmp_path_factory.mktemp("home")
    for name in ("train", "sweep", "test"):
        execute(home, name, "exp2")
    return home


def test_a_run_leaves_a_record(home):
    found = records.find(home / "runs")
    assert [record.name for record in found] == ["exp2"]
    values = found[0].values
    assert values["synthetic"] and values["label"] == "phantom data, smoke profile, seed 0"
    assert len(found[0].per_image) == values["split"]["images"]["test"]
    assert sum(values["split"]["images"].values()) == 24


def test_the_command_leaves_what_the_notebooks_leave(home, monkeypatch, capsys):
    """Sweep and test by command, over the notebooks' run: the same thresholds and the same record."""
    monkeypatch.setenv("PNEUMO_HOME", str(home))
    folder = home / "runs" / "phantom-smoke" / "exp2" / "seed0"
    names = ("thresholds.json", "per_image.csv", "history.csv", "explorer-data.js")
    before, record = {name: (folder / name).read_text() for name in names}, records.read(folder)
    given = ["--exp", "exp2", "--profile", "smoke"]
    for step in ("train", "sweep", "test"):
        assert cli.main([step, *given]) == 0
    assert {name: (folder / name).read_text() for name in names} == before
    again = records.read(folder)
    for effect in (*record.values["tta_effects"], *again.values["tta_effects"]):
        del effect["seconds"]  # measured anew
    assert again.values == record.values
    (folder.with_name("seedless")).mkdir()  # no run's folder, and passed over
    capsys.readouterr()
    assert cli.main(["runs", "--profile", "smoke"]) == 0
    assert re.search(r"exp2 +0 +tested", capsys.readouterr().out)


def test_inspect_reports_and_writes_the_grey_levels(home, tmp_path, capsys):
    data = next(path.parent for path in (home / "data").glob("**/train-rle.csv"))
    assert cli.main(["inspect", str(data), "--grey-levels", str(tmp_path / "grey.csv")]) == 0
    assert "24" in capsys.readouterr().out
    assert pd.read_csv(tmp_path / "grey.csv")["mean"].sum() == pytest.approx(1, abs=1e-4)  # six places, 32 bins


def test_a_folder_without_records_is_not_published(tmp_path, capsys):
    assert cli.main(["publish", str(tmp_path), str(tmp_path / "results")]) == 1
    assert "no records below" in capsys.readouterr().err
    assert cli.main(["publish", str(tmp_path), str(tmp_path)]) == 1
    assert "name another one" in capsys.readouterr().err


def test_exp3_goes_on_from_exp2(home):
    execute(home, "train", "exp3")
    folder = home / "runs" / "phantom-smoke" / "exp3" / "seed0"
    assert (folder / "stage2.safetensors").is_file() and not (folder / "stage1.safetensors").exists()


def test_papermill_writes_to_standard_output(home):
    """As in the README, from a folder that is not the repository; the finished run is not trained again."""
    with (home / "out.ipynb").open("w") as out:
        command = [*PAPERMILL, str(NOTEBOOKS / "train.ipynb"), "-p", "exp", "exp2", "-p", "profile", "smoke"]
        subprocess.run(command, check=True, cwd=home, env=os.environ | {"PNEUMO_HOME": str(home)}, stdout=out)
    cells = nbformat.read(home / "out.ipynb", as_version=4).cells
    assert all(cell.get("execution_count") for cell in cells if cell.cell_type == "code")


def test_a_wrong_value_stops_in_the_first_cell_with_one_sentence(home):
    out = home / "wrong.ipynb"
    done = subprocess.run(
        [*PAPERMILL, str(NOTEBOOKS / "train.ipynb"), str(out), "-p", "exp", "exp9"],
        cwd=home, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode and "choose from exp1, exp2, exp3, exp4, exp5" in done.stderr
    code = [cell for cell in nbformat.read(out, as_version=4).cells if cell.cell_type == "code" and cell.get("outputs")]
    # papermill puts a cell of its own with a link to the error at the top.
    errors = [output for cell in code for output in cell.outputs if output.output_type == "error"]
    assert len(errors) == 1 and len(errors[0].traceback) == 1
    assert not (home / "runs" / "phantom-demo").exists(), "nothing is written before the check"


def test_sweep_before_train_says_what_to_run(home):
    with pytest.raises(NotebookError, match=r"first run: papermill notebooks/train.ipynb .*-p exp exp5"):
        env = os.environ.get("PNEUMO_HOME")
        os.environ["PNEUMO_HOME"] = str(home)
        try:
            notebook.run(NOTEBOOKS / "sweep.ipynb", home / "x.ipynb", {"exp": "exp5", "profile": "smoke"})
        finally:
            os.environ.pop("PNEUMO_HOME") if env is None else os.environ.update(PNEUMO_HOME=env)
    assert (home / "x.failed.ipynb").is_file() and not (home / "x.ipynb").exists()


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"exp": "exp9"}, "exp1, exp2, exp3, exp4, exp5"),
        ({"exp": 4}, "exp1, exp2"),
        ({"exp": True}, "exp1, exp2"),
        ({"profile": "large"}, "paper, half, demo, study, real, smoke"),
        ({"seed": "true"}, "whole number"),
        ({"seed": 1.5}, "whole number"),
        ({"seed": -1}, "whole number"),
        ({"seed": True}, "whole number"),
        ({"split": "random"}, "auto, deck, deck-2k, follow-up, follow-up-90-10, trial, patient"),
        ({"data": "/no/such/folder"}, "is not a folder"),
        ({"data": 7}, "-r data 7"),
        ({"accumulate": 0}, "whole number from 1"),
        ({"accumulate": True}, "whole number from 1"),
        ({"force": "yes"}, "must be true or false"),
        ({"precision": "fp16"}, "auto, 32, bf16"),
        ({"precision": True}, "auto, 32, bf16"),
        ({"logger": "wandb"}, "none, tensorboard"),
        ({"weights": "resnet"}, "weights"),
        ({"patients": "/no/such/file.csv"}, "is not a file"),
    ],
)
def test_every_parameter_is_checked(given, sentence):
    with pytest.raises(PneumoError, match=sentence):
        runs.start(**given)


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"experiment": "exp4"}, "has no parameter 'experiment'; it has exp, data"),
        ({"seed": "x"}, "must be a whole number"),
        ({"force": "1"}, "must be true or false"),
    ],
)
def test_the_own_command_is_strict(given, sentence, tmp_path):
    with pytest.raises(NotebookError, match=sentence):
        notebook.run(NOTEBOOKS / "train.ipynb", tmp_path / "x.ipynb", given)
    assert not list(tmp_path.iterdir())


def test_values_take_the_type_of_the_default():
    given = {"exp": "007", "seed": "007", "force": "True"}
    assert notebook.checked(NOTEBOOKS / "train.ipynb", given) == {"exp": "007", "seed": 7, "force": True}


def test_the_command_line_reports_in_one_line(tmp_path, capsys):
    assert cli.main(["notebook", str(NOTEBOOKS / "none.ipynb"), str(tmp_path / "x.ipynb")]) == 1
    assert capsys.readouterr().err.startswith("error: ")


def test_a_page_shows_no_progress_and_no_folder_of_this_machine(home):
    notebook_pages.make(home / "exp2-train.ipynb", home / "page.ipynb", "exp2: train")
    text = (home / "page.ipynb").read_text()
    content = nbformat.reads(text, as_version=4)
    assert content.cells[0].source.startswith("# exp2: train\n")
    assert "step/s" not in text and str(home) not in text and "papermill" not in json.dumps(content.metadata)


@pytest.mark.skipif(not REAL, reason="PNEUMO_REAL_DATA names no folder with real X-rays")
def test_real_xrays_train_sweep_and_test(tmp_path):
    """The challenge's ten sample X-rays through all three notebooks; the scores mean nothing at this scale."""
    for name in ("train", "sweep", "test"):
        execute(tmp_path, name, "exp2", data=Path(REAL) / "siim_sample")
    record = records.find(tmp_path / "runs")[0]
    assert not record.values["synthetic"] and record.label.startswith("siim_sample")
    assert sum(record.values["split"]["images"].values()) == 10
    assert sum(record.values["split"]["positive"].values()) == 5


def test_notebooks_side_by_side_keep_to_their_own_kernels(tmp_path):
    """Two at once in one folder, as the graph runs them."""
    cells = [
        nbformat.v4.new_code_cell("x = 1", metadata={"tags": ["parameters"]}),
        nbformat.v4.new_code_cell("import time\ntime.sleep(2)\nprint(x)"),
    ]
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata=kernel), tmp_path / "in.ipynb")
    command = [sys.executable, "-m", "pneumo_lib.cli", "notebook", "in.ipynb"]
    started = [subprocess.Popen([*command, f"{x}.ipynb", "-p", "x", str(x)], cwd=tmp_path) for x in (2, 3)]
    assert [process.wait(120) for process in started] == [0, 0]
    for x in (2, 3):
        assert nbformat.read(tmp_path / f"{x}.ipynb", as_version=4).cells[-1].outputs[0].text == f"{x}\n"


@pytest.mark.parametrize("content", ["", "{}", "[]", "# %%\n1 + 1\n", "\0\1"])
def test_what_is_no_notebook(tmp_path, content, capsys):
    for name in ("a.ipynb", "a.py"):
        (tmp_path / name).write_text(content)
        assert cli.main(["notebook", str(tmp_path / name), str(tmp_path / "out.ipynb"), "-p", "x", "1"]) == 1
        assert capsys.readouterr().err.splitlines()[-1].startswith("error: ")


@pytest.mark.parametrize(
    ("output", "said"), [(".", "is a folder; name the notebook"), ("file/x.ipynb", "could not be written")]
)
def test_an_output_that_cannot_be(tmp_path, output, said, capsys):
    (tmp_path / "file").write_text("")
    assert cli.main(["notebook", str(NOTEBOOKS / "train.ipynb"), str(tmp_path / output)]) == 1
    assert said in capsys.readouterr().err


def test_a_kernel_that_dies_is_a_sentence(tmp_path, capsys):
    cells = [
        nbformat.v4.new_code_cell("x = 1", metadata={"tags": ["parameters"]}),
        nbformat.v4.new_code_cell("import os\nos._exit(9)"),
    ]
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata=kernel), tmp_path / "in.ipynb")
    assert cli.main(["notebook", str(tmp_path / "in.ipynb"), str(tmp_path / "out.ipynb")]) == 1
    assert "in.ipynb stopped: its kernel died" in capsys.readouterr().err and not (tmp_path / "out.ipynb").exists()


def test_the_advice_repeats_every_parameter_that_chooses_the_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("PNEUMO_HOME", str(tmp_path / "home"))
    folder = tmp_path / "my data"
    folder.mkdir()
    (tmp_path / "map.csv").write_text("")
    run = runs.start("exp1", str(folder), "smoke", 3, "deck", str(tmp_path / "map.csv"))
    with pytest.raises(StepError) as raised:
        run.trained()
    for part in (f"-p data '{folder}'", "-p seed 3", "-p split deck", f"-p patients {tmp_path / 'map.csv'}"):
        assert part in str(raised.value)


def test_the_sweeps_augmentation_is_a_text():
    with pytest.raises(PneumoError, match="tta must be text, not 5: flip, contrast"):
        parameters.checked_transforms(5)


def test_a_transform_twice_is_refused():
    with pytest.raises(PneumoError, match="names a transform twice"):
        parameters.checked_transforms("flip, flip")
