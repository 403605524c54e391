"""`files.csv`, the account of every file."""

import csv
import os
from pathlib import Path

import pytest

from opsin.data.account import COLUMNS, known_parts, read_parts, write_account
from opsin.data.dataset import ImageDataset
from opsin.data.walk import Skipped
from opsin.errors import DataError, UsageError

STRANGE = [
    "with space",
    "ünï ☃",
    "new\nline",
    "carriage\rreturn",
    "-dash",
    'quo"te',
    "com,ma",
    os.fsdecode(b"b\xff\xfe"),
]


@pytest.fixture
def animals(pictures):
    """20 cats and 10 dogs."""
    return ImageDataset.from_folder(pictures({"cat": 20, "dog": 10}))


def from_csv(folder, rows, columns="path,label"):
    (folder / "data.csv").write_text("\n".join([columns, *rows]) + "\n")
    return ImageDataset.from_csv(folder / "data.csv")


def accounted(path):
    with Path(path).open(newline="", encoding="utf-8", errors="surrogateescape") as handle:
        return list(csv.DictReader(handle))


def test_every_file_is_accounted_for(pictures, tmp_path):
    root = pictures({"cat": 3, "dog": 3})
    (root / "cat" / "notes.txt").touch()
    train, val, test = ImageDataset.from_folder(root).split(val=0.34, test=0.34)
    broken = val.names[0]
    write_account(
        tmp_path / "files.csv", {"train": train, "val": val, "test": test}, {"val": [Skipped(broken, "it is damaged")]}
    )
    rows = accounted(tmp_path / "files.csv")
    assert tuple(rows[0]) == COLUMNS
    assert len(rows) == 7
    by_path = {row["path"]: row for row in rows}
    assert by_path[train.names[0]] == {
        "path": train.names[0],
        "label": train.names[0].split("/")[0],
        "split": "train",
        "group": "",
        "bytes": str((root / train.names[0]).stat().st_size),
        "status": "used",
        "reason": "",
    }
    assert (by_path[broken]["split"], by_path[broken]["status"], by_path[broken]["reason"]) == (
        "val",
        "skipped",
        "it is damaged",
    )
    assert (by_path["cat/notes.txt"]["status"], by_path["cat/notes.txt"]["reason"]) == (
        "skipped",
        "not a picture's suffix (.txt)",
    )


def test_any_name_comes_back_from_the_account(pictures, tmp_path):
    root = pictures({name: [f"{name} {number}.png" for number in range(4)] for name in STRANGE})
    (root / STRANGE[0] / "skipped\r").touch()
    data = ImageDataset.from_folder(root)
    splits = data.split()
    write_account(tmp_path / "files.csv", dict(zip(("train", "val", "test"), splits, strict=True)))
    read = read_parts(tmp_path / "files.csv", ImageDataset.from_folder(root))
    assert {part: dataset.names for part, dataset in read.items()} == {
        "train": splits.train.names,
        "val": splits.val.names,
        "test": splits.test.names,
    }


def test_a_picture_that_a_csv_lists_twice_keeps_its_part(pictures, tmp_path):
    root = pictures({"x": 4})
    data = from_csv(root, [f"x/{n}.png,{'ab'[n % 2]}" for n in (0, 1, 2, 3, 0)])
    write_account(tmp_path / "files.csv", {"train": data})
    assert len(read_parts(tmp_path / "files.csv", data)["train"]) == 4


def test_pictures_of_two_folders_with_the_same_names_are_told_apart(pictures, tmp_path):
    train = ImageDataset.from_folder(pictures({"a": 2, "b": 2}, root="one"))
    val = ImageDataset.from_folder(pictures({"a": 2, "b": 2}, root="two"))
    write_account(tmp_path / "files.csv", {"train": train, "val": val})
    parts = read_parts(tmp_path / "files.csv", ImageDataset.from_folder(train.root))
    assert (len(parts["train"]), len(parts["val"])) == (4, 0)
    assert accounted(tmp_path / "files.csv")[4]["path"] == f"{val.root}/a/0.png"


def test_a_picture_that_the_account_does_not_know_is_in_no_part(animals, tmp_path):
    write_account(tmp_path / "files.csv", {"train": animals.subset(range(5))})
    assert [len(part) for part in read_parts(tmp_path / "files.csv", animals).values()] == [5, 0, 0]


def test_a_missing_account_is_wrong_usage(animals, tmp_path):
    with pytest.raises(UsageError, match="there is none at"):
        read_parts(tmp_path / "files.csv", animals)


def test_a_damaged_account_is_said(animals, tmp_path):
    (tmp_path / "files.csv").write_text("nothing\nof use\n")
    with pytest.raises(DataError, match="is damaged"):
        read_parts(tmp_path / "files.csv", animals)


def test_a_picture_that_was_replaced_by_another_is_not_taken_for_the_one_of_before(animals, tmp_path):
    write_account(tmp_path / "files.csv", {"train": animals})
    (animals.root / animals.names[0]).write_bytes(b"another picture")

    assert len(read_parts(tmp_path / "files.csv", animals)["train"]) == len(animals) - 1


@pytest.mark.parametrize(("names", "known"), [(range(4), True), (range(3, 9), False), (range(2, 12), False)])
def test_an_account_is_about_the_data_that_shares_half_with_it(pictures, tmp_path, names, known):
    animals = ImageDataset.from_folder(pictures({"cat": 4, "dog": 1}))
    write_account(tmp_path / "files.csv", {"train": animals})
    other = pictures({"cat": [f"{number}.png" for number in names]}, "other")
    for number in set(names) & set(range(4)):
        (other / f"cat/{number}.png").write_bytes((animals.root / f"cat/{number}.png").read_bytes())

    parts = known_parts(tmp_path / "files.csv", ImageDataset.from_folder(other))

    assert [len(part) for part in parts.values()] == ([4, 0, 0] if known else [])
