"""Facts of the SIIM-ACR challenge, counted once over its labelled images and masks."""

from pathlib import Path

IMAGES, POSITIVE = 12_047, 2_669
"""Labelled images, and those with a pneumothorax; the other 9,378 show none."""
EMPTY_MASK_BASELINE = 1 - POSITIVE / IMAGES
"""Mean DSC, IoU and stepwise IoU of empty masks on all labelled images."""
SIDE = 1024
"""Height and width of the frame in which the challenge's masks are given, in pixels."""
MASK_AREAS = {0: 80, 5: 1_212, 50: 6_753, 95: 34_891, 100: 90_479}
"""Percentiles of the mask areas of the positive images, in pixels at 1024 x 1024."""
GREY_LEVELS = Path(__file__).with_name("challenge_grey_levels.csv")
"""How often each grey level occurs in the challenge's X-rays; `pneumo inspect DIR --grey-levels CSV` makes such a table."""
TRIPLET_TOPS = (0.5, 0.7, 0.9)
"""Top thresholds of rule triplet; the challenge's first place found 0.7 best."""
TRIPLET_AREAS = (150, 200, 1024)
"""Its minimum areas at 512 pixels: the first place's 600 and 800 at 1024 pixels, and the deck's smallest."""
