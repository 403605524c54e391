"""Weighted box fusion: boxes of one thing become their mean (Solovyev et al. 2019, arXiv 1910.13302)."""

import numpy as np

from opsin.detection.overlap import Sides, overlap_blocks
from opsin.detection.suppression import Suppression, Survivors


def weighted_fusion(boxes: np.ndarray, scores: np.ndarray, settings: Suppression) -> Survivors:
    """Put each box, the best first, to the fused box that it overlaps most, by more than `settings.iou`.

    Solovyev et al. 2019, section 3: a fused box is the mean of its boxes, weighted by their scores (equations 1 to 3);
    its score is their mean, less where fewer boxes than `settings.sources` went into it (equation 5).

    Where scores may be negative (logits), give probabilities instead: weights cannot be.
    """
    groups = _Groups(len(boxes))
    for position, (box, score) in enumerate(zip(boxes.astype(np.float64), scores.astype(np.float64), strict=True)):
        groups.take(position, box, max(score, 0.0), settings.iou)
    return _finished(groups, boxes.dtype, scores.dtype, settings)


def _finished(groups: "_Groups", box_type: np.dtype, score_type: np.dtype, settings: Suppression) -> Survivors:
    counts = groups.counts[: groups.n]
    fused = groups.totals[: groups.n] / np.maximum(counts, 1)
    fused = fused * np.minimum(counts, settings.sources) / settings.sources
    order = np.argsort(-fused, kind="stable")
    order = order[fused[order] > settings.score][: settings.max_boxes]
    return Survivors(groups.first[order], groups.boxes[order].astype(box_type), fused[order].astype(score_type))


class _Groups:
    """Boxes of one thing each, with room for as many as there are boxes."""

    def __init__(self, room: int):
        self.n = 0
        self.boxes = np.zeros((room, 4))
        self.first = np.zeros(room, np.int64)
        self.counts = np.zeros(room, np.int64)
        self.totals = np.zeros(room)
        self._columns = Sides(*(np.zeros(room) for _ in range(5)))

    def take(self, position: int, box: np.ndarray, score: float, iou: float) -> None:
        group = self._matching(box, iou)
        if group is None:
            group, self.n = self.n, self.n + 1
            self.first[group] = position
        before, weight = self.totals[group], self.totals[group] + score
        if self.counts[group] == 0:
            self.boxes[group] = box
        elif weight > 0:
            # Boxes without any score have no say.
            self.boxes[group] = (self.boxes[group] * before + box * score) / weight
        self.totals[group], self.counts[group] = weight, self.counts[group] + 1
        x0, y0, x1, y1 = self.boxes[group]
        for column, value in zip(self._columns, (x0, y0, x1, y1, (x1 - x0) * (y1 - y0)), strict=True):
            column[group] = value

    def _matching(self, box: np.ndarray, iou: float) -> int | None:
        if not self.n:
            return None
        one = Sides.of_corners(box[None])
        overlap = next(block for _, block in overlap_blocks(one, self._columns.take(slice(self.n))))[0]
        best = int(overlap.argmax())
        return best if overlap[best] > iou else None
