"""Locks that end with their process, however it ends: a killed one leaves nothing behind."""

import fcntl
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from pneumo_lib.errors import BusyError, WriteError


@contextmanager
def held(path: Path, what: str) -> Iterator[None]:
    """Holds a lock file for this process alone.

    Args:
        path: of the lock file; it stays, empty or with the last holder's process number.
        what: is being worked on, for the message.

    Raises:
        BusyError: another process holds it; says which.
        WriteError: the file cannot be made.
    """
    descriptor = _acquired(path, what)
    try:
        yield
    finally:
        os.close(descriptor)


def _acquired(path: Path, what: str) -> int:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    except OSError as error:
        raise WriteError(
            f"cannot write {path} ({error.strerror}); make its folder writable, then run again."
        ) from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        holder = os.read(descriptor, 20).decode("ascii", "replace").strip()
        os.close(descriptor)
        number = f" (number {holder})" if holder else ""
        raise BusyError(f"another process{number} is working on {what}; wait until it ends, or stop it.") from error
    except OSError:
        # Some network file systems have no locks; work continues without one there.
        return descriptor
    with suppress(OSError):
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
    return descriptor


def main() -> None:
    """`python -m pneumo_lib.locks FILE COMMAND ...`: becomes the command, with the lock held until it ends."""
    path, *command = sys.argv[1:]
    try:
        descriptor = _acquired(Path(path), f"this folder with make ({Path.cwd()})")
    except (BusyError, WriteError) as error:
        sys.exit(f"error: {error}")
    os.set_inheritable(descriptor, True)
    os.execvp(command[0], command)


if __name__ == "__main__":
    main()
