"""Networks that learn much in few epochs: shallow, wide, and past the largest maps as soon as can be.

The plan is that of airbench (Jordan 2024, arXiv 2404.00498, section 3.1, after DAWNBench's ResNet-9 and hlb-CIFAR10): a
small convolution that can be whitened, then stages of two 3×3 convolutions, no scale in the normalisation, the largest
value of each map. What differs is for processors: the first convolution has a stride, so that no map is larger than
about 16×16; a stage pools before its convolutions instead of between them; ReLU, which costs less than GELU and SiLU
(what each learns: `benchmarks.ablation`).
"""

import math

import keras

from opsin.architectures.blocks import logits_head
from opsin.architectures.scaling import scaled_image

# A picture's side after the first convolution is at least this, so that stages are left.
LEAST_MAP = 12
LARGEST_STRIDE = 4
LAST_MAP = 3
"""Stages pool while a map's side stays at least so large."""

MOST_COMPONENTS = 24
"""Of patches: what is left of photos' patches beyond these is less than a thousandth of their variance."""

FINE_FILTERS = (64, 256, 256)
"""Of `speed_cnn_fine`, by stage; where there are more stages, the first ones have as many as the first here."""

MOMENTUM = 0.6
"""Of the moving averages in the normalisation: few steps are few chances to catch up (arXiv 2404.00498, appendix A)."""


def _convolution(x: keras.KerasTensor, filters: int, *, name: str) -> keras.KerasTensor:
    # Normalisation undoes a kernel's size, but a small one turns further in a step of SGD. That of PyTorch, which the
    # paper's rates are for.
    small = keras.initializers.VarianceScaling(1 / 3, "fan_in", "uniform")
    return keras.layers.Conv2D(
        filters, 3, padding="same", use_bias=False, kernel_initializer=small, name=f"{name}_conv"
    )(x)


def _normalized_relu(x: keras.KerasTensor, *, name: str) -> keras.KerasTensor:
    x = keras.layers.BatchNormalization(momentum=MOMENTUM, scale=False, name=f"{name}_norm")(x)
    return keras.layers.ReLU(name=f"{name}_relu")(x)


def _patches(x: keras.KerasTensor, stride: int, padding: str) -> keras.KerasTensor:
    # Each kernel overlaps its neighbours by half.
    size = 2 * stride
    filters = 2 * min(size * size * x.shape[-1], MOST_COMPONENTS)
    x = keras.layers.Conv2D(filters, size, strides=stride, padding=padding, name="patches")(x)
    return keras.layers.ReLU(name="patches_relu")(x)


def _halvings(side: float) -> int:
    """Return how often a map is halved until its side is about `LAST_MAP`: at least once."""
    return max(1, int(math.log2(max(2, side / LAST_MAP))))


def first_stride(side: int) -> int:
    """Return the stride of the first convolution for pictures of a side in pixels: 1, 2 or 4.

    >>> [first_stride(side) for side in (8, 28, 32, 64, 224)]
    [1, 2, 2, 4, 4]
    """
    stride = 1
    while stride < LARGEST_STRIDE and side // (2 * stride) >= LEAST_MAP:
        stride *= 2
    return stride


def speed_cnn(input_shape: tuple[int, int, int], class_count: int, width: float = 1.0) -> keras.Model:
    """Build a network for few epochs: patches in, stages of 64, 128 and 256 filters on ever smaller maps.

    Args:
        input_shape: `(h, w, c)`.
        class_count: k.
        width: what the filters of all stages are multiplied by.
    """
    image, x = scaled_image(input_shape, "zero_one")
    side = min(input_shape[:2])
    stride = first_stride(side)
    x = _patches(x, stride, "same")
    stages = 1 + _halvings(side // stride)
    for stage in range(stages):
        name = f"stage{stage + 1}"
        # The last three are the widest; large pictures have narrow ones before them.
        wide = round(width * 256 / 2 ** min(stages - 1 - stage, 3) / 8) * 8
        if stage:
            x = keras.layers.MaxPooling2D(2, name=f"{name}_pool")(x)
            x = _normalized_relu(_convolution(x, wide, name=f"{name}_1"), name=f"{name}_1")
        x = _normalized_relu(_convolution(x, wide, name=f"{name}_2"), name=f"{name}_2")
    x = keras.layers.GlobalMaxPooling2D(name="features")(x)
    return keras.Model(image, logits_head(x, class_count), name="speed_cnn")


def speed_cnn_fine(input_shape: tuple[int, int, int], class_count: int) -> keras.Model:
    """Build the paper's own network, which looks twice as closely: for more epochs than `speed_cnn` has use for.

    Stages of 64, 256 and 256 filters pool between their two convolutions, and before normalisation.

    Args:
        input_shape: `(h, w, c)`.
        class_count: k.
    """
    image, x = scaled_image(input_shape, "zero_one")
    side = min(input_shape[:2])
    stride = max(1, first_stride(side) // 2)
    x = _patches(x, stride, "valid")
    stages = _halvings(side // stride)
    for stage in range(stages):
        name = f"stage{stage + 1}"
        filters = FINE_FILTERS[max(0, len(FINE_FILTERS) - stages + stage)]
        x = _convolution(x, filters, name=f"{name}_1")
        x = keras.layers.MaxPooling2D(2, name=f"{name}_pool")(x)
        x = _normalized_relu(x, name=f"{name}_1")
        x = _normalized_relu(_convolution(x, filters, name=f"{name}_2"), name=f"{name}_2")
    x = keras.layers.GlobalMaxPooling2D(name="features")(x)
    return keras.Model(image, logits_head(x, class_count), name="speed_cnn_fine")
