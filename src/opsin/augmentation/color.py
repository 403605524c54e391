"""What becomes of each pixel's values: brightness, contrast, saturation and hue, as maps that multiply.

A map is a 4×4 matrix. Times (red, green, blue, 1) it gives the new values. A gray value v stands for the
colour (v, v, v), which saturation and hue leave as it is. Several changes are one product, rounded and
limited to 0–255 once, at the end: Haeberli, "Matrix Operations for Image Processing", 1993.
"""

import numpy as np

from opsin.augmentation.draws import Draws

# How bright each colour looks, of ITU-R BT.601: the weights that Pillow makes gray with.
_LUMA = np.array([0.299, 0.587, 0.114])
_UNCHANGED = np.eye(3, dtype=np.float32)


def contrast(amount: float, draws: Draws, means: np.ndarray) -> np.ndarray:
    """Spread the values about the picture's mean by a factor of 1 - amount to 1 + amount."""
    return contrast_map(draws.uniform("contrast", 1 - amount, 1 + amount), means)


def brightness(amount: float, draws: Draws, means: np.ndarray) -> np.ndarray:
    """Multiply the values by 1 - amount to 1 + amount, as a longer or shorter exposure does."""
    return brightness_map(draws.uniform("brightness", 1 - amount, 1 + amount))


def saturation(amount: float, draws: Draws, means: np.ndarray) -> np.ndarray:
    """Spread each pixel's colours about its own gray by a factor of 1 - amount to 1 + amount."""
    return saturation_map(draws.uniform("saturation", 1 - amount, 1 + amount))


def hue(degrees: float, draws: Draws, means: np.ndarray) -> np.ndarray:
    """Turn the colours by up to `degrees` round the colour circle, either way."""
    return hue_map(draws.uniform("hue", -degrees, degrees))


def contrast_map(factor: np.ndarray, means: np.ndarray) -> np.ndarray:
    """Return mean + factor · (value - mean) as a map: factor (N,), means (N,), to float64 (N, 4, 4)."""
    matrix = brightness_map(factor)
    matrix[:, :3, 3] = (means * (1 - factor))[:, None]
    return matrix


def brightness_map(factor: np.ndarray) -> np.ndarray:
    """Return factor · value as a map: factor (N,) to float64 (N, 4, 4)."""
    return _from_linear(factor[:, None, None] * _UNCHANGED)


def saturation_map(factor: np.ndarray) -> np.ndarray:
    """Return gray + factor · (value - gray) as a map: factor (N,), 0 makes it gray, to float64 (N, 4, 4)."""
    factor = factor[:, None, None]
    return _from_linear(factor * _UNCHANGED + (1 - factor) * np.tile(_LUMA, (3, 1)))


def hue_map(degrees: np.ndarray) -> np.ndarray:
    """Return a turn about the gray axis as a map: degrees (N,), 120 makes red green, to float64 (N, 4, 4)."""
    angle = np.radians(degrees)[:, None, None]
    about_gray = np.array([[0, -1, 1], [1, 0, -1], [-1, 1, 0]]) / np.sqrt(3)
    # Rodrigues' rotation formula with the axis (1, 1, 1) / √3.
    return _from_linear(
        np.cos(angle) * _UNCHANGED + np.sin(angle) * about_gray + (1 - np.cos(angle)) * np.full((3, 3), 1 / 3)
    )


def mean_values(images: np.ndarray) -> np.ndarray:
    """Return each picture's mean over pixels and channels: uint8 (N, h, w, c) to float64 (N,)."""
    values = images.reshape(len(images), -1)
    # Whole numbers, whose sum is the same in any order: the mean must not depend on the batch's size.
    return values.sum(axis=1, dtype=np.uint64) / values.shape[1]


def recolor(image: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """Return the image whose values a map changed.

    Args:
        image: uint8 (h, w, c), RGB or gray.
        matrix: float64 (4, 4).

    Returns:
        uint8 (h, w, c), rounded, limited to 0–255.
    """
    linear, offset = matrix[:3, :3].astype(np.float32), matrix[: image.shape[2], 3].astype(np.float32)
    if image.shape[2] == 1 or np.array_equal(linear, linear[0, 0] * _UNCHANGED):
        values = np.multiply(image, linear[0].sum(), dtype=np.float32)
    else:
        values = image.astype(np.float32) @ linear.T
    values += offset
    return np.rint(np.clip(values, 0, 255, out=values), out=values).astype(np.uint8)


def _from_linear(linear: np.ndarray) -> np.ndarray:
    matrix = np.zeros((len(linear), 4, 4))
    matrix[:, :3, :3], matrix[:, 3, 3] = linear, 1
    return matrix
