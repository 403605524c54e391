"""Plain networks with batch normalisation and dropout for pictures of about 32×32."""

import keras

from opsin.architectures.blocks import batch_norm, conv_norm_relu, dense_features, logits_head
from opsin.architectures.scaling import scaled_image

L2 = 1e-4


def _pool_and_drop(x: keras.KerasTensor, *, name: str) -> keras.KerasTensor:
    x = keras.layers.MaxPooling2D(2, name=f"{name}_pool")(x)
    return keras.layers.Dropout(0.25, name=f"{name}_dropout")(x)


def cifar_cnn(input_shape: tuple[int, int, int], class_count: int) -> keras.Model:
    """Build five convolutions with batch normalisation, dropout between the stages, average pooling.

    Args:
        input_shape: `(h, w, c)`.
        class_count: k.
    """
    image, x = scaled_image(input_shape, "zero_one")
    for stage, filters in enumerate((32, 64), start=1):
        x = conv_norm_relu(x, filters, name=f"stage{stage}_1")
        x = conv_norm_relu(x, filters, name=f"stage{stage}_2")
        x = _pool_and_drop(x, name=f"stage{stage}")
    x = conv_norm_relu(x, 128, name="stage3")
    x = dense_features(keras.layers.GlobalAveragePooling2D(name="pool")(x), 256)
    x = keras.layers.Dropout(0.5, name="features_dropout")(x)
    return keras.Model(image, logits_head(x, class_count), name="cifar_cnn")


def _regularized_conv(x: keras.KerasTensor, filters: int, *, name: str) -> keras.KerasTensor:
    x = keras.layers.Conv2D(
        filters,
        3,
        padding="same",
        kernel_initializer="he_normal",
        kernel_regularizer=keras.regularizers.L2(L2),
        name=f"{name}_conv",
    )(x)
    x = batch_norm(x, name=f"{name}_norm")
    return keras.layers.ReLU(name=f"{name}_relu")(x)


def cifar_cnn_l2(input_shape: tuple[int, int, int], class_count: int) -> keras.Model:
    """Build six convolutions and a hidden layer, all held small by L2, batch normalisation and dropout.

    Args:
        input_shape: `(h, w, c)`.
        class_count: k.
    """
    image, x = scaled_image(input_shape, "zero_one")
    for stage, filters in enumerate((32, 64, 128), start=1):
        x = _regularized_conv(x, filters, name=f"stage{stage}_1")
        x = _regularized_conv(x, filters, name=f"stage{stage}_2")
        x = _pool_and_drop(x, name=f"stage{stage}")
    x = keras.layers.Flatten(name="flatten")(x)
    x = keras.layers.Dense(
        256,
        activation="relu",
        kernel_initializer="he_normal",
        kernel_regularizer=keras.regularizers.L2(L2),
        name="hidden",
    )(x)
    x = batch_norm(x, name="features")
    x = keras.layers.Dropout(0.5, name="features_dropout")(x)
    return keras.Model(image, logits_head(x, class_count), name="cifar_cnn_l2")
