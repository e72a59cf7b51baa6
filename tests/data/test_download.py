import os
import stat
import sys
import zipfile
from pathlib import Path

import pytest

from pneumo_lib import cli
from pneumo_lib.data import download
from pneumo_lib.data.download import SOURCES
from pneumo_lib.errors import DownloadError, ParameterError

NAME = "siim-stage1"


@pytest.fixture
def packed(copy, tmp_path) -> Path:
    """A copy of the challenge as an archive."""
    path = tmp_path / "packed.zip"
    with zipfile.ZipFile(path, "w") as content:
        for file in sorted(one for one in copy.rglob("*") if one.is_file()):
            content.write(file, Path("siim") / file.relative_to(copy))
    return path


@pytest.fixture
def client(tmp_path, monkeypatch):
    """Installs a client that does what the test says, and notes how it was called."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}/usr/bin{os.pathsep}/bin")

    def install(script: str) -> Path:
        program = folder / "kaggle"
        program.write_text(f'#!/bin/sh\necho "$@" >> "{tmp_path}/calls"\n{script}\n')
        program.chmod(0o755)
        return tmp_path / "calls"

    return install


def arriving(packed: Path, name: str = NAME) -> str:
    """A client's script that leaves the archive where `--path` (the fifth argument) says."""
    return f'cp "{packed}" "$5/{SOURCES[name].archive}"'


@pytest.mark.parametrize("name", SOURCES)
def test_downloads_and_unpacks(client, packed, tmp_path, name):
    calls = client(arriving(packed, name))
    folder = download.fetch(name, tmp_path / "data")
    assert folder == tmp_path / "data"
    assert len(list(folder.rglob("*.dcm"))) == 6
    assert calls.read_text().split()[:4] == [*SOURCES[name].command, "--path"]


def test_the_command_ends_with_the_index_report(client, packed, tmp_path, capfd):
    client(arriving(packed))
    assert cli.main(["download", NAME, "--to", str(tmp_path / "data")]) == 0
    said = capfd.readouterr().out
    assert "labelled" in said
    assert f"{tmp_path / 'data'} is ready" in said


def test_a_source_that_is_none_lists_those_there_are(tmp_path, capsys):
    assert cli.main(["download", "elsewhere", "--to", str(tmp_path)]) == 1
    said = capsys.readouterr().err
    assert all(name in said for name in SOURCES)


def test_unknown_source(tmp_path):
    with pytest.raises(DownloadError, match="siim-stage1, siim-stage2, png"):
        download.fetch("elsewhere", tmp_path)


def test_what_is_there_is_not_fetched_again(client, packed, tmp_path):
    calls = client(arriving(packed))
    download.fetch(NAME, tmp_path / "data")
    (tmp_path / "data" / SOURCES[NAME].archive).unlink()
    download.fetch(NAME, tmp_path / "data")
    assert calls.read_text().count("\n") == 1


