"""Random erasing: Zhong et al. 2017, arXiv 1708.04896."""

import numpy as np

from opsin.augmentation.boxes import box_sides
from opsin.augmentation.draws import Draws

# Algorithm 1 of the paper, with the values of its section 5: s_l, s_h and 1 / r_1.
_LEAST_AREA, _LARGEST_AREA, _WIDEST = 0.02, 0.4, 1 / 0.3


def erasing(probability: float, draws: Draws, height: int, width: int) -> np.ndarray:
    """Return a box to overwrite in each picture, an empty one where nothing is.

    Sides are rounded down to whole pixels, so that a box never takes more than its share of a tiny picture.

    Returns:
        int64 (N, 4): top, left, bottom, right in pixels; the last two are the first outside.
    """
    area = draws.uniform("erasing area", _LEAST_AREA, _LARGEST_AREA)
    sides = box_sides(area, draws.uniform("erasing ratio"), _WIDEST)
    erased = draws.uniform("erasing") < probability
    box_height, box_width = np.floor(sides[0] * height) * erased, np.floor(sides[1] * width) * erased
    top = np.floor(draws.uniform("erasing top") * (height - box_height + 1))
    left = np.floor(draws.uniform("erasing left") * (width - box_width + 1))
    return np.stack([top, left, top + box_height, left + box_width], axis=1).astype(np.int64)


def erase(images: np.ndarray, boxes: np.ndarray, draws: Draws) -> None:
    """Overwrite the boxes (N, 4) in float32 (N, h, w, c), 0–255, with noise: RE-R, the paper's best."""
    for position, (top, left, bottom, right) in enumerate(boxes.tolist()):
        if top < bottom and left < right:
            box = images[position, top:bottom, left:right]
            box[:] = draws.noise("erasing noise", position, box.shape)
