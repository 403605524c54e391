"""`ImageDataset`: reading and parts."""

import shutil

import numpy as np
import pytest

from opsin.data.dataset import ImageDataset
from opsin.errors import DataError, UsageError


@pytest.fixture
def animals(pictures):
    """20 cats and 10 dogs."""
    return ImageDataset.from_folder(pictures({"cat": 20, "dog": 10}))


def from_csv(folder, rows, columns="path,label"):
    (folder / "data.csv").write_text("\n".join([columns, *rows]) + "\n")
    return ImageDataset.from_csv(folder / "data.csv")


def parts_of(splits):
    return {
        name: part for part, dataset in zip(("train", "val", "test"), splits, strict=True) for name in dataset.names
    }


def test_a_data_set_says_what_it_holds(animals):
    assert (len(animals), animals.class_names) == (30, ("cat", "dog"))
    assert animals.counts == {"cat": 20, "dog": 10}
    assert animals.names[19:21] == ("cat/19.png", "dog/0.png")
    assert animals.paths[0] == str(animals.root / "cat" / "0.png")
    assert animals.labels.dtype == np.int32
    assert animals.labels.tolist() == [0] * 20 + [1] * 10


@pytest.mark.parametrize("positions", [[3, 1], np.array([3, 1])])
def test_a_subset_keeps_the_order_that_is_asked_for_and_the_class_names(animals, positions):
    subset = animals.subset(positions)
    assert subset.names == ("cat/3.png", "cat/1.png")
    assert subset.class_names == ("cat", "dog")
    assert subset.counts == {"cat": 2, "dog": 0}


def test_a_subset_by_bools_of_a_subset(animals):
    dogs = animals.subset(animals.labels == 1)
    assert dogs.subset([name.endswith("7.png") for name in dogs.names]).names == ("dog/7.png",)


def test_a_subset_may_be_empty(animals):
    assert len(animals.subset([])) == len(animals.subset(animals.labels == 7)) == 0


def test_a_csv_file_is_opened_as_one_and_a_folder_as_one(pictures):
    root = pictures({"cat": 2})
    (root / "few.CSV").write_text("path,label\ncat/1.png,tom\n")
    assert ImageDataset.open(root / "few.CSV").class_names == ("tom",)
    assert ImageDataset.open(root).class_names == ("cat",)


def test_a_picture_where_the_data_is_expected_is_wrong_usage(pictures):
    file = pictures({"cat": 1}) / "cat" / "0.png"
    with pytest.raises(UsageError, match=r"Expected a folder .* or a \.csv file; .*0\.png' is neither"):
        ImageDataset.open(file)


# Fingerprint


def test_the_fingerprint_is_that_of_the_whole_data_wherever_it_lies(animals, tmp_path):
    shutil.copytree(animals.root, tmp_path / "copy")
    assert ImageDataset.from_folder(tmp_path / "copy").fingerprint == animals.fingerprint
    assert animals.subset([1]).fingerprint == animals.fingerprint


@pytest.mark.parametrize("change", ["another", "renamed", "moved", "longer"])
def test_other_pictures_labels_or_sizes_are_another_fingerprint(animals, change):
    before, cat = animals.fingerprint, animals.root / "cat" / "0.png"
    if change == "another":
        shutil.copy(cat, cat.with_name("more.png"))
    elif change == "renamed":
        cat.rename(cat.with_name("other.png"))
    elif change == "moved":
        cat.rename(animals.root / "dog" / "99.png")
    else:
        cat.write_bytes(cat.read_bytes() + b"\0")
    assert ImageDataset.from_folder(animals.root).fingerprint != before


# Splits


def test_a_split_is_stratified_and_shares_every_picture_out_once(animals):
    train, val, test = animals.split(val=0.2, test=0.1, seed=0)
    assert [part.counts for part in (train, val, test)] == [
        {"cat": 14, "dog": 7},
        {"cat": 4, "dog": 2},
        {"cat": 2, "dog": 1},
    ]
    assert sorted(train.names + val.names + test.names) == sorted(animals.names)


def test_a_split_is_reproducible_from_its_seed(animals):
    again = ImageDataset.from_folder(animals.root)
    assert parts_of(animals.split(seed=1)) == parts_of(again.split(seed=1))
    assert parts_of(animals.split(seed=1)) != parts_of(animals.split(seed=2))


def test_a_split_without_folders_says_nothing(animals):
    assert animals.split().note == ""


def test_train_and_test_folders_take_validation_from_train(pictures):
    data = ImageDataset.from_folder(pictures({f"{p}/{c}": 10 for p in ("train", "test") for c in "ab"}))
    splits = data.split(val=0.2, test=0.5)
    assert {name.split("/")[0] for name in splits.test.names} == {"test"}
    assert (len(splits.train), len(splits.val), len(splits.test)) == (16, 4, 20)
    assert splits.note == "Validation (20%) is taken from train; test is held out for the report."


