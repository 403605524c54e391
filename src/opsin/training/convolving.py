"""Faster gradients of convolutions on a CPU under TensorFlow: the gradient to the input as a convolution forward.

What a convolution of stride 1 passes back is the convolution of what it is given with its kernel turned by 180 degrees,
channels and filters exchanged (Dumoulin and Visin 2016, arXiv 1603.07285, section 4.1). On a CPU TensorFlow's own
operation for it takes several times as long where maps are small and channels many: `python -m
benchmarks.steps`.
"""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import keras

from opsin.training.plan import gpu_count


@contextlib.contextmanager
def quick_gradients(network: keras.Model) -> Iterator[None]:
    """Let a network's convolutions pass gradients back the quicker way while the block runs, where it is quicker.

    What the network gives stays the same; gradients differ by rounding alone. Nothing of it is saved. Whatever traces
    the network's step first has to be inside, since Keras keeps that step; blocks may be nested.
    """
    layers = [layer for layer in network.layers if _gains(layer)] if _is_tensorflow_on_a_cpu() else []
    for layer in layers:
        layer.convolution_op = _forward_both_ways
    try:
        yield
    finally:
        for layer in layers:
            del layer.convolution_op


def _is_tensorflow_on_a_cpu() -> bool:
    return keras.backend.backend() == "tensorflow" and not gpu_count()


def _gains(layer: keras.layers.Layer) -> bool:
    return (
        type(layer) is keras.layers.Conv2D
        and "convolution_op" not in vars(layer)
        # Of a single pixel both are one.
        and (layer.padding == "same" or set(layer.kernel_size) == {1})
        and layer.data_format == "channels_last"
        and layer.groups == 1
        and set(layer.strides) == set(layer.dilation_rate) == {1}
        and all(size % 2 for size in layer.kernel_size)
    )


def _forward_both_ways(inputs: Any, kernel: Any) -> Any:
    import tensorflow as tf

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
            return tf.nn.conv2d(given, turned, 1, "SAME"), to_kernel

        return tf.nn.conv2d(inputs, kernel, 1, "SAME"), backward

    # Keras gives its variable, in the precision of the layer; a gradient of one's own is for tensors.
    return convolve(inputs, tf.convert_to_tensor(keras.ops.convert_to_tensor(kernel)))
