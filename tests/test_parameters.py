"""A notebook refuses parameters that it does not have."""

import pytest

from pneumo_lib import parameters
from pneumo_lib.errors import ParameterError


def test_an_unknown_injected_parameter_is_named():
    with pytest.raises(ParameterError, match="unknown parameter 'expp'; this notebook has exp, seed"):
        parameters.refuse_undeclared('exp: str = "exp4"\nseed: int = 0', '# Parameters\nexpp = "exp1"\n')


def test_known_injected_parameters_pass():
    parameters.refuse_undeclared('exp: str = "exp4"\nseed: int = 0', "# Parameters\nseed = 3\n")


def test_outside_a_notebook_nothing_is_refused():
    parameters.refuse_unknown()
