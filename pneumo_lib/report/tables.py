"""Tables of a notebook: settings, stages, thresholds, images."""

import dataclasses

import numpy as np
import pandas as pd

from pneumo_lib import experiments, metrics
from pneumo_lib.data import siim
from pneumo_lib.data.source import Part
from pneumo_lib.evaluation.sweep_result import Choice, SweepResult
from pneumo_lib.report.records import Record
from pneumo_lib.report.scores import interval_text
from pneumo_lib.runs import Run


def settings(experiment: experiments.Experiment) -> pd.DataFrame:
    """One row a setting: value here, value at the paper's scale, source and meaning."""
    paper = experiments.get(experiment.name, "paper")
    rows = {}
    for field in dataclasses.fields(experiment):
        here, there = getattr(experiment, field.name), getattr(paper, field.name)
        rows[field.name] = {
            "here": text(here),
            "at the paper's scale": text(there),
            "source": field.metadata["source"],
            "meaning": field.metadata["meaning"],
        }
    return pd.DataFrame.from_dict(rows, orient="index").drop(index=["name", "question"])


def differences(experiment: experiments.Experiment) -> pd.DataFrame:
    """One row a setting that differs from the pipeline before, see `experiments.previous`; none for the first."""
    before = experiments.previous(experiment)
    found = experiments.differences(experiment, before) if before else {}
    for name in ("stage1", "stage2"):
        if name in found:
            found[name] = (getattr(before, name), getattr(experiment, name))
    columns = [before.name if before else "before", experiment.name]
    rows = {key: [text(value) for value in pair] for key, pair in found.items()}
    return pd.DataFrame.from_dict(rows, orient="index", columns=columns)


def text(value) -> str:
    """A setting as a table shows it."""
    if isinstance(value, experiments.Stage):
        return f"{value.image_size} px, batch {value.batch_size}, {value.epochs} epoch{'s' * (value.epochs > 1)}"
    return "–" if value is None else f"{value:g}" if isinstance(value, float) else str(value)


def stages(about: list[dict], run: Run) -> pd.DataFrame:
    """Validation scores and cost of each finished stage, with the blank baseline of the same images."""
    positive = run.source.part("validation", run.experiment.stage1.image_size).index["positive"]
    rows = {}
    for stage in about:
        scores = stage["validation"]
        rows[f"stage {stage['settings']['stage']} of {stage['settings']['experiment']['name']}"] = {
            "loss": scores["val_loss"],
            "mean DSC": scores["val_dsc"],
            "positive-only DSC": scores["val_positive_dsc"],
            "IoU": scores["val_iou"],
            "stepwise IoU": scores["val_stepwise_iou"],
            "blank baseline": metrics.blank_baseline(positive),
            "minutes": stage["cost"]["seconds_training"] / 60,
            "images/s": stage["cost"]["images_per_second"],
        }
    return pd.DataFrame.from_dict(rows, orient="index").round(3)


def choice(result: SweepResult, chosen: Choice, deck: tuple[float, int] | None = None) -> pd.DataFrame:
    """Chosen and, if given, the deck's thresholds with their mean scores on the swept images."""
    rows = {"chosen here": chosen[:2]} | ({"the deck's": deck} if deck else {})
    table = {}
    for name, (b, r) in rows.items():
        at = result.index(b, r)
        table[name] = {"B-TH": b, "R-TH": r, "rule": result.rule} | {
            title: round(float(result.mean(metric)[at]), 4)
            for metric, title in (("dsc", "mean DSC"), ("iou", "IoU"), ("stepwise_iou", "stepwise IoU"))
        }
    return pd.DataFrame.from_dict(table, orient="index")


def per_image(part: Part, predicted: np.ndarray, truth: np.ndarray) -> pd.DataFrame:
    """One row an image: id, patient, group, pixels, scores, regions and areas of bool masks (N, H, W).

    `largest_px`: the largest region that is left. `lesions_true`, `lesions_found`, `regions`, `false_regions`: see
    `metrics.lesions`. `truth_cm2`, `predicted_cm2`: NaN where the pixel spacing is unknown.
    """
    predicted_px, truth_px, intersection_px = metrics.pixel_counts(predicted, truth)
    counts = (predicted_px, truth_px, intersection_px)
    regions = metrics.lesions(predicted, truth)
    # Of a pixel of the mask; PixelSpacing is that of the original.
    side_mm = part.index["pixel_spacing_mm"].to_numpy(float) * siim.SIDE / truth.shape[-1]
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


def record(found: Record) -> pd.DataFrame:
    """A record in one column, for the end of a notebook."""
    values = found.values
    images, positive = values["split"]["images"], values["split"]["positive"]
    rows = {
        "experiment": found.name,
        "data, profile, seed": found.label,
        "images (with pneumothorax)": ", ".join(f"{part} {images[part]} ({positive[part]})" for part in images),
        "split": values["split"]["rule"],
        "removal rule": values["chosen"].get("rule", "component"),
        "test-time augmentation": ", ".join(values["transforms"]) or "none",
        "optimism of choosing on test": interval_text(values["optimism"]),
        "device": values["stages"][-1]["cost"]["device"],
        "commit": values["environment"]["commit"] or "not in a repository",
    }
    return pd.DataFrame.from_dict(rows, orient="index", columns=["this run"])
