"""Residual networks of basic blocks for photos; those of bottlenecks are keras.applications' own graphs."""

import keras

from opsin.architectures.blocks import conv_norm_relu, pooled_head, residual
from opsin.architectures.scaling import scaled_image

# arXiv:1512.03385, table 1: depth -> blocks in each of the four stages.
BLOCKS = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3)}
FILTERS = (64, 128, 256, 512)


def _residual_network(
    input_shape: tuple[int, int, int],
    class_count: int,
    *,
    blocks: tuple[int, ...],
    use_bias: bool,
    name: str,
) -> keras.Model:
    """Stem, stages of residual blocks, each stage after the first at half the size, average pooling."""
    image, x = scaled_image(input_shape, "minus_one_one")
    x = conv_norm_relu(x, 64, name="stem", size=7, stride=2, use_bias=use_bias)
    x = keras.layers.MaxPooling2D(3, strides=2, padding="same", name="stem_pool")(x)
    for stage, (filters, count) in enumerate(zip(FILTERS[: len(blocks)], blocks, strict=True), start=1):
        for block in range(1, count + 1):
            stride = 2 if stage > 1 and block == 1 else 1
            x = residual(x, filters, name=f"stage{stage}_block{block}", stride=stride, use_bias=use_bias)
    return keras.Model(image, pooled_head(x, class_count), name=name)


def resnet(input_shape: tuple[int, int, int], class_count: int, *, depth: int) -> keras.Model:
    """Build ResNet-18 or ResNet-34 with projection shortcuts (arXiv:1512.03385, table 1, option B).

    Args:
        input_shape: `(h, w, c)`.
        class_count: k.
        depth: layers with weights; a key of `BLOCKS`.
    """
    return _residual_network(input_shape, class_count, blocks=BLOCKS[depth], use_bias=False, name=f"resnet{depth}")


def simple_resnet(input_shape: tuple[int, int, int], class_count: int) -> keras.Model:
    """Build a small ResNet: two blocks each at 64, 128 and 256 filters, convolutions with biases.

    Args:
        input_shape: `(h, w, c)`.
        class_count: k.
    """
    return _residual_network(input_shape, class_count, blocks=(2, 2, 2), use_bias=True, name="simple_resnet")
