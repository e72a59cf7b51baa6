"""BCE + Dice, the loss of both stages (the deck, phase 2)."""

import torch
import torch.nn.functional as F
from torch import nn

from pneumo_lib.model import distributed


def soft_dice_loss(
    logits: torch.Tensor, target: torch.Tensor, smooth: float = 1.0, over_ranks: bool = False
) -> torch.Tensor:
    """1 - (2 |X n Y| + smooth) / (|X| + |Y| + smooth) with X = sigmoid(logits), over the whole batch at once.

    Shape: `logits` float and `target` float or bool, both (N, 1, H, W); returns a scalar in 0..1.

    Args:
        over_ranks: the batch is spread over several processes; the loss is that of all of it, on each of them.

    Source: the deck's DSCL; flattening the batch and smooth = 1 from the follow-up code. On a batch without any
    pneumothorax the term is 1 - smooth / (|X| + smooth): it is not zero and still pushes probabilities down, but hardly
    once |X| is large, so there the BCE term does the work (a decision, and tested).
    """
    probability = torch.sigmoid(logits).flatten()
    target = target.flatten().to(probability.dtype)
    sums = torch.stack([(probability * target).sum(), probability.sum(), target.sum()])
    overlap, predicted, true = distributed.all_sum(sums) if over_ranks else sums
    return 1 - (2 * overlap + smooth) / (predicted + true + smooth)


class BCEDiceLoss(nn.Module):
    """Mean binary cross entropy plus soft Dice loss, from logits (N, 1, H, W) and a target of the same shape.

    In training mode with several processes the Dice term is that of the batch of all of them; the BCE term is each
    process's own, whose mean over processes is that of the whole batch.

    Source: the deck; equal weights (follow-up code).
    """

    def __init__(self, smooth: float = 1.0):
        super().__init__()
        self.smooth = smooth

    def forward(self, logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        # In float32 whatever the mixed precision: sums over a batch of 512x512 masks overflow bfloat16's 8 bits.
        logits, target = logits.float(), target.float()
        dice = soft_dice_loss(logits, target, self.smooth, over_ranks=self.training)
        return F.binary_cross_entropy_with_logits(logits, target) + dice
