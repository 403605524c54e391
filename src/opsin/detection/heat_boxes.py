"""Boxes without a detector: around the hot area of a classifier's heat map (Zhou et al. 2016, arXiv 1512.04150)."""

import numpy as np

from opsin.errors import UsageError

SHARE = 0.2
"""Of the highest value, from where on a place is hot: section 3.2 of the paper."""


def box_of_heat(heat_map: np.ndarray, *, share: float = SHARE) -> np.ndarray | None:
    """Return the box around the largest connected hot area.

    Places are connected by their sides, not their corners. Of areas of one size, the first from the top is taken.

    Args:
        heat_map: numbers (H, W), 0 or more, finite.
        share: of the highest value, from where on a place is hot; above 0, to 1.

    Returns:
        float64 (4,), xyxy, in the heat map's pixels; None where all is 0: there is no evidence.

    Raises:
        UsageError: the share is out of range, or this is no heat map.

    >>> box_of_heat(np.array([[9, 0, 0, 0], [0, 0, 5, 9], [0, 1, 8, 0]])).tolist()
    [2.0, 1.0, 4.0, 3.0]
    """
    heat_map = np.asarray(heat_map)
    if heat_map.ndim != 2 or not heat_map.size or not (np.isfinite(heat_map).all() and heat_map.min() >= 0):
        raise UsageError(f"Expected a heat map (H, W), finite, 0 or more. Received the shape {heat_map.shape}.")
    if not 0 < share <= 1:
        raise UsageError(f"Expected a share above 0, to 1, of the highest value. Received {share}. 0.2 is usual.")
    if heat_map.max() == 0:
        return None
    runs = _runs(heat_map >= share * heat_map.max())
    areas = _connected(runs)
    sizes = np.bincount(areas, weights=runs[:, 2] - runs[:, 1])
    rows, left, right = runs[areas == sizes.argmax()].T
    return np.array([left.min(), rows.min(), right.max(), rows.max() + 1], np.float64)


def _runs(hot: np.ndarray) -> np.ndarray:
    """Return int64 (n, 3): row, first and last column (exclusive) of each run of hot places, from the top."""
    steps = np.diff(np.pad(hot, ((0, 0), (1, 1))).astype(np.int8), axis=1)
    rows, first = np.nonzero(steps == 1)
    return np.column_stack([rows, first, np.nonzero(steps == -1)[1]])


def _connected(runs: np.ndarray) -> np.ndarray:
    """Return int64 (n,): a number for each run, the same for those that are connected (union by the lower one)."""
    parents = list(range(len(runs)))

    def root(one: int) -> int:
        while parents[one] != one:
            parents[one] = parents[parents[one]]
            one = parents[one]
        return one

    spans, above = runs.tolist(), 0
    for below, (row, first, last) in enumerate(spans):
        while spans[above][0] < row - 1 or (spans[above][0] == row - 1 and spans[above][2] <= first):
            above += 1
        other = above
        while other < below and spans[other][0] == row - 1 and spans[other][1] < last:
            low, high = sorted((root(other), root(below)))
            parents[high] = low
            other += 1
    return np.array([root(one) for one in range(len(runs))])
