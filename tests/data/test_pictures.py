"""`find_pictures`: every picture of a folder, in order, with class names where it has some."""

from pathlib import Path

import pytest

from opsin.data.dataset import ImageDataset
from opsin.data.pictures import find_pictures
from opsin.errors import DataError, UsageError


def found(source, root: Path) -> list[tuple[str, str]]:
    pictures = find_pictures(source)
    labels = pictures.labels or ("-",) * len(pictures)
    return [(Path(p).relative_to(root).as_posix(), label) for p, label in zip(pictures.paths, labels, strict=True)]


def test_class_folders_give_labels(pictures):
    root = pictures({"dog": 1, "cat": 2})

    assert found(root, root) == [("cat/0.png", "cat"), ("cat/1.png", "cat"), ("dog/0.png", "dog")]


def test_split_folders_give_the_labels_within(pictures):
    root = pictures({"train/cat": 1, "train/dog": 1, "test/cat": 1, "test/dog": 0})

    assert found(root, root) == [("test/cat/0.png", "cat"), ("train/cat/0.png", "cat"), ("train/dog/0.png", "dog")]


def test_pictures_beside_class_folders_are_taken_without_a_label(pictures):
    root = pictures({".": ["10.png", "9.png"], "cat": 1})

    assert found(root, root) == [("9.png", ""), ("10.png", ""), ("cat/0.png", "cat")]


def test_a_plain_folder_has_no_labels(pictures):
    root = pictures({".": 2})

    assert found(root, root) == [("0.png", "-"), ("1.png", "-")]


def test_folders_that_are_no_data_set_are_walked_through(pictures):
    root = pictures({"train/cat": 1, "train/dog": 1, "test": 1})

    assert found(root, root) == [("test/0.png", "-"), ("train/cat/0.png", "-"), ("train/dog/0.png", "-")]


def test_a_csv_and_a_data_set_give_what_they_list(pictures):
    root = pictures({"all": 3})
    (root / "list.csv").write_text("path,label\nall/2.png,b\nall/gone.png,b\nall/0.png,a\n")

    expected = [("all/2.png", "b"), ("all/0.png", "a")]
    assert found(root / "list.csv", root) == expected
    assert found(ImageDataset.from_csv(root / "list.csv"), root) == expected
    assert find_pictures(root / "list.csv").lost == ((str(root / "all" / "gone.png"), "there is no such file"),)


def test_files_are_taken_as_they_are(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    pictures = find_pictures(["b.png", tmp_path / "a.png"])

    assert (pictures.paths, pictures.labels) == ((str(tmp_path / "b.png"), str(tmp_path / "a.png")), ())


def test_what_is_left_out_of_a_folder_is_said(pictures):
    root = pictures({"cat": 1, ".hidden": 1})
    (root / "cat" / "notes.txt").touch()
    (root / "cat" / "gone.png").symlink_to(root / "nowhere.png")

    pictures = find_pictures(root)

    assert {one.path: one.lost for one in pictures.skipped} == {
        ".hidden/": False,
        "cat/notes.txt": False,
        "cat/gone.png": True,
    }
    assert [path for path, _ in pictures.lost] == [str(root / "cat" / "gone.png")]


def test_a_folder_without_pictures_is_an_error(tmp_path):
    (tmp_path / "notes.txt").touch()

    with pytest.raises(DataError, match=r"found none in .*Left out: 1 × not a picture's suffix \(\.txt\)\."):
        find_pictures(tmp_path)


def test_nothing_at_the_path_is_wrong_usage(tmp_path):
    with pytest.raises(UsageError, match="nothing at"):
        find_pictures(tmp_path / "no")


def test_a_csv_without_labels_is_an_error(pictures):
    root = pictures({"all": 1})
    (root / "list.csv").write_text("path\nall/0.png\n")

    with pytest.raises(DataError, match="missing: label"):
        find_pictures(root / "list.csv")
