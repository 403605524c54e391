"""Boxes without a detector: around the hot area of a classifier's heat map (Zhou et al. 2016, arXiv 1512.04150)."""

import numpy as np

from opsin.detection.connected import connect_runs, runs_of
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
    runs = runs_of(heat_map >= share * heat_map.max())
    areas = connect_runs(runs)
    sizes = np.bincount(areas, weights=runs[:, 2] - runs[:, 1])
    rows, left, right = runs[areas == sizes.argmax()].T
    return np.array([left.min(), rows.min(), right.max(), rows.max() + 1], np.float64)
