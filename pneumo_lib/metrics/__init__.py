"""Metrics: overlap, detection, calibration, subgroups and their bootstrap intervals."""

from pneumo_lib.metrics.bootstrap import Interval, bootstrap_interval, bootstrap_statistic, paired_bootstrap
from pneumo_lib.metrics.calibration import bin_counts, expected_calibration_error, reliability
from pneumo_lib.metrics.detection import (
    AreaError,
    Lesions,
    area_error,
    auroc,
    average_precision,
    largest_component_px,
    lesions,
    sensitivity,
    specificity,
)
from pneumo_lib.metrics.overlap import (
    MetricError,
    dsc,
    dsc_from_counts,
    empty_mask_baseline,
    iou,
    iou_from_counts,
    pixel_counts,
    positive_only,
    stepwise_iou,
    stepwise_iou_from_counts,
)
from pneumo_lib.metrics.subgroups import attributes, subgroups

__all__ = [
    "AreaError",
    "Interval",
    "Lesions",
    "MetricError",
    "area_error",
    "attributes",
    "auroc",
    "average_precision",
    "bin_counts",
    "empty_mask_baseline",
    "bootstrap_interval",
    "bootstrap_statistic",
    "dsc",
    "dsc_from_counts",
    "expected_calibration_error",
    "iou",
    "iou_from_counts",
    "largest_component_px",
    "lesions",
    "paired_bootstrap",
    "pixel_counts",
    "positive_only",
    "reliability",
    "sensitivity",
    "specificity",
    "stepwise_iou",
    "stepwise_iou_from_counts",
    "subgroups",
]
