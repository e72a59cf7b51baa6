"""Result of a sweep: counts per image and grid point, their scores, and the choice of the best grid point."""

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import pandas as pd

from pneumo_lib import metrics
from pneumo_lib.errors import SweepError
from pneumo_lib.evaluation.postprocessing import Thresholds

METRICS = {
    "dsc": metrics.dsc_from_counts,
    "iou": metrics.iou_from_counts,
    "stepwise_iou": metrics.stepwise_iou_from_counts,
}


class Counts(NamedTuple):
    """Pixels at one grid point, int (N,) each, in the order of the arguments of `metrics.dsc_from_counts`."""

    predicted_px: np.ndarray
    truth_px: np.ndarray
    intersection_px: np.ndarray


@dataclass(frozen=True)
class SweepResult:
    """Counts of N images at B binarization and R removal thresholds.

    predicted_px, intersection_px: int32 (N, B, R), pixels that stay and those of them that are true.
    truth_px: int32 (N,).
    binarization_thresholds: float64 (B,).
    removal_thresholds: int64 (R,), or float64 (R, 2) of (top threshold, minimum area) under rule "triplet".
    rule: see `sweep`.
    """

    predicted_px: np.ndarray
    intersection_px: np.ndarray
    truth_px: np.ndarray
    binarization_thresholds: np.ndarray
    removal_thresholds: np.ndarray
    rule: str = "component"

    def dsc(self) -> np.ndarray:
        """DSC, float64 (N, B, R)."""
        return self.score("dsc")

    def iou(self) -> np.ndarray:
        """IoU, float64 (N, B, R)."""
        return self.score("iou")

    def stepwise_iou(self) -> np.ndarray:
        """Stepwise IoU, float64 (N, B, R)."""
        return self.score("stepwise_iou")

    def score(self, metric: str) -> np.ndarray:
        """One of the metrics "dsc", "iou", "stepwise_iou" by name, float64 (N, B, R)."""
        if metric not in METRICS:
            raise SweepError(f"unknown metric {metric!r}; choose from {', '.join(METRICS)}.")
        return METRICS[metric](self.predicted_px, self.truth_px[:, None, None], self.intersection_px)

    def cell_scores(self, metric: str, r: int) -> np.ndarray:
        """Score at the r-th removal threshold, float64 (N, B)."""
        return replace(
            self,
            predicted_px=self.predicted_px[:, :, r : r + 1],
            intersection_px=self.intersection_px[:, :, r : r + 1],
        ).score(metric)[:, :, 0]

    def mean(self, metric: str) -> np.ndarray:
        """Mean score over the images, float64 (B, R); computed a few images at a time to spare memory."""
        parts = range(0, len(self.truth_px), 64)
        return sum(self.subset(slice(i, i + 64)).score(metric).sum(axis=0) for i in parts) / len(self.truth_px)

    def subset(self, images: np.ndarray | slice) -> "SweepResult":
        """The same sweep over some of the images: a bool mask, indices or a slice."""
        return replace(
            self,
            predicted_px=self.predicted_px[images],
            intersection_px=self.intersection_px[images],
            truth_px=self.truth_px[images],
        )

    def at_removal(self, which: np.ndarray) -> "SweepResult":
        """The same sweep over some of the removal thresholds: a bool mask or indices."""
        return replace(
            self,
            predicted_px=self.predicted_px[:, :, which],
            intersection_px=self.intersection_px[:, :, which],
            removal_thresholds=self.removal_thresholds[which],
        )

    @property
    def positive(self) -> np.ndarray:
        """bool (N,), the images with a true pixel."""
        return self.truth_px > 0

    def best(self, metric: str = "dsc") -> Thresholds:
        """The pair of thresholds with the highest mean score.

        Ties: of all binarization thresholds that reach the maximum, the longest unbroken run is taken (of equal runs
        the one with the smaller removal threshold, then the smaller binarization threshold), and of it the middle one
        (of two middles the lower). The middle of a plateau is the choice that small changes of the data move least.

        Raises:
            SweepError: an unknown metric.
        """
        mean = self.mean(metric)
        top = mean.max()
        best_length, best_at = 0, (0, 0)
        for r in range(mean.shape[1]):
            # The same scores summed in another order differ in the last bits.
            edges = np.diff(np.concatenate([[0], np.isclose(mean[:, r], top, rtol=0, atol=1e-12), [0]]).astype(int))
            for start, end in zip(np.flatnonzero(edges > 0), np.flatnonzero(edges < 0), strict=True):
                if end - start > best_length:
                    best_length, best_at = end - start, ((start + end - 1) // 2, r)
        b, r = best_at
        return Thresholds(float(self.binarization_thresholds[b]), self._removal(r), float(mean[b, r]), self.rule)

    def at(self, binarization_threshold: float, removal_threshold: int | tuple[float, int]) -> Counts:
        """Every image's counts at one grid point.

        Raises:
            SweepError: the pair was not swept.
        """
        b, r = self.index(binarization_threshold, removal_threshold)
        return Counts(self.predicted_px[:, b, r], self.truth_px, self.intersection_px[:, b, r])

    def index(self, binarization_threshold: float, removal_threshold: int | tuple[float, int]) -> tuple[int, int]:
        """Where a pair of thresholds lies on the axes B and R."""
        bs = np.flatnonzero(self.binarization_thresholds.astype(np.float32) == np.float32(binarization_threshold))
        removal = self.removal_thresholds.reshape(len(self.removal_thresholds), -1)
        rs = np.flatnonzero((removal == np.atleast_1d(removal_threshold)).all(axis=1))
        if not (len(bs) and len(rs)):
            raise SweepError(
                f"({binarization_threshold}, {removal_threshold}) was not swept; binarization thresholds run from "
                f"{self.binarization_thresholds[0]:g} to {self.binarization_thresholds[-1]:g}, removal thresholds are "
                f"{', '.join(str(self._removal(r)) for r in range(len(removal)))}."
            )
        return int(bs[0]), int(rs[0])

    def table(self, metric: str = "dsc") -> pd.DataFrame:
        """Mean scores, one row per grid point: binarization_threshold, removal_threshold, all, positive, negative.

        `positive` and `negative` are the means over the images with and without a true pixel, NaN where there is none.
        Under rule "triplet" `removal_threshold` is the minimum area and a column top_threshold is added.
        """
        b, r = np.indices(self.predicted_px.shape[1:]).reshape(2, -1)
        table = pd.DataFrame({"binarization_threshold": self.binarization_thresholds[b]})
        if self.rule == "triplet":
            table["top_threshold"] = self.removal_thresholds[r, 0]
            table["removal_threshold"] = self.removal_thresholds[r, 1].astype(int)
        else:
            table["removal_threshold"] = self.removal_thresholds[r]
        table["all"] = self.mean(metric).ravel()
        for name, images in (("positive", self.positive), ("negative", ~self.positive)):
            table[name] = self.subset(images).mean(metric).ravel() if images.any() else np.nan
        return table

    def _removal(self, r: int) -> int | tuple[float, int]:
        if self.rule == "triplet":
            return float(self.removal_thresholds[r, 0]), int(self.removal_thresholds[r, 1])
        return int(self.removal_thresholds[r])
