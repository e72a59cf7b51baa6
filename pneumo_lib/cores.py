"""How many processors there are to work on."""

import os


def usable_cores() -> int:
    """Processors that this process may use: fewer than the machine has in a container or a batch job (only Linux tells)."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
