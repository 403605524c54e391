"""Soft non-maximum suppression: what overlaps a better box is believed less (Bodla et al. 2017, arXiv 1704.04503)."""

from collections.abc import Callable

import numpy as np

from opsin.detection.overlap import Sides, overlap_blocks
from opsin.detection.suppression import Suppression, Survivors

Decay = Callable[[np.ndarray, Suppression], np.ndarray]
"""From IoU (n,) with a better box: what scores are multiplied by."""


def soft_linear(boxes: np.ndarray, scores: np.ndarray, settings: Suppression) -> Survivors:
    """Bodla et al. 2017, section 3, the first rescoring function: above `settings.iou`, times 1 - IoU."""
    return _decay(boxes, scores, settings, lambda iou, to: np.where(iou > to.iou, 1 - iou, 1))


def soft_gaussian(boxes: np.ndarray, scores: np.ndarray, settings: Suppression) -> Survivors:
    """Bodla et al. 2017, equation 3: times exp(-IoU² / sigma). TensorFlow's `soft_nms_sigma` is half this sigma."""
    return _decay(boxes, scores, settings, lambda iou, to: np.exp(-(iou**2) / to.sigma))


def _decay(boxes: np.ndarray, scores: np.ndarray, settings: Suppression, decay: Decay) -> Survivors:
    """Take the best box, let the others' scores decay, and again, until none is left above `settings.score`."""
    left = np.arange(len(boxes))
    sides, now = Sides.of_corners(boxes), scores.astype(np.float64)
    taken: list[int] = []
    limit = len(boxes) if settings.max_boxes is None else settings.max_boxes
    final = now.copy()
    while len(left) and len(taken) < limit:
        best = int(now.argmax())
        taken.append(int(left[best]))
        final[left[best]] = now[best]
        iou = next(block for _, block in overlap_blocks(sides.take(slice(best, best + 1)), sides))[0]
        now = now * decay(iou, settings)
        stay = now > settings.score
        stay[best] = False
        left, now, sides = left[stay], now[stay], sides.take(stay)
    positions = np.array(taken, np.int64)
    return Survivors(positions, boxes[positions], final[positions].astype(scores.dtype))
