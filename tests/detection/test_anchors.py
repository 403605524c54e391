"""Anchors: places, matches and offsets, as computed on paper and in slow loops."""

import math

import numpy as np
import pytest

from opsin.detection.anchors import BETWEEN, LARGEST, NEGATIVE, Pyramid, decode_offsets, encode_offsets, match_anchors
from opsin.detection.boxes import convert
from opsin.detection.overlap import overlap_matrix
from opsin.errors import UsageError


def test_retinanets_anchors_are_as_many_and_as_large_as_in_its_paper():
    boxes = Pyramid().boxes(256, 512, format="cxcywh")

    places = [(256 // stride) * (512 // stride) for stride in (8, 16, 32, 64, 128)]
    assert boxes.dtype == np.float32
    assert len(boxes) == 9 * sum(places)
    np.testing.assert_allclose(boxes[0, :2], [4, 4])
    # The first is 1:2, of area 32².
    np.testing.assert_allclose(boxes[0, 2:], [32 * math.sqrt(2), 32 / math.sqrt(2)], rtol=1e-6)
    np.testing.assert_allclose(boxes[:9, 2] * boxes[:9, 3], np.tile(32**2 * 4 ** (np.arange(3) / 3), 3), rtol=1e-6)
    np.testing.assert_allclose(boxes[-1, :2], [512 - 64, 256 - 64])


def test_a_side_that_strides_do_not_divide_has_one_place_more():
    assert len(Pyramid((16,), (32,), (1,), (1,)).boxes(17, 16, format="xyxy")) == 2


@pytest.mark.parametrize("every_box", [True, False])
def test_matching_is_the_loop_over_anchors(every_box):
    anchors = Pyramid((16, 32), (24, 48)).boxes(128, 160, format="xyxy")
    random = np.random.default_rng(0)
    corner = random.random((12, 2)) * 100
    truth = np.concatenate([corner, corner + 6 + 50 * random.random((12, 2))], axis=1).astype(np.float32)
    iou = overlap_matrix(anchors, truth, format="xyxy")
    known = []
    for row in iou:
        best = int(row.argmax())
        known.append(best if row[best] >= 0.5 else NEGATIVE if row[best] < 0.4 else BETWEEN)
        if every_box and any(row[j] == iou[:, j].max() > 0 for j in range(12)):
            known[-1] = best

    found = match_anchors(anchors, truth, format="xyxy", every_box=every_box)

    assert found.tolist() == known
    assert {NEGATIVE, BETWEEN} <= set(known)


def test_without_boxes_all_is_background():
    assert match_anchors([[0, 0, 1, 1]], [], format="xyxy").tolist() == [NEGATIVE]


def test_offsets_are_those_of_the_equation_and_lead_back():
    boxes, anchors = [[10, 10, 30, 50]], [[0, 10, 40, 30]]
    offsets = encode_offsets(boxes, anchors, format="xyxy", scales=(10, 10, 5, 5))

    # Centres 20, 30 and 20, 20; sides 20, 40 and 40, 20.
    np.testing.assert_allclose(offsets, [[0, 5, 5 * math.log(0.5), 5 * math.log(2)]])
    np.testing.assert_allclose(decode_offsets(offsets, anchors, format="xyxy", scales=(10, 10, 5, 5)), boxes)


@pytest.mark.parametrize("format", ["yxyx", "xywh"])
def test_the_format_makes_no_difference(format):
    boxes, anchors = (convert(one, source="xyxy", target=format) for one in ([[10, 10, 30, 50]], [[0, 10, 40, 30]]))

    offsets = encode_offsets(boxes, anchors, format=format)

    np.testing.assert_allclose(offsets, [[0, 0.5, math.log(0.5), math.log(2)]])
    np.testing.assert_allclose(decode_offsets(offsets, anchors, format=format), boxes)


def test_no_box_explodes():
    decoded = decode_offsets([[0, 0, 1000, 1000]], [[0, 0, 16, 16]], format="cxcywh")

    np.testing.assert_allclose(decoded, [[0, 0, 16 * math.exp(LARGEST), 1000]])


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: Pyramid((8, 16), (32,)), "a size for each stride"),
        (lambda: Pyramid((8,), (0,)), "above 0"),
        (lambda: Pyramid().boxes(0, 5, format="xyxy"), "at least 1 x 1"),
        (lambda: match_anchors([], [], format="xyxy", positive=0.3), "negative <= positive"),
        (lambda: encode_offsets([[0, 0, 1, 1]], [[0, 0, 0, 1]], format="xyxy"), "anchors with some area"),
        (lambda: encode_offsets([[0, 0, 0, 1]], [[0, 0, 1, 1]], format="xyxy"), "boxes with some area"),
        (lambda: decode_offsets([[0, 0, 0, 0]], [[0, 0, 1, 1]] * 2, format="xyxy"), "each of 2 anchors"),
    ],
)
def test_what_does_not_fit_is_refused(call, said):
    with pytest.raises(UsageError, match=said):
        call()
