"""Log of a run: on the console, and with the time in `log.txt` of its folder."""

import sys
from contextlib import suppress
from datetime import datetime
from pathlib import Path

NAME = "log.txt"


def say(folder: Path, text: str, console: bool = True) -> None:
    """Appends a line to the log of a run's folder and, unless `console` is false, prints it on stderr."""
    if console:
        print(text, file=sys.stderr)
    # A log that cannot be written does not stop a run; weights and records raise their own errors.
    with suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / NAME).open("a", encoding="utf-8") as log:
            log.write(f"{datetime.now():%Y-%m-%d %H:%M:%S} {text}\n")
