"""Where each pixel of the new image comes from: crop, zoom, rotation, shift and flips, as maps that multiply.

A map is a 3×3 matrix. Times (x, y, 1) of a pixel in the new image it gives the place (x, y, 1) in the old
one; x counts pixels to the right, y downwards, whole numbers are the pixels' centres, so the centre of an
image of width w and height h is ((w-1)/2, (h-1)/2). Several changes are one product, and the image is
resampled once, however many there are.
"""

import numpy as np

from opsin.augmentation.boxes import box_sides
from opsin.augmentation.draws import Draws

# Szegedy et al. 2014, arXiv 1409.4842, section 6: crops with an aspect ratio of 3/4 to 4/3.
_WIDEST_CROP = 4 / 3


def crop(least_area: float, draws: Draws, height: int, width: int) -> np.ndarray:
    """Cut out a box that has `least_area` (fraction) of the picture or more, and blow it up to the whole."""
    area = draws.uniform("crop area", least_area, 1)
    box_height, box_width = box_sides(area, draws.uniform("crop ratio"), _WIDEST_CROP)
    top = draws.uniform("crop top") * (1 - box_height)
    left = draws.uniform("crop left") * (1 - box_width)
    return crop_map(np.stack([top, left, box_height, box_width]), height, width)


def zoom(amount: float, draws: Draws, height: int, width: int) -> np.ndarray:
    """Scale about the centre by 1 - amount to 1 + amount; above 1 what is seen grows."""
    return zoom_map(draws.uniform("zoom", 1 - amount, 1 + amount), height, width)


def rotation(degrees: float, draws: Draws, height: int, width: int) -> np.ndarray:
    """Rotate about the centre by up to `degrees`, either way."""
    return rotation_map(draws.uniform("rotation", -degrees, degrees), height, width)


def translation(fraction: float, draws: Draws, height: int, width: int) -> np.ndarray:
    """Shift by up to `fraction` of each side, by whole pixels, so that a shift alone blurs nothing."""
    most_down, most_right = round(fraction * height), round(fraction * width)
    down = draws.integer("translation down", -most_down, most_down)
    right = draws.integer("translation right", -most_right, most_right)
    return translation_map(down, right)


def alternating_flip(share: float, draws: Draws, height: int, width: int) -> np.ndarray:
    """Mirror left and right in every other epoch."""
    takes_part = draws.of_first_epoch.uniform("alternating flip takes part") < share
    return _mirrored(takes_part & draws.every_other_epoch("alternating flip"), height, width)


def horizontal_flip(probability: float, draws: Draws, height: int, width: int) -> np.ndarray:
    """Mirror left and right."""
    return _mirrored(draws.uniform("horizontal flip") < probability, height, width)


def vertical_flip(probability: float, draws: Draws, height: int, width: int) -> np.ndarray:
    """Mirror top and bottom."""
    sign = np.where(draws.uniform("vertical flip") < probability, -1.0, 1.0)
    return about_centre(diagonal(np.ones_like(sign), sign), height, width)


def _mirrored(chosen: np.ndarray, height: int, width: int) -> np.ndarray:
    sign = np.where(chosen, -1.0, 1.0)
    return about_centre(diagonal(sign, np.ones_like(sign)), height, width)


def crop_map(boxes: np.ndarray, height: int, width: int) -> np.ndarray:
    """Return the map that blows a box up to the whole picture, as float64 (N, 3, 3).

    Args:
        boxes: float64 (4, N): top, left, height and width as fractions of the picture's sides.
        height: the picture's, in pixels.
        width: the picture's, in pixels.
    """
    top, left, box_height, box_width = boxes
    matrix = diagonal(box_width, box_height)
    # A pixel's centre lies half a pixel inside its edge, in the box as in the picture.
    matrix[:, 0, 2] = left * width + box_width / 2 - 0.5
    matrix[:, 1, 2] = top * height + box_height / 2 - 0.5
    return matrix


def zoom_map(scale: np.ndarray, height: int, width: int) -> np.ndarray:
    """Return the map that scales about the centre: scale (N,), above 0, to float64 (N, 3, 3)."""
    return about_centre(diagonal(1 / scale, 1 / scale), height, width)


def rotation_map(degrees: np.ndarray, height: int, width: int) -> np.ndarray:
    """Return the map that rotates counter-clockwise about the centre: degrees (N,) to float64 (N, 3, 3)."""
    cosine, sine = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    matrix = diagonal(cosine, cosine)
    # The signs are those of a y that counts downwards, and of a map that goes from new to old.
    matrix[:, 0, 1], matrix[:, 1, 0] = -sine, sine
    return about_centre(matrix, height, width)


def translation_map(down: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Return the map that moves what is seen by (N,) pixels each way, as float64 (N, 3, 3)."""
    matrix = diagonal(np.ones(len(down)), np.ones(len(down)))
    matrix[:, 0, 2], matrix[:, 1, 2] = -right, -down
    return matrix


def diagonal(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return the map that multiplies the coordinates by x (N,) and y (N,), as float64 (N, 3, 3)."""
    matrix = np.zeros((len(x), 3, 3))
    matrix[:, 0, 0], matrix[:, 1, 1], matrix[:, 2, 2] = x, y, 1
    return matrix


def about_centre(matrix: np.ndarray, height: int, width: int) -> np.ndarray:
    """Return the map (N, 3, 3) that does the same with the picture's centre left where it is."""
    centre = np.array([(width - 1) / 2, (height - 1) / 2])
    matrix[:, :2, 2] = centre - matrix[:, :2, :2] @ centre
    return matrix
