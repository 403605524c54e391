"""Small networks of cheap blocks: each channel is filtered alone, then channels are mixed."""

import keras

from opsin.architectures.blocks import conv_norm_relu, inverted_residual, pooled_head, separable
from opsin.architectures.scaling import scaled_image

# (filters, stride) of each block.
SEPARABLE_BLOCKS = ((64, 1), (128, 2), (128, 1), (256, 2), (256, 1))
INVERTED_BLOCKS = ((24, 2), (24, 1), (40, 2), (40, 1), (80, 2), (80, 1))


def separable_cnn(input_shape: tuple[int, int, int], class_count: int) -> keras.Model:
    """Build the start of MobileNet (arXiv:1704.04861, table 1) with a stem that keeps the size.

    Args:
        input_shape: `(h, w, c)`.
        class_count: k.
    """
    image, x = scaled_image(input_shape, "minus_one_one")
    x = conv_norm_relu(x, 32, name="stem")
    for number, (filters, stride) in enumerate(SEPARABLE_BLOCKS, start=1):
        x = separable(x, filters, name=f"block{number}", stride=stride)
    return keras.Model(image, pooled_head(x, class_count), name="separable_cnn")


def inverted_cnn(input_shape: tuple[int, int, int], class_count: int) -> keras.Model:
    """Build a small network of MobileNetV3's blocks (arXiv:1905.02244), the stem keeping the size.

    Args:
        input_shape: `(h, w, c)`.
        class_count: k.
    """
    image, x = scaled_image(input_shape, "minus_one_one")
    x = conv_norm_relu(x, 16, name="stem")
    for number, (filters, stride) in enumerate(INVERTED_BLOCKS, start=1):
        x = inverted_residual(x, filters, name=f"block{number}", stride=stride)
    x = conv_norm_relu(x, 320, name="last", size=1)
    return keras.Model(image, pooled_head(x, class_count), name="inverted_cnn")
