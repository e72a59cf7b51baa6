"""Getting a copy of SIIM-ACR from Kaggle: `python -m pneumo_lib.data.download siim-stage1 --to DIR`.

The data may not be redistributed, so everyone fetches them with an account of their own. Kaggle's client does that
(`pip install 'pneumo-lib[download]'`); an archive downloaded by hand and put where the command says does as well.
"""

import argparse
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pneumo_lib import atomic, paths
from pneumo_lib.data import siim
from pneumo_lib.data.archive import ArchiveError, is_archive, unpack
from pneumo_lib.errors import PneumoError

MARK = "downloaded.json"


class DownloadError(PneumoError):
    """A data set that could not be fetched."""


@dataclass(frozen=True)
class Source:
    """Where a copy is: `command` are the arguments for Kaggle's client, `archive` the file it leaves, `page` its web page."""

    what: str
    command: tuple[str, ...]
    archive: str
    page: str


SOURCES = {
    "siim-stage1": Source(
        "stage-1 DICOM files and train-rle.csv",
        ("datasets", "download", "jesperdramsch/siim-acr-pneumothorax-segmentation-data"),
        "siim-acr-pneumothorax-segmentation-data.zip",
        "https://www.kaggle.com/datasets/jesperdramsch/siim-acr-pneumothorax-segmentation-data",
    ),
    "siim-stage2": Source(
        "the competition's own stage-2 files (accept the competition's rules on its page first)",
        ("competitions", "download", "siim-acr-pneumothorax-segmentation"),
        "siim-acr-pneumothorax-segmentation.zip",
        "https://www.kaggle.com/competitions/siim-acr-pneumothorax-segmentation/rules",
    ),
    "png": Source(
        "PNG images and masks",
        ("datasets", "download", "vbookshelf/pneumothorax-chest-xray-images-and-masks"),
        "pneumothorax-chest-xray-images-and-masks.zip",
        "https://www.kaggle.com/datasets/vbookshelf/pneumothorax-chest-xray-images-and-masks",
    ),
}
"""The copies that users can get; none was checked live."""

_MEANINGS = (
    (
        r"could not find kaggle\.json|authenticate|credentials",
        "no token was found; make one on your account page there (Settings, API) and save it as ~/.kaggle/kaggle.json",
    ),
    (
        r"401\b|unauthorized",
        "the token was refused; make a new one on your account page there and save it as ~/.kaggle/kaggle.json",
    ),
    (r"403\b|forbidden", "access was refused; log in, open {page}, accept the rules there and run this again"),
    (r"404\b|not found", "it is not there any more; look at {page} for where it went"),
    (
        r"\w*connection|max retries|\w* ?resol|timed out|unreachable",
        "there is no connection to Kaggle; mend the network and run this again",
    ),
)
"""What the client's output (a regular expression at a word's start) means for the user."""


def fetch(name: str, to: str | Path) -> Path:
    """Downloads, checks and unpacks a named source into the folder `to`, and returns that folder.

    What is there already is not fetched or unpacked again, so an interrupted call is carried on by the next.

    Raises:
        DownloadError: unknown source, another one in the folder, no client, no or a wrong token, rules not accepted, no
            network.
        ArchiveError: the archive is damaged, unsafe or does not fit on the disk.
        SiimError: what came is no copy of SIIM-ACR.
    """
    if name not in SOURCES:
        raise DownloadError(f"source {name!r} is unknown; choose one of {', '.join(SOURCES)}.")
    source, folder = SOURCES[name], paths.given(to)
    mark = folder / MARK
    if mark.is_file():
        _check_mark(mark, name)
    else:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise DownloadError(f"{folder} cannot be made ({error.strerror}); name another folder.") from error
        archive = folder / source.archive
        if not is_archive(archive):
            _download(source, archive)
        files = unpack(archive, folder)
        atomic.write_json(mark, {"source": name, "files": files})
    return folder


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m pneumo_lib.data.download", description="Get a copy of SIIM-ACR.")
    listed = "; ".join(f"{name}: {source.what}" for name, source in SOURCES.items())
    parser.add_argument("source", choices=SOURCES, help=listed)
    parser.add_argument("--to", required=True, metavar="DIR", help="folder to put it in")
    chosen = parser.parse_args(arguments)
    try:
        folder = fetch(chosen.source, chosen.to)
        print(siim.report(siim.load_index(folder)).to_string(index=False))
    except PneumoError as error:
        print(error, file=sys.stderr)
        return 1
    print(f"{folder} is ready; pass it as the parameter `data`. The archive in it may be deleted.")
    return 0


def _check_mark(mark: Path, name: str) -> None:
    try:
        there = json.loads(mark.read_text())["source"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DownloadError(f"{mark} is damaged; delete it and run this again.") from error
    if there != name:
        raise DownloadError(f"{mark.parent} holds {there}, not {name}; name another folder.")


def _download(source: Source, archive: Path) -> None:
    by_hand = f"or download it by hand from {source.page}, save it as {archive} and run this again"
    client = shutil.which("kaggle") or shutil.which("kaggle", path=str(Path(sys.executable).parent))
    if client is None:
        raise DownloadError(f"Kaggle's client is not installed; pip install 'pneumo-lib[download]', {by_hand}.")
    try:
        status, output = _run([client, *source.command, "--path", str(archive.parent)])
    except OSError as error:
        raise DownloadError(
            f"Kaggle's client {client} cannot be run ({error.strerror}); mend it, {by_hand}."
        ) from error
    if status:
        raise DownloadError(f"{source.archive} could not be downloaded: {_meaning(output, source)}; {by_hand}.")
    if not archive.is_file():
        raise DownloadError(f"Kaggle's client ended well but left no {archive}; update it, {by_hand}.")
    if not is_archive(archive):
        raise ArchiveError(f"{archive} is damaged or cut off; delete it and run this again.")


def _run(command: list[str]) -> tuple[int, str]:
    """Runs the client with its progress shown; its exit status and the end of what it said."""
    tail = b""
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, bufsize=0
    ) as process:
        while piece := process.stdout.read(4096):
            sys.stderr.write(piece.decode(errors="replace"))
            tail = (tail + piece)[-4096:]
    return process.returncode, tail.decode(errors="replace")


def _meaning(output: str, source: Source) -> str:
    lines = output.strip().splitlines()[-20:] or ["nothing"]
    for signs, meaning in _MEANINGS:
        if re.search(rf"\b({signs})", "\n".join(lines), re.IGNORECASE):
            return meaning.format(page=source.page)
    return f"Kaggle's client says {lines[-1][:200]!r}"


if __name__ == "__main__":
    sys.exit(main())
