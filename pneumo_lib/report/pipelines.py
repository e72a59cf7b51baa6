"""A pipeline's scores over several seeds, and differences of pipelines on the same images; read from records.

Brackets have one meaning: a 95 % interval of `pneumo_lib.metrics`, over seeds and patients where there are three seeds or
more, over patients for the seeds at hand where there are fewer, over images where patients are unknown.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from pneumo_lib import experiments, metrics
from pneumo_lib.errors import RecordError
from pneumo_lib.metrics import Difference, Interval
from pneumo_lib.records import HEADLINE, Record

DECK_IOU, DECK_DSC, ON_TEST, EMPTY = "test_deck_grid", "no_removal", "test", "empty"
"""Protocols: the deck's IoU row, the deck's DSC row, thresholds chosen on test over the full grid, and empty masks."""

SCORES = {
    "dsc": metrics.dsc_from_counts,
    "iou": metrics.iou_from_counts,
    "stepwise_iou": metrics.stepwise_iou_from_counts,
}
POSITIVE = "positive_"
"""Before a score's name: over images with a pneumothorax only."""
LEVEL = 0.05


@dataclass(frozen=True)
class SeedScores:
    """Scores of one pipeline's seeds on the same images.

    values: float64 (S, N), one row per seed.
    images: N rows by image_id, with patient_id and truth_px.
    over_images: patients are unknown, or the labels are silver: intervals are over images.
    """

    values: np.ndarray
    images: pd.DataFrame
    over_images: bool

    @property
    def patients(self) -> np.ndarray | None:
        """(N,) patients for `metrics`; None where they are unknown."""
        return None if self.over_images else self.images["patient_id"].to_numpy()

    @property
    def positive(self) -> np.ndarray:
        """bool (N,): images with a pneumothorax."""
        return self.images["truth_px"].to_numpy() > 0


def seed_scores(seeds: list[Record], metric: str = "dsc", protocol: str = HEADLINE, subset: str = "test") -> SeedScores:
    """Scores per seed and image.

    Args:
        seeds: records of one pipeline.
        metric: one of `SCORES`.
        protocol: how thresholds were chosen, as in `record.values["test"]`.
        subset: "test", or "validation" (thresholds chosen on these images).

    Raises:
        RecordError: the seeds were scored on different images, or a record lacks the protocol.
    """
    frames = [_frame(record, subset) for record in seeds]
    images = frames[0][["patient_id", "truth_px"]]
    for record, frame in zip(seeds, frames, strict=True):
        if not (frame.index.equals(images.index) and np.array_equal(frame["truth_px"], images["truth_px"])):
            raise RecordError(f"{record.folder} was scored on other images than {seeds[0].folder}; run both again.")
    values = np.array([_values(frame, metric, protocol) for frame in frames])
    unknown = any(record.silver for record in seeds) or images["patient_id"].isna().all()
    return SeedScores(values, images, bool(unknown))


def _frame(record: Record, subset: str) -> pd.DataFrame:
    frame = record.per_image if subset == "test" else record.validation
    return frame.set_index("image_id")


def _values(frame: pd.DataFrame, metric: str, protocol: str) -> np.ndarray:
    if protocol == HEADLINE and metric in frame:
        return frame[metric].to_numpy(float)
    truth = frame["truth_px"].to_numpy()
    if protocol == EMPTY:
        return (truth == 0).astype(float)
    columns = [f"predicted_px_{protocol}", f"intersection_px_{protocol}"]
    if not set(columns) <= set(frame):
        raise RecordError(
            f"protocol {protocol!r} is missing from the per-image scores; run notebooks/test.ipynb again."
        )
    predicted, intersection = (frame[name].to_numpy() for name in columns)
    return SCORES[metric](predicted, truth, intersection)


def interval(
    seeds: list[Record], metric: str = "dsc", protocol: str = HEADLINE, subset: str = "test"
) -> Interval | None:
    """Mean score of a pipeline with its 95 % interval and SD over seeds; None where no image counts.

    Args: as in `seed_scores`; `metric` may begin with "positive_".
    """
    found = seed_scores(seeds, metric.removeprefix(POSITIVE), protocol, subset)
    where = found.positive if metric.startswith(POSITIVE) else None
    if not len(found.images) or (where is not None and not where.any()):
        return None
    return metrics.mean_interval(found.values, found.patients, where)


def selection_gap(seeds: list[Record], metric: str = "dsc") -> Interval | None:
    """Mean score with thresholds chosen on test minus that with thresholds chosen on validation, both scored on test."""
    on_test, on_validation = (seed_scores(seeds, metric, protocol) for protocol in (ON_TEST, HEADLINE))
    if not len(on_test.images):
        return None
    return metrics.selection_gap(on_test.values, on_validation.values, on_test.patients)


