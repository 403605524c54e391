"""Looking up a picture's pixels at any places, one for each pixel of the new picture."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from opsin.augmentation.resampling import FOLDS

_PIXELS_AT_ONCE = 1 << 14


@dataclass(frozen=True, eq=False)
class Places:
    """Where each pixel of a new picture comes from.

    Args:
        rows: float32 (h, w), pixels downwards; whole numbers are pixels' centres.
        columns: float32 (h, w), pixels to the right.
    """

    rows: np.ndarray
    columns: np.ndarray

    @classmethod
    def of(cls, matrix: np.ndarray, height: int, width: int) -> "Places":
        """Take them from a map of `opsin.augmentation.geometry`, float64 (3, 3)."""
        x, y = np.arange(width, dtype=np.float64), np.arange(height, dtype=np.float64)[:, None]
        return cls(_line(matrix[1], x, y), _line(matrix[0], x, y))

    @classmethod
    def bent(cls, matrix: np.ndarray, displacement: np.ndarray) -> "Places":
        """Take them from a map, each pixel being displaced before: float32 (2, h, w), downwards and to the right."""
        _, height, width = displacement.shape
        y = np.arange(height, dtype=np.float32)[:, None] + displacement[0]
        x = np.arange(width, dtype=np.float32) + displacement[1]
        return cls(_line(matrix[1], x, y), _line(matrix[0], x, y))


def sample_nearest(mask: np.ndarray, places: Places, outside: int) -> np.ndarray:
    """Return the nearest pixel at each place.

    Args:
        mask: uint8 (h, w).
        places: where.
        outside: the value of what lies beyond the mask.

    Returns:
        uint8, of the places' shape.
    """
    height, width = mask.shape
    rows, columns = np.floor(places.rows + 0.5).astype(np.int32), np.floor(places.columns + 0.5).astype(np.int32)
    inside = (rows >= 0) & (rows < height) & (columns >= 0) & (columns < width)
    found = mask.reshape(-1).take(rows * width + columns, mode="clip")
    found[~inside] = outside
    return found


def sample_bilinear(image: np.ndarray, places: Places, *, fill: str, fill_value: int = 0) -> np.ndarray:
    """Return what lies at each place, interpolated between the four pixels around it and rounded.

    Args:
        image: uint8 (h, w, c).
        places: where.
        fill: what lies outside the picture, as in `opsin.augmentation.resampling.take_pixels`.
        fill_value: the value outside for `"constant"`.

    Returns:
        uint8 (h', w', c), of the places' shape.
    """
    result = np.empty((*places.rows.shape, image.shape[2]), dtype=np.uint8)
    # A few rows at a time, whose numbers stay near the processor: half the time of all at once.
    step = max(1, _PIXELS_AT_ONCE // places.rows.shape[1])
    for start in range(0, len(result), step):
        part = slice(start, start + step)
        result[part] = _interpolated(image, places.rows[part], places.columns[part], fill, fill_value)
    return result


def _interpolated(image: np.ndarray, rows: np.ndarray, columns: np.ndarray, fill: str, fill_value: int) -> np.ndarray:
    height, width, channels = image.shape
    flat = image.reshape(-1, channels)
    top, left = np.floor(rows), np.floor(columns)
    down, right = (rows - top)[..., None], (columns - left)[..., None]
    top, left = top.astype(np.intp), left.astype(np.intp)
    above, below = (_Side.of(top + step, height, fill) for step in (0, 1))
    before, behind = (_Side.of(left + step, width, fill) for step in (0, 1))

    def taken(row: _Side, column: _Side) -> np.ndarray:
        found = flat.take(row.at * width + column.at, axis=0).astype(np.float32)
        if fill == "constant":
            found[row.beyond | column.beyond] = fill_value
        return found

    upper, lower = (_between(taken(row, before), taken(row, behind), right) for row in (above, below))
    return np.rint(_between(upper, lower, down))


def _between(first: np.ndarray, second: np.ndarray, share: np.ndarray) -> np.ndarray:
    second -= first
    second *= share
    second += first
    return second


class _Side(NamedTuple):
    """Where positions along a side are in the picture, and which of them lie beyond it."""

    at: np.ndarray
    beyond: np.ndarray

    @classmethod
    def of(cls, positions: np.ndarray, size: int, fill: str) -> "_Side":
        return cls(FOLDS[fill](positions, size), (positions < 0) | (positions >= size))


def _line(row: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    # In double precision: half a pixel in 10,000 must not become the other side of a half.
    return (row[0] * x + row[1] * y + row[2]).astype(np.float32)
