"""The analysis of the studies, as their plan says: differences with intervals, Holm's adjustment, and verdicts.

Records may be missing: a comparison without records is "not run", one with fewer seeds than planned says so.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from pneumo_lib import experiments, metrics, records, studies, study
from pneumo_lib.errors import ParameterError, RecordError
from pneumo_lib.metrics import Difference
from pneumo_lib.records import Record
from pneumo_lib.studies import Comparison, Study

SUPPORTED, REFUTED, NOT_RESOLVED, NOT_RUN = VERDICTS = ("supported", "refuted", "not resolved", "not run")
ALPHA = 0.05
LESS_IS_BETTER = ("reach",)
"""Endpoints of which a claim of "better" or "faster" says that a - b is negative."""
CURVES = {"area": "grid_positive_dsc", "area_dsc": "grid_dsc", "reach": "grid_positive_dsc"}
"""Endpoint of a curve -> its column of history.csv: validation scores on the common grid, as the plan says."""
MEGA = 1e6
"""Compute is given in megapixels through the network."""

Runs = Mapping[tuple[str, str], list[Record]]
"""(study, arm) -> the records of its seeds, in their order. Arms that are trained like the base stand under two-stage A."""


@dataclass(frozen=True)
class Outcome:
    """What a comparison needs of one run.

    run: its name, by which endings and choices of one run are paired.
    images: test images; columns `image_id`, `patient_id`, `truth_px`, `dsc` and, for AUROC, `max_probability`.
    history: one row per epoch; columns `compute` and those of `CURVES`.
    initial_dsc: mean validation DSC of an empty mask, from which the curve of mean DSC starts.
    """

    run: str
    images: pd.DataFrame
    history: pd.DataFrame
    initial_dsc: float = 0.0


@dataclass(frozen=True)
class Result:
    """A comparison of the plan and what the runs say of it.

    difference: a - b, in megapixels for "reach"; None where it was not run.
    p: of no difference; adjusted by Holm's method if the comparison is primary.
    verdict: one of `VERDICTS`.
    seeds, planned: numbers of runs of a and of b.
    """

    study: Study
    comparison: Comparison
    difference: Difference | None
    p: float
    verdict: str
    seeds: tuple[int, int]
    planned: tuple[int, int]

    @property
    def partial(self) -> bool:
        """Whether there are fewer seeds than planned."""
        return any(there < wanted for there, wanted in zip(self.seeds, self.planned, strict=True))

    @property
    def pair(self) -> str:
        return f"{self.comparison.a} \u2212 {self.comparison.b}"


@dataclass(frozen=True)
class Analysis:
    """All runs, and every comparison of the plan by its study's name, in the plan's order."""

    runs: Runs
    results: dict[str, tuple[Result, ...]]

    @property
    def label(self) -> str:
        """What every verdict holds on, such as "on phantoms, at 64 → 128 px"."""
        return scale(self.runs)

    def primary(self) -> list[Result]:
        return [one for found in self.results.values() for one in found if one.comparison.primary]


def find(folder: Path | None) -> Runs:
    """The records of studies below a folder; empty for None.

    Raises:
        RecordError: a damaged record, or records of more than one profile or data set, which cannot be compared.
    """
    found = records.find(folder, kind="study") if folder else []
    kinds = sorted({f"{one.values['data']}-{one.values['experiment']['profile']}" for one in found})
    if len(kinds) > 1:
        raise RecordError(f"records of different studies ({', '.join(kinds)}) lie together; pass the folder of one.")
    runs: dict[tuple[str, str], list[Record]] = {}
    for record in sorted(found, key=lambda one: one.values["seed"]):
        # The place, not what the record says, tells two runs apart.
        arm = record.folder.resolve().parent
        runs.setdefault((arm.parent.name, arm.name), []).append(record)
    return runs


def profile_of(runs: Runs) -> str:
    """The profile of the runs; the plan's where there are none."""
    first = _first(runs)
    return first.values["experiment"]["profile"] if first else studies.PROFILE


def scale(runs: Runs) -> str:
    """Data and image sizes of the runs, or of the plan where there are none."""
    first = _first(runs)
    data = "on phantoms" if first is None or first.values["synthetic"] else f"on {first.values['data']}"
    sizes = " → ".join(str(stage.image_size) for stage in experiments.get(studies.BASE, profile_of(runs)).stages)
    return f"{data}, at {sizes} px"


