"""Every table of a notebook: settings, stages, thresholds, scores, detection, subgroups, augmentation."""

import dataclasses
from collections.abc import Sequence

import pandas as pd

from pneumo_lib import experiments, metrics
from pneumo_lib.evaluation.postprocessing import Thresholds
from pneumo_lib.evaluation.scores import PROTOCOLS
from pneumo_lib.evaluation.sweep_result import SweepResult
from pneumo_lib.experiments import Experiment, Stage
from pneumo_lib.records import Record
from pneumo_lib.report.style import interval_text
from pneumo_lib.runs import Run


def score_table(test: dict[str, dict]) -> pd.DataFrame:
    """A record's `test` to read: one row per protocol, scores as `value (low-high)`, over patients."""
    rows = {}
    for protocol, found in test.items():
        thresholds = found["thresholds"] or {}
        row = {
            "B-TH": _plain(thresholds.get("binarization_threshold"), "{:.3f}"),
            "R-TH": _removal(thresholds.get("removal_threshold")),
        }
        rows[PROTOCOLS[protocol]] = row | {
            _SCORE_TITLES[name]: interval_text(value) for name, value in found["scores"].items()
        }
    return pd.DataFrame.from_dict(rows, orient="index")


_SCORE_TITLES = {"dsc": "mean DSC", "iou": "IoU", "stepwise_iou": "stepwise IoU", "positive_dsc": "positive-only DSC"}


def _plain(value, form: str) -> str:
    return "–" if value is None else form.format(value)


def _removal(value: int | Sequence | None) -> str:
    return f"{value[0]:g}/{value[1]:g}" if isinstance(value, Sequence) else _plain(value, "{:g}")


DETECTION_TITLES = {
    "sensitivity": ("sensitivity", "share of the images with a pneumothorax in which any region is left"),
    "specificity": ("specificity", "share of the images without one in which none is"),
    "auroc": ("AUROC, maximum", "images ranked by their highest probability, before any threshold"),
    "average_precision": ("average precision, maximum", "the same ranking"),
    "auroc_top": ("AUROC, top 1 %", "images ranked by the mean of their highest 1 % of probabilities"),
    "average_precision_top": ("average precision, top 1 %", "the same ranking"),
    "lesion_sensitivity": ("lesions found", "share of the true components that a prediction touches"),
    "false_alarms": ("false regions per image", "predicted components that touch no true pixel"),
    "area_error_px": ("error of the area, pixels", "mean size of the error over images with a pneumothorax"),
    "area_bias_px": ("bias of the area, pixels", "predicted minus true; negative: too small"),
    "area_error_cm2": ("error of the area, cm²", "where the pixel spacing is known"),
    "area_bias_cm2": ("bias of the area, cm²", "where the pixel spacing is known"),
}
"""Title and meaning of each number, in the order of the table."""


def detection_table(found: dict) -> pd.DataFrame:
    """`measure`'s result, or a record's `detection`, to read: one row per number."""
    rows = {
        title: {"value": interval_text(found[name]), "meaning": meaning}
        for name, (title, meaning) in DETECTION_TITLES.items()
        if name in found
    }
    return pd.DataFrame.from_dict(rows, orient="index")


def subgroups(measured: dict) -> pd.DataFrame:
    """The rows of `measures.measure_subgroups` that a record's values hold."""
    return pd.DataFrame(measured["subgroups"])


def subgroup_table(found: pd.DataFrame) -> pd.DataFrame:
    """`measure`'s result to read, each group next to the score of empty masks on its images."""
    rows = {}
    for row in found.itertuples():
        only = (row.positive_mean, row.positive_low, row.positive_high)
        rows[f"{row.attribute}: {row.group}" if row.attribute != "all" else "all"] = {
            "images": row.n_images,
            "with pneumothorax": row.n_positive,
            "mean DSC": interval_text((row.mean, row.low, row.high)),
            "empty masks": f"{1 - row.n_positive / row.n_images:.3f}",
            "positive-only DSC": interval_text(only if row.n_positive else None),
        }
    return pd.DataFrame.from_dict(rows, orient="index")


