"""Looking up a picture's pixels at any places, one for each pixel of the new picture."""

from dataclasses import dataclass

import numpy as np

from opsin.augmentation.resampling import FOLDS


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
    height, width, channels = image.shape
    flat = image.reshape(-1, channels).astype(np.float32)
    top, left = np.floor(places.rows), np.floor(places.columns)
    down, right = (places.rows - top)[..., None], (places.columns - left)[..., None]
    top, left = top.astype(np.int32), left.astype(np.int32)
    fold = FOLDS[fill]
    rows = [(fold(top + step, height), _beyond(top + step, height)) for step in (0, 1)]
    columns = [(fold(left + step, width), _beyond(left + step, width)) for step in (0, 1)]
    result = np.zeros((*top.shape, channels), dtype=np.float32)
    for (row, row_beyond), weight in zip(rows, (1 - down, down), strict=True):
        for (column, column_beyond), share in zip(columns, (1 - right, right), strict=True):
            taken = flat.take(row * width + column, axis=0)
            if fill == "constant":
                taken[row_beyond | column_beyond] = fill_value
            result += weight * share * taken
    return np.rint(result, out=result).astype(np.uint8)


def _line(row: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    # In double precision: half a pixel in 10,000 must not become the other side of a half.
    return (row[0] * x + row[1] * y + row[2]).astype(np.float32)


def _beyond(positions: np.ndarray, size: int) -> np.ndarray:
    return (positions < 0) | (positions >= size)
