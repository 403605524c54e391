"""The way down of a network that stands on a backbone: its maps at each stride, found in any graph.

Keras's graphs name their layers as they like; what all of them have is maps that become smaller.
"""

import math
from dataclasses import dataclass

import keras

from opsin.architectures import build_network
from opsin.architectures.pretrained_entries import PRETRAINED
from opsin.segmentation.decoding import Sides, pad_to_fit
from opsin.segmentation.networks import NetworkSettings, Say

COARSEST = 32
"""Pixels of the picture along a side that one of the coarsest map stands for, in every graph of keras.applications."""


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


def way_down(
    input_shape: tuple[int, int, int], settings: NetworkSettings, *, weights: str | None, say: Say
) -> WayDown:
    """Build the backbone that the settings name, and find its maps.

    Args:
        input_shape: `(h, w, 3)`.
        settings: `backbone` is looked at.
        weights: None for random ones, `"imagenet"`, or a file.
        say: is called with a sentence on what of a file was left out.
    """
    image = keras.Input(input_shape, name="image", dtype="float32")
    padded, sides = pad_to_fit(image, COARSEST)
    shape = tuple(padded.shape[1:])
    backbone = build_network(settings.backbone, shape, 2, weights=weights, say=say)
    tensors = maps_by_stride(backbone, shape[0])
    inner = keras.Model(backbone.inputs[0], tensors)
    if any(map(any, sides)):
        # The same layers once more, on the padded image in the place of an input of their own.
        inner = keras.models.clone_model(inner, input_tensors=padded, clone_function=lambda layer: layer)
        tensors = inner.outputs
    else:
        image = inner.inputs[0]
    *skips, last = tensors
    strides = [_level(shape[0], tensor) for tensor in skips]
    return WayDown(image, sides, dict(zip(strides, skips, strict=True)), last, shape[0], shape[1])


def maps_by_stride(backbone: keras.Model, height: int) -> list[keras.KerasTensor]:
    """Return the last map at each stride from 2 on, the finest first.

    Args:
        backbone: a network of keras.applications, with its head.
        height: of its input, in pixels.
    """
    found: dict[int, keras.KerasTensor] = {}
    coarsest = int(math.log2(COARSEST))
    for layer in backbone.layers:
        tensor = layer.output
        if isinstance(tensor, list) or len(tensor.shape) != 4 or _is_no_map(layer):
            continue
        level = _level(height, tensor)
        # Gates pool to a single pixel on the way: what is smaller than the last map is none.
        if 1 <= level <= coarsest and level >= max(found, default=1):
            found[level] = tensor
    return list(found.values())


def _is_no_map(layer: keras.Layer) -> bool:
    # What is padded is read by one convolution only; gates stand beside the way down.
    return isinstance(layer, keras.layers.ZeroPadding2D | keras.layers.GlobalAveragePooling2D | keras.layers.Reshape)


def _level(height: int, tensor: keras.KerasTensor) -> int:
    """Return log2 of a map's stride, rounded: graphs without padding lose a pixel here and there."""
    return round(math.log2(height / tensor.shape[1]))


def frozen_layer_names(network: keras.Model, backbone: str) -> list[str]:
    """Return the names of the layers of a segmentation network that are its backbone's.

    Args:
        network: built on that backbone.
        backbone: a key of `PRETRAINED`.
    """
    names = {layer.name for layer in network.layers}
    own = build_network(backbone, PRETRAINED[backbone].input_shape, 2)
    return [layer.name for layer in own.layers if layer.name in names]
