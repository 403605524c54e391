"""Masks, as counted by hand."""

import numpy as np
import pytest

from opsin.detection import masks
from opsin.detection.masks import boxes_of_masks, mask_iou_matrix
from opsin.detection.overlap import overlap_matrix
from opsin.errors import UsageError


def test_masks_that_are_boxes_overlap_as_boxes_do(monkeypatch):
    monkeypatch.setattr(masks, "PIXELS_AT_ONCE", 100)
    boxes = np.array([[1, 2, 9, 9], [3, 4, 20, 12], [0, 0, 30, 20]])
    drawn = np.zeros((3, 20, 30), np.uint8)
    for mask, (x0, y0, x1, y1) in zip(drawn, boxes, strict=True):
        mask[y0:y1, x0:x1] = 7

    np.testing.assert_allclose(mask_iou_matrix(drawn, drawn[:2]), overlap_matrix(boxes, boxes[:2], format="xyxy"))
    np.testing.assert_array_equal(boxes_of_masks(drawn), boxes)


def test_an_empty_mask_overlaps_nothing_and_has_no_box():
    empty = np.zeros((1, 3, 3), bool)

    assert mask_iou_matrix(empty, empty).tolist() == [[0]]
    assert mask_iou_matrix(empty[:0], empty).shape == (0, 1)
    with pytest.raises(UsageError, match="Mask 0, counted from 0, is empty"):
        boxes_of_masks(empty)


def test_masks_of_other_sizes_are_refused():
    with pytest.raises(UsageError, match="masks of one size"):
        mask_iou_matrix(np.ones((1, 3, 4)), np.ones((1, 4, 3)))
    with pytest.raises(UsageError, match="masks \\(n, h, w\\)"):
        mask_iou_matrix(np.ones((3, 4)), np.ones((1, 3, 4)))
