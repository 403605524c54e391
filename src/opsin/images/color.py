"""The colour spaces a network can be given its pictures in."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from PIL import Image

from opsin.catalog import choose


class Color(NamedTuple):
    """A colour space."""

    channels: int
    convert: Callable[[np.ndarray], np.ndarray]
    """From uint8 (H, W, 3), RGB, to uint8 (H, W, channels)."""


def convert_color(image: np.ndarray, color: str) -> np.ndarray:
    """Express an RGB picture in another colour space.

    - `rgb`: the picture itself.
    - `gray`: one channel, ITU-R BT.601 luma, 0 to 255.
    - `hsv`: hue (256 steps round the circle), saturation, value, each 0 to 255.
    - `lab`: CIE L*a*b* of sRGB under D65, stored as L* × 255 / 100, a* + 128, b* + 128.

    Args:
        image: uint8 (H, W, 3), RGB, 0 to 255.
        color: a name in `COLORS`.

    Returns:
        uint8 (H, W, c), 0 to 255.

    Raises:
        UsageError: there is no such colour space.

    >>> convert_color(np.array([[[255, 0, 0]]], np.uint8), "gray").tolist()
    [[[76]]]
    """
    return COLORS[choose("color", color, COLORS)].convert(image)


def _to_rgb(image: np.ndarray) -> np.ndarray:
    return image


def _to_gray(image: np.ndarray) -> np.ndarray:
    return np.array(Image.fromarray(image).convert("L"))[:, :, None]


def _to_hsv(image: np.ndarray) -> np.ndarray:
    return np.array(Image.fromarray(image).convert("HSV"))


def _to_lab(image: np.ndarray) -> np.ndarray:
    # CIE 15:2004, equations 8.3 to 8.8. Pillow's own (ImageCms) is relative to D50; OpenCV's and
    # scikit-image's are relative to D65, as this is.
    x, y, z = np.moveaxis(_lightness_curve(_LINEAR[image] @ _TO_XYZ), -1, 0)
    lab = np.stack([(116 * y - 16) * 2.55, 500 * (x - y) + 128, 200 * (y - z) + 128], axis=-1)
    return np.rint(lab).clip(0, 255).astype(np.uint8)


def _lightness_curve(t: np.ndarray) -> np.ndarray:
    return np.where(t > (6 / 29) ** 3, np.cbrt(t), t * (841 / 108) + 4 / 29)


def _linear_light() -> np.ndarray:
    # IEC 61966-2-1, the sRGB curve, for each of the 256 values.
    value = np.arange(256) / 255
    return np.where(value > 0.04045, ((value + 0.055) / 1.055) ** 2.4, value / 12.92).astype(np.float32)


_LINEAR = _linear_light()

# IEC 61966-2-1: linear sRGB to XYZ over the D65 white point; transposed, for rows of RGB on its left.
_TO_XYZ = (
    np.array(
        [
            [0.4124564, 0.2126729, 0.0193339],
            [0.3575761, 0.7151522, 0.1191920],
            [0.1804375, 0.0721750, 0.9503041],
        ]
    )
    / np.array([0.95047, 1.0, 1.08883])
).astype(np.float32)

COLORS = {
    "rgb": Color(3, _to_rgb),
    "gray": Color(1, _to_gray),
    "hsv": Color(3, _to_hsv),
    "lab": Color(3, _to_lab),
}
