"""A 95 % interval with its resampling units, or the reason for having none."""

from __future__ import annotations  # The library's page in the book shows them as they stand here.

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Any, SupportsFloat

import numpy as np

from pneumo_lib.metrics import crossed
from pneumo_lib.metrics.crossed import Spread
from pneumo_lib.metrics.jackknife import Jackknife

MIN_PATIENTS = 6
"""Fewest patients that have an interval: of five, not even all on one side tell at 0.05 in a sign test (2 / 2**5 = 0.0625)."""


@dataclass(frozen=True)
class Interval:
    """A statistic, its 95 % interval and what that is over; `value, low, high = interval` unpacks it.

    value: the statistic, averaged over seeds.
    low, high: ends of the interval; NaN where `refused` says why there is none.
    level: of the interval.
    method: "Wilson" or "t".
    over: "patients", or "images" where patients are unknown; "seeds" for a number that each run has one of.
    n_images, n_patients, n_seeds: numbers; where patients are unknown, n_patients is that of images.
    over_seeds: whether the interval is over seeds too; else it is for these seeds only.
    seed_sd: standard deviation over seeds; NaN for one seed.
    standard_error, dof: of the mean, with its degrees of freedom.
    refused: why there is no interval; empty where there is one.
    """

    value: float
    low: float
    high: float
    level: float = crossed.LEVEL
    method: str = ""
    over: str = "patients"
    n_images: int = 0
    n_patients: int = 0
    n_seeds: int = 1
    over_seeds: bool = False
    seed_sd: float = np.nan
    standard_error: float = np.nan
    dof: float = np.nan
    refused: str = ""

    def __iter__(self) -> Iterator[float]:
        return iter((self.value, self.low, self.high))

    @property
    def basis(self) -> str:
        """What the interval is over: "over 120 patients and 6 seeds", "over 120 patients, one seed"."""
        if self.over == "seeds":
            return f"over {self.n_seeds} seeds"
        units = f"over {self.n_patients:,} {self.over}"
        if self.over_seeds:
            return f"{units} and {self.n_seeds} seeds"
        return f"{units}, one seed" if self.n_seeds == 1 else f"{units}, for these {self.n_seeds} seeds"

    def excludes(self, value: float) -> bool:
        """Whether a value lies outside; never where there is no interval."""
        return self.low > value or self.high < value

    def as_json(self) -> dict:
        """The fields as JSON can hold them: null where there is no number. `from_json` reads them back."""
        return {name: None if value != value else value for name, value in asdict(self).items()}

    @classmethod
    def from_json(cls, values: dict) -> Interval:
        """The interval of `as_json`."""
        known: dict[str, Any] = {name: np.nan if value is None else value for name, value in values.items()}
        return cls(**known)


def describe(
    found: Jackknife, parts: Spread, limits: Callable[[], tuple[SupportsFloat, SupportsFloat]], method: str = "Wilson"
) -> Interval:
    """The Interval with these limits, which are not called where patients are too few or, by Student's t, do not differ."""
    refused = refusal(found)
    if not refused and method == "t" and parts.variance <= crossed.NOTHING:
        refused = f"{found.over} do not vary"
    low, high = (np.nan, np.nan) if refused else limits()
    seeds, patients = found.without.shape
    return Interval(
        value=float(found.values.mean()),
        low=float(low),
        high=float(high),
        method=method,
        over=found.over,
        n_images=found.n_images,
        n_patients=patients,
        n_seeds=seeds,
        over_seeds=bool(parts.seeds),
        seed_sd=float(found.values.std(ddof=1)) if seeds > 1 else np.nan,
        standard_error=float(np.sqrt(parts.variance)),
        dof=float(parts.dof),
        refused=refused,
    )


def refusal(found: Jackknife) -> str:
    """Why a statistic has no interval; empty where it has one."""
    if np.isnan(found.values).any():
        return "the images do not define it"
    if found.units < MIN_PATIENTS:
        return f"only {found.units} {found.over} inform it ({MIN_PATIENTS} needed)"
    return "it hangs on one patient" if np.isnan(found.without).any() else ""
