"""Files are whole or not there, and a disk that takes none is said in a sentence."""

import errno
import os

import pytest

from pneumo_lib import atomic
from pneumo_lib.errors import WriteError


def test_a_file_appears_when_its_block_ends(tmp_path):
    path = tmp_path / "a" / "b.txt"
    with atomic.replacing(path) as temporary:
        temporary.write_text("new")
        assert not path.exists() and temporary.parent == path.parent and temporary.suffix == ".txt"
    assert path.read_text() == "new" and list(path.parent.iterdir()) == [path]


def test_a_failing_block_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "b.txt"
    path.write_text("old")
    with pytest.raises(KeyError), atomic.replacing(path) as temporary:
        temporary.write_text("half")
        raise KeyError
    assert path.read_text() == "old" and list(tmp_path.iterdir()) == [path]


def test_two_at_once_do_not_share_a_temporary_file(tmp_path):
    path = tmp_path / "b.txt"
    with atomic.replacing(path) as one, atomic.replacing(path) as two:
        assert one != two
        one.write_text("one")
        two.write_text("two")
    assert path.read_text() == "one"


def test_the_longest_name_there_can_be(tmp_path):
    path = tmp_path / ("n" * 251 + ".txt")
    with atomic.replacing(path) as temporary:
        temporary.write_text("")
    assert path.is_file()


@pytest.mark.parametrize(
    ("path", "why"),
    [("file/b.txt", "a file where its folder"), ("file/a/b.txt", "a file where"), ("folder", "Is a dir")],
)
def test_a_place_where_no_file_can_be(tmp_path, path, why):
    (tmp_path / "file").write_text("")
    (tmp_path / "folder").mkdir()
    with pytest.raises(WriteError, match=f"could not be written .*{why}.*; fix this or choose another place"):
        atomic.write_json(tmp_path / path, 1)
    assert sorted(one.name for one in tmp_path.iterdir()) == ["file", "folder"]


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk(tmp_path, number):
    said = f"b.txt could not be written .{os.strerror(number)}"
    with pytest.raises(WriteError, match=said), atomic.replacing(tmp_path / "b.txt"):
        raise OSError(number, os.strerror(number))


def test_what_the_block_cannot_read_is_not_taken_for_a_failed_write(tmp_path):
    with pytest.raises(FileNotFoundError), atomic.replacing(tmp_path / "b.txt"):
        (tmp_path / "nothing").read_text()
