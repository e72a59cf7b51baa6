"""The command that trains on several GPUs: its parameters are checked as the notebooks' are."""

import pytest

from pneumo_lib.training.__main__ import main


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--exp", "exp9"], "exp='exp9' is no experiment; choose one of exp1"),
        (["--seed", "-1"], "seed=-1 is no seed"),
        (["--accumulate", "0"], "accumulate=0 is no number of forward passes; give a whole number from 1"),
        (["--data", "/no/such/folder"], "is no folder"),
    ],
)
def test_a_wrong_parameter_is_one_line(arguments, said, capsys):
    assert main(["--profile", "smoke", *arguments]) == 1
    error = capsys.readouterr().err
    assert error.startswith("error: ") and said in error and error.count("\n") == 1
