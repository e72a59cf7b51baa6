"""Records and executed notebooks of five invented runs: what the book is built from, without a trained model."""

import base64
import json
import shutil
from pathlib import Path

import cv2
import nbformat
import numpy as np
import pandas as pd

from pneumo_lib import experiments, records
from pneumo_lib.evaluation import explorer_data, scores, sweep_result
from pneumo_lib.evaluation.sweep_result import Counts
from pneumo_lib.experiments import Experiment
from pneumo_lib.records import Record

REPOSITORY = Path(__file__).resolve().parents[2]
MADE = shutil.ignore_patterns("_build", "generated", "runs", "exp?.md")
LABEL = "phantom data, demo profile"
IMAGES = {"train": 280, "validation": 60, "test": 60}
POSITIVE = {"train": 62, "validation": 13, "test": 14}
PROGRESS = "exp1, stage 1:  17%|█▋        | 3/18"


def write_project(folder: Path) -> None:
    """All that the book is built from, in a folder of its own, with invented runs and an invented explorer."""
    shutil.copytree(REPOSITORY / "book", folder / "book", ignore=MADE)
    for name in ("_config.yml", "_toc.yml"):
        shutil.copy(REPOSITORY / name, folder / name)
    for name in ("pneumo_lib", "notebooks"):
        (folder / name).symlink_to(REPOSITORY / name)
    shutil.copytree(REPOSITORY / "results" / "challenge-masks", folder / "results" / "challenge-masks")
    for name in ("motion-data.js", "radiologist-data.js"):
        shutil.copy(REPOSITORY / "results" / name, folder / "results" / name)
    write_runs(folder / "runs" / "phantom-demo")
    write_runs(folder / "results" / "phantom-demo", seeds=(0, 1), notebooks=False)
    change(folder / "results" / "phantom-demo" / "exp1" / "seed0")
    write_silver(folder / "results" / "siim_silver-demo")
    explorer_data.write(
        folder / "results" / "phantom-demo" / "exp4" / "seed0" / "explorer-data.js",
        explorer_data.bundle(*maps(), (0.5, 64), LABEL),
    )


def change(folder: Path) -> None:
    """Makes the record in `folder` that of another run: with the same scores it would join one's own in the book."""
    values = json.loads((folder / "record.json").read_text())
    values["test"]["predict nothing"]["scores"]["dsc"][0] += 0.001
    (folder / "record.json").write_text(json.dumps(values))


