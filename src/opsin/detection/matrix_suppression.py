"""Matrix non-maximum suppression: every score decays at once (Wang et al. 2020, SOLOv2, arXiv 2003.10152)."""

from collections.abc import Callable

import numpy as np

from opsin.detection.neighbours import reaching_into, tiles
from opsin.detection.overlap import Sides, overlap_blocks
from opsin.detection.suppression import Suppression, Survivors

Decay = Callable[[np.ndarray], np.ndarray]
_LEAST = 1e-12


def matrix_linear(boxes: np.ndarray, scores: np.ndarray, settings: Suppression) -> Survivors:
    """Wang et al. 2020, equations 4 and 5, with f(IoU) = 1 - IoU."""
    return _decay(boxes, scores, settings, lambda iou: 1 - iou)


def matrix_gaussian(boxes: np.ndarray, scores: np.ndarray, settings: Suppression) -> Survivors:
    """Wang et al. 2020, equations 4 and 5, with f(IoU) = exp(-IoU² / sigma). Its code's `sigma=2.0` is 0.5 here."""
    return _decay(boxes, scores, settings, lambda iou: np.exp(-(iou**2) / settings.sigma))


def _decay(boxes: np.ndarray, scores: np.ndarray, settings: Suppression, decay: Decay) -> Survivors:
    """Multiply each score by the least f(IoU with a better box) / f(that box's highest IoU with its betters)."""
    sides = Sides.of_corners(boxes).astype(np.float64)
    # Where a better box is itself suppressed for sure, by one just like it, it suppresses no other: 1 / 0 is large.
    trust = np.maximum(decay(_with_betters(sides, lambda iou, _: iou.max(axis=1), 0.0)), _LEAST)
    factors = _with_betters(sides, lambda iou, betters: (decay(iou) / trust[betters]).min(axis=1), 1.0)
    decayed = scores * np.minimum(factors, 1)
    order = np.argsort(-decayed, kind="stable")
    positions = order[decayed[order] > settings.score][: settings.max_boxes]
    return Survivors(positions, boxes[positions], decayed[positions].astype(scores.dtype))


def _with_betters(boxes: Sides, reduce: Callable[[np.ndarray, np.ndarray], np.ndarray], alone: float) -> np.ndarray:
    """Return float (n,): what is made of each box's IoU with all those before it, or `alone` where it touches none.

    Boxes that do not touch change nothing: f(0) is 1, and no score rises.
    """
    answer = np.full(len(boxes.area), alone)
    for tile in tiles(boxes):
        near = boxes.take(tile)
        others = reaching_into(boxes, near)
        if not len(others):
            continue
        for rows, block in overlap_blocks(near, boxes.take(others)):
            block[others[None, :] >= tile[rows, None]] = 0
            answer[tile[rows]] = reduce(block, others)
    return answer
