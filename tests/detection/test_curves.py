"""Curves and the confusion matrix, as counted by hand."""

import numpy as np
import pytest

from opsin.detection.curves import confusion_matrix, precision_recall


def test_a_curve_has_a_point_for_each_score(one_class):
    truth = [(0, [0, 0, 10, 10]), (0, [20, 0, 10, 10]), (0, [40, 0, 10, 10]), (1, [0, 0, 10, 10])]
    found = [(0, [0, 0, 10, 10], 0.9), (0, [60, 0, 10, 10], 0.6), (0, [20, 0, 10, 10], 0.6), (1, [0, 0, 10, 10], 0.2)]

    (curve,) = precision_recall(*one_class(truth, found))

    assert curve.scores.tolist() == [0.9, 0.6, 0.2]
    np.testing.assert_allclose(curve.precision, [1, 2 / 3, 3 / 4])
    np.testing.assert_allclose(curve.recall, [1 / 4, 2 / 4, 3 / 4])
    assert curve.best() == (pytest.approx(0.75), 0.2)


def test_of_nothing_found_or_nothing_to_find_there_is_no_best(one_class):
    (nothing,) = precision_recall(*one_class([(0, [0, 0, 9, 9])], []))
    (wrong,) = precision_recall(*one_class([(0, [0, 0, 9, 9])], [(0, [50, 50, 9, 9], 0.5)]))
    (no_truth,) = precision_recall(*one_class([], [(0, [0, 0, 9, 9], 0.5)]))

    assert nothing.best() is wrong.best() is no_truth.best() is None
    assert np.isnan(no_truth.recall).all()


def test_the_matrix_says_what_was_taken_for_what(written):
    box = [0, 0, 10, 10]
    truth = {
        "images": [{"id": i} for i in range(4)],
        "categories": [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}],
        "annotations": [
            {"id": 1, "image_id": 0, "category_id": 1, "bbox": box},
            {"id": 2, "image_id": 0, "category_id": 2, "bbox": [50, 50, 10, 10]},
            {"id": 3, "image_id": 1, "category_id": 1, "bbox": box},
            {"id": 4, "image_id": 2, "category_id": 2, "bbox": [0, 0, 50, 50], "iscrowd": 1},
        ],
    }
    found = [
        # Right, and a copy of it that overlaps less.
        {"image_id": 0, "category_id": 1, "bbox": box, "score": 0.3},
        {"image_id": 0, "category_id": 1, "bbox": [1, 0, 10, 10], "score": 0.9},
        # A dog taken for a cat; a cat that is found with too low a score; one in a crowd; one where nothing is.
        {"image_id": 0, "category_id": 1, "bbox": [50, 50, 10, 9], "score": 0.9},
        {"image_id": 1, "category_id": 1, "bbox": box, "score": 0.2},
        {"image_id": 2, "category_id": 2, "bbox": [5, 5, 9, 9], "score": 0.9},
        {"image_id": 3, "category_id": 2, "bbox": [5, 5, 9, 9], "score": 0.9},
    ]

    boxes = written(truth, found)

    assert confusion_matrix(*boxes).tolist() == [[1, 0, 1], [1, 0, 0], [1, 1, 0]]
    assert confusion_matrix(*boxes, score=0.2).tolist() == [[2, 0, 0], [1, 0, 0], [1, 1, 0]]
    assert confusion_matrix(*boxes, iou=0.95).tolist() == [[1, 0, 1], [0, 0, 1], [2, 1, 0]]


def test_every_true_box_and_every_found_one_is_counted_once(small_world, written):
    document, predictions = small_world(3)
    for row in document["annotations"]:
        row["iscrowd"] = 0
    truth, found = written(document, predictions)

    matrix = confusion_matrix(truth, found, score=0)

    np.testing.assert_array_equal(matrix[:-1].sum(axis=1), np.bincount(truth.class_indices, minlength=4))
    np.testing.assert_array_equal(matrix[:, :-1].sum(axis=0), np.bincount(found.class_indices, minlength=4))
    assert matrix[-1, -1] == 0
