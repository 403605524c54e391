"""Which found box finds which true one, as COCO counts: by score, at many thresholds and sizes at once."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from opsin.detection.annotations import FoundBoxes, TrueBoxes

AT_ONCE = 1 << 20
"""Pairs of a found and a true box that are worked on at once, and those of one box more."""

_ALMOST = 1 - 1e-10
"""As in pycocotools: a threshold of 1 is reached by what differs in the last digits."""


@dataclass(frozen=True, eq=False)
class Matches:
    """What became of d found boxes, those with the highest scores of each class in each picture.

    They are in the order of their classes, of their scores in those, of equal scores by picture. a sizes, t thresholds.

    Attributes:
        rows: int64 (d,), into the found boxes.
        ranks: int64 (d,), from 0: of the same class in the same picture, how many have a higher score.
        hits: bool (a, t, d): it has found one.
        ignored: bool (a, t, d): it counts neither for nor against.
        truth_counts: bool (a, n): which true boxes have to be found.
        truth_rows: int64 (a, t, d): the true box, -1 for none.
    """

    rows: np.ndarray
    ranks: np.ndarray
    hits: np.ndarray
    ignored: np.ndarray
    truth_counts: np.ndarray
    truth_rows: np.ndarray


def match_boxes(
    truth: TrueBoxes,
    found: FoundBoxes,
    thresholds: Sequence[float],
    *,
    sizes: Sequence[tuple[float, float]] = ((0, np.inf),),
    most: int | None = None,
) -> Matches:
    """Let each found box, from the highest score on, take the free true box that it overlaps most.

    Of its class, in its picture, from the threshold on; of equal ones, the last. One that need not be found (a crowd, a
    box of another size) is taken only where there is no other. A crowd is never used up, and overlaps as far as the
    found box lies in it. These are COCO's rules as pycocotools has them, an annotation with the id 0 included.

    Args:
        truth: true boxes.
        found: found ones.
        thresholds: of IoU, t of them.
        sizes: the smallest and the largest area, a pairs.
        most: how many of a class in a picture are looked at; None: all.
    """
    pairs = np.array([min(one, _ALMOST) for one in thresholds])
    rows, ranks = _ranked(truth, found, most)
    low, high = np.array(sizes, np.float64).T[:, :, None]
    counts = truth.counts & (truth.areas >= low) & (truth.areas <= high)
    taken = _take(truth, found.boxes[rows], Pairs.of(truth, found, rows, pairs.min()), ranks, counts, pairs)
    hits = taken >= 0
    # `taken` is -1 for none: what stands there is the last box's, and not used.
    ignored = np.zeros_like(hits)
    if len(truth):
        ignored = hits & ~np.take_along_axis(counts[:, None], taken, axis=2) if len(rows) else ignored
        hits &= truth.ids[taken] != 0
    area = found.boxes[rows, 2] * found.boxes[rows, 3]
    ignored |= ~hits & ((area < low) | (area > high))[:, None]
    order = np.lexsort((-found.scores[rows], found.class_indices[rows]))
    return Matches(rows[order], ranks[order], hits[..., order], ignored[..., order], counts, taken[..., order])


def _ranked(truth: TrueBoxes, found: FoundBoxes, most: int | None) -> tuple[np.ndarray, np.ndarray]:
    """Return rows of found boxes by class, picture and falling score, and each one's rank in its picture."""
    rows = np.lexsort((-found.scores, found.picture_indices, found.class_indices))
    keys = _keys(truth, found)[rows]
    starts = np.flatnonzero(np.diff(keys, prepend=-1))
    ranks = np.arange(len(rows)) - np.repeat(starts, np.diff(starts, append=len(rows)))
    few = ranks < (len(rows) if most is None else most)
    return rows[few], ranks[few]


def _keys(truth: TrueBoxes, boxes: TrueBoxes | FoundBoxes) -> np.ndarray:
    """Return int64 (n,): one number for each class in each picture."""
    return boxes.class_indices * len(truth.pictures) + boxes.picture_indices


