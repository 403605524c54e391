"""LeNet-5."""

import keras

from opsin.architectures.blocks import dense_features, logits_head
from opsin.architectures.scaling import scaled_image


def lenet5(input_shape: tuple[int, int, int], class_count: int) -> keras.Model:
    """Build LeNet-5 (LeCun et al., Proceedings of the IEEE 86(11), 1998, section II.B); maps 28, 14, 10, 5.

    Differs from the paper: poolings have no weights of their own, the second convolution sees all six maps
    (the paper's table I leaves some out), and the output is linear in place of radial basis functions.

    Args:
        input_shape: `(h, w, c)`, 32×32×1 in the paper.
        class_count: k.
    """
    image, x = scaled_image(input_shape, "minus_one_one")
    x = keras.layers.Conv2D(6, 5, activation="tanh", name="conv1")(x)
    x = keras.layers.AveragePooling2D(2, name="pool1")(x)
    x = keras.layers.Conv2D(16, 5, activation="tanh", name="conv2")(x)
    x = keras.layers.AveragePooling2D(2, name="pool2")(x)
    # The paper's C5 is a 5×5 convolution over 5×5 maps: the same as this at 32×32; this fits other sizes too.
    x = keras.layers.Flatten(name="flatten")(x)
    x = keras.layers.Dense(120, activation="tanh", name="hidden")(x)
    x = dense_features(x, 84, activation="tanh")
    return keras.Model(image, logits_head(x, class_count), name="lenet5")
