"""Invented records of format 2: all that the tables of the book are made from, without a trained model."""

import base64
from pathlib import Path

import cv2
import numpy as np
import pandas as pd

from pneumo_lib import experiments, metrics, records
from pneumo_lib.experiments import Experiment
from pneumo_lib.records import Record

PROTOCOLS = ("validation", "validation_deck_grid", "test", "test_deck_grid", "deck_pair", "no_removal", "empty")
LABEL = "phantom data, demo profile"
IMAGES = {"train": 280, "validation": 60, "test": 60}
POSITIVE = {"train": 62, "validation": 13, "test": 14}
THRESHOLDS = {"binarization_threshold": 0.5, "removal_threshold": 512, "rule": "component"}


def write(folder: Path, name: str, seed: int = 0, quality: float = 0.7, profile: str = "demo", **changed) -> Record:
    """An invented record in `folder`.

    Args:
        folder: `.../<experiment>/seed<n>`, or the folder of a study's arm or an external test set.
        name: of the experiment.
        seed: differs in its predictions, not in its images.
        quality: share of each true mask that is found, 0..1.
        profile: of the experiment.
        changed: values of the record that differ.
    """
    experiment = experiments.get(name, profile)
    random = np.random.default_rng([seed, *name.encode()])
    frame = per_image("test", name, seed, quality)
    values = {
        "format": records.FORMAT,
        "label": f"{LABEL}, seed {seed}",
        "synthetic": True,
        "experiment": experiment.as_dict(),
        "study": None,
        "arm": None,
        "data": "phantom",
        "split": {"rule": "patient", "images": IMAGES, "positive": POSITIVE},
        "seed": seed,
        "environment": records.environment() | {"commit": "0123456789ab"},
        "stages": [_stage(experiment, number, random) for number in range(1, len(experiment.stages) + 1)],
        "transforms": ["flip"],
        "chosen": THRESHOLDS | {"score": 0.8},
        "test": {protocol: _protocol(frame, protocol) for protocol in PROTOCOLS},
        "selection_gap": metrics.Interval(0.004, -0.002, 0.013, n_images=60, n_patients=30).as_json(),
    } | changed
    validation = per_image("validation", name, seed, quality)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "gallery.png").write_bytes(base64.b64decode(png()))
    return records.write(folder, values, frame, history(experiment), validation)


def per_image(subset: str, name: str, seed: int, quality: float) -> pd.DataFrame:
    """One row per image; truth and patients depend on the subset alone, predictions on pipeline and seed too."""
    n, positive = IMAGES[subset], np.arange(IMAGES[subset]) < POSITIVE[subset]
    truth = np.where(positive, np.random.default_rng(n).integers(200, 15_000, n), 0)
    random = np.random.default_rng([seed, *name.encode(), *subset.encode()])
    share = np.clip(random.normal(quality, 0.15, n), 0, 1)
    false = random.choice([0, 0, 0, 0, 0, 600], n)
    frame = pd.DataFrame({"image_id": [f"{subset}{i}" for i in range(n)]})
    frame["patient_id"] = [f"{subset}-patient{i // 2}" for i in range(n)]
    frame = frame.assign(view="PA", sex="F", age_band="40-59", truth_px=truth)
    frame["max_probability"] = np.clip(random.normal(0.4 + 0.4 * positive, 0.2), 0, 1)
    frame["top_percent_mean"] = frame["max_probability"] * 0.9
    for protocol in PROTOCOLS if subset == "test" else PROTOCOLS[:1]:
        hit, extra = _predicted(protocol, truth * share, false)
        frame[f"predicted_px_{protocol}"], frame[f"intersection_px_{protocol}"] = hit + extra, hit
    counts = [
        frame[column].to_numpy() for column in ("predicted_px_validation", "truth_px", "intersection_px_validation")
    ]
    for metric in ("dsc", "iou", "stepwise_iou"):
        frame[metric] = getattr(metrics, f"{metric}_from_counts")(*counts)
    return frame.assign(predicted_px=counts[0], intersection_px=counts[2])


def _predicted(protocol: str, hit: np.ndarray, false: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """True and false positive pixels: better chosen on test, worse without removal, none of empty masks."""
    factor, extra = {"test": (1.0, 0), "no_removal": (0.95, 40), "empty": (0.0, 0)}.get(protocol, (0.95, 0))
    kept = 0 if protocol == "empty" else (false if protocol != "test" else false // 600 * 599)
    return (hit * factor).astype(int), np.zeros_like(false) + kept + extra


def _protocol(frame: pd.DataFrame, protocol: str) -> dict:
    counts = [frame[f"predicted_px_{protocol}"], frame["truth_px"], frame[f"intersection_px_{protocol}"]]
    counts = [column.to_numpy() for column in counts]
    values = {name: getattr(metrics, f"{name}_from_counts")(*counts) for name in ("dsc", "iou", "stepwise_iou")}
    patients, positive = frame["patient_id"].to_numpy(), counts[1] > 0
    scores = {name: metrics.mean_interval(value, patients).as_json() for name, value in values.items()}
    scores["positive_dsc"] = metrics.mean_interval(values["dsc"], patients, positive).as_json()
    return {"thresholds": None if protocol == "empty" else THRESHOLDS, "scores": scores}


def _stage(experiment: Experiment, number: int, random: np.random.Generator) -> dict:
    taken = experiment.starts_from if number == 1 else None
    owner = experiments.get(taken or experiment.name, experiment.profile)
    names = ("val_loss", "val_dsc", "val_positive_dsc", "val_iou", "val_stepwise_iou")
    cost = {
        "device": "cpu",
        "threads": 2,
        "seconds_training": 90.0,
        "images_per_second": 20.0,
        "parameters": 24_436_369,
    }
    return {
        "settings": {"experiment": owner.as_dict(), "stage": number, "data": "phantom", "seed": 0},
        "validation": {name: round(float(random.uniform(0.6, 0.9)), 4) for name in names},
        "cost": cost,
    }


def history(experiment: Experiment) -> pd.DataFrame:
    """One row per epoch."""
    rows = []
    for number, stage in enumerate(experiment.stages, 1):
        for epoch in range(1, stage.epochs + 1):
            row = {"stage": number, "image_size": stage.image_size, "epoch": epoch, "train_loss": 1 / epoch + 0.2}
            row |= {"val_loss": 1 / epoch + 0.3, "val_dsc": 0.8, "val_positive_dsc": 0.4, "val_iou": 0.75}
            rows.append(row | {"val_stepwise_iou": 0.76, "learning_rate": 1e-3, "averaged": False})
    return pd.DataFrame(rows)


def png() -> str:
    """A small picture in base64."""
    image = np.tile(np.arange(0, 240, 2, np.uint8), (60, 1))
    return base64.b64encode(cv2.imencode(".png", image)[1].tobytes()).decode()
