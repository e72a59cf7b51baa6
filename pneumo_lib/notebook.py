"""Runs a notebook with parameters, strictly: `pneumo notebook notebooks/train.ipynb out.ipynb -p exp exp4`.

As papermill does, with three differences: an unknown parameter or a value of another type than the default's stops before
anything runs, the output appears only when the notebook has ended well, and an error is one sentence.
"""

import re
import sys
import tempfile
from pathlib import Path

import papermill
from nbclient.exceptions import DeadKernelError
from papermill.exceptions import PapermillExecutionError
from tqdm import tqdm
from traitlets.config import Config

from pneumo_lib import atomic
from pneumo_lib.errors import NotebookError


def parameters_of(notebook: Path) -> dict[str, dict]:
    """Name → papermill's description (default, help) of each parameter of a notebook.

    Raises:
        NotebookError: no such notebook.
    """
    wrong = f"{notebook} is no notebook; those of the project are notebooks/*.ipynb."
    if not notebook.is_file() or notebook.suffix != ".ipynb":
        raise NotebookError(wrong)
    try:
        return papermill.inspect_notebook(str(notebook))
    except Exception as error:  # a parser of whatever file was named raises anything
        raise NotebookError(wrong) from error


def checked(notebook: Path, given: dict[str, str]) -> dict[str, int | bool | str]:
    """Texts of a command line as values of the types of the notebook's defaults.

    Raises:
        NotebookError: unknown name or a value of another type.
    """
    known = parameters_of(notebook)
    unknown = sorted(set(given) - set(known))
    if unknown:
        raise NotebookError(f"{notebook.name} has no parameter {unknown[0]!r}; it has {', '.join(known)}.")
    return {name: _typed(name, text, known[name]["default"]) for name, text in given.items()}


def _typed(name: str, text: str, default: str) -> int | bool | str:
    if default in ("True", "False"):
        if text.lower() not in ("true", "false"):
            raise NotebookError(f"{name}={text!r} is neither true nor false.")
        return text.lower() == "true"
    if re.fullmatch(r"-?\d+", default):
        if not re.fullmatch(r"-?\d+", text):
            raise NotebookError(f"{name}={text!r} is no whole number.")
        return int(text)
    return text


def run(notebook: Path, output: Path, given: dict[str, str]) -> None:
    """Executes a notebook into `output`; a failed one is kept beside it as `NAME.failed.ipynb`, to look at.

    Raises:
        NotebookError: see `checked`; or a cell failed: its error, in a sentence; or the kernel died.
        WriteError: the output cannot be written.
    """
    values = checked(notebook, given)
    if output.is_dir():
        raise NotebookError(f"{output} is a folder; name the notebook to write, for example {output / notebook.name}.")
    failed = output.with_suffix(".failed.ipynb")
    with atomic.replacing(output) as temporary, tempfile.TemporaryDirectory(prefix="kernel-") as sockets:
        try:
            papermill.execute_notebook(
                str(notebook), str(temporary), values, progress_bar=False, stderr_file=_Relay(), stdout_file=_Relay(),
                config=_kernel(Path(sockets)),
            )  # fmt: skip
        except PapermillExecutionError as error:
            temporary.replace(failed)
            kind = "" if error.evalue.startswith(error.ename) else f"{error.ename}: "
            raise NotebookError(
                f"{notebook.name} stopped: {kind}{error.evalue} (the notebook so far: {failed})"
            ) from error
        except DeadKernelError as error:
            raise NotebookError(f"{notebook.name} stopped: its kernel died, most often for want of memory.") from error
    failed.unlink(missing_ok=True)


def _kernel(folder: Path) -> Config:
    # Sockets in the file system instead of TCP ports: nobody else on the machine can listen to the kernel. In a folder of its
    # own, since their names are numbers counted from 1: two notebooks in one folder would talk to each other's kernel.
    return Config({"KernelManager": {"transport": "ipc", "ip": str(folder / "socket")}})


class _Relay:
    """Passes on what the notebook prints, as it comes; it belongs on stderr, where all progress goes."""

    def write(self, text: str) -> None:
        tqdm.write(text.strip("\r"), file=sys.stderr, end="" if text.endswith("\n") else "\n")

    def flush(self) -> None:
        sys.stderr.flush()
