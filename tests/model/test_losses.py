"""BCE + Dice on tensors whose answer is worked out by hand, and against segmentation-models-pytorch."""

import math

import pytest
import segmentation_models_pytorch as smp
import torch
from hypothesis import given
from hypothesis import strategies as st

from pneumo_lib.model.losses import BCEDiceLoss, soft_dice_loss

LN2 = math.log(2)
# Probability 0.5, and as good as 0 and 1: sigmoid(±40) differs from 0 and 1 by 4e-18.
HALF, OFF, ON = 0.0, -40.0, 40.0


def image(*values: float) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float32).reshape(1, 1, 2, 2)


CASES = [
    # Both empty: BCE 0; Dice 1 - (0 + 1) / (0 + 0 + 1) = 0.
    ("both empty", image(OFF, OFF, OFF, OFF), image(0, 0, 0, 0), 0.0, 0.0),
    # Both full: Dice 1 - (8 + 1) / (8 + 1) = 0.
    ("both full", image(ON, ON, ON, ON), image(1, 1, 1, 1), 0.0, 0.0),
    # One right pixel.
    ("one pixel", image(ON, OFF, OFF, OFF), image(1, 0, 0, 0), 0.0, 0.0),
    # Half everywhere, nothing true: |X| = 2: 1 - 1 / 3.
    ("unsure, empty truth", image(HALF, HALF, HALF, HALF), image(0, 0, 0, 0), LN2, 2 / 3),
    # Half everywhere, two true: overlap 1, sums 2 + 2: 1 - (2 + 1) / (4 + 1).
    ("unsure, half true", image(HALF, HALF, HALF, HALF), image(1, 1, 0, 0), LN2, 2 / 5),
    # All missed: each true pixel costs 40 nats in BCE; 1 - 1 / (0 + 2 + 1).
    ("false negative", image(OFF, OFF, OFF, OFF), image(1, 1, 0, 0), 20.0, 2 / 3),
    # False alarm on all four: 1 - 1 / (4 + 1).
    ("false positive", image(ON, ON, ON, ON), image(0, 0, 0, 0), 40.0, 4 / 5),
]


@pytest.mark.parametrize(("name", "logits", "target", "bce", "dice"), CASES, ids=[case[0] for case in CASES])
def test_by_hand(name, logits, target, bce, dice):
    # 1e-6: float32 keeps seven digits.
    assert float(soft_dice_loss(logits, target)) == pytest.approx(dice, abs=1e-6)
    assert float(BCEDiceLoss()(logits, target)) == pytest.approx(bce + dice, rel=1e-6, abs=1e-6)


def test_the_batch_is_one_flat_vector():
    # Overlap 2, |X| = 4 + 0, |Y| = 2 + 0: the empty image takes nothing away. By image it would be the mean of two terms.
    logits = torch.cat([image(ON, ON, ON, ON), image(OFF, OFF, OFF, OFF)])
    target = torch.cat([image(1, 1, 0, 0), image(0, 0, 0, 0)])
    assert float(soft_dice_loss(logits, target)) == pytest.approx(1 - 5 / 7, abs=1e-6)


def test_an_all_empty_batch_still_pushes_probabilities_down():
    logits = torch.zeros(2, 1, 2, 2, requires_grad=True)
    soft_dice_loss(logits, torch.zeros(2, 1, 2, 2)).backward()
    assert (logits.grad > 0).all()


@given(seed=st.integers(0, 2**16), smooth=st.sampled_from([0.5, 1.0, 10.0]))
def test_equals_segmentation_models_pytorch(seed, smooth):
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(3, 1, 8, 8, generator=generator) * 3
    target = (torch.rand(3, 1, 8, 8, generator=generator) > 0.7).float()
    target[0, 0, 0, 0] = 1  # their loss is 0 by definition where nothing is true
    # Theirs adds it to half of each sum: (I + s) / ((X + Y) / 2 + s).
    oracle = smp.losses.DiceLoss("binary", smooth=smooth / 2)(logits, target)
    # 1e-6: the same sums in another order, in float32.
    assert float(soft_dice_loss(logits, target, smooth)) == pytest.approx(float(oracle), abs=1e-6)


@given(seed=st.integers(0, 2**16))
def test_stays_finite_and_in_range(seed):
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(2, 1, 4, 4, generator=generator) * 1e4
    target = (torch.rand(2, 1, 4, 4, generator=generator) > 0.5).float()
    assert 0 <= float(soft_dice_loss(logits, target)) <= 1
    assert torch.isfinite(BCEDiceLoss()(logits, target))
