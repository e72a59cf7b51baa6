"""Phase 2: two-stage training."""

from pneumo_lib.training.checkpoints import TrainingError
from pneumo_lib.training.two_stage import plan, train

__all__ = ["TrainingError", "plan", "train"]
