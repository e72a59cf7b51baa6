"""Where things are, whatever the working directory: papermill starts a kernel in the caller's, Jupyter in the notebook's."""

import os
import re
from pathlib import Path


def home() -> Path:
    """Folder that holds `data/`, `runs/` and `results/`: PNEUMO_HOME, else the repository, else the working directory."""
    if chosen := os.environ.get("PNEUMO_HOME"):
        return Path(chosen).expanduser().resolve()
    repository = Path(__file__).resolve().parent.parent
    return repository if (repository / "pyproject.toml").is_file() else Path.cwd()


def slug(name: str) -> str:
    """A name as a safe folder name: letters, digits, `_`, `.` and `-`, never empty, never starting with a dot."""
    return re.sub(r"[^A-Za-z0-9_.-]+", "-", name).strip(".-") or "data"


def shown(path: Path) -> str:
    """A path as a record and a page show it: relative to `home()` where it is inside, else its last part alone."""
    path = Path(path).resolve()
    return str(path.relative_to(home())) if path.is_relative_to(home()) else path.name
