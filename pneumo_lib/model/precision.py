"""The number format that a network computes in while it learns: float32, or bfloat16 where the hardware has it."""

import torch

from pneumo_lib.errors import PneumoError

FLOAT32, MIXED = "32-true", "bf16-mixed"
CHOICES = {"auto": None, "32": FLOAT32, "bf16": MIXED}
"""Values of the parameter `precision`, and Lightning's names for them; auto: by the device."""
TITLES = {FLOAT32: "float32", MIXED: "bf16"}


class PrecisionError(PneumoError):
    """A precision that does not exist."""


def choose(name: str | int = "auto", device: str = "cpu") -> str:
    """Lightning's name of the precision to train in on "cpu" or "cuda".

    Mixed means that convolutions compute in bfloat16 (8 bits of mantissa); weights, their updates, batch-norm statistics
    and the loss stay float32. "auto" takes it where there are instructions for it, since there it is about twice as fast;
    elsewhere it would be emulated, and slower (our choice; the sources say nothing).

    Raises:
        PrecisionError: none of auto, 32, bf16.
    """
    # papermill makes a number of `-p precision 32`.
    if isinstance(name, bool) or str(name) not in CHOICES:
        raise PrecisionError(f"precision={name!r} is no choice; give one of {', '.join(CHOICES)}.")
    return CHOICES[str(name)] or (MIXED if has_bfloat16(device) else FLOAT32)


def has_bfloat16(device: str) -> bool:
    """Whether the device multiplies bfloat16 numbers itself: NVIDIA from Ampere on, x86 with AVX512-BF16 or AMX."""
    if device == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    # Older versions of PyTorch do not tell; they train in float32 unless they are told otherwise.
    capabilities = getattr(torch.cpu, "get_capabilities", dict)()
    return any(capabilities.get(name, False) for name in ("avx512_bf16", "amx_bf16"))
