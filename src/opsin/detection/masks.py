"""Masks: how much they overlap, and the boxes around them."""

import numpy as np

from opsin.errors import UsageError

PIXELS_AT_ONCE = 1 << 18


def mask_iou_matrix(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return the IoU of each mask with each of some others.

    A mask without a pixel overlaps nothing: its IoU is 0, even with itself.

    Args:
        first: bool (n, h, w); numbers count as true where they are not 0.
        second: bool (m, h, w).

    Returns:
        float64 (n, m), from 0 to 1.

    Raises:
        UsageError: they are no masks of one size.

    >>> mask_iou_matrix([[[1, 1, 0, 0]]], [[[0, 1, 1, 0]]]).round(4).tolist()
    [[0.3333]]
    """
    one, other = _flat(first), _flat(second)
    if np.shape(first)[1:] != np.shape(second)[1:]:
        raise UsageError(
            f"Expected masks of one size. Received {np.shape(first)[1:]} and {np.shape(second)[1:]}, height and width. "
            "Bring them to the picture's size first."
        )
    shared = np.zeros((len(one), len(other)))
    for start in range(0, one.shape[1], PIXELS_AT_ONCE):
        part = slice(start, start + PIXELS_AT_ONCE)
        # Whole numbers up to 2^24 are exact in float32, and multiplied the fastest.
        shared += one[:, part].astype(np.float32) @ other[:, part].astype(np.float32).T
    union = np.count_nonzero(one, axis=1)[:, None] + np.count_nonzero(other, axis=1) - shared
    return shared / np.maximum(union, 1)


def boxes_of_masks(masks: np.ndarray) -> np.ndarray:
    """Return the smallest box around each mask.

    Args:
        masks: bool (n, h, w), at least one pixel in each.

    Returns:
        float64 (n, 4), xyxy, pixels: the edges of the outermost ones.

    Raises:
        UsageError: they are no masks, or one is empty.

    >>> boxes_of_masks([[[0, 0, 0], [0, 1, 1]]]).tolist()
    [[1.0, 1.0, 3.0, 2.0]]
    """
    _flat(masks)
    masks = np.asarray(masks) != 0
    boxes = np.zeros((len(masks), 4))
    for axis, (low, high) in ((1, (0, 2)), (2, (1, 3))):
        seen = masks.any(axis=axis)
        if not seen.any(axis=1).all():
            empty = int((~seen.any(axis=1)).argmax())
            raise UsageError(f"Expected a pixel in every mask. Mask {empty}, counted from 0, is empty: leave it out.")
        boxes[:, low] = seen.argmax(axis=1)
        boxes[:, high] = seen.shape[1] - seen[:, ::-1].argmax(axis=1)
    return boxes


def _flat(masks: np.ndarray) -> np.ndarray:
    masks = np.asarray(masks)
    if masks.ndim != 3:
        raise UsageError(f"Expected masks (n, h, w). Received the shape {masks.shape}. One mask is mask[None].")
    return masks.reshape(len(masks), masks.shape[1] * masks.shape[2]) != 0
