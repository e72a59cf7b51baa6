"""Facts of the SIIM-ACR challenge, counted once over its labelled images and masks."""

from pathlib import Path

SIDE = 1024
"""Height and width of the frame in which the challenge's masks are given, in pixels."""


GREY_LEVELS = Path(__file__).with_name("challenge_grey_levels.csv")


TRIPLET_TOPS = (0.5, 0.7, 0.9)
"""Top thresholds of rule triplet; the challenge's first place found 0.7 best."""

TRIPLET_AREAS = (150, 200, 1024)
"""Its minimum areas at 512 pixels: the first place's 600 and 800 at 1024 pixels, and the deck's smallest."""


# 9,378 of the 12,047 labelled images of the challenge show no pneumothorax.
IMAGES, POSITIVE = 12_047, 2_669


def challenge_empty_masks() -> float:
    """Mean DSC, IoU and stepwise IoU of predicting nothing on the challenge's labelled images."""
    return 1 - POSITIVE / IMAGES


# The challenge counts mask areas at this many pixels a side.
PIXELS = 1024**2


MASK_AREAS = {0: 80, 5: 1_212, 50: 6_753, 95: 34_891, 100: 90_479}
"""Percentiles of the mask areas of the challenge's 2,669 positive images, in pixels at 1024 x 1024."""
