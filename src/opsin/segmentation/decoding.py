"""What segmentation networks have in common: sizes made to fit, ways up, and the layer that gives the classes.

Stock layers and operations only, so that a saved network opens in plain Keras.
"""

import keras

Sides = tuple[tuple[int, int], tuple[int, int]]


def padding_for(height: int, width: int, stride: int) -> Sides:
    """Return how many pixels to add at ((top, bottom), (left, right)) so that a stride divides both sides.

    >>> padding_for(50, 64, 4)
    ((1, 1), (0, 0))
    """
    return tuple((missing // 2, missing - missing // 2) for missing in (-height % stride, -width % stride))


def pad_to_fit(image: keras.KerasTensor, stride: int) -> tuple[keras.KerasTensor, Sides]:
    """Mirror the borders of an image (N, h, w, c) until a stride divides its sides; return what was added, too."""
    sides = padding_for(image.shape[1], image.shape[2], stride)
    if not any(map(any, sides)):
        return image, sides
    return keras.ops.pad(image, ((0, 0), *sides, (0, 0)), mode="reflect"), sides


def cut_back(x: keras.KerasTensor, sides: Sides) -> keras.KerasTensor:
    """Take away what `pad_to_fit` has added, from a map at the picture's own scale."""
    return keras.layers.Cropping2D(sides, dtype="float32", name="cut_back")(x) if any(map(any, sides)) else x


def pixel_logits(x: keras.KerasTensor, class_count: int) -> keras.KerasTensor:
    """One linear unit a class for each pixel: float32 (N, h, w, k), under mixed precision too."""
    return keras.layers.Conv2D(class_count, 1, dtype="float32", name="logits")(x)


def twice_as_large(x: keras.KerasTensor, *, upsample: str, name: str) -> keras.KerasTensor:
    """Double the height and width of (N, h, w, c).

    Args:
        x: the map.
        upsample: `bilinear`; or `transposed`, a learned 2×2 kernel with half the channels (arXiv:1505.04597, section
            2, "up-convolution").
        name: of the layer.
    """
    if upsample == "bilinear":
        return keras.layers.UpSampling2D(2, interpolation="bilinear", name=name)(x)
    return keras.layers.Conv2DTranspose(x.shape[-1] // 2 or 1, 2, strides=2, name=name)(x)


def enlarged_to(
    x: keras.KerasTensor, height: int, width: int, *, name: str, dtype: str | None = None
) -> keras.KerasTensor:
    """Bring a map (N, h, w, c) to a size, in pixels, between its neighbours linearly.

    Args:
        x: the map.
        height: wanted.
        width: wanted.
        name: of the layer, where it is one.
        dtype: a Keras dtype policy; None for the one that is set.
    """
    if tuple(x.shape[1:3]) == (height, width):
        return x
    if height % x.shape[1] == 0 and width % x.shape[2] == 0:
        times = (height // x.shape[1], width // x.shape[2])
        return keras.layers.UpSampling2D(times, interpolation="bilinear", dtype=dtype, name=name)(x)
    # Backbones without padding have maps of odd sizes. Not the layer Resizing: unless told otherwise, it puts the
    # normalisation after it into training mode.
    return keras.ops.image.resize(x, (height, width), interpolation="bilinear")
