"""Networks that learn much in few epochs: shallow, wide, and past the largest maps as soon as can be.

The plan is that of airbench (Jordan 2024, arXiv 2404.00498, section 3.1, after DAWNBench's ResNet-9 and hlb-CIFAR10): a
small convolution that can be whitened, then stages of two 3×3 convolutions with a pooling between them, no scale in the
normalisation, the largest value of each map. What differs is for processors: half the filters on the middle maps, so
that an epoch costs little more than half; ReLU, which costs less than GELU and SiLU (what each learns:
`benchmarks.ablation`); a stride where pictures are larger than the paper's 32×32.
"""

import math
from collections.abc import Sequence

import keras

from opsin.architectures.blocks import logits_head
from opsin.architectures.scaling import scaled_image

# A picture's side after the first convolution is at least this, so that stages are left.
LEAST_MAP = 24
LARGEST_STRIDE = 4
LAST_MAP = 3
"""Stages halve a map while its side stays about so large."""

MOST_COMPONENTS = 24
"""Of patches: what is left of photos' patches beyond these is less than a thousandth of their variance."""

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


def first_stride(side: int) -> int:
    """Return the stride of the first convolution for pictures of a side in pixels: 1, 2 or 4.

    >>> [first_stride(side) for side in (8, 28, 32, 64, 224)]
    [1, 1, 1, 2, 4]
    """
    stride = 1
    while stride < LARGEST_STRIDE and side // (2 * stride) >= LEAST_MAP:
        stride *= 2
    return stride


def speed_cnn(
    input_shape: tuple[int, int, int], class_count: int, filters: Sequence[int] = (64, 128, 256)
) -> keras.Model:
    """Build a network for few epochs: patches in, then stages of more and more filters on ever smaller maps.

    Args:
        input_shape: `(h, w, c)`.
        class_count: k.
        filters: of the last stages; where large pictures need more of them, the first ones have as many as the first
            here, and small pictures have fewer stages.
    """
    image, x = scaled_image(input_shape, "zero_one")
    side = min(input_shape[:2])
    stride = first_stride(side)
    # Each kernel overlaps its neighbours by half.
    size = 2 * stride
    components = min(size * size * input_shape[2], MOST_COMPONENTS)
    x = keras.layers.Conv2D(2 * components, size, strides=stride, name="patches")(x)
    x = keras.layers.ReLU(name="patches_relu")(x)
    stages = max(1, int(math.log2(max(2, side // stride / LAST_MAP))))
    for stage in range(stages):
        name = f"stage{stage + 1}"
        wide = filters[max(0, len(filters) - stages + stage)]
        x = _convolution(x, wide, name=f"{name}_1")
        x = keras.layers.MaxPooling2D(2, name=f"{name}_pool")(x)
        x = _normalized_relu(x, name=f"{name}_1")
        x = _normalized_relu(_convolution(x, wide, name=f"{name}_2"), name=f"{name}_2")
    x = keras.layers.GlobalMaxPooling2D(name="features")(x)
    return keras.Model(image, logits_head(x, class_count), name="speed_cnn")