def analyse(folder: Path | None) -> Analysis:
    """Every comparison of the plan on the records below a folder; None: all "not run"."""
    return judge(find(folder))


def judge(runs: Runs) -> Analysis:
    """Every comparison of the plan on these runs. Primary comparisons that were not run stay in Holm's family, with p = 1."""
    planned = [(one, comparison) for one in studies.STUDIES.values() for comparison in one.comparisons]
    both = [outcomes(runs, *pair) for pair in planned]
    found = [_difference(*pair, *sides) for pair, sides in zip(planned, both, strict=True)]
    raw = {str(number): _p(one) for number, one in enumerate(found)}
    family = {name: p for name, p in raw.items() if planned[int(name)][1].primary}
    p_values = list((raw | metrics.holm(family)).values())
    results: dict[str, list[Result]] = {one.name: [] for one in studies.STUDIES.values()}
    for (one, comparison), (a, b), difference, p in zip(planned, both, found, p_values, strict=True):
        wanted = planned_seeds(one, comparison.a), planned_seeds(one, comparison.b)
        said = verdict(comparison.endpoint, difference, p)
        results[one.name].append(Result(one, comparison, difference, p, said, (len(a), len(b)), wanted))
    return Analysis(runs, {name: tuple(some) for name, some in results.items()})


def verdict(endpoint: str, difference: Difference | None, p: float) -> str:
    """One of `VERDICTS` for the claim that a is better than b.

    A difference whose interval is not over seeds, because there are fewer than three, is not resolved: it is one of these
    trained networks, not of two ways to train.
    """
    if difference is None:
        return NOT_RUN
    if p >= ALPHA or not difference.interval.over_seeds or difference.interval.refused:
        return NOT_RESOLVED
    sign = -1 if endpoint in LESS_IS_BETTER else 1
    return SUPPORTED if sign * difference.interval.value > 0 else REFUTED


def planned_seeds(one: Study, name: str) -> int:
    """Runs that the plan gives an arm, ending or choice."""
    if one.kind == "arms":
        return one.arm(name).seeds
    first = studies.get(study.FIRST)
    return sum(first.arm(arm).seeds for arm in _shared_arms(one))


def outcomes(runs: Runs, one: Study, comparison: Comparison) -> tuple[list[Outcome], list[Outcome]]:
    """The runs on both sides of a comparison; of endings and choices only runs that have both.

    Arms that are trained like the base are A's runs of the study two-stage, all of them.
    """
    if one.kind == "arms":
        return of_arm(runs, one.name, comparison.a), of_arm(runs, one.name, comparison.b)
    read = _ending if one.kind == "endings" else _choice
    pairs = [
        (read(record, comparison.a), read(record, comparison.b))
        for arm in _shared_arms(one)
        for record in runs.get((study.FIRST, arm), [])
    ]
    whole = [(a, b) for a, b in pairs if a is not None and b is not None]
    return [a for a, _ in whole], [b for _, b in whole]


def of_arm(runs: Runs, name: str, arm: str) -> list[Outcome]:
    """The runs of an arm by seed; empty where there are none."""
    return outcomes_of(records_of_arm(runs, name, arm))


def outcomes_of(found: list[Record]) -> list[Outcome]:
    """What a comparison needs of each record."""
    return [Outcome(_name(record), record.per_image, record.history, _empty_dsc(record)) for record in found]


def records_of_arm(runs: Runs, name: str, arm: str) -> list[Record]:
    """The records of an arm by seed; empty where there are none."""
    return runs.get(study.resolve(name, arm, profile_of(runs)), [])


def compare(endpoint: str, a: list[Outcome], b: list[Outcome], paired: bool = False) -> Difference:
    """a - b in an endpoint; "reach" in megapixels.

    Args:
        endpoint: one of `studies.ENDPOINTS`.
        a, b: runs, at least one on each side.
        paired: the s-th of both are one training (endings, choices); else seeds are independent.

    Raises:
        ParameterError: unknown endpoint.
        RecordError: runs have different test images, or a table lacks a column.
    """
    if endpoint not in studies.ENDPOINTS:
        raise ParameterError(f"unknown endpoint {endpoint!r}; choose from {', '.join(studies.ENDPOINTS)}.")
    if endpoint in CURVES:
        return _compare_curves(endpoint, a, b)
    images = _same_images([*a, *b])
    patients, positive = images["patient_id"].to_numpy(object), (images["truth_px"] > 0).to_numpy(bool)
    if endpoint == "auroc":
        first, second = _stack(a, "max_probability"), _stack(b, "max_probability")
        return metrics.auroc_difference(first, second, positive, patients, seeds_paired=paired)
    where = positive if endpoint == "positive_dsc" else None
    return metrics.mean_difference(_stack(a, "dsc"), _stack(b, "dsc"), patients, where, seeds_paired=paired)


