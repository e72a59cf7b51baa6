"""Which precision is taken where."""

import pytest
import torch

from pneumo_lib import hardware
from pneumo_lib.errors import ParameterError


def processor(monkeypatch, **capabilities) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities, raising=False)


@pytest.mark.parametrize(
    ("capabilities", "expected"),
    [
        ({"avx512_bf16": True}, "bf16-mixed"),
        ({"avx512_bf16": False, "amx_bf16": True}, "bf16-mixed"),
        # These can only emulate it.
        ({"avx512_f": True, "avx512_bf16": False}, "32-true"),
        ({}, "32-true"),
    ],
)
def test_auto_goes_by_the_processors_instructions(monkeypatch, capabilities, expected):
    processor(monkeypatch, **capabilities)
    assert hardware.choose_precision("auto") == expected


def test_a_pytorch_that_does_not_tell_gets_float32(monkeypatch):
    monkeypatch.delattr(torch.cpu, "get_capabilities", raising=False)
    assert hardware.choose_precision("auto") == "32-true"


@pytest.mark.parametrize("has", [True, False])
def test_a_choice_stands_whatever_the_device(monkeypatch, has):
    processor(monkeypatch, avx512_bf16=has)
    # 32 as papermill types it, and as the project's own command does.
    assert [hardware.choose_precision(name) for name in ("32", 32, "bf16")] == ["32-true", "32-true", "bf16-mixed"]


@pytest.mark.parametrize("name", ["fp16", "", True, None, 16, "32-true"])
def test_another_name_lists_the_right_ones(name):
    with pytest.raises(ParameterError, match="auto, 32, bf16"):
        hardware.choose_precision(name)
