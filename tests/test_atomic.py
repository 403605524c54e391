"""Writing files: the old one or the new one, never half of one."""

import errno
import os
import subprocess
from pathlib import Path

import pytest

from opsin.atomic import replacing, saying_why, write_bytes, write_text
from opsin.errors import SavingError


def names_in(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture
def tiny_disk(tmp_path):
    """A disk of 64 KiB."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", place], capture_output=True)
    if mounted.returncode:
        pytest.skip("mounting a disk takes root")
    yield place
    subprocess.run(["umount", place], check=True)


def test_what_is_written_is_there_and_nothing_else(tmp_path):
    write_bytes(tmp_path / "new" / "a.bin", b"\0\xff")
    assert (tmp_path / "new" / "a.bin").read_bytes() == b"\0\xff"
    assert names_in(tmp_path / "new") == ["a.bin"]


def test_text_is_utf_8_and_its_line_ends_are_kept(tmp_path):
    write_text(tmp_path / "a.txt", "Grüße\r\n\n")
    assert (tmp_path / "a.txt").read_bytes() == b"Gr\xc3\xbc\xc3\x9fe\r\n\n"


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_an_interruption_leaves_the_old_file_and_nothing_half_written(tmp_path, error):
    (tmp_path / "a.txt").write_text("old")

    def write_half():
        with replacing(tmp_path / "a.txt") as temporary:
            temporary.write_text("ne")
            raise error

    with pytest.raises(error):
        write_half()
    assert (tmp_path / "a.txt").read_text() == "old"
    assert names_in(tmp_path) == ["a.txt"]


def test_until_the_end_the_old_file_is_seen(tmp_path):
    (tmp_path / "a.txt").write_text("old")
    with replacing(tmp_path / "a.txt") as temporary:
        temporary.write_text("new")
        assert (tmp_path / "a.txt").read_text() == "old"
    assert (tmp_path / "a.txt").read_text() == "new"


def test_a_file_is_on_the_disk_before_it_takes_its_place(tmp_path, monkeypatch):
    steps = []
    flush, replace = os.fsync, Path.replace
    monkeypatch.setattr(os, "fsync", lambda number: (steps.append("flush"), flush(number)))
    monkeypatch.setattr(Path, "replace", lambda self, to: (steps.append("rename"), replace(self, to)))
    write_bytes(tmp_path / "a", b"1")
    assert steps == ["flush", "rename"]


def test_the_temporary_file_has_the_same_suffix(tmp_path):
    with replacing(tmp_path / "model.keras") as temporary:
        assert temporary.suffix == ".keras"
        temporary.touch()


@pytest.mark.parametrize("name", ["ä" * 120 + ".png", "a." + "b" * 250, "𝄞" * 63, ".hidden", "-dash", "new\nline"])
def test_every_name_that_the_disk_takes_can_be_written(tmp_path, name):
    write_bytes(tmp_path / name, b"1")
    assert names_in(tmp_path) == [name]


def test_a_folder_replaces_an_older_one_as_a_whole(tmp_path):
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "old").touch()
    with replacing(tmp_path / "model") as temporary:
        temporary.mkdir()
        (temporary / "new").touch()
    assert names_in(tmp_path / "model") == ["new"]
    assert names_in(tmp_path) == ["model"]


def test_a_folder_that_cannot_take_its_place_leaves_the_old_one(tmp_path, monkeypatch):
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "old").touch()
    replace = Path.replace

    def fail_for_the_new(self, target):
        if self.name.endswith(".tmp"):
            raise OSError(errno.EIO, "Input/output error")
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", fail_for_the_new)
    with pytest.raises(SavingError, match="Input/output error"), replacing(tmp_path / "model") as temporary:
        temporary.mkdir()
    assert names_in(tmp_path) == ["model"]
    assert names_in(tmp_path / "model") == ["old"]


def test_many_files_are_written_as_one(tmp_path):
    with replacing(tmp_path / "many") as temporary:
        temporary.mkdir()
        for number in range(150):
            (temporary / str(number)).write_text(str(number))
    assert sorted(int(path.read_text()) for path in (tmp_path / "many").iterdir()) == list(range(150))


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_is_said_and_nothing_half_written_stays(tmp_path, monkeypatch, code):
    def fill_up(self, content):
        self.open("wb").write(content[:1])
        raise OSError(code, os.strerror(code))

    (tmp_path / "a").write_text("old")
    monkeypatch.setattr(Path, "write_bytes", fill_up)
    with pytest.raises(SavingError, match=r"the disk is full.*Make room"):
        write_bytes(tmp_path / "a", b"new")
    assert (tmp_path / "a").read_text() == "old"
    assert names_in(tmp_path) == ["a"]


def test_a_disk_that_is_really_full_keeps_what_was_there(tiny_disk):
    write_bytes(tiny_disk / "a", b"old")
    with pytest.raises(SavingError, match="the disk is full"):
        write_bytes(tiny_disk / "a", bytes(100_000))
    assert (tiny_disk / "a").read_bytes() == b"old"
    assert names_in(tiny_disk) == ["a"]


def test_a_file_where_a_folder_is_needed_is_said(tmp_path):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(SavingError, match="Could not write"):
        write_bytes(tmp_path / "file" / "a", b"1")
    assert (tmp_path / "file").read_text() == "mine"


def test_a_missing_permission_is_said(tmp_path):
    with pytest.raises(SavingError, match=r"Permission denied.*Choose a place"), saying_why(tmp_path / "a"):
        raise PermissionError(errno.EACCES, "Permission denied")


def test_a_link_stays_a_link_and_what_it_leads_to_is_replaced(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "a").write_text("old")
    (tmp_path / "link").symlink_to(tmp_path / "real" / "a")
    write_bytes(tmp_path / "link", b"new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real" / "a").read_text() == "new"


def test_the_folder_one_stands_in_can_be_written_as_a_dot(tmp_path, monkeypatch):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    with replacing(".") as temporary:
        temporary.mkdir()
        (temporary / "a").touch()
    assert names_in(tmp_path / "here") == ["a"]