def test_an_archive_put_there_by_hand_needs_no_client(packed, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    (tmp_path / "data").mkdir()
    packed.rename(tmp_path / "data" / SOURCES[NAME].archive)
    assert len(list(download.fetch(NAME, tmp_path / "data").rglob("*.dcm"))) == 6


# --- what can go wrong -------------------------------------------------------------------------------------------


def test_no_client_says_how_to_do_without(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    with pytest.raises(DownloadError) as caught:
        download.fetch(NAME, tmp_path / "data")
    said = str(caught.value)
    assert "pneumo-lib[download]" in said
    assert SOURCES[NAME].page in said
    assert str(tmp_path / "data" / SOURCES[NAME].archive) in said


@pytest.mark.parametrize(
    ("output", "said"),
    [
        ("OSError: Could not find kaggle.json. Make sure it is located in /root/.kaggle.", "no access token was found"),
        ("You must authenticate before you can call the Kaggle API.", "no access token was found"),
        ("401 - Unauthorized", "token was refused"),
        ("401 Client Error: Unauthorized for url", "token was refused"),
        ("403 - Forbidden - Permission 'competitions.participate' was denied", "accept the rules there"),
        ("404 - Not Found", "not there any more"),
        ("Max retries exceeded with url: (Caused by NewConnectionError(...))", "no connection"),
        ("Failed to resolve 'www.kaggle.com' ([Errno -3] Temporary failure in name resolution)", "no connection"),
        ("requests.exceptions.ConnectionError: ('Connection aborted.')", "no connection"),
        ("Read timed out.", "no connection"),
        ("  5%|  403M/8.0G\nsomething new", "says 'something new'"),
        ("", "says 'nothing'"),
    ],
)
def test_a_failing_client(client, tmp_path, output, said, capfd):
    client(f"cat <<'END' >&2\n{output}\nEND\nexit 1")
    with pytest.raises(DownloadError, match=said) as caught:
        download.fetch("siim-stage2", tmp_path / "data")
    assert "\n" not in str(caught.value)
    assert "by hand" in str(caught.value)
    assert output in capfd.readouterr().err  # the client's own words are shown as they come


def test_errors_on_the_command_line_are_one_line(client, tmp_path, capfd):
    client("echo '403 - Forbidden'; exit 1")
    assert cli.main(["download", "siim-stage2", "--to", str(tmp_path / "data")]) == 1
    said = capfd.readouterr().err.strip().splitlines()
    assert said[-1].startswith(
        "error: siim-acr-pneumothorax-segmentation.zip could not be downloaded: access was refused"
    )
    assert "/rules" in said[-1]


def test_a_client_that_leaves_nothing_or_half(client, packed, tmp_path):
    client("true")
    with pytest.raises(DownloadError, match="left no"):
        download.fetch(NAME, tmp_path / "data")
    client(f'head -c 2000 "{packed}" > "$5/{SOURCES[NAME].archive}"')
    with pytest.raises(DownloadError, match="cut off; delete it"):
        download.fetch(NAME, tmp_path / "data")


def test_a_partial_archive_is_fetched_again(client, packed, tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / SOURCES[NAME].archive).write_bytes(packed.read_bytes()[:2000])
    client(arriving(packed))
    assert len(list(download.fetch(NAME, tmp_path / "data").rglob("*.dcm"))) == 6


def test_what_is_no_copy_of_the_challenge(client, tmp_path, capfd):
    path = tmp_path / "other.zip"
    with zipfile.ZipFile(path, "w") as content:
        content.writestr("readme.txt", "hello")
    client(arriving(path))
    assert cli.main(["download", NAME, "--to", str(tmp_path / "data")]) == 1
    assert "no copy of SIIM-ACR in" in capfd.readouterr().err


def test_a_target_that_is_a_file(tmp_path):
    (tmp_path / "data").write_text("")
    with pytest.raises(DownloadError, match="cannot be created"):
        download.fetch(NAME, tmp_path / "data")


# --- archives ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("entry", "header", "value", "why"), [(8, 6, 1, "encrypted"), (10, 8, 99, "compression method")]
)
def test_a_member_that_no_reader_opens_is_not_called_damaged(packed, tmp_path, entry, header, value, why):
    """Bit 0 of the flags says encrypted, 99 is no method; both stand in the directory and before the member."""
    content = bytearray(packed.read_bytes())
    content[content.index(b"PK\1\2") + entry] = value
    content[content.index(b"PK\3\4") + header] = value
    packed.write_bytes(content)
    with pytest.raises(DownloadError, match=rf"packed\.zip cannot be unpacked \(.*{why}"):
        download.unpack(packed, tmp_path / "out")


def test_a_damaged_member_is_named_and_not_left_behind(packed, tmp_path):
    content = bytearray(packed.read_bytes())
    with zipfile.ZipFile(packed) as opened:
        member = next(one for one in opened.infolist() if one.filename.endswith("1.2.3.dcm"))
    content[member.header_offset + 30 + len(member.filename) + 400] ^= 0xFF
    packed.write_bytes(content)
    with pytest.raises(DownloadError, match=r"packed\.zip is damaged.*1\.2\.3\.dcm"):
        download.unpack(packed, tmp_path / "out")
    assert not list((tmp_path / "out").rglob("*1.2.3*"))


@pytest.mark.parametrize(
    "name", ["../evil.txt", "a/../../evil.txt", "/evil.txt", "..\\evil.txt", "C:\\evil.txt", "\\evil.txt"]
)
def test_members_that_lead_out_are_refused_before_anything_is_written(tmp_path, name):
    path = tmp_path / "bad.zip"
    with zipfile.ZipFile(path, "w") as content:
        content.writestr("good.txt", "good")
        content.writestr(name, "evil")
    with pytest.raises(DownloadError, match="points outside the folder"):
        download.unpack(path, tmp_path / "out" / "deep")
    assert not list(tmp_path.rglob("*.txt"))


def test_links_are_refused(tmp_path):
    path = tmp_path / "bad.zip"
    link = zipfile.ZipInfo("link")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(path, "w") as content:
        content.writestr(link, "/etc/passwd")
    with pytest.raises(DownloadError, match="'link'"):
        download.unpack(path, tmp_path / "out")


def test_carried_on_where_it_was_interrupted(packed, tmp_path, monkeypatch):
    extract, done = download._extract, []

    def interrupted(content, member, target):
        if len(done) == 3:
            raise KeyboardInterrupt
        done.append(target)
        extract(content, member, target)

    monkeypatch.setattr(download, "_extract", interrupted)
    with pytest.raises(KeyboardInterrupt):
        download.unpack(packed, tmp_path / "out")
    monkeypatch.setattr(
        download, "_extract", lambda content, member, target: done.append(target) or extract(content, member, target)
    )
    assert download.unpack(packed, tmp_path / "out") == 7
    assert len(done) == len(set(done)) == 7


def test_no_room(packed, tmp_path, monkeypatch):
    usage = download.shutil.disk_usage(tmp_path)._replace(free=100)
    monkeypatch.setattr(download.shutil, "disk_usage", lambda folder: usage)
    with pytest.raises(DownloadError, match="disk has 0.0 GB left"):
        download.unpack(packed, tmp_path)


def test_a_folder_with_another_source_is_not_taken_for_this_one(client, packed, tmp_path):
    client(arriving(packed))
    download.fetch(NAME, tmp_path / "data")
    with pytest.raises(DownloadError, match=f"holds {NAME}, not png; name another folder"):
        download.fetch("png", tmp_path / "data")


@pytest.mark.parametrize("text", ["", "[]", "{}"])
def test_a_damaged_mark(tmp_path, text):
    (tmp_path / download.MARK).write_text(text)
    with pytest.raises(DownloadError, match="is damaged; delete it and run this again"):
        download.fetch(NAME, tmp_path)


def test_a_client_that_is_no_program(client, tmp_path):
    client("")
    (tmp_path / "bin" / "kaggle").write_bytes(b"\0 no program")
    with pytest.raises(DownloadError, match="cannot be run .*or download it by hand"):
        download.fetch(NAME, tmp_path / "data")


def test_a_home_folder_of_nobody():
    with pytest.raises(ParameterError, match="~nobody-of-that-name/x begins with the home folder"):
        download.fetch(NAME, "~nobody-of-that-name/x")
