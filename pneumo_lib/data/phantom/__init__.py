"""Synthetic chest X-rays with exact pneumothorax masks, so that everything runs without the challenge's data.

A phantom is a Beer-Lambert projection of analytic anatomy; `draw` makes one, `write_dataset` writes a data set in the
challenge's stage-1 layout.
"""

from pneumo_lib.data.phantom.dataset import PhantomError, write_dataset
from pneumo_lib.data.phantom.drawing import Phantom, draw

__all__ = ["Phantom", "PhantomError", "draw", "write_dataset"]
