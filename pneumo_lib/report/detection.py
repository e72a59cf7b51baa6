"""Beyond overlap: is there a pneumothorax, where, and how large; of one run's test images, from its per-image table."""

import numpy as np
import pandas as pd

from pneumo_lib import metrics
from pneumo_lib.report.scores import interval_text

TITLES = {
    "sensitivity": ("sensitivity", "share of the images with a pneumothorax in which any region is left"),
    "specificity": ("specificity", "share of the images without one in which none is"),
    "auroc": ("AUROC", "score of an image: the area of its largest region"),
    "average_precision": ("average precision", "the same score"),
    "lesion_sensitivity": ("lesions found", "share of the true components that a prediction touches"),
    "false_alarms": ("false regions an image", "predicted components that touch no true pixel"),
    "area_error_px": ("error of the area, pixels", "mean size of the error over images with a pneumothorax"),
    "area_bias_px": ("bias of the area, pixels", "predicted minus true; negative: too small"),
    "area_error_cm2": ("error of the area, cm²", "where the pixel spacing is known"),
    "area_bias_cm2": ("bias of the area, cm²", "where the pixel spacing is known"),
}
"""Title and meaning of each number, in the order of the table."""


def measure(per_image: pd.DataFrame, patients: np.ndarray | None = None) -> dict[str, metrics.Interval | None]:
    """Every number of `TITLES` with its 95 % bootstrap interval over patients; None where no image tells.

    Args:
        per_image: as `tables.per_image` makes it.
        patients: (N,) whose image it is; None: every image for itself.
    """
    columns = {name: per_image[name].to_numpy() for name in per_image}
    positive, called = columns["truth_px"] > 0, columns["predicted_px"] > 0
    score = columns["largest_px"]
    spacing = positive & np.isfinite(columns["truth_cm2"].astype(float))
    px = metrics.area_error(columns["predicted_px"], columns["truth_px"]).px
    cm2 = (columns["predicted_cm2"] - columns["truth_cm2"]).astype(float)

    def mean(values: np.ndarray, images: np.ndarray) -> metrics.Interval | None:
        groups = None if patients is None else patients[images]
        return metrics.bootstrap_interval(values[images], groups) if images.any() else None

    def of(statistic, *values: np.ndarray) -> metrics.Interval | None:
        found = metrics.bootstrap_statistic(statistic, *values, groups=patients)
        return None if np.isnan(found.mean) else found

    return {
        "sensitivity": mean(called, positive),
        "specificity": mean(~called, ~positive),
        "auroc": of(metrics.auroc, score, positive),
        "average_precision": of(metrics.average_precision, score, positive),
        "lesion_sensitivity": of(_ratio, columns["lesions_found"], columns["lesions_true"]),
        "false_alarms": mean(columns["false_regions"], np.ones(len(positive), bool)),
        "area_error_px": mean(np.abs(px), positive),
        "area_bias_px": mean(px, positive),
        "area_error_cm2": mean(np.abs(cm2), spacing),
        "area_bias_cm2": mean(cm2, spacing),
    }


def table(found: dict) -> pd.DataFrame:
    """`measure`'s result, or a record's `detection`, to read: one row a number."""
    rows = {TITLES[name][0]: {"value": interval_text(found[name]), "meaning": TITLES[name][1]} for name in TITLES}
    return pd.DataFrame.from_dict(rows, orient="index")


def _ratio(part: np.ndarray, whole: np.ndarray) -> float:
    return part.sum() / whole.sum() if whole.sum() else float("nan")
