"""COCO's JSON: what is read, what is written, what is refused and what is said."""

import json

import numpy as np
import pytest

from opsin.detection.coco import read_coco, read_coco_predictions, write_coco, write_coco_predictions
from opsin.errors import DataError, UsageError


def test_pictures_and_classes_are_in_the_order_of_their_ids(small_world, written):
    truth, found = written(*small_world(1))

    assert [one.id for one in truth.pictures] == [2, 7, 12, 17, 22, 27]
    assert [one.file_name for one in truth.pictures] == [f"{i}.png" for i in range(6)]
    assert (truth.category_ids, truth.class_names) == ((1, 2, 4, 9), ("ox", "cat", "bird", "dog"))
    document, rows = small_world(1)
    first = document["annotations"][0]
    assert truth.pictures[truth.picture_indices[0]].id == first["image_id"]
    assert truth.category_ids[truth.class_indices[0]] == first["category_id"]
    assert truth.boxes[0].tolist() == first["bbox"]
    assert truth.areas[0] == first["area"]
    assert found.scores.tolist() == [row["score"] for row in rows]


def test_what_was_written_is_read_again(small_world, written, tmp_path):
    truth, found = written(*small_world(1))

    write_coco(truth, tmp_path / "a.json")
    write_coco_predictions(found, truth, tmp_path / "b.json")
    again = read_coco(tmp_path / "a.json")
    found_again = read_coco_predictions(tmp_path / "b.json", again)

    for one, other in ((truth, again), (found, found_again)):
        for name, value in vars(one).items():
            np.testing.assert_array_equal(value, getattr(other, name), err_msg=name)


def test_without_an_area_that_of_the_box_counts(one_class):
    truth, _ = one_class([(0, [1, 1, 4, 5]), (0, [1, 1, 4, 5])], [], box_1={"area": 7.5})

    assert truth.areas.tolist() == [20, 7.5]


def test_what_is_used_as_it_is_is_said(one_class):
    truth, found = one_class(
        [(0, [0, 0, 5, 0]), (0, [90, 90, 20, 5]), (0, [90, 90, 20, 5])],
        [(0, [0, 0, 5, 5], 0.5), (0, [0, 0, 5, 5], 0.4), (0, [-9, 0, 5, 5], 0.4)],
        box_0={"ignore": 1},
    )

    assert truth.notes == (
        "1 true box is a copy of another (same picture, class and place).",
        "1 true box has no area and can never be found.",
        "2 true boxes reach beyond their pictures.",
        "1 annotations have 'ignore': like pycocotools, only 'iscrowd' is heeded.",
    )
    assert found.notes == (
        "1 found box is a copy of another (same picture, class and place).",
        "1 found box reaches beyond its picture.",
    )


def test_classes_of_one_name_are_told_apart_by_their_ids(small_world, written):
    document, rows = small_world(1)
    document["categories"][0]["name"] = "cat"

    assert written(document, rows)[0].class_names == ("ox", "cat (2)", "bird", "cat (9)")


def test_no_predictions_are_fine_and_said(one_class):
    _, found = one_class([(0, [0, 0, 5, 5])], [])

    assert len(found) == 0
    assert found.notes == (
        "Nothing was found: there is no prediction, and all that there is to find counts as missed.",
    )


def spoilt(document, place, value):
    *path, last = place
    part = document
    for key in path:
        part = part[key]
    if value is None:
        del part[last]
    else:
        part[last] = value


@pytest.mark.parametrize(
    ("place", "value", "said"),
    [
        (["annotations"], None, "Expected a list 'annotations'.*it has 'images', 'categories'"),
        (["images"], {}, "Expected a list 'images'"),
        (["annotations", 0], 5, "received a number as entry 0"),
        (["annotations", 1, "bbox"], None, "'bbox' in every entry.*entry 1"),
        (["annotations", 1, "bbox"], [1, 2, 3], "four numbers.*entry 1"),
        (["annotations", 1, "bbox"], [1, 2, 3, "x"], "four numbers.*entry 1"),
        (["annotations", 1, "bbox"], [1, 2, -3, 4], r"negative. Received \[1, 2, -3, 4\] in entry 1.*corners"),
        (["annotations", 1, "bbox"], [1, 2, float("nan"), 4], "finite"),
        (["annotations", 1, "id"], 1, "an id of its own.*received 1 more than once"),
        (["annotations", 1, "area"], "big", "a number, 0 or more, as 'area'.*'big' in entry 1"),
        (["images", 0, "id"], 7, "an id of its own for each of the images"),
        (["annotations", 1, "image_id"], 99, "one of the 6 images.*received 99, in 1 of"),
        (["annotations", 1, "category_id"], 3, "one of the 4 categories.*1, 2, 4, 9.*received 3, in 1 of"),
        (["annotations", 1, "category_id"], 1000, "received 1000, in 1 of"),
        (["annotations", 1, "category_id"], "dog", "whole numbers as 'category_id'"),
    ],
)
def test_true_boxes_that_cannot_be_used_are_refused(place, value, said, small_world, written):
    document, _ = small_world(1)
    spoilt(document, place, value)

    with pytest.raises(DataError, match=said):
        written(document, [])


@pytest.mark.parametrize(
    ("place", "value", "said"),
    [
        ([2, "image_id"], 99, "received 99, in 1 of .* Are the two files of the same pictures"),
        ([2, "category_id"], 0, "received 0, in 1 of"),
        ([2, "score"], None, "'score' in every entry.*entry 2"),
        ([2, "score"], float("nan"), "finite scores; received nan in entry 2"),
        ([2, "score"], "high", "numbers as 'score'"),
        ([2, "bbox"], [5, 5, 3, -1], "negative"),
        ([2], [1, 2], "received a list as entry 2"),
    ],
)
def test_found_boxes_that_cannot_be_used_are_refused(place, value, said, small_world, written):
    document, rows = small_world(1)
    spoilt(rows, place, value)

    with pytest.raises(DataError, match=said):
        written(document, rows)


def test_files_that_are_none_are_refused(tmp_path):
    (tmp_path / "a.json").write_text("{")
    (tmp_path / "b.json").write_text(json.dumps([{"image_id": 1}]))

    with pytest.raises(DataError, match="Expected JSON"):
        read_coco(tmp_path / "a.json")
    with pytest.raises(DataError, match=r"received a list\. Is it the other of the two files"):
        read_coco(tmp_path / "b.json")
    with pytest.raises(UsageError, match="there is nothing at"):
        read_coco(tmp_path / "c.json")
