"""The way down of a network that stands on a backbone: its maps at each stride, found in any graph.

Keras's graphs name their layers as they like; what all of them have is maps that become smaller.
"""

import math
from dataclasses import dataclass

import keras

from opsin.architectures import build_network
from opsin.architectures.cuts import lone_tensors
from opsin.segmentation.decoding import Sides, pad_to_fit
from opsin.segmentation.networks import NetworkSettings, Say

COARSEST = 32
"""Pixels of the picture along a side that one of the coarsest map stands for, in every graph of keras.applications."""

ADDED = "decoder_"
"""How the names of layers begin that are put on a backbone."""


@dataclass(frozen=True)
class WayDown:
    """A backbone without its head.

    Args:
        image: the network's input, float32 (N, h, w, 3), 0 to 255.
        sides: what was added to its borders so that all strides fit.
        skips: the last map at each stride below the coarsest, float (N, h/s, w/s, c), by log2 of the stride.
        last: the coarsest map.
        height: of the picture with its borders, in pixels.
        width: of the picture with its borders, in pixels.
    """

    image: keras.KerasTensor
    sides: Sides
    skips: dict[int, keras.KerasTensor]
    last: keras.KerasTensor
    height: int
    width: int


def way_down(input_shape: tuple[int, int, int], settings: NetworkSettings, *, weights: str | None, say: Say) -> WayDown:
    """Build the backbone that the settings name, and find its maps.

    Args:
        input_shape: `(h, w, 3)`.
        settings: `backbone` is looked at.
        weights: None for random ones, `"imagenet"`, or a file.
        say: is called with a sentence on what of a file was left out.
    """
    image = keras.Input(input_shape, name="image", dtype="float32")
    padded, sides = pad_to_fit(image, COARSEST)
    height, width = padded.shape[1:3]
    backbone = build_network(settings.backbone, (height, width, 3), 2, weights=weights, say=say)
    inner = keras.Model(backbone.inputs[0], maps_by_stride(backbone, height))
    if padded is image:
        image = inner.inputs[0]
    else:
        inner = _behind(inner, image, padded)
    *skips, last = inner.outputs
    levels = [_level(height, tensor) for tensor in skips]
    return WayDown(image, sides, dict(zip(levels, skips, strict=True)), last, height, width)


def _behind(network: keras.Model, image: keras.KerasTensor, padded: keras.KerasTensor) -> keras.Model:
    """Return a network of the same layers that reads an image with its borders, and takes the bare image."""

    def call(layer: keras.Layer, *args, **kwargs) -> keras.KerasTensor:
        return layer(*(padded if argument is image else argument for argument in args), **kwargs)

    return keras.models.clone_model(
        network, input_tensors=image, clone_function=lambda layer: layer, call_function=call
    )


def maps_by_stride(backbone: keras.Model, height: int) -> list[keras.KerasTensor]:
    """Return the last map at each stride from 2 on that all the rest of the network depends on, the finest first.

    Args:
        backbone: a network of keras.applications, with its head.
        height: of its input, in pixels.
    """
    found: dict[int, keras.KerasTensor] = {}
    for tensor in lone_tensors(backbone.outputs[0]):
        # What is padded is read by one convolution only, and of another size.
        if len(tensor.shape) == 4 and not isinstance(_maker(tensor), keras.layers.ZeroPadding2D):
            found[_level(height, tensor)] = tensor
    return [tensor for level, tensor in sorted(found.items()) if level >= 1]


def _maker(tensor: keras.KerasTensor) -> keras.Operation:
    return tensor._keras_history.operation


def _level(height: int, tensor: keras.KerasTensor) -> int:
    """Return log2 of a map's stride, rounded: graphs without padding lose a pixel here and there."""
    return min(round(math.log2(height / tensor.shape[1])), round(math.log2(COARSEST)))


def is_of_backbone(layer: keras.Layer) -> bool:
    """Tell whether a layer of a network on a backbone is the backbone's own, and not of what is put on it."""
    return not layer.name.startswith(ADDED) and layer.name not in ("logits", "cut_back")
