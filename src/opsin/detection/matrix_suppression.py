"""Matrix non-maximum suppression: every score decays at once (Wang et al. 2020, SOLOv2, arXiv 2003.10152)."""

from collections.abc import Callable

import numpy as np

from opsin.detection.neighbours import reaching_into, tiles
from opsin.detection.overlap import Sides, overlap_blocks
from opsin.detection.suppression import Suppression, Survivors

_LEAST = 1e-12
_PARTS = 8
"""Into so many parts a tile is cut by score: the fewer boxes in one, the fewer of their neighbours are not better."""

# Both take the least f(IoU with a better box) / f(that box's highest IoU with its betters): equations 4 and 5.


def matrix_linear(boxes: np.ndarray, scores: np.ndarray, settings: Suppression) -> Survivors:
    """Wang et al. 2020, equations 4 and 5, with f(IoU) = 1 - IoU."""
    sides = Sides.of_corners(boxes).astype(np.float64)
    # Where a better box is itself suppressed for sure, by one just like it, it suppresses no other: 1 / 0 is large.
    trust = 1 / np.maximum(1 - _highest(sides), _LEAST)
    most = _most(sides, lambda iou, betters: (iou - 1) * trust[betters], -1.0)
    return _decayed(boxes, scores, -most, settings)


def matrix_gaussian(boxes: np.ndarray, scores: np.ndarray, settings: Suppression) -> Survivors:
    """Wang et al. 2020, equations 4 and 5, with f(IoU) = exp(-IoU² / sigma). Its code's `sigma=2.0` is 0.5 here."""
    sides = Sides.of_corners(boxes).astype(np.float64)
    own = _highest(sides) ** 2
    # One exponential for each box in the place of one for each pair.
    most = _most(sides, lambda iou, betters: iou**2 - own[betters], 0.0)
    return _decayed(boxes, scores, np.exp(-most / settings.sigma), settings)


def _decayed(boxes: np.ndarray, scores: np.ndarray, factors: np.ndarray, settings: Suppression) -> Survivors:
    decayed = scores * np.minimum(factors, 1)
    order = np.argsort(-decayed, kind="stable")
    positions = order[decayed[order] > settings.score][: settings.max_boxes]
    return Survivors(positions, boxes[positions], decayed[positions].astype(scores.dtype))


def _highest(boxes: Sides) -> np.ndarray:
    """Return float (n,): each box's highest IoU with those before it."""
    return _most(boxes, lambda iou, betters: iou, 0.0)


def _most(boxes: Sides, of: Callable[[np.ndarray, np.ndarray], np.ndarray], alone: float) -> np.ndarray:
    """Return float (n,): the most of what is made of each box's IoU with all those before it.

    Args:
        boxes: from the highest score to the lowest.
        of: from IoU (rows, m) and the rows (m,) of the others, to a number for each pair; it rises with IoU.
        alone: what a box has that touches none. Boxes that do not touch change nothing: f(0) is 1, and no score rises.
    """
    answer = np.full(len(boxes.area), alone)
    for tile in tiles(boxes):
        tile.sort()
        others = reaching_into(boxes, boxes.take(tile))
        near = boxes.take(others)
        for rows in np.array_split(tile, min(_PARTS, len(tile))):
            # In the order of scores, those that are better than the last of some boxes come first.
            first, last = np.searchsorted(others, (rows[0], rows[-1]))
            for part, block in overlap_blocks(boxes.take(rows), near.take(slice(last))) if last else ():
                block[:, first:][others[first:last] >= rows[part, None]] = 0
                answer[rows[part]] = of(block, others[:last]).max(axis=1)
    return np.maximum(answer, alone)
