"""Precision by the processor's instructions; energy from a folder as Linux has it and from a stand-in for NVIDIA's library."""

import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from pneumo_lib import hardware
from pneumo_lib.errors import ParameterError
from pneumo_lib.hardware import Meter


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


def zone(folder: Path, name: str, microjoules: int) -> None:
    (folder / name).mkdir(exist_ok=True)
    (folder / name / "energy_uj").write_text(f"{microjoules}\n")
    (folder / name / "max_energy_range_uj").write_text("10000000\n")


def test_packages_are_added_and_their_parts_are_not(tmp_path):
    for name in ("intel-rapl:0", "intel-rapl:1", "intel-rapl:0:0"):
        zone(tmp_path, name, 1_000_000)
    meter = Meter("cpu", tmp_path)
    for name in ("intel-rapl:0", "intel-rapl:1", "intel-rapl:0:0"):
        zone(tmp_path, name, 3_500_000)
    # Twice 2.5 J, then nothing more.
    assert meter.joules() == pytest.approx(5) and meter.joules() == 0


def test_a_counter_that_began_again_goes_on(tmp_path):
    zone(tmp_path, "intel-rapl:0", 9_000_000)
    meter = Meter("cpu", tmp_path)
    zone(tmp_path, "intel-rapl:0", 500_000)
    # 1 J to the end of its range of 10 J, and half of one from 0.
    assert meter.joules() == pytest.approx(1.5)


def test_where_nothing_is_to_be_read_nothing_is_told(tmp_path, monkeypatch):
    assert Meter("cpu", tmp_path / "none").joules() is None
    (tmp_path / "intel-rapl:0").mkdir()
    assert Meter("cpu", tmp_path).joules() is None
    monkeypatch.setitem(sys.modules, "pynvml", None)
    assert Meter("cuda").joules() is None


def test_a_gpu_counts_in_millijoules(monkeypatch):
    readings = iter([1000, 1000, 4500])
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda: SimpleNamespace(uuid="x"))
    library = SimpleNamespace(
        nvmlInit=lambda: None,
        nvmlDeviceGetHandleByUUID=lambda identity: identity,
        nvmlDeviceGetTotalEnergyConsumption=lambda card: {"GPU-x": next(readings)}[card],
    )
    monkeypatch.setitem(sys.modules, "pynvml", library)
    assert Meter("cuda").joules() == pytest.approx(3.5)
