"""IoU and its kin, against numbers worked out on paper and against slow loops."""

import math

import numpy as np
import pytest

from opsin.detection import overlap
from opsin.detection.boxes import convert
from opsin.detection.overlap import MEASURES, overlap_matrix
from opsin.errors import DataError, UsageError


def random_boxes(n, seed, dtype=np.float64):
    random = np.random.default_rng(seed)
    corner, sides = random.random((n, 2)) * 60, random.random((n, 2)) * 40 + 0.5
    return np.concatenate([corner, corner + sides], axis=1).astype(dtype)


def test_the_worked_examples_hold():
    first, second = [[10, 10, 50, 50], [100, 100, 150, 150]], [[12, 12, 52, 52], [102, 102, 148, 148]]

    iou = overlap_matrix(first, second, format="yxyx")

    np.testing.assert_allclose(iou, [[1444 / 1756, 0], [0, 2116 / 2500]])


# Two squares of 2 × 2, one apart: 0,0,2,2 and 1,1,3,3. IoU 1/7; the hull is 9, of which 2 are neither's; the centres
# are √2 apart, the hull's diagonal is √18 long.
@pytest.mark.parametrize(
    ("measure", "known"),
    [("iou", 1 / 7), ("giou", 1 / 7 - 2 / 9), ("diou", 1 / 7 - 2 / 18), ("ciou", 1 / 7 - 2 / 18)],
)
def test_two_squares_overlap_as_computed_on_paper(measure, known):
    found = overlap_matrix([[0, 0, 2, 2]], [[1, 1, 3, 3]], format="xyxy", measure=measure)

    np.testing.assert_allclose(found, [[known]], rtol=1e-12)


def test_complete_iou_counts_proportions_as_computed_on_paper():
    # 4 × 1 and 1 × 4 about one centre: IoU 1/7, no distance, v = 4/π² (atan 4 - atan 1/4)².
    v = 4 / math.pi**2 * (math.atan(4) - math.atan(1 / 4)) ** 2
    known = 1 / 7 - v**2 / (1 - 1 / 7 + v)

    found = overlap_matrix([[0, 0, 4, 1]], [[0, 0, 1, 4]], format="cxcywh", measure="ciou")

    np.testing.assert_allclose(found, [[known]], rtol=1e-12)


def slow(a, b, measure):
    width = max(0, min(a[2], b[2]) - max(a[0], b[0]))
    height = max(0, min(a[3], b[3]) - max(a[1], b[1]))
    area = [(one[2] - one[0]) * (one[3] - one[1]) for one in (a, b)]
    union = sum(area) - width * height
    iou = width * height / union
    hull_width, hull_height = max(a[2], b[2]) - min(a[0], b[0]), max(a[3], b[3]) - min(a[1], b[1])
    apart = sum(((a[i] + a[i + 2]) / 2 - (b[i] + b[i + 2]) / 2) ** 2 for i in (0, 1))
    diou = iou - apart / (hull_width**2 + hull_height**2)
    angles = [math.atan((one[2] - one[0]) / (one[3] - one[1])) for one in (a, b)]
    v = 4 / math.pi**2 * (angles[0] - angles[1]) ** 2
    return {
        "iou": iou,
        "giou": iou - (hull_width * hull_height - union) / (hull_width * hull_height),
        "diou": diou,
        "ciou": diou - (v / (1 - iou + v) * v if v else 0),
        "intersection_over_first": width * height / area[0],
    }[measure]


@pytest.mark.parametrize("measure", MEASURES)
@pytest.mark.parametrize("format", ["xyxy", "xywh"])
def test_a_matrix_in_many_blocks_is_that_of_a_loop_over_pairs(measure, format, monkeypatch):
    monkeypatch.setattr(overlap, "BLOCK", 100)
    first, second = random_boxes(37, 1), random_boxes(23, 2)

    found = overlap_matrix(
        *(convert(one, source="xyxy", target=format) for one in (first, second)), format=format, measure=measure
    )

    np.testing.assert_allclose(found, [[slow(a, b, measure) for b in second] for a in first], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("measure", MEASURES)
def test_a_box_is_all_of_itself(measure):
    boxes = random_boxes(9, 3)

    np.testing.assert_allclose(np.diag(overlap_matrix(boxes, boxes, format="xyxy", measure=measure)), 1, rtol=1e-12)


@pytest.mark.parametrize("measure", MEASURES)
def test_boxes_without_area_overlap_nothing_and_give_no_nan(measure):
    boxes = [[1, 1, 1, 5], [1, 1, 1, 1], [0, 0, 4, 4]]

    found = overlap_matrix(boxes, boxes, format="xyxy", measure=measure)

    assert np.isfinite(found).all()
    assert found[:2].max() <= 0
    assert found[2, 2] == 1


def test_float32_boxes_have_a_float32_matrix_and_another_precision_can_be_asked_for():
    boxes = random_boxes(5, 4, np.float32)

    assert overlap_matrix(boxes, boxes, format="xyxy").dtype == np.float32
    assert overlap_matrix(boxes, boxes, format="xyxy", dtype=np.float64).dtype == np.float64
    assert overlap_matrix(boxes, boxes.astype(float), format="xyxy").dtype == np.float64


def test_working_memory_is_little_beside_the_matrix():
    import tracemalloc

    boxes = random_boxes(2000, 5)
    tracemalloc.start()
    matrix = overlap_matrix(boxes, boxes, format="xyxy")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert peak - matrix.nbytes < 0.1 * matrix.nbytes


def test_none_on_a_side_gives_an_empty_matrix():
    assert overlap_matrix([], random_boxes(3, 1), format="xyxy").shape == (0, 3)
    assert overlap_matrix(random_boxes(3, 1), [], format="xyxy").shape == (3, 0)


def test_what_is_no_box_or_no_measure_is_refused():
    with pytest.raises(DataError, match="box 0"):
        overlap_matrix([[5, 5, 1, 1]], [[0, 0, 1, 1]], format="xyxy")
    with pytest.raises(UsageError, match="Did you mean 'giou'"):
        overlap_matrix([[0, 0, 1, 1]], [[0, 0, 1, 1]], format="xyxy", measure="gIoU")