def gain_over_empty(seeds: list[Record]) -> Interval:
    """Mean DSC on test minus the empty-mask baseline of the same images."""
    found = seed_scores(seeds)
    return metrics.mean_interval(found.values - ~found.positive, found.patients, bounded=False)


def difference(seeds: list[Record], others: list[Record], metric: str = "dsc") -> Difference | None:
    """Mean test score of one pipeline minus that of another on their common images; None where they have none.

    Images are paired. Seeds are paired where one pipeline starts from the other's first stage and seeds are the same;
    else they are independent.
    """
    one, other = seed_scores(seeds, metric), seed_scores(others, metric)
    common = one.images.index.intersection(other.images.index, sort=False)
    if not len(common):
        return None
    columns = [found.images.index.get_indexer(common) for found in (one, other)]
    truth = [found.images["truth_px"].to_numpy()[column] for found, column in zip((one, other), columns, strict=True)]
    if not np.array_equal(*truth):
        raise RecordError(f"{seeds[0].name} and {others[0].name} were scored against different masks; run both again.")
    patients = None if one.over_images or other.over_images else one.patients[columns[0]]
    values = one.values[:, columns[0]], other.values[:, columns[1]]
    return metrics.mean_difference(*values, patients, seeds_paired=_seeds_paired(seeds, others))


def _seeds_paired(seeds: list[Record], others: list[Record]) -> bool:
    starts = {seeds[0].values["experiment"].get("starts_from"), others[0].values["experiment"].get("starts_from")}
    numbers = [[record.values["seed"] for record in records] for records in (seeds, others)]
    return bool(starts & {seeds[0].name, others[0].name}) and numbers[0] == numbers[1]


@dataclass(frozen=True)
class Compared:
    """A difference within a family; `p` is adjusted by Holm."""

    difference: Difference
    p: float

    @property
    def distinguishable(self) -> bool:
        """Whether the difference excludes 0 after Holm's adjustment."""
        return self.p < LEVEL


def compare(
    pipelines: dict[str, list[Record]], pairs: Iterable[tuple[str, str]], metric: str = "dsc"
) -> dict[tuple[str, str], Compared]:
    """Each pair (a, b) → a minus b; one family for Holm's adjustment. Pairs without common images are left out.

    Args:
        pipelines: name → records of its seeds.
        pairs: names.
        metric: one of `SCORES`.
    """
    found = {pair: difference(pipelines[pair[0]], pipelines[pair[1]], metric) for pair in pairs}
    found = {pair: one for pair, one in found.items() if one}
    adjusted = metrics.holm({pair: one.p for pair, one in found.items()})
    return {pair: Compared(one, adjusted[pair]) for pair, one in found.items()}


def neighbours(pipelines: Iterable[str]) -> list[tuple[str, str]]:
    """(pipeline, the one before it) in the order of the registry, of those that are there."""
    names = [name for name in experiments.EXPERIMENTS if name in set(pipelines)]
    return list(zip(names[1:], names, strict=False))


def own_stages(record: Record) -> list[dict]:
    """The stages that the record's own pipeline trained; one that starts from another pipeline's weights has fewer."""
    return [one for one in record.values["stages"] if one["settings"]["experiment"]["name"] == record.name]


def sizes(record: Record) -> str:
    """The image sizes of the stages as they were run: "64 → 128"."""
    return " → ".join(str(stage["image_size"]) for stage in record.values["experiment"]["stages"])


def counts(found: list[Record], subset: str = "test") -> str:
    """Images, positive images, patients and positive patients of records: "60 test images (13 positive) of 40 patients (7)".

    Several data sets or subsets are listed one after the other.
    """
    return "; ".join(dict.fromkeys(_counts(record, subset) for record in found))


def _counts(record: Record, subset: str) -> str:
    frame = _frame(record, subset)
    positive = frame["truth_px"] > 0
    text = f"{len(frame):,} {subset} images ({positive.sum():,} positive)"
    if record.silver or frame["patient_id"].isna().all():
        return f"{text}, patients unknown"
    patients, positive_patients = (_patients(frame["patient_id"][where]) for where in (positive | True, positive))
    return f"{text} of {patients:,} patients ({positive_patients:,} positive)"


def _patients(patients: pd.Series) -> int:
    # A missing patient counts as one of their own, as in `metrics`.
    return patients.nunique() + int(patients.isna().sum())
