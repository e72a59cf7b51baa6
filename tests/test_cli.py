"""The command `pneumo`: one table of parameters, and every mistake is one line."""

import re
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import records_made

from pneumo_lib import cli, notebook
from pneumo_lib.parameters import PARAMETERS, SWEEP, TEST, TRAIN

NOTEBOOKS = Path(__file__).resolve().parents[1] / "notebooks"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--exp", "exp9"], "unknown exp='exp9'; choose from exp1"),
        (["--seed", "-1"], "seed must be a whole number from 0 to 2147483647, not -1"),
        (["--accumulate", "0"], "accumulate must be a whole number from 1, not 0"),
        (["--data", "/no/such/folder"], "is not a folder"),
        (["--sed", "1"], "No such option"),
        (["--seed", "x"], "not a valid integer"),
    ],
)
def test_a_wrong_parameter_is_one_line(arguments, said, capsys):
    assert cli.main(["train", "--profile", "smoke", *arguments]) == 1
    error = capsys.readouterr().err
    assert error.startswith("error: ") and said in error and error.count("\n") == 1


@pytest.mark.parametrize(("name", "taken"), [("train", TRAIN), ("sweep", SWEEP), ("test", TEST)])
def test_the_notebooks_parameters_are_the_commands(name, taken):
    """Same names, defaults and explanations, from one table."""
    of_notebook = notebook.parameters_of(NOTEBOOKS / f"{name}.ipynb")
    assert set(of_notebook) == set(taken)
    for parameter in taken:
        known = PARAMETERS[parameter]
        assert of_notebook[parameter]["default"].strip("\"'") == str(known.default)
        assert of_notebook[parameter]["help"] == known.meaning


def test_help_lists_every_command_and_parameter(capsys):
    assert cli.main(["--help"]) == 0
    said = capsys.readouterr().out
    for name in ("train", "sweep", "test", "predict", "submit", "download", "inspect", "export", "publish", "runs"):
        assert re.search(rf"^  {name} ", said, re.MULTILINE)
    assert cli.main(["sweep", "--help"]) == 0
    said = capsys.readouterr().out
    assert all(f"--{name.replace('_', '-')}" in said for name in SWEEP)


def test_the_runs_of_an_untouched_profile_are_none(capsys, tmp_path, monkeypatch):
    monkeypatch.setattr("pneumo_lib.paths.home", lambda: tmp_path)
    (tmp_path / "runs").mkdir()
    assert cli.main(["runs", "--profile", "smoke"]) == 0
    assert "No run yet" in capsys.readouterr().out


def test_runs_are_listed_with_state_scores_and_folder(capsys, tmp_path, monkeypatch):
    monkeypatch.setenv("PNEUMO_HOME", str(tmp_path))
    runs = tmp_path / "runs" / "phantom-smoke"
    record = records_made.write(runs / "exp2" / "seed0", "exp2", profile="smoke")
    (runs / "exp2" / "seed0" / "stage1.safetensors").touch()
    (runs / "exp1" / "seed3").mkdir(parents=True)
    pd.DataFrame({"epoch": [1, 2]}).to_csv(runs / "exp1" / "seed3" / "stage1.csv")
    assert cli.main(["runs", "--profile", "smoke"]) == 0
    said = capsys.readouterr().out
    score = record.values["test"]["validation"]["scores"]["dsc"]["value"]
    assert re.search(rf"exp2 +0 +tested +{score:.3f}.* {re.escape(str(runs / 'exp2' / 'seed0'))}$", said, re.MULTILINE)
    assert re.search(r"exp1 +3 +interrupted at epoch 2 +- +- ", said)


@pytest.mark.parametrize("arguments", [["--help"], ["train", "--exp", "exp9"], ["sweep", "--rule", "largest"]])
def test_help_and_wrong_values_wait_for_no_pytorch(arguments):
    code = f"import sys; from pneumo_lib import cli; cli.main({arguments!r}); print('torch' in sys.modules)"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert said.splitlines()[-1] == "False"
