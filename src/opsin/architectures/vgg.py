"""The shallower VGG networks; 16 and 19 layers are keras.applications' own graphs."""

import keras

from opsin.architectures.blocks import conv_relu, wide_head
from opsin.architectures.scaling import scaled_image

# arXiv:1409.1556, table 1, columns A and B: depth -> convolutions in each of the five stages.
CONVOLUTIONS = {11: (1, 1, 2, 2, 2), 13: (2, 2, 2, 2, 2)}
FILTERS = (64, 128, 256, 512, 512)


def vgg(input_shape: tuple[int, int, int], class_count: int, *, depth: int) -> keras.Model:
    """Build VGG-11 or VGG-13 (arXiv:1409.1556).

    Args:
        input_shape: `(h, w, c)`.
        class_count: k.
        depth: layers with weights; a key of `CONVOLUTIONS`.
    """
    image, x = scaled_image(input_shape, "minus_one_one")
    for stage, (filters, count) in enumerate(zip(FILTERS, CONVOLUTIONS[depth], strict=True), start=1):
        for number in range(1, count + 1):
            x = conv_relu(x, filters, name=f"stage{stage}_conv{number}")
        x = keras.layers.MaxPooling2D(2, name=f"stage{stage}_pool")(x)
    return keras.Model(image, wide_head(x, class_count), name=f"vgg{depth}")
