"""Suppression: of many boxes around one thing, those that are to stay."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from opsin.catalog import choose, resolve
from opsin.detection import SUPPRESSIONS
from opsin.detection.boxes import corners, from_corners
from opsin.errors import DataError, UsageError

HEAD = 8
"""Where at most m boxes are to stay, the best 8 m are mostly enough."""


@dataclass(frozen=True)
class Suppression:
    """How boxes are suppressed.

    Args:
        method: a name in `SUPPRESSIONS`.
        iou: above it, two boxes are of one thing (`greedy`, `soft_linear`, `weighted_fusion`); from 0 to 1.
        score: only boxes with more than this are looked at, and, where scores decay, stay.
        max_boxes: how many stay at most, the best of all classes; None: no limit.
        sigma: how far a Gaussian decay reaches (`soft_gaussian`, `matrix_gaussian`).
        sources: how many networks the boxes are from (`weighted_fusion`): what fewer have found counts less.

    Raises:
        UsageError: a setting is out of its range.
    """

    method: str = "greedy"
    iou: float = 0.5
    score: float = -np.inf
    max_boxes: int | None = None
    sigma: float = 0.5
    sources: int = 1

    def __post_init__(self):
        choose("method of suppression", self.method, SUPPRESSIONS)
        # Written so that NaN is refused too.
        for held, wanted, name in (
            (0 <= self.iou <= 1, "iou from 0 to 1", "iou"),
            (self.score < np.inf, "a finite score, or none", "score"),
            (self.max_boxes is None or self.max_boxes >= 0, "max_boxes of 0 or more, or None", "max_boxes"),
            (self.sigma > 0, "sigma above 0", "sigma"),
            (self.sources >= 1, "at least 1 source", "sources"),
        ):
            if not held:
                raise UsageError(f"Expected {wanted}. Received {getattr(self, name)!r}. Change it.")


class Survivors(NamedTuple):
    """What a method has left, of boxes in the order of their scores."""

    positions: np.ndarray
    """int (m,): which ones. Of a fused box, the best of those that it was made of."""
    boxes: np.ndarray
    """float (m, 4), xyxy."""
    scores: np.ndarray
    """float (m,)."""


Method = Callable[[np.ndarray, np.ndarray, Suppression], Survivors]


@dataclass(frozen=True, eq=False)
class Kept:
    """The boxes that stay, from the highest score to the lowest.

    Attributes:
        indices: int (m,), their rows among the boxes that were given. Of a fused box, the best that went into it.
        boxes: float (m, 4), in the format that was given; another box only by `weighted_fusion`.
        scores: float (m,), decayed or averaged by the methods that do so.
        class_indices: int (m,), None where no classes were given.
    """

    indices: np.ndarray
    boxes: np.ndarray
    scores: np.ndarray
    class_indices: np.ndarray | None

    def __len__(self) -> int:
        return len(self.indices)


def suppress(
    boxes: np.ndarray,
    scores: np.ndarray,
    settings: Suppression | None = None,
    *,
    format: str,
    class_indices: np.ndarray | None = None,
) -> Kept:
    """Keep the best box of each thing.

    Of equal scores, the box that was given first goes first, as in TensorFlow and torchvision. Two boxes whose IoU is
    exactly the threshold both stay, as there. float32 boxes are worked on as float32, as both do.

    Args:
        boxes: numbers (n, 4).
        scores: numbers (n,), the higher the better; finite.
        settings: how; None: `Suppression()`.
        format: one of `opsin.detection.boxes.FORMATS`.
        class_indices: int (n,); boxes of different classes leave each other alone. None: all are of one.

    Raises:
        UsageError: arrays or settings do not fit together.
        DataError: a box is none, or a score is not finite.

    >>> boxes = [[10, 10, 50, 50], [12, 12, 52, 52], [100, 100, 150, 150], [102, 102, 148, 148]]
    >>> suppress(boxes, [0.9, 0.75, 0.85, 0.7], format="yxyx").indices.tolist()
    [0, 2]
    """
    settings = settings or Suppression()
    found = corners(boxes, format=format)
    scores = _take_scores(scores, len(found))
    classes = _take_classes(class_indices, len(found))
    for head in _heads(scores, settings):
        rows, kept, decayed = _by_class(head, found, scores, classes, settings)
        if len(rows) == settings.max_boxes:
            break
    known = None if class_indices is None else classes[rows]
    return Kept(rows, from_corners(kept, format), decayed, known)


def _heads(scores: np.ndarray, settings: Suppression) -> Iterator[np.ndarray]:
    """Yield the rows with the best scores, from the best on, if they may be enough, and then all rows."""
    above, most = scores > settings.score, HEAD * (settings.max_boxes or 0)
    # Only where no score changes, what the best boxes come to is what they would come to among all.
    if settings.method == "greedy" and 0 < most < len(scores):
        least = np.partition(scores, len(scores) - most)[len(scores) - most]
        yield _descending(scores, np.flatnonzero(above & (scores >= least)))
    yield _descending(scores, np.flatnonzero(above))


def _by_class(
    order: np.ndarray, boxes: np.ndarray, scores: np.ndarray, classes: np.ndarray, settings: Suppression
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return rows, boxes and scores of what stays, of all classes, from the highest score to the lowest."""
    method = resolve(SUPPRESSIONS[settings.method])
    parts = [_of_class(method, rows, boxes, scores, settings) for rows in _split(order, classes)]
    # Classes come one after the other: of equal scores, the first given goes first here, too.
    rows, kept, decayed = (np.concatenate(columns) for columns in zip(*parts, strict=True))
    best = np.lexsort((rows, -decayed))[: settings.max_boxes]
    return rows[best], kept[best], decayed[best]