def test_train_and_val_folders_hold_val_out_for_the_report(pictures):
    data = ImageDataset.from_folder(pictures({f"{p}/{c}": 10 for p in ("train", "valid") for c in "ab"}))
    splits = data.split(val=0.2)
    assert {name.split("/")[0] for name in splits.test.names} == {"valid"}
    assert {name.split("/")[0] for name in splits.val.names} == {"train"}
    assert (len(splits.train), len(splits.val), len(splits.test)) == (16, 4, 20)
    assert splits.note == "The val part is held out for the report; validation (20%) is taken from train."


def test_three_folders_are_used_as_given(pictures):
    data = ImageDataset.from_folder(
        pictures({f"{p}/{c}": n for p, n in (("train", 5), ("val", 3), ("test", 2)) for c in "ab"})
    )
    splits = data.split(val=0.4, test=0.4)
    assert parts_of(splits) == {name: name.split("/")[0] for name in data.names}
    assert splits.note == "The parts train, val and test are used as given."


def test_a_train_folder_alone_is_split_as_if_there_were_none(pictures):
    splits = ImageDataset.from_folder(pictures({"train/a": 20, "train/b": 20})).split(val=0.1, test=0.2)
    assert [len(part) for part in splits] == [28, 4, 8]


def test_given_parts_without_train_are_an_error(pictures):
    root = pictures({"x": 4})
    rows = [f"x/{n}.png,{'ab'[n % 2]},{'val' if n < 2 else 'test'}" for n in range(4)]
    with pytest.raises(DataError, match="Expected a train split; the data has only test and val"):
        from_csv(root, rows, "path,label,split").split()


def test_groups_are_never_torn_apart_and_pictures_without_one_go_alone(pictures):
    root = pictures({"x": 60})
    rows = [f"x/{n}.png,{'ab'[n % 2]},{f'g{n // 10}' if n < 40 else ''}" for n in range(60)]
    data = from_csv(root, rows, "path,label,group")
    for seed in range(5):
        parts = parts_of(data.split(seed=seed))
        for group in range(4):
            assert len({parts[f"x/{10 * group + n}.png"] for n in range(10)}) == 1
        assert len({parts[f"x/{n}.png"] for n in range(40, 60)}) > 1


@pytest.mark.parametrize(
    ("folders", "said"),
    [
        ({"cat": 5}, "at least two classes; .* has only 'cat'"),
        ({"cat": 5, "dog": 0}, "has only 'cat'"),
        ({"cat": 5, "dog": 1, "yeti": 1}, "only one of 'dog', 'yeti'"),
    ],
)
def test_what_cannot_be_learned_from_is_said(pictures, folders, said):
    with pytest.raises(DataError, match=said):
        ImageDataset.from_folder(pictures(folders)).split()


def test_fractions_are_checked(animals):
    with pytest.raises(UsageError, match="together below 1"):
        animals.split(val=0.5, test=0.5)


def test_other_columns_of_a_csv_go_with_their_pictures(pictures):
    root = pictures({"x": 3})
    data = from_csv(root, ["x/0.png,a,dim", "x/1.png,b,bright", "x/2.png,a,"], "path,label,light")
    assert data.columns == {"light": ("dim", "bright", "")}
    assert data.subset([2, 1]).columns == {"light": ("", "bright")}
    assert data.without({"x/0.png": "a list"}).columns == {"light": ("bright", "")}
    assert ImageDataset.from_folder(pictures({"a": 1}, "other")).columns == {}


def test_that_a_picture_has_two_labels_is_no_error_where_a_list_leaves_it_out(pictures):
    root = pictures({"x": 4})
    (root / "data.csv").write_text("path,label\nx/0.png,a\nx/1.png,b\nx/2.png,a\nx/2.png,b\nx/3.png,b\n")

    found = ImageDataset.open(root / "data.csv", skip={"x/2.png": "conflicting-label"})

    assert (found.names, found.counts) == (("x/0.png", "x/1.png", "x/3.png"), {"a": 1, "b": 2})
    assert [(one.path, one.reason) for one in found.skipped] == [("x/2.png", "left out by a list: conflicting-label")]
    with pytest.raises(DataError, match="one label for each picture"):
        ImageDataset.open(root / "data.csv", skip={"x/0.png": "conflicting-label"})


def test_a_list_that_names_no_picture_of_the_data_is_an_error(pictures):
    root = pictures({"cat": 1, "dog": 1})
    with pytest.raises(UsageError, match=r"'cat/0.png' say; none of the 2 .* is in it, 'photos/cat/0.png' say"):
        ImageDataset.open(root, skip={"photos/cat/0.png": "dark", "cat\\0.png": "dark"})
    assert len(ImageDataset.open(root, skip={"photos/cat/0.png": "dark", "cat/0.png": "dark"})) == 1
    (root / "cat/notes.txt").touch()
    assert len(ImageDataset.open(root, skip={"cat/notes.txt": "not a picture"})) == 2


def test_a_list_that_leaves_no_picture_is_an_error(pictures):
    with pytest.raises(DataError, match="all 2 are listed"):
        ImageDataset.open(pictures({"cat": 1, "dog": 1}), skip={"cat/0.png": "dark", "dog/0.png": "dark"})
