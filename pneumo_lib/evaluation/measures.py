"""Measurements on the test images in addition to the overlap scores: per-image table, detection, calibration, subgroups."""

from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from pneumo_lib import metrics
from pneumo_lib.evaluation import postprocessing
from pneumo_lib.evaluation.postprocessing import Thresholds
from pneumo_lib.metrics import Interval


def measure_calibration(
    probability: np.ndarray, truth: np.ndarray, patients: np.ndarray | None = None, bins: int = 10
) -> dict:
    """Reliability curve and expected calibration error (ECE) with 95 % intervals over patients.

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
    pixels, _, hits = np.moveaxis(counts, 1, 0)
    ends = [
        tuple(metrics.ratio_interval(hits[:, b], pixels[:, b], patients))[1:]
        if pixels[:, b].any()
        else (np.nan, np.nan)
        for b in range(bins)
    ]
    curve["frequency_low"], curve["frequency_high"] = zip(*ends, strict=True)
    ece = metrics.statistic_interval(
        lambda images: metrics.expected_calibration_error(counts[images]), len(counts), patients
    )
    return {"ece": ece, "curve": curve.to_dict("records")}


def measure_detection(per_image: pd.DataFrame, patients: np.ndarray | None = None) -> dict[str, Interval | None]:
    """Every number of `tables.DETECTION_TITLES` with its 95 % interval over patients; None where no image tells.

    Args:
        per_image: of `per_image`, with the columns of `image_scores`.
        patients: (N,) whose image it is; None: every image for itself.
    """
    columns = {name: per_image[name].to_numpy() for name in per_image}
    positive, called = columns["truth_px"] > 0, columns["predicted_px"] > 0
    spacing = positive & np.isfinite(columns["truth_cm2"].astype(float))
    px = metrics.area_error(columns["predicted_px"], columns["truth_px"]).px
    cm2 = (columns["predicted_cm2"] - columns["truth_cm2"]).astype(float)
    both = positive.any() and not positive.all()

    def mean(values: np.ndarray, images: np.ndarray, bounded: bool = False) -> Interval | None:
        return metrics.mean_interval(np.where(images, values, 0), patients, images, bounded) if images.any() else None

    def share(flags: np.ndarray, images: np.ndarray) -> Interval | None:
        return metrics.proportion_interval(flags, patients, images) if images.any() else None

    def precision(score: np.ndarray) -> Interval | None:
        if not both:
            return None
        return metrics.statistic_interval(
            lambda rows: metrics.average_precision(score[rows], positive[rows]), len(score), patients
        )

    found: dict[str, Interval | None] = {
        "sensitivity": share(called, positive),
        "specificity": share(~called, ~positive),
    }
    for name, column in (("", "max_probability"), ("_top", "top_percent_mean")):
        found[f"auroc{name}"] = metrics.auroc_interval(columns[column], positive, patients) if both else None
        found[f"average_precision{name}"] = precision(columns[column])
    lesions = columns["lesions_true"]
    return found | {
        "lesion_sensitivity": metrics.ratio_interval(columns["lesions_found"], lesions, patients)
        if lesions.any()
        else None,
        "false_alarms": mean(columns["false_regions"], np.ones(len(positive), bool)),
        "area_error_px": mean(np.abs(px), positive),
        "area_bias_px": mean(px, positive),
        "area_error_cm2": mean(np.abs(cm2), spacing),
        "area_bias_cm2": mean(cm2, spacing),
    }


def measure_subgroups(dsc: ArrayLike, index: pd.DataFrame) -> pd.DataFrame:
    """Mean DSC of every subgroup, of all its images and of those with a pneumothorax.

    Args:
        dsc: float (N,), the DSC of each image.
        index: N rows as in `metrics.subgroups`, with mask_area_px.

    Returns:
        DataFrame, one row per group: attribute, group, n_images, n_positive, mean, low, high, and positive_mean,
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


def per_image(
    index: pd.DataFrame, probability: Sequence[np.ndarray], truth: Sequence[np.ndarray], chosen: Thresholds
) -> pd.DataFrame:
    """One row per image: id, patient, group, pixels, scores, regions and areas of the masks that `chosen` makes.

    Args:
        index: N rows of `siim.load_index`.
        probability, truth: N maps and masks (H, W) on one grid, read a few at a time.
        chosen: thresholds in pixels of that grid.

    `largest_px`: the largest region that is left. `lesions_true`, `lesions_found`, `regions`, `false_regions`: see
    `metrics.lesions`. `truth_cm2`, `predicted_cm2`: NaN where the pixel spacing or the size of the original is unknown;
    too small for the challenge's own files, see `predict_files`.
    """
    found = [_of_masks(probability, truth, chosen, slice(i, i + _TOGETHER)) for i in range(0, len(index), _TOGETHER)]
    pixels = pd.concat(found, ignore_index=True)
    predicted_px, truth_px = pixels["predicted_px"], pixels["truth_px"]
    counts = [pixels[name].to_numpy() for name in ("predicted_px", "truth_px", "intersection_px")]
    # Of a pixel of the mask, which covers the same picture as the original.
    side_mm = (index["pixel_spacing_mm"] * index["side_px"]).to_numpy(float) / truth[0].shape[-1]
    return pd.DataFrame(
        {
            "image_id": index["image_id"],
            "patient_id": index["patient_id"],
            "view": index["view"],
            "sex": index["sex"],
            "age_band": metrics.attributes(index)["age"],
            "truth_px": truth_px,
            "predicted_px": predicted_px,
            "intersection_px": pixels["intersection_px"],
            "dsc": metrics.dsc_from_counts(*counts).round(6),
            "iou": metrics.iou_from_counts(*counts).round(6),
            "stepwise_iou": metrics.stepwise_iou_from_counts(*counts),
            "largest_px": pixels["largest_px"],
            "lesions_true": pixels["lesions_true"],
            "lesions_found": pixels["lesions_found"],
            "regions": pixels["regions"],
            "false_regions": pixels["false_regions"],
            "truth_cm2": (truth_px * side_mm**2 / 100).round(3),
            "predicted_cm2": (predicted_px * side_mm**2 / 100).round(3),
        }
    )


_TOGETHER = 32
"""Masks in memory at once: 8 MB at 512 pixels."""


def _of_masks(probability: Sequence, truth: Sequence, chosen: Thresholds, part: slice) -> pd.DataFrame:
    """Pixel counts and regions of some images."""
    true = np.asarray(truth[part])
    predicted = postprocessing.apply(np.asarray(probability[part]), *chosen[:2], chosen.rule)
    predicted_px, truth_px, intersection_px = metrics.pixel_counts(predicted, true)
    regions = metrics.lesions(predicted, true)
    return pd.DataFrame(
        {
            "predicted_px": predicted_px,
            "truth_px": truth_px,
            "intersection_px": intersection_px,
            "largest_px": metrics.largest_component_px(predicted),
            "lesions_true": regions.true,
            "lesions_found": regions.found,
            "regions": regions.predicted,
            "false_regions": regions.false_positives,
        }
    )


def image_scores(probability: Iterable[np.ndarray]) -> pd.DataFrame:
    """Scores that rank images before any threshold: `max_probability` and `top_percent_mean`, the mean of the highest 1 %.

    Args:
        probability: maps (H, W) at the network's own size.
    """
    rows = [(float(one.max()), float(metrics.top_probability([one])[0])) for one in map(np.asarray, probability)]
    return pd.DataFrame(rows, columns=["max_probability", "top_percent_mean"]).round(6)
