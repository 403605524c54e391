"""Boxes in pictures, pixel by pixel."""

import numpy as np
import pytest

from opsin.detection.drawing import COLORS, draw_boxes
from opsin.errors import DataError, UsageError

BLACK = np.zeros((40, 60, 3), np.uint8)


def test_the_outline_is_the_outermost_pixels_of_the_box():
    drawn = draw_boxes(BLACK, [[10, 5, 20, 9]], format="xywh")

    known = np.zeros((40, 60), bool)
    known[5:14, 10:30] = True
    known[6:13, 11:29] = False
    np.testing.assert_array_equal((drawn == COLORS[0]).all(axis=2), known)
    assert not BLACK.any()


def test_dashes_lie_on_the_outline():
    solid = draw_boxes(BLACK, [[10, 5, 50, 35]], format="xyxy").any(axis=2)
    dashed = draw_boxes(BLACK, [[10, 5, 50, 35]], format="xyxy", line="dashed").any(axis=2)

    assert not (dashed & ~solid).any()
    assert 0.3 < dashed.sum() / solid.sum() < 0.7


def test_classes_have_colours_and_names_a_field():
    boxes = [[2, 20, 20, 38], [30, 20, 50, 38]]

    plain = draw_boxes(BLACK, boxes, format="xyxy", class_indices=[1, 2])
    named = draw_boxes(BLACK, boxes, format="xyxy", class_indices=[1, 2], labels=["cat", ""])

    assert (tuple(plain[25, 2]), tuple(plain[25, 30])) == (COLORS[1], COLORS[2])
    assert (named[:20, :30] == COLORS[1]).all(axis=2).sum() > 50
    np.testing.assert_array_equal(named[:, 30:], plain[:, 30:])


@pytest.mark.parametrize("box", [[-5000, -10, 3, 3], [55, 0, 1e9, 1e9], [70, 70, 80, 80], [5, 5, 5, 5]])
@pytest.mark.parametrize("line", ["solid", "dashed"])
def test_boxes_beyond_the_picture_and_without_area_are_drawn_as_far_as_they_are_seen(box, line):
    drawn = draw_boxes(BLACK, [box], format="xyxy", labels=["naïve 猫\n" * 30], line=line)

    assert drawn.shape == BLACK.shape
    assert drawn.any()


def test_what_does_not_fit_is_refused():
    with pytest.raises(UsageError, match=r"labels for each of 1 boxes\. Received 2"):
        draw_boxes(BLACK, [[0, 0, 5, 5]], format="xyxy", labels=["a", "b"])
    with pytest.raises(UsageError, match="Did you mean 'dashed'"):
        draw_boxes(BLACK, [[0, 0, 5, 5]], format="xyxy", line="dashd")
    with pytest.raises(DataError, match="box 0"):
        draw_boxes(BLACK, [[5, 5, 0, 0]], format="xyxy")
