"""Pairs of pictures and masks: which belong together, what is left out, how they are shared out."""

import numpy as np
import pytest

import opsin
from opsin.data.walk import Skipped
from opsin.errors import DataError, UsageError
from opsin.segmentation.classes import ClassTable
from opsin.segmentation.dataset import SegmentationDataset
from opsin.segmentation.pairs import read_pair_folder

HALF = np.array([[0, 1], [0, 1]], np.uint8)


def test_masks_are_found_by_name_whatever_the_suffix(write_pairs, encode):
    root = write_pairs({"2": HALF, "10": HALF})
    (root / "images" / "2.png").rename(root / "images" / "2.jpg")
    (root / "images" / "deep").mkdir()
    (root / "masks" / "deep").mkdir()
    (root / "images" / "deep" / "2.png").write_bytes(encode(HALF))
    (root / "masks" / "deep" / "2.tif").write_bytes(encode(HALF, "TIFF"))

    dataset = SegmentationDataset.from_folder(root)

    assert dataset.names == ("images/2.jpg", "images/10.png", "images/deep/2.png")
    assert dataset.mask_names == ("masks/2.png", "masks/10.png", "masks/deep/2.tif")
    assert opsin.SegmentationDataset is SegmentationDataset


def test_what_has_no_partner_is_skipped_and_said(write_pairs):
    root = write_pairs({"a": HALF, "b": HALF, "c": HALF})
    (root / "masks" / "a.png").unlink()
    (root / "images" / "b.png").unlink()
    (root / "notes.txt").write_text("")

    dataset = SegmentationDataset.from_folder(root)

    assert dataset.names == ("images/c.png",)
    assert dataset.skipped == (
        Skipped("notes.txt", "neither in images/ nor in masks/"),
        Skipped("images/a.png", "there is no mask 'a' (with any suffix) in masks/", lost=True),
        Skipped("masks/b.png", "there is no picture 'b' (with any suffix) in images/", lost=True),
    )


def test_two_files_of_one_name_are_an_error_unless_one_is_patient(write_pairs, encode):
    root = write_pairs({"a": HALF})
    (root / "masks" / "a.bmp").write_bytes(encode(HALF, "BMP"))

    with pytest.raises(DataError, match=r"there are 'a\.bmp' and 'a\.png'"):
        SegmentationDataset.from_folder(root)
    assert read_pair_folder(root, patient=True).skipped[-1].reason == "another file of its name, 'a.bmp', is used"


def test_parts_in_folders_are_kept(write_pairs):
    root = write_pairs({"train/a": HALF, "train/b": HALF, "valid/c": HALF, "test/a": HALF})

    splits = SegmentationDataset.from_folder(root).split()

    assert [part.names for part in splits] == [
        ("train/images/a.png", "train/images/b.png"),
        ("valid/images/c.png",),
        ("test/images/a.png",),
    ]
    assert splits.note == "The parts train, val and test are used as given."


def test_a_csv_names_pairs_parts_and_groups(write_pairs, tmp_path):
    write_pairs({"a": HALF, "b": HALF, "c": HALF})
    (tmp_path / "cells" / "list.csv").write_text(
        "image,mask,group\nimages/a.png,masks/b.png,p1\nimages/b.png,masks/b.png,\nimages/none.png,masks/a.png,p2\n"
    )

    dataset = SegmentationDataset.open(tmp_path / "cells" / "list.csv")

    assert dataset.names == ("images/a.png", "images/b.png")
    assert (dataset.mask_names, dataset.groups) == (("masks/b.png", "masks/b.png"), ("p1", ""))
    assert dataset.skipped == (Skipped("images/none.png", "there is no such file", lost=True),)


@pytest.mark.parametrize(
    ("lines", "says"),
    [
        ("image\nimages/a.png\n", "missing: mask"),
        ("image,mask\nimages/a.png,\n", "an image and a mask in line 2"),
        ("image,mask,split\nimages/a.png,masks/a.png,tset\n", "received 'tset'"),
        ("image,mask,split\nimages/a.png,masks/a.png,train\nimages/b.png,masks/b.png,\n", "in every line"),
        ("image,mask\nimages/a.png,masks/a.png\nimages/a.png,masks/b.png\n", "one line for each picture"),
        ("image,mask\nx.png,y.png\n", "none exists"),
    ],
)
def test_a_csv_that_cannot_be_used_says_why(write_pairs, lines, says):
    root = write_pairs({"a": HALF, "b": HALF})
    (root / "list.csv").write_text(lines)

    with pytest.raises(DataError, match=says):
        SegmentationDataset.from_csv(root / "list.csv")


def test_a_folder_without_pairs_says_what_it_has(write_pairs, tmp_path):
    root = write_pairs({"a": HALF})
    (root / "masks" / "a.png").rename(root / "masks" / "other.png")
    (tmp_path / "empty" / "train").mkdir(parents=True)

    with pytest.raises(DataError, match=r"not one such pair\. Without a partner are 2 files"):
        SegmentationDataset.from_folder(root)
    with pytest.raises(DataError, match="It has: train"):
        SegmentationDataset.from_folder(tmp_path / "empty")
    with pytest.raises(UsageError, match="there is nothing at"):
        SegmentationDataset.from_folder(tmp_path / "none")


def test_a_split_is_drawn_from_the_seed_and_keeps_groups_together(write_pairs, tmp_path):
    root = write_pairs({str(number): HALF for number in range(20)})
    dataset = SegmentationDataset.from_folder(root)
    first, again, other = (dataset.split(seed=seed) for seed in (0, 0, 1))

    assert [len(part) for part in first] == [14, 3, 3]
    assert sorted(name for part in first for name in part.names) == sorted(dataset.names)
    assert [part.names for part in first] == [part.names for part in again] != [part.names for part in other]

    lines = "".join(f"images/{n}.png,masks/{n}.png,patient {n % 5}\n" for n in range(20))
    (root / "list.csv").write_text("image,mask,group\n" + lines)
    groups = [set(part.groups) for part in SegmentationDataset.from_csv(root / "list.csv").split()]
    assert sum(len(part) for part in groups) == len(set.union(*groups)) == 5


def test_too_few_pictures_to_share_out_are_an_error(write_pairs):
    dataset = SegmentationDataset.from_folder(write_pairs({"a": HALF, "b": HALF}))

    with pytest.raises(DataError, match="of 2 none is left for val"):
        dataset.split()
    assert [len(part) for part in dataset.split(val=0, test=0.5)] == [1, 0, 1]


def test_the_fingerprint_changes_with_a_mask_and_with_the_classes(write_pairs, encode):
    root = write_pairs({"a": HALF, "b": HALF})
    table = ClassTable(("x", "y"))
    first = SegmentationDataset.from_folder(root, classes=table)

    assert first.subset([1]).fingerprint == first.fingerprint
    assert SegmentationDataset.from_folder(root, classes=ClassTable(("x", "z"))).fingerprint != first.fingerprint
    (root / "masks" / "a.png").write_bytes(encode(np.tile(HALF, (50, 50))))
    assert SegmentationDataset.from_folder(root, classes=table).fingerprint != first.fingerprint


def test_a_subset_is_by_position_or_by_choice(write_pairs):
    dataset = SegmentationDataset.from_folder(write_pairs({"a": HALF, "b": HALF, "c": HALF}))

    assert dataset.subset([2, 0]).names == ("images/c.png", "images/a.png")
    assert dataset.subset(np.array([False, True, False])).mask_names == ("masks/b.png",)
    assert (len(dataset.subset([])), dataset.pictures.names) == (0, dataset.names)
