"""Metrics: overlap, detection, calibration, subgroups and their bootstrap intervals."""

from pneumo_lib.metrics.bootstrap import Interval, bootstrap_interval, paired_bootstrap
from pneumo_lib.metrics.overlap import (
    MetricError,
    blank_baseline,
    dsc,
    dsc_from_counts,
    iou,
    iou_from_counts,
    pixel_counts,
    positive_only,
    stepwise_iou,
    stepwise_iou_from_counts,
)

__all__ = [
    "Interval",
    "MetricError",
    "blank_baseline",
    "bootstrap_interval",
    "dsc",
    "dsc_from_counts",
    "iou",
    "iou_from_counts",
    "paired_bootstrap",
    "pixel_counts",
    "positive_only",
    "stepwise_iou",
    "stepwise_iou_from_counts",
]
