"""How much boxes overlap: IoU and its kin, of every box with every other, in memory hardly larger than the answer."""

import math
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np

from opsin.catalog import choose
from opsin.detection.boxes import areas, corners

BLOCK = 1 << 16
"""Pairs of boxes that are worked on at once: few enough to stay in a core's own cache."""


class Sides(NamedTuple):
    """Boxes as columns: edges, each float (n,), and areas (of widths and heights, where these were given)."""

    x0: np.ndarray
    y0: np.ndarray
    x1: np.ndarray
    y1: np.ndarray
    area: np.ndarray

    @classmethod
    def of(cls, boxes: np.ndarray, format: str) -> "Sides":
        """Take boxes (n, 4) apart; raises as `take_boxes` does."""
        return cls(*np.ascontiguousarray(corners(boxes, format=format).T), areas(boxes, format=format))

    @classmethod
    def of_corners(cls, boxes: np.ndarray) -> "Sides":
        """Take boxes apart that are known to be some: float (n, 4), xyxy."""
        x0, y0, x1, y1 = np.ascontiguousarray(boxes.T)
        return cls(x0, y0, x1, y1, (x1 - x0) * (y1 - y0))

    def take(self, rows: np.ndarray | slice) -> "Sides":
        """Return some of the boxes."""
        return Sides(*(column[rows] for column in self))

    def upright(self) -> "Sides":
        """Return the same as columns (n, 1), to be held against rows."""
        return Sides(*(column[:, None] for column in self))

    def astype(self, dtype: np.dtype) -> "Sides":
        """Return the same in another precision."""
        return Sides(*(column.astype(dtype, copy=False) for column in self))


def overlap_matrix(
    first: np.ndarray,
    second: np.ndarray,
    *,
    format: str,
    measure: str = "iou",
    dtype: np.dtype | None = None,
) -> np.ndarray:
    """Return how much each box overlaps each of some others.

    A box without area overlaps nothing: its IoU is 0, even with itself.

    Args:
        first: numbers (n, 4).
        second: numbers (m, 4), in the same unit.
        format: one of `FORMATS`, of both.
        measure: one of `MEASURES`. IoU is from 0 to 1; GIoU and DIoU are from -1 to 1, CIoU from about -1.5 to 1.
        dtype: of the answer; None: float32 if both are, float64 otherwise.

    Returns:
        float (n, m).

    Raises:
        UsageError: arrays, format or measure are none.
        DataError: a box is none.

    >>> overlap_matrix([[10, 10, 50, 50]], [[12, 12, 52, 52]], format="yxyx").round(4).tolist()
    [[0.8223]]
    """
    one, other = Sides.of(first, format), Sides.of(second, format)
    answer = np.empty((len(one.area), len(other.area)), dtype or np.result_type(one.area, other.area))
    for rows, block in overlap_blocks(one, other, measure):
        answer[rows] = block
    return answer


def overlap_blocks(first: Sides, second: Sides, measure: str = "iou") -> Iterator[tuple[slice, np.ndarray]]:
    """Yield the matrix in blocks of rows, for what wants to look at it without ever having all of it.

    Yields:
        Which rows, and float (rows, m). The array is used again for the next block: copy what is to stay.
    """
    function = MEASURES[choose("measure of overlap", measure, MEASURES)]
    step = max(1, BLOCK // max(len(second.area), 1))
    room = _Room(step, len(second.area), np.result_type(first.area, second.area))
    # What this is about is rare, and looking for it in every pair would take a tenth of the time.
    flat = not (len(first.area) and len(second.area) and first.area.min() > 0 and second.area.min() > 0)
    for start in range(0, len(first.area), step):
        rows = slice(start, min(start + step, len(first.area)))
        yield rows, function(first.take(rows).upright(), second, room.for_rows(rows.stop - start), flat)


class _Room:
    """Three arrays that every block is worked out in."""

    def __init__(self, rows: int, columns: int, dtype: np.dtype):
        self._arrays = [np.empty((rows, columns), dtype) for _ in range(3)]

    def for_rows(self, rows: int) -> list[np.ndarray]:
        return [array[:rows] for array in self._arrays]


Measure = Callable[[Sides, Sides, list[np.ndarray], bool], np.ndarray]
"""From boxes as columns and boxes as rows, room to work in, and whether some boxes have no area."""


def _intersection(a: Sides, b: Sides, room: list[np.ndarray]) -> np.ndarray:
    width, height, edge = room
    for side, low, high in ((width, "x0", "x1"), (height, "y0", "y1")):
        np.minimum(getattr(a, high), getattr(b, high), out=side)
        side -= np.maximum(getattr(a, low), getattr(b, low), out=edge)
        np.maximum(side, 0, out=side)
    width *= height
    return width


def _iou(a: Sides, b: Sides, room: list[np.ndarray], flat: bool) -> np.ndarray:
    shared = _intersection(a, b, room)
    union = np.add(a.area, b.area, out=room[1])
    union -= shared
    if flat:
        # 0 / 0 is 0 then.
        np.maximum(union, np.finfo(union.dtype).tiny, out=union)
    shared /= union
    return shared


def _over_first(a: Sides, b: Sides, room: list[np.ndarray], flat: bool) -> np.ndarray:
    """Of a box in a crowd, what counts is how much of itself is in it (COCO)."""
    shared = _intersection(a, b, room)
    shared /= np.maximum(a.area, np.finfo(shared.dtype).tiny) if flat else a.area
    return shared


def _giou(a: Sides, b: Sides, room: list[np.ndarray], flat: bool) -> np.ndarray:
    """Rezatofighi et al. 2019, arXiv 1902.09630, algorithm 1: what of the hull neither covers is taken off."""
    iou = _iou(a, b, room, flat)
    union = room[1]
    hull = (np.maximum(a.x1, b.x1) - np.minimum(a.x0, b.x0)) * (np.maximum(a.y1, b.y1) - np.minimum(a.y0, b.y0))
    # Never less than what it is around, which is a little above 0 by now.
    hull = np.maximum(hull, union)
    return iou - (hull - union) / hull


def _diou(a: Sides, b: Sides, room: list[np.ndarray], flat: bool) -> np.ndarray:
    """Zheng et al. 2020, arXiv 1911.08287, equation 7: less the distance of the centres by the hull's diagonal."""
    iou = _iou(a, b, room, flat)
    apart = ((a.x0 + a.x1 - b.x0 - b.x1) ** 2 + (a.y0 + a.y1 - b.y0 - b.y1) ** 2) / 4
    hull_width = np.maximum(a.x1, b.x1) - np.minimum(a.x0, b.x0)
    hull_height = np.maximum(a.y1, b.y1) - np.minimum(a.y0, b.y0)
    return iou - apart / np.maximum(hull_width**2 + hull_height**2, np.finfo(iou.dtype).tiny)


def _ciou(a: Sides, b: Sides, room: list[np.ndarray], flat: bool) -> np.ndarray:
    """The same paper, equations 8 to 11: less the difference of the proportions, too."""
    iou = _iou(a, b, room, flat).copy()
    shapes = [np.arctan2(one.x1 - one.x0, one.y1 - one.y0) for one in (a, b)]
    unlike = 4 / math.pi**2 * (shapes[0] - shapes[1]) ** 2
    weight = unlike / np.maximum(1 - iou + unlike, np.finfo(iou.dtype).tiny)
    return _diou(a, b, room, flat) - weight * unlike


MEASURES: dict[str, Measure] = {
    "iou": _iou,
    "giou": _giou,
    "diou": _diou,
    "ciou": _ciou,
    "intersection_over_first": _over_first,
}
