"""`opsin predict --copy-to`: copies in class folders; nothing is moved, nothing overwritten."""

import os

import numpy as np
import pytest

from opsin.classifier import Prediction
from opsin.cli.copies import Copies, folder_names
from opsin.errors import ExitCode, SavingError, UsageError


def answer(path, index=0, names=("cat", "dog")):
    return Prediction(str(path), np.eye(len(names))[index], names)


def tree(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_pictures_are_sorted_into_class_folders_and_stay_where_they_are(opsin, tiny_run, tiny_data, tmp_path):
    pictures = [tiny_data / name / "0.png" for name in ("checks", "discs", "stripes")]
    (tmp_path / "broken.png").write_bytes(b"broken")
    before = [path.read_bytes() for path in pictures]

    done = opsin("predict", tiny_run, *pictures, tmp_path / "broken.png", "--copy-to", tmp_path / "sorted")

    assert done.code == ExitCode.UNUSABLE
    assert [path.read_bytes() for path in pictures] == before
    expected = zip(("checks/0.png", "discs/0.png", "stripes/0.png"), before, strict=True)
    assert tree(tmp_path / "sorted") == dict(expected)


def test_what_is_below_the_threshold_goes_to_unknown(opsin, tiny_run, tiny_data, tmp_path):
    picture = tiny_data / "discs" / "0.png"

    done = opsin("predict", tiny_run, picture, "--copy-to", tmp_path / "sorted", "--threshold", 1)

    assert "  unknown: discs " in done.out
    assert list(tree(tmp_path / "sorted")) == ["unknown/0.png"]


def test_a_name_that_is_taken_gets_a_number_and_the_same_picture_is_copied_once(tmp_path):
    (tmp_path / "sorted" / "cat").mkdir(parents=True)
    (tmp_path / "sorted" / "cat" / "a.png").write_bytes(b"mine")
    for number in range(3):
        (tmp_path / str(number)).mkdir()
        (tmp_path / str(number) / "a.png").write_bytes(bytes([number]))
    copies = Copies(tmp_path / "sorted", ["cat", "dog"])

    made = [copies.add(answer(tmp_path / str(number) / "a.png")).name for number in (0, 1, 2, 1, 0)]

    assert made == ["a_2.png", "a_3.png", "a_4.png", "a_3.png", "a_2.png"]
    assert tree(tmp_path / "sorted") == {
        "cat/a.png": b"mine",
        "cat/a_2.png": b"\0",
        "cat/a_3.png": b"\1",
        "cat/a_4.png": b"\2",
    }


def test_a_link_that_leads_nowhere_is_not_written_through(tmp_path):
    (tmp_path / "a.png").write_bytes(b"a")
    (tmp_path / "sorted" / "cat").mkdir(parents=True)
    (tmp_path / "sorted" / "cat" / "a.png").symlink_to(tmp_path / "elsewhere")

    Copies(tmp_path / "sorted", ["cat"]).add(answer(tmp_path / "a.png"))

    assert not (tmp_path / "elsewhere").exists()
    assert (tmp_path / "sorted" / "cat" / "a_2.png").read_bytes() == b"a"


def test_a_copy_that_finds_no_room_is_an_error_and_leaves_nothing(tmp_path, monkeypatch):
    def fill_up(source, target):
        target.write_bytes(b"half")
        raise OSError(28, os.strerror(28))

    (tmp_path / "a.png").write_bytes(b"a")
    monkeypatch.setattr("shutil.copyfile", fill_up)

    with pytest.raises(SavingError, match="the disk is full"):
        Copies(tmp_path / "sorted", ["cat"]).add(answer(tmp_path / "a.png"))
    assert tree(tmp_path / "sorted") == {}


def test_class_names_become_folders_that_every_system_takes_and_that_differ():
    labels = ["a/b", "a\\b", "..", "", "con", "NUL.txt", "Cat", "cat", "end. ", "x" * 300, "x" * 299, "grün"]

    names = folder_names(labels)

    assert list(names.values()) == [
        *("a_b", "a_b_2", "_", "__2", "con_", "NUL.txt_", "Cat", "cat_2", "end", "x" * 100, "x" * 100 + "_2", "grün"),
    ]


@pytest.mark.parametrize("place", ["photos", "photos/sorted"])
def test_copies_are_not_put_where_they_would_be_found_as_pictures(opsin, tiny_run, pictures, tmp_path, place):
    pictures({".": ["a.png"]})

    for options in (["--watch"], []):
        done = opsin("predict", tiny_run, "--copy-to", tmp_path / place, *options, tmp_path / "photos")
        assert done.code == ExitCode.USAGE
        assert "would be found as pictures again" in done.err


def test_a_file_is_no_place_for_copies(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="is a file"):
        Copies(tmp_path / "file", ["cat"])