@dataclass(frozen=True, eq=False)
class Pairs:
    """Found and true boxes of one class and picture that overlap far enough, by found and true box.

    Attributes:
        found: int64 (p,), into the rows that were asked for.
        true: int64 (p,), rows of true boxes.
        iou: float64 (p,); with a crowd, how much of the found box lies in it.
    """

    found: np.ndarray
    true: np.ndarray
    iou: np.ndarray

    @classmethod
    def of(cls, truth: TrueBoxes, found: FoundBoxes, rows: np.ndarray, least: float) -> "Pairs":
        """Take found boxes, by their rows, together with the true ones that they overlap by at least this IoU."""
        keys, own = _keys(truth, found)[rows], _keys(truth, truth)
        order = np.argsort(own, kind="stable")
        first, last = (np.searchsorted(own[order], keys, side) for side in ("left", "right"))
        ends = np.cumsum(last - first)
        # Most pairs overlap too little: they are never all there at once.
        cuts = np.searchsorted(ends, np.arange(AT_ONCE, ends[-1] if len(ends) else 0, AT_ONCE), "right")
        parts = [_pairs(part, first, last, order) for part in np.split(np.arange(len(rows)), np.unique(cuts))]
        kept = [_enough(one, other, truth, found.boxes[rows[one]], least) for one, other in parts]
        return cls(*(np.concatenate(columns) for columns in zip(*kept, strict=True)))

    def take(self, rows: np.ndarray) -> "Pairs":
        """Return some of the pairs."""
        return Pairs(self.found[rows], self.true[rows], self.iou[rows])


def _pairs(part: np.ndarray, first: np.ndarray, last: np.ndarray, order: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return each of some found boxes with each of the true ones from its first to its last in the order."""
    counts = (last - first)[part]
    one = np.repeat(part, counts)
    before = np.cumsum(counts) - counts
    return one, order[np.arange(len(one)) - np.repeat(before - first[part], counts)]


def _enough(
    one: np.ndarray, other: np.ndarray, truth: TrueBoxes, boxes: np.ndarray, least: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    iou = _iou(boxes, truth.boxes[other], truth.is_crowd[other])
    enough = iou >= least
    return one[enough], other[enough], iou[enough]


def overlapping_pairs(truth: TrueBoxes, found: FoundBoxes, least: float) -> Pairs:
    """Return all pairs of a found and a true box of one class and picture with at least this IoU."""
    return Pairs.of(truth, found, np.arange(len(found)), least)


def _iou(first: np.ndarray, second: np.ndarray, is_crowd: np.ndarray) -> np.ndarray:
    """Return each row's IoU; with a crowd, how much of the first lies in it. Of widths and heights, as pycocotools."""
    sides = np.minimum(first[:, :2] + first[:, 2:], second[:, :2] + second[:, 2:])
    sides = np.maximum(sides - np.maximum(first[:, :2], second[:, :2]), 0)
    shared, (own, others) = sides[:, 0] * sides[:, 1], ((one[:, 2] * one[:, 3]) for one in (first, second))
    union = np.where(is_crowd, own, own + others - shared)
    return np.where(shared > 0, shared / np.where(union > 0, union, 1), 0.0)


def _take(
    truth: TrueBoxes, boxes: np.ndarray, pairs: Pairs, ranks: np.ndarray, counts: np.ndarray, thresholds: np.ndarray
) -> np.ndarray:
    """Return int64 (a, t, d): the true box that each found one takes, -1 for none."""
    taken = np.full((len(counts), len(thresholds), len(boxes)), -1)
    free = np.ones((len(counts), len(thresholds), len(truth)), bool)
    # Boxes of one rank are of different classes or pictures: they never want the same one.
    rank_of = ranks[pairs.found]
    order = np.argsort(rank_of, kind="stable")
    for one in np.split(order, np.flatnonzero(np.diff(rank_of[order])) + 1):
        if not len(one):
            continue
        now = pairs.take(one)
        can = (now.iou >= thresholds[:, None]) & (free[..., now.true] | truth.is_crowd[now.true])
        starts = np.flatnonzero(np.diff(now.found, prepend=-1))
        choice = _choose(can, counts[:, None, now.true], now.iou, starts)
        finder = now.found[starts]
        chosen = now.true[choice]
        taken[..., finder] = np.where(choice >= 0, chosen, -1)
        a, t, _ = np.nonzero(choice >= 0)
        free[a, t, chosen[choice >= 0]] = False
    return taken


def _choose(can: np.ndarray, counts: np.ndarray, iou: np.ndarray, starts: np.ndarray) -> np.ndarray:
    """Return int64 (a, t, groups): of each group of pairs the best one that can be, -1 for none."""
    sizes = np.diff(starts, append=len(iou))
    # What has to be found goes before what need not.
    wanted = can & counts
    some = np.repeat(np.logical_or.reduceat(wanted, starts, axis=2), sizes, axis=2)
    values = np.where(np.where(some, wanted, can), iou, -1.0)
    best = np.repeat(np.maximum.reduceat(values, starts, axis=2), sizes, axis=2)
    places = np.where((values == best) & (values >= 0), np.arange(len(iou)), -1)
    return np.maximum.reduceat(places, starts, axis=2)
