"""Files that are either whole or not there: write under a temporary name, then rename."""

import errno
import json
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pandas as pd

from pneumo_lib.errors import WriteError

NO_ROOM = (errno.ENOSPC, errno.EDQUOT)


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Gives a temporary name in the folder of `path` to write to; renames it to `path` if the block ends well.

    Raises:
        WriteError: no room, no permission, or a file where a folder should be; other errors of the block pass through.
    """
    path = Path(path)
    # By chance and not by process number, which processes on two machines that share the folder may have in common. The
    # suffix stays, because some writers go by it; the stem may be as long as a name can be.
    temporary = path.with_name(f".{path.stem[:40]}.{secrets.token_hex(4)}.part{path.suffix}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        temporary.replace(path)
    except OSError as error:
        # What the block reads may fail too, and that is not this file's fault.
        if error.errno not in NO_ROOM and error.filename not in map(str, (temporary, *path.parents)):
            raise
        no_folder = error.errno in (errno.EEXIST, errno.ENOTDIR)
        what = "there is a file where its folder should be" if no_folder else error.strerror or error
        raise WriteError(
            f"{path} could not be written ({what}); fix this or choose another place, then run again."
        ) from error
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def write_json(path: Path, value) -> None:
    """Writes plain values as indented JSON; NaN is refused, as no other reader would take it."""
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(value, indent=2, allow_nan=False) + "\n", encoding="utf-8")


def update_text(path: Path, text: str) -> None:
    """Writes a text unless the file holds it already, so that what is made from the file is not made again."""
    if not path.is_file() or path.read_text(encoding="utf-8") != text:
        with replacing(path) as temporary:
            temporary.write_text(text, encoding="utf-8")


def copy(source: Path, target: Path) -> Path:
    """Copies a file's content; returns `target`."""
    with replacing(target) as temporary:
        shutil.copyfile(source, temporary)
    return Path(target)


def write_csv(path: Path, table: pd.DataFrame) -> None:
    """Writes a table without its row labels."""
    with replacing(path) as temporary:
        table.to_csv(temporary, index=False)
