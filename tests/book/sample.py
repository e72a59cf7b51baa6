"""Records and executed notebooks of five invented runs: what the book is built from, without a trained model."""

import json
import shutil
from pathlib import Path

import cv2
import nbformat
import numpy as np
import records_made

from pneumo_lib import experiments
from pneumo_lib.evaluation import explorer_data
from pneumo_lib.records import Record

REPOSITORY = Path(__file__).resolve().parents[2]
MADE = shutil.ignore_patterns("_build", "generated", "runs", "exp?.md")
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
    for name, size in (("exp4", 128), ("exp2", 64)):
        explorer_data.write(
            folder / "results" / "phantom-demo" / name / "seed0" / "explorer-data.js",
            explorer_data.bundle(*maps(size=size), (0.5, 64), f"{records_made.LABEL}, {name}"),
        )


def change(folder: Path) -> None:
    """Makes the record in `folder` that of another run: with the same scores it would join one's own in the book."""
    values = json.loads((folder / "record.json").read_text())
    values["test"]["empty"]["scores"]["dsc"]["value"] += 0.001
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
            records_made.write(folder, name, seed)
            if notebooks and seed == 0:
                for step in ("train", "sweep", "test"):
                    write_notebook(folder / f"{step}.ipynb", step)
    if notebooks:
        write_notebook(root / "data.ipynb", "data")


def write_silver(root: Path) -> Record:
    """An invented run on X-rays with silver labels, as `keep` leaves it, from the time before labels named them."""
    label = "siim_silver, demo profile, seed 0"
    return records_made.write(root / "exp4" / "seed0", "exp4", 0, data="siim_silver", synthetic=False, label=label)


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
                    "execute_result", {"image/png": records_made.png(), "text/plain": "<Figure>"}, execution_count=1
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
