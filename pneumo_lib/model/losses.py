"""BCE + Dice, the loss of both stages (the deck, phase 2)."""

import torch
import torch.nn.functional as F
from torch import nn


def soft_dice_loss(logits: torch.Tensor, target: torch.Tensor, smooth: float = 1.0) -> torch.Tensor:
    """1 - (2 |X n Y| + smooth) / (|X| + |Y| + smooth) with X = sigmoid(logits), over the whole batch at once.

    Shape: `logits` float and `target` float or bool, both (N, 1, H, W); returns a scalar in 0..1.

    Source: the deck's DSCL; flattening the batch and smooth = 1 from the follow-up code. On a batch without any
    pneumothorax the term is 1 - smooth / (|X| + smooth): it is not zero and still pushes probabilities down, but hardly
    once |X| is large, so there the BCE term does the work (a decision, and tested).
    """
    probability = torch.sigmoid(logits).flatten()
    target = target.flatten().to(probability.dtype)
    overlap = (probability * target).sum()
    return 1 - (2 * overlap + smooth) / (probability.sum() + target.sum() + smooth)


class BCEDiceLoss(nn.Module):
    """Mean binary cross entropy plus soft Dice loss, from logits (N, 1, H, W) and a target of the same shape.

    Source: the deck; equal weights (follow-up code).
    """

    def __init__(self, smooth: float = 1.0):
        super().__init__()
        self.smooth = smooth

    def forward(self, logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        # In float32 whatever the mixed precision: sums over a batch of 512x512 masks overflow bfloat16's 8 bits.
        logits, target = logits.float(), target.float()
        return F.binary_cross_entropy_with_logits(logits, target) + soft_dice_loss(logits, target, self.smooth)
