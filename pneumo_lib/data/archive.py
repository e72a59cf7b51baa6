"""Unpacking a downloaded ZIP archive: inside its folder only, every file whole or not there, carried on when interrupted."""

import lzma
import shutil
import stat
import zipfile
import zlib
from pathlib import Path, PurePosixPath

from tqdm import tqdm

from pneumo_lib import atomic
from pneumo_lib.errors import PneumoError


class ArchiveError(PneumoError):
    """An archive that is damaged, would write outside its folder, or does not fit on the disk."""


def is_archive(path: Path) -> bool:
    """Whether a file is there that ends like a ZIP archive; one that was cut off does not."""
    return path.is_file() and zipfile.is_zipfile(path)


def unpack(archive: Path, folder: Path) -> int:
    """Unpacks an archive into `folder` and returns its number of files.

    Files that are there with the right size are left alone. Every file's checksum is checked as it is written.

    Raises:
        ArchiveError: damaged or packed in an unknown way, a member outside `folder` or a link, or no room on the disk.
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
        raise ArchiveError(f"{archive} is damaged ({error}); delete it and run this again.") from error
    except RuntimeError as error:  # encrypted, or packed by a method that zipfile does not know (NotImplementedError)
        raise ArchiveError(f"{archive} cannot be unpacked ({error}); get it from its source again.") from error
    except OSError as error:
        raise ArchiveError(
            f"{archive} cannot be unpacked into {folder} ({error.strerror}); mend that and run again."
        ) from error


def _target(archive: Path, member: zipfile.ZipInfo, folder: Path) -> Path:
    parts = PurePosixPath(member.filename.replace("\\", "/")).parts
    if stat.S_ISLNK(member.external_attr >> 16) or not parts or parts[0] == "/" or ".." in parts or ":" in parts[0]:
        raise ArchiveError(
            f"{archive} holds {member.filename[:80]!r}, which leads out of the folder; do not use this archive."
        )
    return folder.joinpath(*parts)


def _is_there(target: Path, member: zipfile.ZipInfo) -> bool:
    return target.is_file() and target.stat().st_size == member.file_size


def _check_space(need: int, folder: Path) -> None:
    free = shutil.disk_usage(folder).free
    if free < need:
        raise ArchiveError(
            f"{folder}: unpacking needs {need / 1e9:.1f} GB, but the disk has {free / 1e9:.1f} GB left; free some."
        )


def _extract(content: zipfile.ZipFile, member: zipfile.ZipInfo, target: Path) -> None:
    with atomic.replacing(target) as temporary, content.open(member) as packed, temporary.open("wb") as file:
        shutil.copyfileobj(packed, file)
