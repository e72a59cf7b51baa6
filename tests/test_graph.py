"""What `make` asks of the graph, whatever the paths and the environment hold."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from pneumo_lib import phantom

ROOT = Path(__file__).parent.parent
pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")


def planned(home: Path, *arguments: str, **environment: str) -> str:
    """What a dry run of the graph prints."""
    done = subprocess.run(
        ["make", "graph", "-o", ".venv/installed", f"BIN={Path(sys.executable).parent}", "PROFILE=smoke", *arguments],
        cwd=ROOT,
        env=os.environ | {"PNEUMO_HOME": str(home)} | environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_paths_with_spaces_and_apostrophes(tmp_path):
    data = phantom.write_dataset(tmp_path / "O'Brien [1]" / "siim", 24, seed=0, workers=1, progress=False)
    patients = shutil.copy(data / "patients.csv", tmp_path / "O'Brien's map.csv")
    said = planned(tmp_path / "my home", f"DATA={data}", f"PATIENTS={patients}", "ON_ERROR=skip", "SPLIT=deck")
    assert "O'\"'\"'Brien [1]/siim' -p profile smoke" in said
    assert "O'\"'\"'Brien'\"'\"'s map.csv' -p on_error skip" in said
    assert "-p split deck" in said


def test_a_clusters_profile_is_left_alone(tmp_path):
    (tmp_path / "config.yaml").write_text("executor: slurm\njobs: 100\n", encoding="utf-8")
    assert "-p data phantom" in planned(tmp_path / "home", SNAKEMAKE_PROFILE=str(tmp_path))


def test_augmentations_are_compared_for_one_pipeline(tmp_path):
    said = planned(tmp_path)
    assert said.count("-p tta_table True") == 1 and said.count("-p tta_table False") == 4
