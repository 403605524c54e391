"""Small plain networks: convolutions, poolings, a few dense layers."""

import keras

from opsin.architectures.blocks import conv_relu, dense_features, logits_head, pooled_head
from opsin.architectures.scaling import scaled_image


def _pool(x: keras.KerasTensor, *, name: str) -> keras.KerasTensor:
    return keras.layers.MaxPooling2D(2, name=name)(x)


def digit_cnn(input_shape: tuple[int, int, int], class_count: int) -> keras.Model:
    """Build the network for handwritten digits: two convolutions, each with a pooling, one hidden layer.

    Args:
        input_shape: `(h, w, c)`, 28×28×1 for digits.
        class_count: k.
    """
    image, x = scaled_image(input_shape, "zero_one")
    x = _pool(conv_relu(x, 32, padding="valid", name="conv1"), name="pool1")
    x = _pool(conv_relu(x, 64, padding="valid", name="conv2"), name="pool2")
    x = dense_features(keras.layers.Flatten(name="flatten")(x), 64)
    return keras.Model(image, logits_head(x, class_count), name="digit_cnn")


def simple_cnn(input_shape: tuple[int, int, int], class_count: int) -> keras.Model:
    """Build three convolutions and one hidden layer; maps of 30, 15, 13, 6 and 4 pixels from 32.

    Args:
        input_shape: `(h, w, c)`.
        class_count: k.
    """
    image, x = scaled_image(input_shape, "zero_one")
    x = _pool(conv_relu(x, 32, padding="valid", name="conv1"), name="pool1")
    x = _pool(conv_relu(x, 64, padding="valid", name="conv2"), name="pool2")
    x = conv_relu(x, 64, padding="valid", name="conv3")
    x = dense_features(keras.layers.Flatten(name="flatten")(x), 64)
    return keras.Model(image, logits_head(x, class_count), name="simple_cnn")


def cats_dogs_cnn(input_shape: tuple[int, int, int], class_count: int) -> keras.Model:
    """Build the network for two kinds of photo: its answer is one logit, of the second class.

    Args:
        input_shape: `(h, w, c)`.
        class_count: k; above 2 there is one logit a class.
    """
    image, x = scaled_image(input_shape, "zero_one")
    for number, filters in enumerate((32, 64, 128), start=1):
        x = conv_relu(x, filters, padding="valid", name=f"conv{number}")
        x = _pool(x, name=f"pool{number}")
    x = dense_features(keras.layers.Flatten(name="flatten")(x), 512)
    units = 1 if class_count == 2 else class_count
    return keras.Model(image, logits_head(x, units), name="cats_dogs_cnn")


def feature_ladder(input_shape: tuple[int, int, int], class_count: int) -> keras.Model:
    """Build four convolutions whose layers can be read as edges, textures, parts and objects.

    Args:
        input_shape: `(h, w, c)`.
        class_count: k.
    """
    image, x = scaled_image(input_shape, "zero_one")
    x = conv_relu(x, 32, name="edges")
    x = _pool(conv_relu(x, 64, name="textures"), name="pool1")
    x = _pool(conv_relu(x, 128, name="parts"), name="pool2")
    x = conv_relu(x, 256, name="objects")
    return keras.Model(image, pooled_head(x, class_count), name="feature_ladder")
