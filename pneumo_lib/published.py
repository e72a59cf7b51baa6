"""Every number of the paper's and the deck's tables, with its source and status."""

from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd

DECK_BINARIZATION_THRESHOLDS = np.arange(200, 901) / 1000
"""B-TH 0.200, 0.201, ..., 0.900 (the deck)."""

DECK_REMOVAL_THRESHOLDS = np.array([1024, 2048, 3072, 4096])
"""R-TH in pixels of a 512x512 map (the deck; the same values in the follow-up code)."""


DECK_GRID = 512
"""Pixels per side of the maps on which the deck counts its thresholds; everything here is scored on this grid."""

TABLES = Path(__file__).with_name("published.csv")


@cache
def tables() -> pd.DataFrame:
    """Columns table, row, column, value (text), source, status; one row per number."""
    return pd.read_csv(TABLES, dtype=str)


def values(table: str, row: str) -> dict[str, float]:
    """Column → number of one row, e.g. `values("stage1_iou", "exp1")` → {"paper": ..., "deck": ...}; empty if not there."""
    found = tables().query("table == @table and row == @row")
    return {column: float(value) for column, value in zip(found["column"], found["value"], strict=True)}
