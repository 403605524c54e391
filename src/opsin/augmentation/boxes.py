"""Random boxes of a given area that always fit into the picture."""

import numpy as np


def box_sides(area: np.ndarray, position: np.ndarray, widest: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the sides of boxes, as fractions of the picture's own.

    The papers draw a box until one fits, which takes an unknown number of draws. Here the range of aspect
    ratios is narrowed to those that fit. The ratio is relative to the picture's own, so that a long picture
    has long boxes.

    Args:
        area: float64 (N,), the boxes' area as a fraction of the picture's, above 0 and up to 1.
        position: float64 (N,), 0 to 1: where the ratio of height to width stands in its range, on a log
            scale.
        widest: the largest ratio of one side to the other, 1 or more.

    Returns:
        Heights and widths, float64 (N,), above 0 and up to 1.

    >>> height, width = box_sides(np.array([0.25]), np.array([0.5]), widest=2)
    >>> float(height[0]), float(width[0])
    (0.5, 0.5)
    """
    largest = np.minimum(widest, 1 / area)
    ratio = largest ** (2 * position - 1)
    return np.minimum(np.sqrt(area * ratio), 1), np.minimum(np.sqrt(area / ratio), 1)
