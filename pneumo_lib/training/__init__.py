"""Phase 2: two-stage training."""

from pneumo_lib.training.loop import TrainingError
from pneumo_lib.training.two_stage import Result, plan, read, train

__all__ = ["Result", "TrainingError", "plan", "read", "train"]
