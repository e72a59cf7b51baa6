"""The energy that training takes, where the device tells: NVIDIA's counter of a GPU, or the processor's (RAPL on Linux)."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

RAPL = Path("/sys/class/powercap")


@dataclass(frozen=True)
class Counter:
    """`read` gives the joules counted so far; after `span` joules it begins again at 0."""

    read: Callable[[], float]
    span: float = math.inf


class Meter:
    """Joules that a device has taken, reading by reading.

    Of a GPU: the whole card. Of a processor: all packages of the machine, whatever runs on them, without memory and fans;
    Linux lets only root read it unless told otherwise.

    Args:
        device: "cuda" or "cpu".
        folder: where Linux has the processor's counters.
    """

    def __init__(self, device: str, folder: Path = RAPL):
        self._counters = _gpu() if device == "cuda" else _packages(folder)
        self._last = [counter.read() for counter in self._counters]

    def joules(self) -> float | None:
        """Since the reading before, or since the start; `None` where the device does not tell."""
        now = [counter.read() for counter in self._counters]
        taken = [
            value - last if value >= last else value - last + counter.span
            for counter, value, last in zip(self._counters, now, self._last, strict=True)
        ]
        self._last = now
        return sum(taken) if taken else None


def _packages(folder: Path) -> list[Counter]:
    # intel-rapl:0 is a package (AMD's too), intel-rapl:0:1 a part of it.
    zones = [zone for zone in sorted(folder.glob("intel-rapl:*")) if zone.name.count(":") == 1]
    found = []
    for zone in zones:
        try:
            found.append(Counter(lambda zone=zone: _joules(zone / "energy_uj"), _joules(zone / "max_energy_range_uj")))
            found[-1].read()
        except (OSError, ValueError):
            return []
    return found


def _joules(path: Path) -> float:
    return int(path.read_text()) / 1e6


def _gpu() -> list[Counter]:
    try:
        import pynvml

        pynvml.nvmlInit()
        # By its identity: CUDA_VISIBLE_DEVICES numbers the cards anew.
        card = pynvml.nvmlDeviceGetHandleByUUID(f"GPU-{torch.cuda.get_device_properties().uuid}")
        counter = Counter(lambda: pynvml.nvmlDeviceGetTotalEnergyConsumption(card) / 1e3)
        counter.read()
    # No such package, an old card, an old driver: whatever keeps it from telling must not keep it from training.
    except Exception:
        return []
    return [counter]