def limit_of(some: list[Outcome]) -> float:
    """The compute that all runs have spent, in pixels."""
    return min(float(_column(one.history, "compute", one.run)[-1]) for one in some)


def reached(some: list[Outcome], limit: float) -> int:
    """How many runs reach the preset validation score within a compute, in pixels."""
    return sum(_reach(run) < limit for run in some)


def never_lowered(runs: Runs, one: Study) -> tuple[int, int]:
    """(runs of a study whose stage 1 ended with the rate that it began with, all of its runs)."""
    found = [outcome for arm in one.arms for outcome in of_arm(runs, one.name, arm.name)]
    rates = [outcome.history.query("stage == 1")["learning_rate"].to_numpy() for outcome in found]
    return sum(bool(rate[-1] >= rate[0]) for rate in rates), len(rates)


def _difference(one: Study, comparison: Comparison, a: list[Outcome], b: list[Outcome]) -> Difference | None:
    return compare(comparison.endpoint, a, b, paired=one.kind != "arms") if a and b else None


def _p(difference: Difference | None) -> float:
    """p, or 1 where nothing was run or the interval is not over seeds."""
    return difference.p if difference and difference.interval.over_seeds else 1.0


def _compare_curves(endpoint: str, a: list[Outcome], b: list[Outcome]) -> Difference:
    limit = limit_of([*a, *b])
    measure: Callable[[Outcome], float] = _reach if endpoint == "reach" else lambda run: _area(run, endpoint, limit)
    first, second = ([measure(run) for run in arm] for arm in (a, b))
    if endpoint != "reach":
        return metrics.seed_difference(first, second)
    return metrics.reach_difference(np.divide(first, MEGA), np.divide(second, MEGA), limit / MEGA)


def _area(run: Outcome, endpoint: str, limit: float) -> float:
    initial = run.initial_dsc if endpoint == "area_dsc" else 0.0
    return float(metrics.area_under_curve(*_curve(run, endpoint), limit, initial))


def _reach(run: Outcome) -> float:
    return float(metrics.compute_to_reach(*_curve(run, "reach"), studies.TARGET, 0.0))


def _curve(run: Outcome, endpoint: str) -> tuple[np.ndarray, np.ndarray]:
    return tuple(_column(run.history, name, run.run) for name in ("compute", CURVES[endpoint]))  # type: ignore[return-value]


def _ending(record: Record, name: str) -> Outcome | None:
    path = record.folder / "endings" / f"{name}.csv"
    return Outcome(_name(record), pd.read_csv(path), record.history) if path.is_file() else None


def _choice(record: Record, name: str) -> Outcome | None:
    path = record.folder / "choices.csv"
    images = pd.read_csv(path) if path.is_file() else pd.DataFrame()
    return Outcome(_name(record), images.assign(dsc=images[name]), record.history) if name in images else None


def _shared_arms(one: Study) -> tuple[str, ...]:
    return study.WITH_ENDINGS if one.kind == "endings" else study.WITH_CHOICES


def _stack(some: list[Outcome], column: str) -> np.ndarray:
    """A score of the runs' images, float (S, N)."""
    return np.stack([_column(one.images, column, one.run) for one in some])


def _same_images(some: list[Outcome]) -> pd.DataFrame:
    first = some[0].images
    for one in some[1:]:
        columns = ["image_id", "truth_px"]
        if not first[columns].reset_index(drop=True).equals(one.images[columns].reset_index(drop=True)):
            raise RecordError(f"{some[0].run} and {one.run} have different test images; run one of them again.")
    return first


def _column(table: pd.DataFrame, name: str, run: str) -> np.ndarray:
    if name not in table:
        raise RecordError(f"the tables of {run} have no column {name}; run it again.")
    return table[name].to_numpy(np.float64)


def _name(record: Record) -> str:
    arm = record.folder.resolve().parent
    return f"{arm.parent.name} {arm.name} seed {record.values['seed']}"


def _empty_dsc(record: Record) -> float:
    split = record.values["split"]
    return 1 - split["positive"]["validation"] / split["images"]["validation"]


def _first(runs: Runs) -> Record | None:
    return next((record for found in runs.values() for record in found), None)
