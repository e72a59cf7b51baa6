"""What is measured on the test images beside the overlap scores: per-image table, detection, calibration, subgroups."""

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from pneumo_lib import challenge, metrics
from pneumo_lib.data.dataset import Subset
from pneumo_lib.metrics import Interval


def measure_calibration(
    probability: np.ndarray, truth: np.ndarray, patients: np.ndarray | None = None, bins: int = 10
) -> dict:
    """Reliability curve and expected calibration error (ECE) with 95 % bootstrap intervals over patients.

    Args:
        probability: (N, H, W) in 0..1, read one map at a time.
        truth: bool (N, H, W).
        patients: (N,) whose image it is.
        bins: of probability.

    Returns:
        `ece`, an Interval, and `curve`, one dict a bin: the columns of `metrics.reliability` and frequency_low,
        frequency_high; plain enough for a record.
    """
    counts = metrics.bin_counts(probability, truth, bins)
    curve = metrics.reliability(counts)
    shares = [metrics.bootstrap_statistic(_share(b), counts, groups=patients, n=500) for b in range(bins)]
    curve["frequency_low"], curve["frequency_high"] = [s.low for s in shares], [s.high for s in shares]
    ece = metrics.bootstrap_statistic(metrics.expected_calibration_error, counts, groups=patients, n=500)
    return {"ece": ece, "curve": curve.to_dict("records")}


def _share(position: int):
    """The share of true pixels in one bin of `metrics.bin_counts`; NaN where it is empty."""

    def share(counts: np.ndarray) -> float:
        n, _, hits = counts[:, :, position].sum(axis=0)
        return hits / n if n else float("nan")

    return share


def measure_detection(per_image: pd.DataFrame, patients: np.ndarray | None = None) -> dict[str, Interval | None]:
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

    def mean(values: np.ndarray, images: np.ndarray) -> Interval | None:
        groups = None if patients is None else patients[images]
        return metrics.bootstrap_interval(values[images], groups) if images.any() else None

    def of(statistic, *values: np.ndarray) -> Interval | None:
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


def _ratio(part: np.ndarray, whole: np.ndarray) -> float:
    return part.sum() / whole.sum() if whole.sum() else float("nan")


def measure_subgroups(dsc: ArrayLike, index: pd.DataFrame) -> pd.DataFrame:
    """Mean DSC of every subgroup, of all its images and of those with a pneumothorax.

    Args:
        dsc: float (N,), the DSC of each image.
        index: N rows as in `metrics.subgroups`, with mask_area_px.

    Returns:
        DataFrame, one row a group: attribute, group, n_images, n_positive, mean, low, high, and positive_mean,
        positive_low, positive_high (NaN without an image with a pneumothorax).
    """
    every = metrics.subgroups(dsc, index)
    positive = (index["mask_area_px"].fillna(0) > 0).to_numpy(bool)
    if not positive.any():
        return every.assign(positive_mean=float("nan"), positive_low=float("nan"), positive_high=float("nan"))
    shown = pd.Series(dsc)[positive].to_numpy()
    only = metrics.subgroups(shown, index[positive].reset_index(drop=True))
    only = only.rename(columns={name: f"positive_{name}" for name in ("mean", "low", "high")})
    return every.merge(only.drop(columns=["n_images", "n_positive"]), how="left", on=["attribute", "group"])


def per_image(part: Subset, predicted: np.ndarray, truth: np.ndarray) -> pd.DataFrame:
    """One row an image: id, patient, group, pixels, scores, regions and areas of bool masks (N, H, W).

    `largest_px`: the largest region that is left. `lesions_true`, `lesions_found`, `regions`, `false_regions`: see
    `metrics.lesions`. `truth_cm2`, `predicted_cm2`: NaN where the pixel spacing is unknown.
    """
    predicted_px, truth_px, intersection_px = metrics.pixel_counts(predicted, truth)
    counts = (predicted_px, truth_px, intersection_px)
    regions = metrics.lesions(predicted, truth)
    # Of a pixel of the mask; PixelSpacing is that of the original.
    side_mm = part.index["pixel_spacing_mm"].to_numpy(float) * challenge.SIDE / truth.shape[-1]
    return pd.DataFrame(
        {
            "image_id": part.index["image_id"],
            "patient_id": part.index["patient_id"],
            "view": part.index["view"],
            "sex": part.index["sex"],
            "age_band": metrics.attributes(part.index)["age"],
            "truth_px": truth_px,
            "predicted_px": predicted_px,
            "intersection_px": intersection_px,
            "dsc": metrics.dsc_from_counts(*counts).round(6),
            "iou": metrics.iou_from_counts(*counts).round(6),
            "stepwise_iou": metrics.stepwise_iou_from_counts(*counts),
            "largest_px": metrics.largest_component_px(predicted),
            "lesions_true": regions.true,
            "lesions_found": regions.found,
            "regions": regions.predicted,
            "false_regions": regions.false_alarms,
            "truth_cm2": (truth_px * side_mm**2 / 100).round(3),
            "predicted_cm2": (predicted_px * side_mm**2 / 100).round(3),
        }
    )