def settings(experiment: Experiment) -> pd.DataFrame:
    """One row per setting: value here, value at the paper's scale, source and meaning."""
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


def differences(experiment: Experiment) -> pd.DataFrame:
    """One row per setting that differs from the pipeline before, see `experiments.previous`; none for the first."""
    before = experiments.previous(experiment)
    found = experiments.differences(experiment, before) if before else {}
    if "stages" in found:
        found["stages"] = (before.stages, experiment.stages)
    columns = [before.name if before else "before", experiment.name]
    rows = {key: [text(value) for value in pair] for key, pair in found.items()}
    return pd.DataFrame.from_dict(rows, orient="index", columns=columns)


def text(value) -> str:
    """A setting as a table shows it."""
    if isinstance(value, Stage):
        rate = "" if value.rate == 1 else f", rate x {value.rate:g}"
        return f"{value.image_size} px, batch {value.batch_size}, {value.epochs} epoch{'s' * (value.epochs > 1)}{rate}"
    if isinstance(value, tuple):
        return "; ".join(text(one) for one in value)
    return "–" if value is None else f"{value:g}" if isinstance(value, float) else str(value)


def stages(about: list[dict], run: Run) -> pd.DataFrame:
    """Validation scores and cost of each finished stage, with the empty-mask baseline of the same images."""
    positive = run.dataset.part("validation", run.experiment.stages[0].image_size).index["positive"]
    rows = {}
    for stage in about:
        scores = stage["validation"]
        rows[f"stage {stage['settings']['stage']} of {stage['settings']['experiment']['name']}"] = {
            "loss": scores["val_loss"],
            "mean DSC": scores["val_dsc"],
            "positive-only DSC": scores["val_positive_dsc"],
            "IoU": scores["val_iou"],
            "stepwise IoU": scores["val_stepwise_iou"],
            "empty-mask baseline": metrics.empty_mask_baseline(positive),
            "minutes": stage["cost"]["seconds_training"] / 60,
            "images/s": stage["cost"]["images_per_second"],
        }
    return pd.DataFrame.from_dict(rows, orient="index").round(3)


def choice(result: SweepResult, chosen: Thresholds, deck: tuple[float, int] | None = None) -> pd.DataFrame:
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
        "selection gap: chosen on test minus on validation": interval_text(values["selection_gap"]),
        "device": values["stages"][-1]["cost"]["device"],
        "commit": values["environment"]["commit"] or "not in a repository",
    }
    return pd.DataFrame.from_dict(rows, orient="index", columns=["this run"])


def tta_gain_table(found: pd.DataFrame | None) -> pd.DataFrame | str:
    """`tta_effects.table`'s result, or a record's `tta_effects`, to read; a sentence where it was not measured."""
    if found is None:
        return "not measured"
    found = pd.DataFrame(found).astype({"passes": int})
    columns = {
        "forward passes": found["passes"],
        "ms per image": (1000 * found["seconds"]).round().astype(int),
        "mean DSC": found["dsc"].map("{:.3f}".format),
        "gain": _tta_intervals(found, "gain"),
        "positive-only DSC": found["positive_dsc"].map(lambda value: "–" if pd.isna(value) else f"{value:.3f}"),
        "gain, positive only": _tta_intervals(found, "positive_gain"),
    }
    return pd.DataFrame(columns).set_index(pd.Index(found["transforms"], name="transforms"))


def _tta_intervals(found: pd.DataFrame, name: str) -> list[str]:
    triples = found[[name, f"{name}_low", f"{name}_high"]].astype(float).itertuples(index=False)
    return [interval_text(None if pd.isna(triple[0]) else triple) for triple in triples]
