"""Project folders, and paths that users write or read.

A path in a parameter, an option or an environment variable is absolute or relative to the working directory of the caller.
"""

import os
import re
from contextlib import suppress
from pathlib import Path

from pneumo_lib.errors import ParameterError


def home() -> Path:
    """Folder that holds `data/` and `runs/`: PNEUMO_HOME, else `repository()`."""
    chosen = os.environ.get("PNEUMO_HOME")
    return given(chosen).resolve() if chosen else repository()


def repository() -> Path:
    """Folder that holds `notebooks/`, `book/` and `README.md`: the checkout, else the working directory."""
    checkout = Path(__file__).resolve().parent.parent
    return checkout if (checkout / "pyproject.toml").is_file() else Path.cwd()


def results() -> Path:
    """Folder of published records: `home()/results` where it exists, else the repository's own."""
    own = home() / "results"
    return own if own.is_dir() else repository() / "results"


def given(path: str | os.PathLike) -> Path:
    """A path that a user wrote, absolute and with `~` as the home folder; links in it are kept.

    Raises:
        ParameterError: an unknown home folder, a name too long for the system, a link to itself, no permission.
    """
    try:
        found = Path(path).expanduser().absolute()
        with suppress(FileNotFoundError, NotADirectoryError):  # said by whoever needs what is there
            found.stat()
    except RuntimeError as error:
        raise ParameterError(f"{path} begins with the home folder of an unknown user; write the path out.") from error
    except (OSError, ValueError, TypeError) as error:
        why = getattr(error, "strerror", None) or error
        raise ParameterError(f"{str(path)[:80]!r} cannot be used as a path ({why}); give another one.") from error
    return found


def printable(name: str) -> str:
    """A name in which bytes that are no text are written out; as they are, no table, page or terminal takes them."""
    return name.encode("utf-8", "backslashreplace").decode()


def slug(name: str) -> str:
    """A name as a safe folder name: letters, digits, `_`, `.` and `-`, never empty, never starting with a dot."""
    return re.sub(r"[^A-Za-z0-9_.-]+", "-", name).strip(".-") or "data"


def shown(path: Path) -> str:
    """A path as a record and a page show it: relative to `home()` where it is inside, else its last part alone."""
    path = Path(path).resolve()
    return str(path.relative_to(home())) if path.is_relative_to(home()) else path.name
