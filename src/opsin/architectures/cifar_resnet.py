"""Residual networks for pictures of about 32×32."""

import keras

from opsin.architectures.blocks import bottleneck, conv_norm_relu, pooled_head, residual
from opsin.architectures.scaling import scaled_image

FILTERS = (16, 32, 64)


def cifar_resnet(input_shape: tuple[int, int, int], class_count: int, *, depth: int) -> keras.Model:
    """Build ResNet-20, 32, 44 or 56 with identity shortcuts (arXiv:1512.03385, section 4.2, option A).

    Args:
        input_shape: `(h, w, c)`.
        class_count: k.
        depth: layers with weights, 6n + 2 for n blocks a stage.
    """
    image, x = scaled_image(input_shape, "minus_one_one")
    x = conv_norm_relu(x, 16, name="stem")
    for stage, filters in enumerate(FILTERS, start=1):
        for block in range(1, (depth - 2) // 6 + 1):
            stride = 2 if stage > 1 and block == 1 else 1
            x = residual(x, filters, name=f"stage{stage}_block{block}", stride=stride, shortcut="padding")
    return keras.Model(image, pooled_head(x, class_count), name=f"resnet{depth}")


def resnet164(input_shape: tuple[int, int, int], class_count: int) -> keras.Model:
    """Build ResNet-164 of bottlenecks, in its original order (arXiv:1603.05027, table 3, first column).

    Args:
        input_shape: `(h, w, c)`.
        class_count: k.
    """
    image, x = scaled_image(input_shape, "minus_one_one")
    x = conv_norm_relu(x, 16, name="stem")
    for stage, filters in enumerate(FILTERS, start=1):
        for block in range(1, 19):
            stride = 2 if stage > 1 and block == 1 else 1
            x = bottleneck(x, filters, name=f"stage{stage}_block{block}", stride=stride)
    return keras.Model(image, pooled_head(x, class_count), name="resnet164")
