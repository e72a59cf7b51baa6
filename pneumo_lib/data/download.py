"""Download of SIIM-ACR from Kaggle: `pneumo download siim-stage1 --to DIR`.

The data may not be redistributed, so everyone fetches them with an account of their own. Kaggle's client does that
(`pip install 'pneumo-lib[download]'`); an archive downloaded by hand and put where the command says does as well. Not
kagglehub: both resume by range, but it refuses a folder that holds half an archive and ignores one put there by hand.
"""

import json
import lzma
import re
import shutil
import stat
import subprocess
import sys
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from tqdm import tqdm

from pneumo_lib import atomic, paths
from pneumo_lib.errors import DownloadError


def is_archive(path: Path) -> bool:
    """Whether a file is there that ends like a ZIP archive; one that was cut off does not."""
    return path.is_file() and zipfile.is_zipfile(path)


def unpack(archive: Path, folder: Path) -> int:
    """Unpacks an archive into `folder` and returns its number of files.

    Files that are there with the right size are left alone. Every file's checksum is checked as it is written.

    Raises:
        DownloadError: damaged or packed in an unknown way, a member outside `folder` or a link, or no room on the disk.
        WriteError: a file that cannot be written.
    """
    try:
        with zipfile.ZipFile(archive) as content:
            members = [member for member in content.infolist() if not member.is_dir()]
            targets = {member.filename: _target(archive, member, folder) for member in members}
            missing = [member for member in members if not _is_there(targets[member.filename], member)]
            folder.mkdir(parents=True, exist_ok=True)
            _check_space(sum(member.file_size for member in missing), folder)
            for member in tqdm(missing, unit="file", disable=None):
                _extract(content, member, targets[member.filename])
            return len(members)
    except (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError) as error:
        raise DownloadError(f"{archive} is damaged ({error}); delete it and run this again.") from error
    except RuntimeError as error:  # encrypted, or packed by a method that zipfile does not know (NotImplementedError)
        raise DownloadError(f"{archive} cannot be unpacked ({error}); get it from its source again.") from error
    except OSError as error:
        raise DownloadError(
            f"{archive} cannot be unpacked into {folder} ({error.strerror}); fix this and run again."
        ) from error


def _target(archive: Path, member: zipfile.ZipInfo, folder: Path) -> Path:
    parts = PurePosixPath(member.filename.replace("\\", "/")).parts
    if stat.S_ISLNK(member.external_attr >> 16) or not parts or parts[0] == "/" or ".." in parts or ":" in parts[0]:
        raise DownloadError(
            f"{archive} holds {member.filename[:80]!r}, which points outside the folder; do not use this archive."
        )
    return folder.joinpath(*parts)


def _is_there(target: Path, member: zipfile.ZipInfo) -> bool:
    return target.is_file() and target.stat().st_size == member.file_size


def _check_space(need: int, folder: Path) -> None:
    free = shutil.disk_usage(folder).free
    if free < need:
        raise DownloadError(
            f"{folder}: unpacking needs {need / 1e9:.1f} GB, but the disk has {free / 1e9:.1f} GB left; free some."
        )


def _extract(content: zipfile.ZipFile, member: zipfile.ZipInfo, target: Path) -> None:
    with atomic.replacing(target) as temporary, content.open(member) as packed, temporary.open("wb") as file:
        shutil.copyfileobj(packed, file)


MARK = "downloaded.json"


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
        r"could not find kaggle\.json|authenticate|authentication required|credentials",
        "no access token was found; log in with `kaggle auth login`, or create a token at kaggle.com/settings (API) and save "
        "it as ~/.kaggle/access_token (a legacy key: as ~/.kaggle/kaggle.json)",
    ),
    (
        r"401\b|unauthorized",
        "the access token was refused; log in again with `kaggle auth login`, or create a new token at kaggle.com/settings "
        "(API) and save it as ~/.kaggle/access_token (a legacy key: as ~/.kaggle/kaggle.json)",
    ),
    (r"403\b|forbidden", "access was refused; log in, open {page}, accept the rules there and run this again"),
    (r"404\b|not found", "it is not there any more; look at {page} for where it went"),
    (
        r"\w*connection|max retries|\w* ?resol|timed out|unreachable",
        "no connection to Kaggle; check the network and run this again",
    ),
)
"""What the client's output (a regular expression at a word's start) means for the user."""


def fetch(name: str, to: str | Path) -> Path:
    """Downloads, checks and unpacks a named source into the folder `to`, and returns that folder.

    What is there already is not fetched or unpacked again, so an interrupted call is carried on by the next.

    Raises:
        DownloadError: unknown source, another one in the folder, no client, no or a wrong token, rules not accepted, no
            network, or an archive that is damaged, unsafe or does not fit on the disk.
    """
    if name not in SOURCES:
        raise DownloadError(f"unknown source {name!r}; choose from {', '.join(SOURCES)}.")
    source, folder = SOURCES[name], paths.given(to)
    mark = folder / MARK
    if mark.is_file():
        _check_mark(mark, name)
    else:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise DownloadError(f"{folder} cannot be created ({error.strerror}); choose another folder.") from error
        archive = folder / source.archive
        if not is_archive(archive):
            _download(source, archive)
        files = unpack(archive, folder)
        atomic.write_json(mark, {"source": name, "files": files})
    return folder


def _check_mark(mark: Path, name: str) -> None:
    try:
        there = json.loads(mark.read_text(encoding="utf-8"))["source"]
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
            f"Kaggle's client {client} cannot be run ({error.strerror}); repair it, {by_hand}."
        ) from error
    if status:
        raise DownloadError(f"{source.archive} could not be downloaded: {_meaning(output, source)}; {by_hand}.")
    if not archive.is_file():
        raise DownloadError(f"Kaggle's client ended well but left no {archive}; update it, {by_hand}.")
    if not is_archive(archive):
        raise DownloadError(f"{archive} is damaged or cut off; delete it and run this again.")


def _run(command: list[str]) -> tuple[int, str]:
    """Runs the client with its progress shown; its exit status and the end of what it said."""
    tail = b""
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, bufsize=0
    ) as process:
        while process.stdout and (piece := process.stdout.read(4096)):
            sys.stderr.write(piece.decode(errors="replace"))
            tail = (tail + piece)[-4096:]
    return process.returncode, tail.decode(errors="replace")


def _meaning(output: str, source: Source) -> str:
    lines = output.strip().splitlines()[-20:] or ["nothing"]
    for signs, meaning in _MEANINGS:
        if re.search(rf"\b({signs})", "\n".join(lines), re.IGNORECASE):
            return meaning.format(page=source.page)
    return f"Kaggle's client says {lines[-1][:200]!r}"
