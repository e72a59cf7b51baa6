"""Runs a notebook with parameters, strictly: `pneumo notebook notebooks/train.ipynb out.ipynb -p exp exp4`.

This differs from papermill in five ways: an unknown parameter or a value of a different type from the default stops the
notebook before anything runs; the output appears only after the whole notebook has run; an error is one line; the kernel is
the Python that runs this command, whatever kernels a user has registered; and the output is not paired with a source file.
"""

import os
import re
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import nbformat
import papermill
from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import AsyncKernelManager
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
    wrong = f"{notebook} is not a notebook of the project; these are notebooks/*.ipynb."
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
            raise NotebookError(f"{name} must be true or false, not {text!r}.")
        return text.lower() == "true"
    if re.fullmatch(r"-?\d+", default):
        if not re.fullmatch(r"-?\d+", text):
            raise NotebookError(f"{name} must be a whole number, not {text!r}.")
        return int(text)
    return text


def run(notebook: Path, output: Path, given: dict[str, str]) -> None:
    """Executes a notebook into `output`; a failed one is kept next to it as `NAME.failed.ipynb`, to look at.

    Raises:
        NotebookError: see `checked`; or a cell failed: its error, in a sentence; or the kernel died.
        WriteError: the output cannot be written.
    """
    values = checked(notebook, given)
    if output.is_dir():
        raise NotebookError(f"{output} is a folder; name the notebook to write, for example {output / notebook.name}.")
    failed = output.with_suffix(".failed.ipynb")
    with atomic.replacing(output) as temporary, _transport() as transport:
        try:
            executed = papermill.execute_notebook(
                str(notebook), str(temporary), values, progress_bar=False, stderr_file=_Relay(), stdout_file=_Relay(),
                config=Config({"KernelManager": transport}), kernel_manager_class=OwnKernelManager,
            )  # fmt: skip
            # JupyterLab would write a .py file next to a notebook that is paired with one.
            executed.metadata.pop("jupytext", None)
            nbformat.write(executed, temporary)
        except PapermillExecutionError as error:
            temporary.replace(failed)
            kind = "" if error.evalue.startswith(error.ename) else f"{error.ename}: "
            raise NotebookError(
                f"{notebook.name} stopped: {kind}{error.evalue} (the notebook so far: {failed})"
            ) from error
        except DeadKernelError as error:
            raise NotebookError(
                f"{notebook.name} stopped: its kernel died, most often because memory ran out."
            ) from error
    failed.unlink(missing_ok=True)


class OwnKernelManager(AsyncKernelManager):
    """Starts kernels with the Python that runs this process.

    A kernel named python3 that a user has registered may belong to another Python, which lacks this package.
    """

    @property
    def kernel_spec(self) -> KernelSpec:
        argv = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
        return KernelSpec(argv=argv, display_name="Python 3 (ipykernel)", language="python")


_LONGEST_SOCKET = 103
"""Bytes in the path of a socket on macOS; Linux allows four more."""


@contextmanager
def _transport() -> Iterator[dict]:
    """How a kernel is reached: sockets in the file system where a temporary folder has a short enough name, else TCP ports.

    Nobody else on the machine can listen to a socket in a private folder. Each kernel has its own folder because sockets are
    numbered from 1: two notebooks sharing a folder would talk to each other's kernel.
    """
    for place in (tempfile.gettempdir(), "/tmp"):
        if len(os.fsencode(place)) + len("/kernel-12345678/socket-5") > _LONGEST_SOCKET or not os.access(
            place, os.W_OK
        ):
            continue
        with tempfile.TemporaryDirectory(prefix="kernel-", dir=place) as folder:
            yield {"transport": "ipc", "ip": f"{folder}/socket"}
        return
    yield {}


class _Relay:
    """Passes on what the notebook prints, as it comes; it belongs on stderr, where all progress goes."""

    def write(self, text: str) -> None:
        tqdm.write(text.strip("\r"), file=sys.stderr, end="" if text.endswith("\n") else "\n")

    def flush(self) -> None:
        sys.stderr.flush()
