"""Greedy non-maximum suppression: the best box stays, what overlaps it goes, and so on."""

import numpy as np

from opsin.detection.neighbours import reaching_into, tiles
from opsin.detection.overlap import BLOCK, Sides, overlap_blocks
from opsin.detection.suppression import Suppression, Survivors

FIRST, MOST = 128, 512
"""How many boxes are decided on at once: few where a few are enough, more as it goes on."""


def greedy(boxes: np.ndarray, scores: np.ndarray, settings: Suppression) -> Survivors:
    """Suppress what overlaps a better box of those that stay by more than `settings.iou`.

    Boxes are decided on in the order of their scores, some hundred at a time: first what one of those that stay
    overlaps goes, then they are held against each other. No matrix is larger than that, and with `max_boxes` the rest
    is never looked at.
    """
    sides = Sides.of_corners(boxes)
    stay = np.zeros(len(boxes), bool)
    limit = len(boxes) if settings.max_boxes is None else settings.max_boxes
    start, size, number = 0, FIRST, 0
    while start < len(boxes) and number < limit:
        rows = np.arange(start, min(start + size, len(boxes)))
        rows = rows[~_overlapped(sides.take(rows), sides.take(np.flatnonzero(stay[:start])), settings.iou)]
        rows = rows[_best_of(sides.take(rows), settings.iou)]
        stay[rows] = True
        number += len(rows)
        start, size = start + size, min(2 * size, MOST)
    positions = np.flatnonzero(stay)[:limit]
    return Survivors(positions, boxes[positions], scores[positions])


def _overlapped(boxes: Sides, by: Sides, iou: float) -> np.ndarray:
    """Return bool (n,): which boxes one of some others overlaps by more."""
    found = np.zeros(len(boxes.area), bool)
    if len(boxes.area) * len(by.area) <= BLOCK:
        # So few are held against each other faster than sorted into tiles.
        for rows, block in overlap_blocks(boxes, by) if len(by.area) else ():
            found[rows] = (block > iou).any(axis=1)
        return found
    for tile in tiles(boxes):
        near = boxes.take(tile)
        for rows, block in overlap_blocks(near, by.take(reaching_into(by, near))):
            found[tile[rows]] = (block > iou).any(axis=1)
    return found


def _best_of(boxes: Sides, iou: float) -> np.ndarray:
    """Return bool (n,): which boxes stay if there are no others."""
    n = len(boxes.area)
    over = np.empty((n, n), bool)
    for rows, block in overlap_blocks(boxes, boxes):
        np.greater(block, iou, out=over[rows])
    np.fill_diagonal(over, False)
    stay = np.ones(n, bool)
    for row in np.flatnonzero(over.any(axis=1)):
        if stay[row]:
            stay[row + 1 :] &= ~over[row, row + 1 :]
    return stay
