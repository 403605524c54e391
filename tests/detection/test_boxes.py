"""Box formats, against corners worked out by hand."""

import numpy as np
import pytest

from opsin.detection.boxes import FORMATS, areas, clip_boxes, convert, outside, take_boxes, to_pixels, to_relative
from opsin.errors import DataError, UsageError

# Left 10, top 20, right 30, bottom 60.
ONE = {"xyxy": [10, 20, 30, 60], "yxyx": [20, 10, 60, 30], "xywh": [10, 20, 20, 40], "cxcywh": [20, 40, 20, 40]}


@pytest.mark.parametrize("source", FORMATS)
@pytest.mark.parametrize("target", FORMATS)
def test_a_box_is_the_same_in_every_format(source, target):
    np.testing.assert_array_equal(convert([ONE[source]], source=source, target=target), [ONE[target]])


@pytest.mark.parametrize("format", FORMATS)
def test_pixels_become_fractions_of_the_right_side_and_back(format):
    relative = to_relative([ONE[format]], format=format, height=100, width=200)

    np.testing.assert_allclose(convert(relative, source=format, target="xyxy"), [[0.05, 0.2, 0.15, 0.6]])
    np.testing.assert_allclose(to_pixels(relative, format=format, height=100, width=200), [ONE[format]])


def test_pixels_are_not_taken_for_fractions():
    with pytest.raises(DataError, match="in pixels already"):
        to_pixels([ONE["xyxy"]], format="xyxy", height=100, width=200)


@pytest.mark.parametrize("format", FORMATS)
def test_float32_stays_float32_and_nothing_given_is_changed(format):
    given = np.array([ONE[format]], np.float32)

    for answer in (
        convert(given, source=format, target="xyxy"),
        to_relative(given, format=format, height=9, width=9),
        clip_boxes(given, format=format, height=5, width=5),
    ):
        assert answer.dtype == np.float32
        answer[:] = -1

    np.testing.assert_array_equal(given, np.array([ONE[format]], np.float32))


def test_an_area_is_of_width_and_height_wherever_the_box_lies():
    # As edges, 0.1 + 32 - 0.1 is 32.00000000000001 already.
    assert areas([[0.1, 0.1, 32, 32]], format="xywh").tolist() == [1024.0]
    assert areas([ONE["yxyx"]], format="yxyx").tolist() == [800.0]


def test_boxes_are_cut_at_the_picture_and_those_beyond_it_are_found():
    boxes = np.array([[-5, 10, 20, 30], [90, 0, 120, 10], [1, 2, 3, 4]])

    assert outside(boxes, format="xyxy", height=25, width=100).tolist() == [True, True, False]
    np.testing.assert_array_equal(
        clip_boxes(convert(boxes, source="xyxy", target="xywh"), format="xywh", height=25, width=100),
        [[0, 10, 20, 15], [90, 0, 10, 10], [1, 2, 2, 2]],
    )


def test_no_boxes_are_fine():
    assert convert([], source="xywh", target="yxyx").shape == (0, 4)


def test_a_box_without_area_is_a_box():
    assert take_boxes([[1, 1, 1, 5]], format="xyxy").shape == (1, 4)


@pytest.mark.parametrize(
    ("boxes", "format", "said"),
    [
        ([[0, 0, 1, 1], [5, 0, 3, 1]], "xyxy", r"left <= right.*\[5.0, 0.0, 3.0, 1.0\] as box 1.*format='xywh'"),
        ([[5, 0, 3, 1], [5, 0, 3, 1]], "yxyx", "and 1 more like it"),
        ([[5, 5, -3, 1]], "xywh", "no negative width"),
        ([[0, 0, np.nan, 1]], "xyxy", "NaN comes from a network that diverged"),
        ([[0, 0, np.inf, 1]], "cxcywh", "all finite"),
    ],
)
def test_what_is_no_box_is_refused_with_its_row(boxes, format, said):
    with pytest.raises(DataError, match=said):
        take_boxes(boxes, format=format)


@pytest.mark.parametrize("boxes", [[1, 2, 3, 4], [[1, 2, 3]], [["a", 2, 3, 4]], [[[1, 2, 3, 4]]]])
def test_what_is_no_array_of_boxes_is_refused(boxes):
    with pytest.raises(UsageError, match="array \\(n, 4\\)"):
        take_boxes(boxes, format="xyxy")


def test_a_format_that_there_is_not_is_refused_with_the_closest():
    with pytest.raises(UsageError, match="Did you mean 'xywh'"):
        convert([[1, 2, 3, 4]], source="xyhw", target="xyxy")
