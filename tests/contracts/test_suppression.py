"""What every method of suppression keeps to."""

import subprocess
import sys

import numpy as np
import pytest

from opsin.catalog import resolve
from opsin.detection import SUPPRESSIONS
from opsin.detection.boxes import FORMATS, convert
from opsin.detection.suppression import Suppression, suppress

RANDOM = np.random.default_rng(0)
CORNERS = RANDOM.random((200, 2)) * 100
BOXES = np.concatenate([CORNERS, CORNERS + 5 + 40 * RANDOM.random((200, 2))], axis=1)
SCORES = RANDOM.random(200)


@pytest.mark.parametrize("name", SUPPRESSIONS)
def test_its_catalogue_entry_resolves_to_a_documented_function(name):
    function = resolve(SUPPRESSIONS[name])

    assert function.__name__ == name
    assert function.__doc__


@pytest.mark.parametrize("name", SUPPRESSIONS)
def test_scores_come_sorted_none_is_higher_than_it_was_and_no_row_comes_twice(name):
    kept = suppress(BOXES, SCORES, Suppression(name), format="xyxy")

    assert 0 < len(kept) <= 200
    assert (np.diff(kept.scores) <= 0).all()
    assert (kept.scores <= SCORES[kept.indices] + 1e-12).all()
    assert len(set(kept.indices.tolist())) == len(kept)
    assert kept.boxes.shape == (len(kept), 4)


@pytest.mark.parametrize("name", SUPPRESSIONS)
def test_a_copy_of_a_box_is_believed_less_or_not_at_all(name):
    kept = suppress([[0, 0, 9, 9], [0, 0, 9, 9]], [0.8, 0.7], Suppression(name, score=0.2), format="xyxy")

    assert kept.scores[0] == pytest.approx(0.75 if name == "weighted_fusion" else 0.8)
    assert kept.scores[1:].sum() < 0.7


@pytest.mark.parametrize("name", SUPPRESSIONS)
def test_boxes_that_are_far_apart_are_left_as_they_are(name):
    boxes = np.arange(7)[:, None] * 100.0 + np.array([0, 0, 50, 50])
    scores = np.array([0.3, 0.9, 0.4, 0.8, 0.5, 0.7, 0.6])

    kept = suppress(boxes, scores, Suppression(name), format="xyxy")

    np.testing.assert_array_equal(kept.indices, np.argsort(-scores))
    np.testing.assert_array_equal(kept.boxes, boxes[kept.indices])
    np.testing.assert_array_equal(kept.scores, scores[kept.indices])


@pytest.mark.parametrize("name", SUPPRESSIONS)
@pytest.mark.parametrize("format", FORMATS)
def test_the_format_makes_no_difference(name, format):
    known = suppress(BOXES, SCORES, Suppression(name), format="xyxy")

    kept = suppress(convert(BOXES, source="xyxy", target=format), SCORES, Suppression(name), format=format)

    np.testing.assert_array_equal(kept.indices, known.indices)
    np.testing.assert_allclose(convert(kept.boxes, source=format, target="xyxy"), known.boxes)


@pytest.mark.parametrize("name", SUPPRESSIONS)
def test_limits_hold(name):
    kept = suppress(BOXES, SCORES, Suppression(name, score=0.3, max_boxes=9), format="xyxy")
    every = suppress(BOXES, SCORES, Suppression(name, score=0.3), format="xyxy")

    assert len(kept) == 9
    assert every.scores.min() > 0.3
    np.testing.assert_array_equal(kept.indices, every.indices[:9])
    assert len(suppress(BOXES, SCORES, Suppression(name, max_boxes=0), format="xyxy")) == 0


@pytest.mark.parametrize("name", SUPPRESSIONS)
def test_classes_are_as_if_each_were_alone(name):
    classes = np.arange(200) % 3
    alone = [suppress(BOXES[classes == k], SCORES[classes == k], Suppression(name), format="xyxy") for k in range(3)]

    kept = suppress(BOXES, SCORES, Suppression(name), format="xyxy", class_indices=classes)

    for k in range(3):
        np.testing.assert_allclose(kept.scores[kept.class_indices == k], alone[k].scores)
        np.testing.assert_allclose(kept.boxes[kept.class_indices == k], alone[k].boxes)


@pytest.mark.parametrize("name", SUPPRESSIONS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_precision_stays_and_what_was_given_is_not_changed(name, dtype):
    boxes, scores = BOXES.astype(dtype), SCORES.astype(dtype)

    kept = suppress(boxes, scores, Suppression(name), format="xyxy")

    assert kept.boxes.dtype == kept.scores.dtype == dtype
    np.testing.assert_array_equal(boxes, BOXES.astype(dtype))
    np.testing.assert_array_equal(scores, SCORES.astype(dtype))


@pytest.mark.parametrize("name", SUPPRESSIONS)
def test_nothing_and_boxes_without_area_are_fine(name):
    assert len(suppress([], [], Suppression(name), format="xyxy")) == 0
    assert len(suppress([], [], Suppression(name), format="xyxy", class_indices=[])) == 0

    kept = suppress([[1, 1, 1, 1], [1, 1, 1, 1]], [0.5, 0.25], Suppression(name), format="xyxy")

    assert kept.scores.tolist() == [0.5, 0.25]


def test_listing_the_catalogue_loads_no_numpy():
    code = "import sys, opsin.detection; sys.exit(bool({'numpy', 'PIL', 'keras', 'tensorflow'} & set(sys.modules)))"

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
