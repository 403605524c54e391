"""What the networks are made of: plain functions on tensors `(N, h, w, c)`.

`name` is the prefix of the block's layer names. Convolutions keep the size (`same`) unless a stride
divides it.
"""

import keras

# Keras's default of 0.99 needs hundreds of steps to forget its starting values: on a small data set
# validation accuracy stays near chance for several epochs.
MOMENTUM = 0.9


def batch_norm(x: keras.KerasTensor, *, name: str) -> keras.KerasTensor:
    """Normalise each channel over the batch (arXiv:1502.03167, algorithm 1)."""
    return keras.layers.BatchNormalization(momentum=MOMENTUM, name=name)(x)


def conv_relu(x: keras.KerasTensor, filters: int, *, name: str, padding: str = "same") -> keras.KerasTensor:
    """3×3 convolution with bias, ReLU."""
    return keras.layers.Conv2D(
        filters, 3, padding=padding, activation="relu", kernel_initializer="he_normal", name=name
    )(x)


def conv_norm(
    x: keras.KerasTensor, filters: int, *, name: str, size: int = 3, stride: int = 1, use_bias: bool = False
) -> keras.KerasTensor:
    """Convolution, batch normalisation; without bias by default, since the normalisation has one."""
    x = keras.layers.Conv2D(
        filters,
        size,
        strides=stride,
        padding="same",
        use_bias=use_bias,
        kernel_initializer="he_normal",
        name=f"{name}_conv",
    )(x)
    return batch_norm(x, name=f"{name}_norm")


def conv_norm_relu(
    x: keras.KerasTensor, filters: int, *, name: str, size: int = 3, stride: int = 1, use_bias: bool = False
) -> keras.KerasTensor:
    """Convolution, batch normalisation, ReLU."""
    x = conv_norm(x, filters, name=name, size=size, stride=stride, use_bias=use_bias)
    return keras.layers.ReLU(name=f"{name}_relu")(x)


def projection_shortcut(
    x: keras.KerasTensor, filters: int, *, name: str, stride: int, use_bias: bool = False
) -> keras.KerasTensor:
    """The identity where shapes agree, else a 1×1 convolution (arXiv:1512.03385, section 3.3, option B)."""
    if stride == 1 and x.shape[-1] == filters:
        return x
    return conv_norm(x, filters, name=f"{name}_shortcut", size=1, stride=stride, use_bias=use_bias)


