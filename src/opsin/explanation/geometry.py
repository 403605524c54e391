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
    # Straight lines between cells would leave their diamonds, and each peak in the middle of one. A curve may overshoot
    # what is in the cells; cut off there, it would have a plateau and no peak.
    straight, curved = (
        _resize(heat_map, bottom - top, right - left, box, filter)
        for filter in (Image.Resampling.BILINEAR, Image.Resampling.BICUBIC)
    )
    overshot = curved.max() / straight.max() if straight.max() > 0 else 1.0
    laid[top:bottom, left:right] = np.maximum(curved, 0) / max(overshot, 1.0)
    return laid


def _resize(
    values: np.ndarray,
    height: int,
    width: int,
    box: tuple[float, float, float, float] | None = None,
    filter: Image.Resampling = Image.Resampling.BILINEAR,
) -> np.ndarray:
    picture = Image.fromarray(np.asarray(values, np.float32))
    return np.array(picture.resize((width, height), filter, box=box))
