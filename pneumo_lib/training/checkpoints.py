"""Checkpoints of an interrupted run, with the settings that they belong to."""

import io
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from lightning.pytorch.plugins import TorchCheckpointIO

from pneumo_lib import atomic, paths
from pneumo_lib.errors import TrainingError, WriteError


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Names the file where writing it fails.

    Raises:
        TrainingError: no space, no permission.
    """
    try:
        yield
    except (OSError, WriteError) as error:
        cause = error.__cause__ if isinstance(error, WriteError) else error
        reason = getattr(cause, "strerror", None) or cause
        raise TrainingError(
            f"{paths.shown(path)} could not be written ({reason}); the last good checkpoint is kept: "
            "free disk space and restart; training resumes from it."
        ) from error


class WholeFiles(TorchCheckpointIO):
    """Checkpoints appear under their name only when they are whole.

    Lightning's own go through a temporary file in another folder, which is copied, and so not whole for a moment, where
    that is another disk.
    """

    def save_checkpoint(self, checkpoint, path, storage_options=None) -> None:
        buffer = io.BytesIO()
        torch.save(checkpoint, buffer)
        with writing(Path(path)), atomic.replacing(Path(path)) as temporary:
            temporary.write_bytes(buffer.getbuffer())


class Folder:
    """The checkpoints of one stage, in a folder next to its weights file."""

    def __init__(self, weights: Path):
        self.weights = weights
        self.path = weights.with_name(f"{weights.stem}-checkpoints")
        self.last = self.path / "last.ckpt"

    def open(self, settings: dict, force: bool) -> None:
        """Prepares the folder for a new or a resumed training.

        Args:
            settings: all that the weights depend on.
            force: begin, whatever is there.

        Raises:
            TrainingError: the checkpoint that is there was made with other settings.
        """
        if force:
            self.remove()
            self.weights.unlink(missing_ok=True)
        # Half-written files of a process that was killed.
        for left in self.weights.parent.glob(f".{self.weights.stem}.*.part.*"):
            left.unlink(missing_ok=True)
        about = self.path / "settings.json"
        if self.last.is_file() and about.is_file():
            refuse_other(self.path, json.loads(about.read_text(encoding="utf-8")), settings)
        with writing(about):
            atomic.write_json(about, settings)

    def remove(self) -> None:
        shutil.rmtree(self.path, ignore_errors=True)


def refuse_other(path: Path, found: dict, settings: dict) -> None:
    """Checks that what is at `path` was made with these settings.

    Raises:
        TrainingError: it was not; names the first setting that differs.
    """
    different = sorted(key for key in found | settings if found.get(key) != settings.get(key))
    if different:
        before = found.get(different[0], "the experiment's own")
        raise TrainingError(
            f"{paths.shown(path)} was trained with another {different[0]} ({before}); "
            "move its folder away, or train with force=True (-p force True) to replace it."
        )
