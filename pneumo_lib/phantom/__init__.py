"""Synthetic chest X-rays with exact pneumothorax masks, so that everything runs without the challenge's data.

A phantom is a Beer-Lambert projection of analytic anatomy; `draw` makes one, `write_dataset` writes a data set in the
challenge's stage-1 layout.
"""

from pneumo_lib.phantom.drawing import Phantom, draw
from pneumo_lib.phantom.writer import PhantomError, write_dataset

__all__ = ["Phantom", "PhantomError", "draw", "write_dataset"]
