"""AlexNet."""

import keras

from opsin.architectures.blocks import wide_head
from opsin.architectures.scaling import scaled_image


def _conv(x: keras.KerasTensor, filters: int, size: int, *, name: str) -> keras.KerasTensor:
    return keras.layers.Conv2D(
        filters, size, padding="same", activation="relu", kernel_initializer="he_normal", name=name
    )(x)


def _pool(x: keras.KerasTensor, *, name: str) -> keras.KerasTensor:
    # Overlapping: 3×3 windows, 2 apart (section 3.4).
    return keras.layers.MaxPooling2D(3, strides=2, name=name)(x)


def alexnet(input_shape: tuple[int, int, int], class_count: int) -> keras.Model:
    """Build AlexNet (Krizhevsky, Sutskever, Hinton, NIPS 2012, section 3.5).

    Differs from the paper: one column where two GPUs had one each, so no grouped convolutions; no local
    response normalisation, which gains nothing (arXiv:1409.1556, table 3, A-LRN); He's initial weights.

    Args:
        input_shape: `(h, w, c)`; 227×227×3 gives the paper's 55×55 first maps.
        class_count: k.
    """
    image, x = scaled_image(input_shape, "minus_one_one")
    x = keras.layers.Conv2D(96, 11, strides=4, activation="relu", kernel_initializer="he_normal", name="conv1")(x)
    x = _pool(x, name="pool1")
    x = _pool(_conv(x, 256, 5, name="conv2"), name="pool2")
    x = _conv(x, 384, 3, name="conv3")
    x = _conv(x, 384, 3, name="conv4")
    x = _pool(_conv(x, 256, 3, name="conv5"), name="pool5")
    return keras.Model(image, wide_head(x, class_count), name="alexnet")