def padded_shortcut(x: keras.KerasTensor, filters: int, *, name: str, stride: int) -> keras.KerasTensor:
    """The identity; every `stride`-th pixel, new channels zero (arXiv:1512.03385, section 3.3, option A)."""
    if stride > 1:
        x = keras.layers.AveragePooling2D(1, strides=stride, name=f"{name}_shortcut")(x)
    new = filters - x.shape[-1]
    if new:
        x = keras.ops.pad(x, ((0, 0), (0, 0), (0, 0), (new // 2, new - new // 2)))
    return x


def residual(
    x: keras.KerasTensor,
    filters: int,
    *,
    name: str,
    stride: int = 1,
    shortcut: str = "projection",
    use_bias: bool = False,
) -> keras.KerasTensor:
    """Two 3×3 convolutions around a shortcut (arXiv:1512.03385, figure 2).

    Args:
        x: float `(N, h, w, c)`.
        filters: channels of the result.
        name: the prefix of the block's layer names.
        stride: of the first convolution and the shortcut.
        shortcut: `"projection"` or `"padding"`.
        use_bias: whether the convolutions have biases.
    """
    y = conv_norm_relu(x, filters, name=f"{name}_1", stride=stride, use_bias=use_bias)
    y = conv_norm(y, filters, name=f"{name}_2", use_bias=use_bias)
    if shortcut == "projection":
        x = projection_shortcut(x, filters, name=name, stride=stride, use_bias=use_bias)
    else:
        x = padded_shortcut(x, filters, name=name, stride=stride)
    x = keras.layers.Add(name=f"{name}_add")([x, y])
    return keras.layers.ReLU(name=f"{name}_relu")(x)


def bottleneck(x: keras.KerasTensor, filters: int, *, name: str, stride: int = 1) -> keras.KerasTensor:
    """1×1, 3×3, 1×1 convolutions around a shortcut, `4 · filters` channels (arXiv:1512.03385, figure 5)."""
    y = conv_norm_relu(x, filters, name=f"{name}_1", size=1, stride=stride)
    y = conv_norm_relu(y, filters, name=f"{name}_2")
    y = conv_norm(y, 4 * filters, name=f"{name}_3", size=1)
    x = projection_shortcut(x, 4 * filters, name=name, stride=stride)
    x = keras.layers.Add(name=f"{name}_add")([x, y])
    return keras.layers.ReLU(name=f"{name}_relu")(x)


def depthwise_norm(x: keras.KerasTensor, *, name: str, stride: int = 1, activation: str = "relu") -> keras.KerasTensor:
    """3×3 convolution of each channel alone, batch normalisation, activation."""
    x = keras.layers.DepthwiseConv2D(
        3,
        strides=stride,
        padding="same",
        use_bias=False,
        depthwise_initializer="he_normal",
        name=f"{name}_conv",
    )(x)
    x = batch_norm(x, name=f"{name}_norm")
    return keras.layers.Activation(activation, name=f"{name}_{activation}")(x)


def separable(x: keras.KerasTensor, filters: int, *, name: str, stride: int = 1) -> keras.KerasTensor:
    """Depthwise 3×3, then pointwise 1×1, each with normalisation and ReLU (arXiv:1704.04861, figure 3)."""
    x = depthwise_norm(x, name=f"{name}_depthwise", stride=stride)
    return conv_norm_relu(x, filters, name=f"{name}_pointwise", size=1)


def squeeze_excite(x: keras.KerasTensor, *, name: str, reduction: int = 4) -> keras.KerasTensor:
    """Weigh each channel by what the whole picture shows (arXiv:1709.01507, figure 2).

    The gate is the hard sigmoid and the reduction 4, as in MobileNetV3 (arXiv:1905.02244, section 5.3).
    """
    channels = x.shape[-1]
    gate = keras.layers.GlobalAveragePooling2D(keepdims=True, name=f"{name}_squeeze")(x)
    gate = keras.layers.Conv2D(
        max(1, channels // reduction),
        1,
        activation="relu",
        kernel_initializer="he_normal",
        name=f"{name}_reduce",
    )(gate)
    gate = keras.layers.Conv2D(channels, 1, activation="hard_sigmoid", name=f"{name}_expand")(gate)
    return keras.layers.Multiply(name=f"{name}_excite")([x, gate])


def inverted_residual(
    x: keras.KerasTensor, filters: int, *, name: str, stride: int = 1, expansion: int = 4
) -> keras.KerasTensor:
    """Expand, filter each channel, weigh the channels, project without activation.

    arXiv:1801.04381, section 3.3, with squeeze-and-excite in the expanded layer (arXiv:1905.02244, figure 4).
    """
    y = conv_norm(x, expansion * x.shape[-1], name=f"{name}_expand", size=1)
    y = keras.layers.Activation("hard_swish", name=f"{name}_expand_hard_swish")(y)
    y = depthwise_norm(y, name=f"{name}_depthwise", stride=stride, activation="hard_swish")
    y = squeeze_excite(y, name=f"{name}_gate")
    y = conv_norm(y, filters, name=f"{name}_project", size=1)
    if stride == 1 and x.shape[-1] == filters:
        y = keras.layers.Add(name=f"{name}_add")([x, y])
    return y


def logits_head(features: keras.KerasTensor, units: int) -> keras.KerasTensor:
    """One linear unit a class: `(N, d)` to float32 `(N, units)`, under mixed precision too."""
    return keras.layers.Dense(units, dtype="float32", name="logits")(features)


def pooled_head(x: keras.KerasTensor, class_count: int) -> keras.KerasTensor:
    """Global average pooling (`features`), logits."""
    features = keras.layers.GlobalAveragePooling2D(name="features")(x)
    return logits_head(features, class_count)


def dense_features(x: keras.KerasTensor, units: int, *, activation: str = "relu") -> keras.KerasTensor:
    """The hidden layer whose answers are the network's `features`, `(N, units)`."""
    initializer = "he_normal" if activation == "relu" else "glorot_uniform"
    return keras.layers.Dense(units, activation=activation, kernel_initializer=initializer, name="features")(x)


def wide_head(x: keras.KerasTensor, class_count: int) -> keras.KerasTensor:
    """Two hidden layers of 4096, dropout 0.5 (AlexNet, NIPS 2012, section 4.2; arXiv:1409.1556, table 1)."""
    x = keras.layers.Flatten(name="flatten")(x)
    x = keras.layers.Dense(4096, activation="relu", kernel_initializer="he_normal", name="hidden")(x)
    x = keras.layers.Dropout(0.5, name="hidden_dropout")(x)
    x = dense_features(x, 4096)
    x = keras.layers.Dropout(0.5, name="features_dropout")(x)
    return logits_head(x, class_count)
