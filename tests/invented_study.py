"""Invented runs of a study, and records of them, for the tests of the analysis and of the book's chapter."""

import json

import numpy as np
import pandas as pd

from pneumo_lib import hardware, records, study
from pneumo_lib.study_results import Outcome

PATIENTS = 60
IMAGES = 120


def invented(random, seeds: int, shift: float = 0.0, speed: float = 1.0, epochs: int = 10) -> list[Outcome]:
    """Runs whose DSC differs by patient, seed and image, and whose curves rise to a plateau."""
    images = cohort()
    patient = np.repeat(np.random.default_rng(7).normal(0, 0.1, PATIENTS), IMAGES // PATIENTS)
    found = []
    for seed in range(seeds):
        dsc = 0.5 + shift + patient + random.normal(0, 0.02) + random.normal(0, 0.05, IMAGES)
        score = (images["truth_px"] > 0) * (1 + 5 * shift) + random.normal(0, 1, IMAGES)
        compute = np.arange(1, epochs + 1) * 1e7
        curve = 0.6 * (1 - np.exp(-speed * compute / 3e7)) * (1 + random.normal(0, 0.02))
        history = pd.DataFrame({"stage": 1, "learning_rate": 1e-3, "compute": compute, "grid_positive_dsc": curve})
        table = images.assign(dsc=dsc.clip(0, 1), max_probability=score)
        found.append(Outcome(f"seed {seed}", table, history.assign(grid_dsc=curve + 0.2), 0.75))
    return found


def cohort() -> pd.DataFrame:
    positive = np.arange(IMAGES) // 2 % 3 == 0
    return pd.DataFrame(
        {
            "image_id": np.arange(IMAGES),
            "patient_id": np.arange(IMAGES) // 2,
            "truth_px": np.where(positive, 900, 0),
        }
    )


def write_run(
    folder,
    study_name: str,
    arm: str,
    seed: int,
    outcome: Outcome,
    profile: str = "study",
    precision: str = hardware.FLOAT32,
) -> None:
    """A record of an arm with these tables."""
    place = folder / "studies" / study_name / arm / f"seed{seed}"
    values = {
        "format": records.FORMAT,
        "label": f"phantom data, {profile} profile, seed {seed}",
        "synthetic": True,
        "experiment": study.experiment_of(study_name, arm, profile).as_dict(),
        "study": study_name,
        "arm": arm,
        "data": "phantom",
        "split": {"positive": {"validation": 90}, "images": {"validation": 400}},
        "seed": seed,
        "stages": [{"cost": {"precision": precision}}],
        "test": {},
    }
    place.mkdir(parents=True)
    for name, table in (("per_image", outcome.images), ("history", outcome.history), ("validation", outcome.images)):
        table.to_csv(place / f"{name}.csv", index=False)
    (place / "record.json").write_text(json.dumps(values))


def write_study(folder, a: list[Outcome], b: list[Outcome]) -> None:
    for arm, some in (("A", a), ("B", b)):
        for seed, outcome in enumerate(some):
            write_run(folder, "two-stage", arm, seed, outcome)
