"""Every number of the paper's and the deck's tables, with its source and status."""

from functools import cache
from pathlib import Path

import pandas as pd

TABLES = Path(__file__).with_name("paper_tables.csv")


@cache
def tables() -> pd.DataFrame:
    """Columns table, row, column, value (text), source, status; one row a number."""
    return pd.read_csv(TABLES, dtype=str)


def values(table: str, row: str) -> dict[str, float]:
    """Column → number of one row, e.g. `values("stage1_iou", "exp1")` → {"paper": ..., "deck": ...}; empty if not there."""
    found = tables().query("table == @table and row == @row")
    return {column: float(value) for column, value in zip(found["column"], found["value"], strict=True)}
