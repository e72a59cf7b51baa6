"""Usable CPU cores, shared memory, the number format of training, and the energy that training takes.

PyTorch is imported inside functions because its import takes seconds, and wrong parameters should be reported at once.
"""

import math
import os
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from pneumo_lib.errors import ParameterError


def usable_cores() -> int:
    """Processors that this process may use: fewer than the machine has in a container or a batch job (only Linux tells)."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


SHARED_MEMORY = Path("/dev/shm")


def affordable_workers(wanted: int, batch_bytes: int, ahead: int, shared: Path = SHARED_MEMORY) -> int:
    """Loader processes whose batches fit into shared memory; says on stderr where these are fewer than wanted.

    A process that finds no room there is killed by the system. Containers often have 64 MB only.

    Args:
        wanted: loader processes.
        batch_bytes: size of one batch.
        ahead: batches that each process loads ahead.
        shared: where Linux keeps shared memory; systems without that folder have no such limit.
    """
    if not wanted or not shared.is_dir():
        return wanted
    free = shutil.disk_usage(shared).free
    # One batch more each: the one in use. Half of the memory is left to others.
    possible = int(free / 2 / (batch_bytes * (ahead + 1)))
    if possible < wanted:
        print(
            f"shared memory ({shared}) has {free / 1e6:.1f} MB free, enough for {possible} of {wanted} loader processes; "
            "training continues with those. In Docker, give more: docker run --shm-size 1g",
            file=sys.stderr,
        )
    return min(wanted, possible)


FLOAT32, MIXED = "32-true", "bf16-mixed"
PRECISIONS = {"auto": None, "32": FLOAT32, "bf16": MIXED}
"""Values of the parameter `precision`, and Lightning's names for them; auto: by the device."""
PRECISION_TITLES = {FLOAT32: "float32", MIXED: "bf16"}


def choose_precision(name: str | int = "auto", device: str = "cpu") -> str:
    """Lightning's name of the precision to train in on "cpu" or "cuda".

    Mixed means that convolutions compute in bfloat16 (8 bits of mantissa); weights, their updates, batch-norm statistics
    and the loss stay float32. "auto" takes it where there are instructions for it, since there it is about twice as fast;
    elsewhere it would be emulated, and slower (our choice; the sources say nothing).

    Raises:
        ParameterError: none of auto, 32, bf16.
    """
    return PRECISIONS[checked_precision(name)] or (MIXED if has_bfloat16(device) else FLOAT32)


def checked_precision(name: str | int) -> str:
    """The parameter `precision`, if it is one.

    Raises:
        ParameterError: none of auto, 32, bf16.
    """
    # papermill makes a number of `-p precision 32`.
    if isinstance(name, bool) or str(name) not in PRECISIONS:
        raise ParameterError(f"unknown precision={name!r}; choose from {', '.join(PRECISIONS)}.")
    return str(name)


def has_bfloat16(device: str) -> bool:
    """Whether the device multiplies bfloat16 numbers itself: NVIDIA from Ampere on, x86 with AVX512-BF16 or AMX."""
    import torch

    if device == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    # Older versions of PyTorch do not tell; they train in float32 unless they are told otherwise.
    capabilities: dict[str, bool] = getattr(torch.cpu, "get_capabilities", dict)()
    return any(capabilities.get(name, False) for name in ("avx512_bf16", "amx_bf16"))


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
            found.append(Counter(partial(_joules, zone / "energy_uj"), _joules(zone / "max_energy_range_uj")))
            found[-1].read()
        except (OSError, ValueError):
            return []
    return found


def _joules(path: Path) -> float:
    return int(path.read_text(encoding="utf-8")) / 1e6


def _gpu() -> list[Counter]:
    try:
        import pynvml
        import torch

        pynvml.nvmlInit()
        # By its identity: CUDA_VISIBLE_DEVICES numbers the cards anew.
        card = pynvml.nvmlDeviceGetHandleByUUID(f"GPU-{torch.cuda.get_device_properties().uuid}")
        counter = Counter(lambda: pynvml.nvmlDeviceGetTotalEnergyConsumption(card) / 1e3)
        counter.read()
    # No such package, an old card, an old driver: whatever keeps it from telling must not keep it from training.
    except Exception:
        return []
    return [counter]
