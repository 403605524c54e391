"""Where a detector errs: precision against recall at every score, and which class is taken for which."""

from dataclasses import dataclass, replace

import numpy as np

from opsin.detection.annotations import FoundBoxes, TrueBoxes
from opsin.detection.matching import match_boxes, overlapping_pairs

BACKGROUND = "background"


@dataclass(frozen=True, eq=False)
class PrecisionRecall:
    """One class's curve, a point for each score, from the highest to the lowest.

    Attributes:
        name: what the class is called.
        scores: float64 (m,), falling: found boxes with at least this score are taken.
        precision: float64 (m,): the share of those that are right.
        recall: float64 (m,), rising: the share of true boxes that they find; NaN where there are none.
    """

    name: str
    scores: np.ndarray
    precision: np.ndarray
    recall: np.ndarray

    def best(self) -> tuple[float, float] | None:
        """Return the highest F1, and the score from which on it is reached; None where nothing is right."""
        if not len(self.scores) or not np.nanmax(self.recall, initial=0) > 0:
            return None
        f1 = 2 * self.precision * self.recall / np.maximum(self.precision + self.recall, np.finfo(float).tiny)
        place = int(f1.argmax())
        return float(f1[place]), float(self.scores[place])


def precision_recall(truth: TrueBoxes, found: FoundBoxes, *, iou: float = 0.5) -> tuple[PrecisionRecall, ...]:
    """Return each class's curve; which box finds which is decided as COCO does, of all boxes.

    Args:
        truth: true boxes.
        found: boxes found in their pictures, with scores.
        iou: from which on a box is found.
    """
    matches = match_boxes(truth, found, (iou,))
    hits, counted = matches.hits[0, 0], ~matches.ignored[0, 0]
    classes, scores = found.class_indices[matches.rows], found.scores[matches.rows]
    curves = []
    for k, name in enumerate(truth.class_names):
        own = (classes == k) & counted
        wanted = int((truth.counts & (truth.class_indices == k)).sum())
        right, falling = hits[own].cumsum(), scores[own]
        # Boxes of one score stand or fall together: only the last of them is a point.
        last = np.flatnonzero(np.diff(falling, append=-np.inf))
        recall = right[last] / wanted if wanted else np.full(len(last), np.nan)
        curves.append(PrecisionRecall(name, falling[last], right[last] / (last + 1), recall))
    return tuple(curves)


def confusion_matrix(truth: TrueBoxes, found: FoundBoxes, *, iou: float = 0.5, score: float = 0.25) -> np.ndarray:
    """Count which class is taken for which.

    Boxes of a picture go together by their overlap, whatever their classes, the most first, each once. What is left is
    background: a true box that nothing found, a found box where nothing is. Crowds and difficult boxes, and what was
    found there, are left out.

    Args:
        truth: true boxes.
        found: boxes found in their pictures, with scores.
        iou: from which on two boxes are of one thing.
        score: found boxes with less are left out.

    Returns:
        int64 (k + 1, k + 1): boxes of the class [row] taken for the class [column], the last of each for background.
    """
    found, k = found.above(score), len(truth.class_names)
    alike = [replace(one, class_indices=np.zeros(len(one), np.int64)) for one in (truth, found)]
    pairs = overlapping_pairs(*alike, iou)
    true_of, found_of = np.full(len(truth), -1), np.full(len(found), -1)
    order = np.lexsort((-found.scores[pairs.found], -pairs.iou))
    order = order[truth.counts[pairs.true[order]]]
    for one, other in zip(pairs.found[order].tolist(), pairs.true[order].tolist(), strict=True):
        if found_of[one] < 0 and true_of[other] < 0:
            found_of[one], true_of[other] = other, one
    left_out = np.zeros(len(found), bool)
    left_out[pairs.found[~truth.counts[pairs.true]]] = True
    wrong = (found_of < 0) & ~left_out
    said = np.append(found.class_indices, k)[true_of[truth.counts]]
    matrix = np.zeros((k + 1, k + 1), np.int64)
    np.add.at(matrix, (truth.class_indices[truth.counts], said), 1)
    np.add.at(matrix, (np.full(wrong.sum(), k), found.class_indices[wrong]), 1)
    return matrix
