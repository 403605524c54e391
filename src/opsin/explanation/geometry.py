"""Where a heat map lies: from a network's input back to the picture as a person sees it."""

import numpy as np
from PIL import Image

from opsin.images.preprocess import Preprocess


def enlarge(maps: np.ndarray, height: int, width: int) -> np.ndarray:
    """Bring maps to another size, bilinearly; the corners of the two cover the same place.

    Args:
        maps: float (N, h, w).
        height: in pixels.
        width: in pixels.

    Returns:
        float32 (N, height, width).

    >>> enlarge(np.array([[[0.0, 1.0]]]), 1, 4).tolist()
    [[[0.0, 0.25, 0.75, 1.0]]]
    """
    return np.stack([_resize(one, height, width) for one in maps])


def onto_picture(heat_map: np.ndarray, preprocess: Preprocess, height: int, width: int) -> np.ndarray:
    """Lay a heat map of a network's input on the picture that the input was made from.

    Args:
        heat_map: float (h, w) over the whole input.
        preprocess: the recipe that made the input.
        height: of the picture, in pixels.
        width: of the picture, in pixels.

    Returns:
        float32 (height, width). There is no evidence, 0, in what the recipe cuts off.

    >>> recipe = Preprocess(2, 2, fit="crop")
    >>> onto_picture(np.ones((2, 2)), recipe, 1, 3).tolist()
    [[0.0, 1.0, 0.0]]
    """
    left, top, right, bottom = preprocess.kept(height, width)
    x0, y0, x1, y1 = preprocess.place(height, width)
    rows, columns = heat_map.shape
    across, down = columns / preprocess.width, rows / preprocess.height
    # The edges of what is kept may lie within a pixel; a heat map is never as fine as that.
    left, top, right, bottom = (
        round(left),
        round(top),
        max(round(right), round(left) + 1),
        max(round(bottom), round(top) + 1),
    )
    laid = np.zeros((height, width), np.float32)
    box = (x0 * across, y0 * down, x1 * across, y1 * down)
    laid[top:bottom, left:right] = _resize(heat_map, bottom - top, right - left, box)
    return laid


def peak_on_picture(heat_map: np.ndarray, preprocess: Preprocess, height: int, width: int) -> tuple[int, int]:
    """Return where on the picture a heat map is highest: row and column of the middle of its highest cell, in pixels.

    Args:
        heat_map: float (h, w) over the network's whole input.
        preprocess: the recipe that made the input.
        height: of the picture, in pixels.
        width: of the picture, in pixels.

    >>> peak_on_picture(np.array([[0.0, 1.0], [0.0, 0.0]]), Preprocess(8, 8), 100, 200)
    (25, 150)
    """
    row, column = np.unravel_index(heat_map.argmax(), heat_map.shape)
    y, x = (row + 0.5) / heat_map.shape[0] * preprocess.height, (column + 0.5) / heat_map.shape[1] * preprocess.width
    left, top, right, bottom = preprocess.kept(height, width)
    x0, y0, x1, y1 = preprocess.place(height, width)
    y, x = top + (y - y0) / (y1 - y0) * (bottom - top), left + (x - x0) / (x1 - x0) * (right - left)
    # In the padding, the nearest point of the picture.
    return int(np.clip(y, 0, height - 1)), int(np.clip(x, 0, width - 1))


def _resize(
    values: np.ndarray, height: int, width: int, box: tuple[float, float, float, float] | None = None
) -> np.ndarray:
    picture = Image.fromarray(np.asarray(values, np.float32))
    return np.array(picture.resize((width, height), Image.Resampling.BILINEAR, box=box))
