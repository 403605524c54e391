"""From pixels, 0 to 255, to the range that a network works in: the first thing inside every network.

Stock layers and operations only, so that a saved network opens in plain Keras.
"""

from types import ModuleType
from typing import TYPE_CHECKING

from opsin.catalog import require

if TYPE_CHECKING:
    import keras

# The colour statistics of ImageNet that keras.applications.imagenet_utils uses.
_RGB_MEANS = (0.485, 0.456, 0.406)
_RGB_DEVIATIONS = (0.229, 0.224, 0.225)
_BGR_MEANS = (103.939, 116.779, 123.68)


def scale_to_zero_one(image: "keras.KerasTensor") -> "keras.KerasTensor":
    """Map 0…255 to 0…1."""
    return _keras().layers.Rescaling(1 / 255, name="scale")(image)


def scale_to_minus_one_one(image: "keras.KerasTensor") -> "keras.KerasTensor":
    """Map 0…255 to −1…1 (`tf` in keras.applications)."""
    return _keras().layers.Rescaling(1 / 127.5, offset=-1.0, name="scale")(image)


def standardize_colors(image: "keras.KerasTensor") -> "keras.KerasTensor":
    """Give each RGB channel of 0…255 ImageNet's mean 0 and deviation 1 (`torch` in keras.applications)."""
    scale = [1 / (255 * deviation) for deviation in _RGB_DEVIATIONS]
    offset = [-mean / deviation for mean, deviation in zip(_RGB_MEANS, _RGB_DEVIATIONS, strict=True)]
    return _keras().layers.Rescaling(scale, offset=offset, name="scale")(image)


def center_bgr(image: "keras.KerasTensor") -> "keras.KerasTensor":
    """Turn RGB of 0…255 into BGR minus ImageNet's means, not scaled (`caffe` in keras.applications)."""
    bgr = _keras().ops.flip(image, axis=-1)
    return _keras().layers.Rescaling(1.0, offset=[-mean for mean in _BGR_MEANS], name="scale")(bgr)


def leave_to_graph(image: "keras.KerasTensor") -> "keras.KerasTensor":
    """Pass 0…255 on to a graph of keras.applications that scales by itself."""
    return image


def _keras() -> ModuleType:
    # The names of the ranges are known where Keras is not installed.
    return require("keras", "building a network")


SCALINGS = {
    "zero_one": scale_to_zero_one,
    "minus_one_one": scale_to_minus_one_one,
    "standardized": standardize_colors,
    "centered_bgr": center_bgr,
    "in_graph": leave_to_graph,
}


def scaled_image(input_shape: tuple[int, int, int], pixels: str) -> "tuple[keras.KerasTensor, keras.KerasTensor]":
    """Start a network.

    Args:
        input_shape: `(h, w, c)`.
        pixels: the range that the network works in; a key of `SCALINGS`.

    Returns:
        The network's input, float32 `(N, h, w, c)` from 0 to 255, and the scaled tensor of the same shape.
    """
    image = _keras().Input(input_shape, name="image", dtype="float32")
    return image, SCALINGS[pixels](image)
