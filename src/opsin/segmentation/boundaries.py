"""Boundaries of classes, and how many of their pixels have a partner within a tolerance.

Csurka, Larlus and Perronnin 2013, "What is a good evaluation measure for semantic segmentation?", section 4: boundary
F1 at a distance of 0.75 % of the picture's diagonal. They average over pictures; here pixels are summed over pictures,
as for the IoU, so that a picture without the class weighs nothing.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from opsin.errors import UsageError
from opsin.segmentation.classes import IGNORED


@dataclass(frozen=True)
class Tolerance:
    """How far from a boundary another still counts as the same.

    Args:
        share: of the picture's diagonal, a fraction from 0 to 1; one pixel at least.
        pixels: 0 or more, instead of `share`.

    Raises:
        UsageError: a value is outside its range.

    >>> Tolerance().radius(300, 400), Tolerance(pixels=2).radius(300, 400)
    (3.75, 2)
    """

    share: float = 0.0075
    pixels: float | None = None

    def __post_init__(self):
        if not 0 <= self.share <= 1 or (self.pixels is not None and not 0 <= self.pixels < math.inf):
            raise UsageError(
                "Expected a tolerance as a share from 0 to 1 or as pixels from 0 on. Received "
                f"share={self.share!r}, pixels={self.pixels!r}."
            )

    def radius(self, height: int, width: int) -> float:
        """Return it in pixels, for a picture of this size."""
        return max(1.0, self.share * math.hypot(height, width)) if self.pixels is None else self.pixels

    def __str__(self) -> str:
        return f"{self.share:.2%} of the diagonal" if self.pixels is None else f"{self.pixels:g} pixels"


@dataclass(frozen=True, eq=False)
class BoundaryCounts:
    """Boundary pixels of n pictures, one row a picture.

    Args:
        truths: int64 (n, k), true boundary pixels of each class.
        found: int64 (n, k), those with a said one within the tolerance.
        said: int64 (n, k), boundary pixels that were said.
        right: int64 (n, k), those with a true one within the tolerance.
        hidden: int64 (n, k), true pixels of each class beside ignored ones, and beside none of another class: behind
            what is ignored may be a boundary, of which nothing is known.
    """

    truths: np.ndarray
    found: np.ndarray
    said: np.ndarray
    right: np.ndarray
    hidden: np.ndarray


def count_boundaries(truth: np.ndarray, said: np.ndarray, k: int, tolerance: Tolerance) -> BoundaryCounts:
    """Count the boundary pixels of one picture.

    A pixel is on its class's boundary where the one above, below, left or right is of another class. The picture's edge
    and what is ignored make no boundaries.

    Args:
        truth: uint8 (h, w), class indices; 255 is not judged.
        said: uint8 (h, w), class indices; 255 is no answer.
        k: how many classes.
        tolerance: how far apart partners may be.

    Returns:
        The counts of one picture, (1, k) each.
    """
    said = np.where(truth == IGNORED, np.uint8(IGNORED), said)
    true_edges, said_edges = boundary(truth), boundary(said)
    radius = tolerance.radius(*truth.shape)
    counts = np.zeros((4, 1, k), dtype=np.int64)
    for c in np.flatnonzero(np.bincount(np.append(truth[true_edges], said[said_edges]), minlength=k)[:k]):
        true_edge, said_edge = true_edges & (truth == c), said_edges & (said == c)
        counts[:, 0, c] = (
            np.count_nonzero(true_edge),
            count_near(true_edge, said_edge, radius),
            np.count_nonzero(said_edge),
            count_near(said_edge, true_edge, radius),
        )
    hidden = np.bincount(truth[beside_ignored(truth) & ~true_edges], minlength=k)
    return BoundaryCounts(*counts, hidden[None, :k])


def boundary(classes: np.ndarray) -> np.ndarray:
    """Return which pixels have a neighbour of another class: uint8 (h, w) to bool (h, w).

    >>> boundary(np.array([[0, 0, 1, 255, 0]], np.uint8)).tolist()
    [[False, True, True, False, False]]
    """
    return _on_an_edge(classes, lambda one, other: (one != other) & (one != IGNORED) & (other != IGNORED))


def beside_ignored(classes: np.ndarray) -> np.ndarray:
    """Return which pixels of a class have an ignored neighbour: uint8 (h, w) to bool (h, w).

    >>> beside_ignored(np.array([[0, 0, 1, 255, 0]], np.uint8)).tolist()
    [[False, False, True, False, True]]
    """
    edge = _on_an_edge(classes, lambda one, other: (one == IGNORED) != (other == IGNORED))
    return edge & (classes != IGNORED)


def _on_an_edge(classes: np.ndarray, differs: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> np.ndarray:
    """Return which pixels are one of two neighbours that differ: (h, w) to bool (h, w)."""
    found = np.zeros(classes.shape, dtype=bool)
    for axis in (0, 1):
        array, edge = (classes, found) if axis == 0 else (classes.T, found.T)
        apart = differs(array[1:], array[:-1])
        edge[1:] |= apart
        edge[:-1] |= apart
    return found


def near(pixels: np.ndarray, radius: float) -> np.ndarray:
    """Return which pixels have one of the given ones within a distance.

    Args:
        pixels: bool (h, w).
        radius: between centres, in pixels, 0 or more.

    Returns:
        bool (h, w).

    >>> near(np.array([[True, False, False]]), 1).tolist()
    [[True, True, False]]
    """
    found = np.zeros_like(pixels)
    height, width = pixels.shape
    most = min(int(radius), width)
    # How many lie left of each place, as far beyond both sides as a disc about a pixel reaches.
    summed = np.zeros((height, width + 2 * most + 1), dtype=np.int32)
    np.cumsum(pixels, axis=1, out=summed[:, most + 1 : most + 1 + width])
    summed[:, most + 1 + width :] = summed[:, most + width, None]
    for down in range(min(int(radius), height - 1) + 1):
        reach = min(int(math.sqrt(radius**2 - down**2)), most)
        first, last = most - reach, most + reach + 1
        stretch = summed[:, last : last + width] > summed[:, first : first + width]
        found[: height - down] |= stretch[down:]
        found[down:] |= stretch[: height - down]
    return found


def count_near(pixels: np.ndarray, others: np.ndarray, radius: float) -> int:
    """Count the pixels that have one of some others within a distance: of few pixels, faster than `near`.

    Args:
        pixels: bool (h, w), those that are counted.
        others: bool (h, w).
        radius: between centres, in pixels, 0 or more.

    >>> count_near(np.array([[True, True, True]]), np.array([[True, False, False]]), 1)
    2
    """
    height, width = pixels.shape
    summed = np.zeros((height, width + 1), dtype=np.int32)
    np.cumsum(others, axis=1, out=summed[:, 1:])
    rows, columns = np.nonzero(pixels)
    alone = len(rows)
    for distance in range(min(int(radius), height - 1) + 1):
        reach = int(math.sqrt(radius**2 - distance**2))
        first, last = np.maximum(columns - reach, 0), np.minimum(columns + reach + 1, width)
        found = np.zeros(len(rows), dtype=bool)
        for row in (rows - distance, rows + distance):
            # Beyond the picture, the row at its edge stands in: it was asked for before, at a greater reach.
            there = np.clip(row, 0, height - 1)
            found |= summed[there, last] > summed[there, first]
        rows, columns = rows[~found], columns[~found]
    return alone - len(rows)
