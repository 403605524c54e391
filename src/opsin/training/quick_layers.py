"""Layers that train faster on a CPU under TensorFlow, and give what Keras's own give, or nearly.

What a convolution of stride 1 passes back is the convolution of what it is given with its kernel turned by 180 degrees,
channels and filters exchanged (Dumoulin and Visin 2016, arXiv 1603.07285, section 4.1). TensorFlow's own operation for
it takes several times as long where maps are small and channels many. And Keras puts batch normalisation together from
some twenty operations, each of which goes through the whole map, where TensorFlow has one for each direction.
Where products of bfloat16 are asked for, a kernel's gradient, in which errors of all pictures and places gather, stays
in float32. `python -m benchmarks.steps` measures all three.
"""

import contextlib
import functools
from collections.abc import Callable, Iterator
from typing import Any

import keras

from opsin.training.config import BFLOAT16_PRODUCTS
from opsin.training.plan import gpu_count

_WORTH_ROUNDING = 100
"""Multiply-adds for each number that a convolution takes or gives, from which on it gains time to round both."""


@contextlib.contextmanager
def quick_layers(network: keras.Model, precision: str = "float32") -> Iterator[None]:
    """Let a network's convolutions and normalisations compute the quicker way while the block runs.

    What they give and pass back stays the same but for rounding. Nothing of it is saved. Whatever traces the network's
    step first has to be inside, since Keras keeps that step; blocks may be nested.

    Args:
        network: the network.
        precision: arithmetic, settled. With `bfloat16_products`, the changed convolutions that have much to multiply
            round what they multiply, give and pass back.
    """
    changed: list[tuple[keras.layers.Layer, str]] = []
    try:
        if _is_tensorflow_on_a_cpu():
            for layer in layers_of(network):
                for name, ours in _quicker(layer, precision).items():
                    setattr(layer, name, ours)
                    changed.append((layer, name))
        yield
    finally:
        for layer, name in changed:
            delattr(layer, name)


def layers_of(network: keras.Model) -> Iterator[keras.layers.Layer]:
    """Go through the layers of a network, and through those of networks that are among them."""
    for layer in network.layers:
        yield layer
        if isinstance(layer, keras.Model):
            yield from layers_of(layer)


def _is_tensorflow_on_a_cpu() -> bool:
    return keras.backend.backend() == "tensorflow" and not gpu_count()


def _quicker(layer: keras.layers.Layer, precision: str) -> dict[str, Callable]:
    """Return what a layer's methods are replaced by, by name."""
    if "convolution_op" not in vars(layer) and _is_plain_convolution(layer):
        rounds = precision == BFLOAT16_PRODUCTS and layer.compute_dtype == "float32" and _multiplies_much(layer)
        return {"convolution_op": functools.partial(_forward_both_ways, bfloat16=rounds)}
    if "call" not in vars(layer) and _is_plain_normalization(layer):
        return {"call": functools.partial(_normalize_at_once, layer)}
    return {}


def _is_plain_convolution(layer: keras.layers.Layer) -> bool:
    return (
        type(layer) is keras.layers.Conv2D
        and layer.built
        # Of a single pixel both are one.
        and (layer.padding == "same" or set(layer.kernel_size) == {1})
        and layer.data_format == "channels_last"
        and layer.groups == 1
        and set(layer.strides) == set(layer.dilation_rate) == {1}
        and all(size % 2 for size in layer.kernel_size)
    )


def _multiplies_much(layer: keras.layers.Conv2D) -> bool:
    height, width, channels, filters = layer.kernel.shape
    return height * width * channels * filters / (channels + filters) >= _WORTH_ROUNDING


def _is_plain_normalization(layer: keras.layers.Layer) -> bool:
    return (
        type(layer) is keras.layers.BatchNormalization
        and layer.axis in (-1, 3)
        and not (layer.renorm or layer.synchronized)
        and layer.variable_dtype == "float32"
        and layer.compute_dtype in ("float32", "bfloat16")
    )


def _forward_both_ways(inputs: Any, kernel: Any, *, bfloat16: bool = False) -> Any:
    import tensorflow as tf

    def product(inputs: Any, kernel: Any) -> Any:
        if not bfloat16:
            return tf.nn.conv2d(inputs, kernel, 1, "SAME")
        rounded = tf.nn.conv2d(tf.cast(inputs, tf.bfloat16), tf.cast(kernel, tf.bfloat16), 1, "SAME")
        return tf.cast(rounded, inputs.dtype)

    @tf.custom_gradient
    def convolve(inputs: Any, kernel: Any) -> tuple[Any, Callable]:
        def backward(given: Any) -> tuple[Any, Any]:
            turned = tf.transpose(kernel[::-1, ::-1], (0, 1, 3, 2))
            to_kernel = tf.raw_ops.Conv2DBackpropFilter(
                input=inputs,
                filter_sizes=tf.shape(kernel),
                out_backprop=given,
                strides=[1, 1, 1, 1],
                padding="SAME",
            )
            return product(given, turned), to_kernel

        return product(inputs, kernel), backward

    # Keras gives its variable, in the precision of the layer; a gradient of one's own is for tensors.
    return convolve(inputs, tf.convert_to_tensor(keras.ops.convert_to_tensor(kernel)))


def _normalize_at_once(
    layer: keras.layers.BatchNormalization, inputs: Any, training: bool | None = None, mask: Any = None
) -> Any:
    """Do what `BatchNormalization.call` does; its way where nothing is learned, or some of the inputs do not count."""
    import tensorflow as tf

    if not (training and layer.trainable) or mask is not None or len(inputs.shape) != 4:
        return type(layer).call(layer, inputs, training=training, mask=mask)
    inputs, channels = tf.cast(inputs, layer.compute_dtype), inputs.shape[-1]
    scale = keras.ops.cast(layer.gamma, "float32") if layer.scale else tf.ones(channels)
    offset = keras.ops.cast(layer.beta, "float32") if layer.center else tf.zeros(channels)
    nothing = tf.zeros(0)
    outputs, mean, variance, *_ = tf.raw_ops.FusedBatchNormV3(
        x=inputs, scale=scale, offset=offset, mean=nothing, variance=nothing, epsilon=layer.epsilon, is_training=True
    )
    # TensorFlow tells the variance of all pictures of which these are a sample, Keras keeps that of these.
    count = tf.cast(tf.size(inputs, tf.int64) // channels, variance.dtype)
    variance *= tf.maximum(count - 1, 1) / count
    for kept, found in ((layer.moving_mean, mean), (layer.moving_variance, variance)):
        kept.assign(kept * layer.momentum + found * (1 - layer.momentum))
    return outputs