def _descending(scores: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Return rows in the order of their scores, from the highest to the lowest; of equal ones, the first first."""
    if scores.dtype != np.float32 or len(scores) >= 1 << 31:
        return rows[np.argsort(-scores[rows], kind="stable")]
    # Score and row in one whole number: those are sorted five times as fast as anything is stably. The bits of a float
    # are ordered as it is, but for negative ones, which are the other way round, and for -0.
    bits = (0.0 - scores[rows]).view(np.int32).astype(np.int64)
    bits ^= (bits >> 31) & 0x7FFFFFFF
    return np.sort((bits << 32) | rows) & 0xFFFFFFFF


def _of_class(
    method: Method, rows: np.ndarray, boxes: np.ndarray, scores: np.ndarray, settings: Suppression
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    left = method(boxes[rows], scores[rows], settings)
    return rows[left.positions], left.boxes, left.scores


def _split(order: np.ndarray, classes: np.ndarray) -> list[np.ndarray]:
    """Return the rows of each class, from the highest score to the lowest; of nothing, one empty class."""
    if not len(order) or classes.min() == classes.max():
        return [order]
    grouped = order[np.argsort(classes[order], kind="stable")]
    return np.split(grouped, np.flatnonzero(np.diff(classes[grouped])) + 1)


def _take_scores(scores: np.ndarray, n: int) -> np.ndarray:
    scores = np.asarray(scores)
    scores = scores if scores.dtype == np.float32 else scores.astype(np.float64)
    if scores.shape != (n,):
        raise UsageError(f"Expected a score for each of {n} boxes, (n,). Received the shape {scores.shape}.")
    if not np.isfinite(scores).all():
        row = int((~np.isfinite(scores)).argmax())
        raise DataError(
            f"Expected finite scores. Received {scores[row]} for box {row}, counted from 0. "
            "Leave such boxes out; NaN comes from a network that diverged."
        )
    return scores


def _take_classes(class_indices: np.ndarray | None, n: int) -> np.ndarray:
    if class_indices is None:
        return np.zeros(n, np.int64)
    classes = np.asarray(class_indices)
    if classes.size == 0:
        classes = classes.astype(np.int64)
    if classes.shape != (n,) or not np.issubdtype(classes.dtype, np.integer):
        raise UsageError(
            f"Expected a class index (integer) for each of {n} boxes. "
            f"Received {classes.dtype} of the shape {classes.shape}."
        )
    return classes
