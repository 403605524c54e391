"""Applying a map of `geometry` to an image: one interpolation, or none where pixels only change places."""

import math

import numpy as np
from PIL import Image


def resample(image: np.ndarray, matrix: np.ndarray, *, fill: str, fill_value: int = 0) -> np.ndarray:
    """Return the image that a map gives.

    Flips and whole-pixel shifts are exact. All else is bilinear; Pillow cuts fractions off there, so a value
    may come out one lower than rounding would give.

    Args:
        image: uint8 (h, w, c), c of 1 or 3.
        matrix: float64 (3, 3), from a pixel (x, y, 1) of the new image to its place in the old one.
        fill: what lies outside the picture; see `take_pixels`.
        fill_value: the value outside for `"constant"`.

    Returns:
        uint8 (h, w, c).
    """
    height, width = image.shape[:2]
    (a, b, c), (d, e, f), _ = matrix.tolist()
    if abs(a) == abs(e) == 1 and b == d == 0 and c.is_integer() and f.is_integer():
        rows, columns = e * np.arange(height) + f, a * np.arange(width) + c
        rows, columns = rows.astype(np.intp), columns.astype(np.intp)
        return take_pixels(image, rows, columns, fill=fill, fill_value=fill_value)
    rows, columns = _looked_at(d, e, f, height, width), _looked_at(a, b, c, height, width)
    box = take_pixels(image, rows, columns, fill=fill, fill_value=fill_value)
    # Pillow's pixels have their centres at halves.
    left, top = columns[0] - 0.5, rows[0] - 0.5
    coefficients = (a, b, c - left - (a + b) / 2, d, e, f - top - (d + e) / 2)
    return _interpolated(box, coefficients, height, width)


def take_pixels(
    image: np.ndarray, rows: np.ndarray, columns: np.ndarray, *, fill: str, fill_value: int = 0
) -> np.ndarray:
    """Return the pixels at some rows and columns of a picture that goes on for ever.

    Args:
        image: uint8 (h, w, c).
        rows: integer (n,), below 0 and from h on too.
        columns: integer (m,), likewise.
        fill: `"reflect"` mirrors the picture about its outermost pixels, `"nearest"` repeats these,
            `"constant"` puts `fill_value` there.
        fill_value: 0 to 255.

    Returns:
        uint8 (n, m, c).

    >>> image = np.array([[[1], [2], [3]]], dtype=np.uint8)
    >>> take_pixels(image, np.array([0]), np.arange(-2, 5), fill="reflect")[0, :, 0].tolist()
    [3, 2, 1, 2, 3, 2, 1]
    """
    height, width = image.shape[:2]
    inside = FOLDS[fill]
    taken = image.take(inside(rows, height), axis=0).take(inside(columns, width), axis=1)
    if fill == "constant":
        taken[(rows < 0) | (rows >= height)] = fill_value
        taken[:, (columns < 0) | (columns >= width)] = fill_value
    return taken


def _clipped(positions: np.ndarray, size: int) -> np.ndarray:
    return np.minimum(np.maximum(positions, 0), size - 1)


def _reflected(positions: np.ndarray, size: int) -> np.ndarray:
    # There and back again is one period; a side of one pixel has nothing but itself to reflect.
    period = max(2 * size - 2, 1)
    folded = positions % period
    return np.minimum(folded, period - folded)


# What brings positions beyond a side back onto it; where `"constant"` puts a value, any will do.
FOLDS = {"reflect": _reflected, "nearest": _clipped, "constant": _clipped}


def _looked_at(along_x: float, along_y: float, offset: float, height: int, width: int) -> np.ndarray:
    """Return the old image's columns (or rows) that interpolation needs, of one row of a map."""
    right, bottom = along_x * (width - 1), along_y * (height - 1)
    lowest = offset + min(right, 0) + min(bottom, 0)
    highest = offset + max(right, 0) + max(bottom, 0)
    # A place between two pixels has a share of both.
    return np.arange(math.floor(lowest), math.floor(highest) + 2)


def _interpolated(box: np.ndarray, coefficients: tuple[float, ...], height: int, width: int) -> np.ndarray:
    picture = Image.fromarray(box[:, :, 0] if box.shape[2] == 1 else box)
    moved = picture.transform((width, height), Image.Transform.AFFINE, coefficients, resample=Image.Resampling.BILINEAR)
    return np.asarray(moved).reshape(height, width, box.shape[2])