def maps(n: int = 20, size: int = 128) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Invented images, probability maps and true masks; the last half of them without a true pixel."""
    random = np.random.default_rng(0)
    noise = random.standard_normal((n, size, size)).astype(np.float32)
    smooth = np.stack([cv2.GaussianBlur(one, (0, 0), 6) for one in noise])
    probability = 1 / (1 + np.exp(-18 * (smooth - 0.05)))
    truth = np.stack([cv2.GaussianBlur(one, (0, 0), 8) for one in noise]) > 0.04
    truth[n // 2 :] = False
    probability[n // 2 :] *= 0.6
    return np.full((n, size, size), 90, np.uint8), probability.astype(np.float32), truth


def write_runs(root: Path, seeds: tuple[int, ...] = (0,), notebooks: bool = True) -> None:
    """`root/<exp>/seed<n>/` with record, tables and, of seed 0, executed notebooks."""
    for name in experiments.EXPERIMENTS:
        for seed in seeds:
            folder = root / name / f"seed{seed}"
            write_record(folder, name, seed)
            if notebooks and seed == 0:
                for step in ("train", "sweep", "test"):
                    write_notebook(folder / f"{step}.ipynb", step)
    if notebooks:
        write_notebook(root / "data.ipynb", "data")


def write_silver(root: Path) -> Record:
    """An invented run on X-rays with silver labels, as `keep` leaves it, from the time before labels named them."""
    label = "siim_silver, demo profile, seed 0"
    return write_record(root / "exp4" / "seed0", "exp4", 0, data="siim_silver", synthetic=False, label=label)


def write_record(folder: Path, name: str, seed: int, **changed) -> Record:
    experiment = experiments.get(name, "demo")
    random = np.random.default_rng([seed, *name.encode()])
    per_image = _per_image(random)
    values = {
        "format": records.FORMAT,
        "label": f"{LABEL}, seed {seed}",
        "synthetic": True,
        "experiment": experiment.as_dict(),
        "data": "phantom",
        "split": {"rule": "patient", "images": IMAGES, "positive": POSITIVE},
        "seed": seed,
        "environment": records.environment() | {"commit": "0123456789ab"},
        "stages": [_stage(experiment, number, random) for number in range(1, len(experiment.stages) + 1)],
        "transforms": ["flip"],
        "chosen": {"binarization_threshold": 0.5, "removal_threshold": 64, "score": 0.8},
        "test": _ways(per_image, experiment),
        "optimism": [0.004, -0.002, 0.013],
    } | changed
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "gallery.png").write_bytes(base64.b64decode(_png()))
    return records.write(folder, values, per_image, _history(experiment, random))


def _per_image(random: np.random.Generator) -> pd.DataFrame:
    n = IMAGES["test"]
    truth = np.where(np.arange(n) < POSITIVE["test"], random.integers(50, 900, n), 0)
    hit = truth * random.choice([0.0, 0.6, 0.8], n)
    false = random.choice([0, 0, 0, 0, 30], n)
    frame = pd.DataFrame({"truth_px": truth, "intersection_px": hit.astype(int)})
    frame["predicted_px"] = frame["intersection_px"] + false
    counts = (frame["predicted_px"].to_numpy(), truth, frame["intersection_px"].to_numpy())
    for metric, function in sweep_result.METRICS.items():
        frame[metric] = function(*counts)
    return frame.assign(image_id=[f"image{i}" for i in range(n)], patient_id=[f"patient{i // 2}" for i in range(n)])


def _ways(per_image: pd.DataFrame, experiment: Experiment) -> dict:
    found = Counts(*(per_image[name].to_numpy() for name in ("predicted_px", "truth_px", "intersection_px")))
    nothing = Counts(np.zeros_like(found.truth_px), found.truth_px, np.zeros_like(found.truth_px))
    ways = {way: (0.5, 64, found) for way in (records.HEADLINE, scores.AS_DECK, scores.DECK_POINT)}
    ways[scores.WITHOUT_REMOVAL] = (experiment.binarization_threshold, None, found)
    ways[scores.BLANK] = (None, None, nothing)
    patients = per_image["patient_id"].to_numpy()
    return {
        way: {"binarization_threshold": b, "removal_threshold": r, "scores": scores.score(counts, patients)}
        for way, (b, r, counts) in ways.items()
    }


def _stage(experiment: Experiment, number: int, random: np.random.Generator) -> dict:
    taken = experiment.starts_from if number == 1 else None
    owner = experiments.get(taken or experiment.name, "demo")
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


def _history(experiment: Experiment, random: np.random.Generator) -> pd.DataFrame:
    rows = []
    for number, stage in enumerate(experiment.stages, 1):
        for epoch in range(1, stage.epochs + 1):
            row = {"stage": number, "image_size": stage.image_size, "epoch": epoch, "train_loss": 1 / epoch + 0.2}
            row |= {"val_loss": 1 / epoch + 0.3, "val_dsc": 0.8, "val_positive_dsc": 0.4, "val_iou": 0.75}
            rows.append(row | {"val_stepwise_iou": 0.76, "learning_rate": 1e-3, "averaged": False})
    return pd.DataFrame(rows)


def write_notebook(path: Path, step: str) -> None:
    """As papermill leaves it: parameters twice, a progress bar on stderr, a table and a picture."""
    cells = [
        nbformat.v4.new_markdown_cell(f"# {step}\n\nWhat this notebook does."),
        nbformat.v4.new_code_cell('exp: str = "exp4"', metadata={"tags": ["parameters"]}),
        nbformat.v4.new_code_cell('exp = "exp1"', metadata={"tags": ["injected-parameters"]}),
        nbformat.v4.new_code_cell("train()", outputs=[nbformat.v4.new_output("stream", name="stderr", text=PROGRESS)]),
        nbformat.v4.new_code_cell(
            "xray_figures.gallery(images)",
            execution_count=1,
            outputs=[
                nbformat.v4.new_output(
                    "execute_result", {"image/png": _png(), "text/plain": "<Figure>"}, execution_count=1
                )
            ],
        ),
    ]
    kernel = {"name": "python3", "display_name": "Python 3"}
    notebook = nbformat.v4.new_notebook(
        cells=cells, metadata={"kernelspec": kernel, "language_info": {"name": "python", "pygments_lexer": "ipython3"}}
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(notebook, path)


def _png() -> str:
    image = np.tile(np.arange(0, 240, 2, np.uint8), (60, 1))
    return base64.b64encode(cv2.imencode(".png", image)[1].tobytes()).decode()
