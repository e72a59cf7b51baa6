"""Metrics: overlap, detection and calibration, and intervals over patients and seeds."""

from pneumo_lib.metrics.calibration import bin_counts, expected_calibration_error, reliability
from pneumo_lib.metrics.convergence import area_under_curve, compute_to_reach, reach_difference
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
    top_probability,
)
from pneumo_lib.metrics.differences import Difference, auroc_difference, holm, mean_difference, seed_difference
from pneumo_lib.metrics.estimates import (
    auroc_interval,
    mean_band,
    mean_interval,
    proportion_interval,
    ratio_interval,
    statistic_interval,
)
from pneumo_lib.metrics.interval import Interval
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
from pneumo_lib.metrics.power import Components, images_needed, seeds_needed
from pneumo_lib.metrics.selection import Optimism, optimism, selection_gap
from pneumo_lib.metrics.subgroups import attributes, subgroups

__all__ = [
    "AreaError",
    "Components",
    "Difference",
    "Interval",
    "Lesions",
    "MetricError",
    "Optimism",
    "area_error",
    "area_under_curve",
    "attributes",
    "auroc",
    "auroc_difference",
    "auroc_interval",
    "average_precision",
    "bin_counts",
    "empty_mask_baseline",
    "compute_to_reach",
    "dsc",
    "dsc_from_counts",
    "expected_calibration_error",
    "holm",
    "images_needed",
    "iou",
    "iou_from_counts",
    "largest_component_px",
    "lesions",
    "mean_band",
    "mean_difference",
    "mean_interval",
    "optimism",
    "pixel_counts",
    "positive_only",
    "proportion_interval",
    "ratio_interval",
    "reach_difference",
    "reliability",
    "seed_difference",
    "seeds_needed",
    "selection_gap",
    "sensitivity",
    "specificity",
    "statistic_interval",
    "stepwise_iou",
    "stepwise_iou_from_counts",
    "subgroups",
    "top_probability",
]
