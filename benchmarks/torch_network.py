"""A Keras network, layer by layer, as PyTorch has them."""

import keras
import torch
from torch import nn


class UntranslatedError(Exception):
    """A network has what is not translated; the text names it."""


def translate(network: keras.Model) -> nn.Sequential:
    """Return a chain of layers as PyTorch modules, with PyTorch's own initial weights.

    Args:
        network: takes `(n, h, w, c)`.

    Returns:
        A network that takes float32 `(n, c, h, w)`, 0 to 255, and gives logits `(n, k)`.

    Raises:
        UntranslatedError: it is no chain, or has layers of other kinds.
    """
    found: list[nn.Module] = []
    for before, layer in zip(network.layers, network.layers[1:], strict=False):
        if layer.input is not before.output:
            raise UntranslatedError(f"{network.name} is no chain: {layer.name} does not take what {before.name} gives")
        found += _modules(layer)
    return nn.Sequential(*found)


class _Rescaling(nn.Module):
    def __init__(self, scale: float, offset: float):
        super().__init__()
        self._scale, self._offset = scale, offset

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return images * self._scale + self._offset


def _modules(layer: keras.Layer) -> list[nn.Module]:
    match layer:
        case keras.layers.Rescaling():
            return [_Rescaling(layer.scale, layer.offset)]
        case keras.layers.DepthwiseConv2D() | keras.layers.SeparableConv2D():
            pass
        case keras.layers.Conv2D(padding="valid") | keras.layers.Conv2D(padding="same", strides=(1, 1)):
            convolution = nn.Conv2d(
                layer.input.shape[-1],
                layer.filters,
                layer.kernel_size,
                layer.strides,
                layer.padding,
                layer.dilation_rate,
                layer.groups,
                layer.use_bias,
            )
            return [convolution, *_activation(layer)]
        case keras.layers.BatchNormalization():
            kind = nn.BatchNorm1d if len(layer.input.shape) == 2 else nn.BatchNorm2d
            return [kind(layer.input.shape[-1], eps=layer.epsilon, momentum=1 - layer.momentum)]
        case keras.layers.ReLU():
            return [nn.ReLU()]
        case keras.layers.MaxPooling2D(padding="valid"):
            return [nn.MaxPool2d(layer.pool_size, layer.strides)]
        case keras.layers.GlobalAveragePooling2D():
            return [nn.AdaptiveAvgPool2d(1), nn.Flatten()]
        case keras.layers.Flatten():
            return [nn.Flatten()]
        case keras.layers.Dropout():
            return [nn.Dropout(layer.rate)]
        case keras.layers.Dense():
            return [nn.Linear(layer.input.shape[-1], layer.units, bias=layer.use_bias), *_activation(layer)]
    raise UntranslatedError(f"{layer.name} ({type(layer).__name__}) is not translated")


def _activation(layer: keras.Layer) -> list[nn.Module]:
    if layer.activation is keras.activations.linear:
        return []
    if layer.activation is keras.activations.relu:
        return [nn.ReLU()]
    raise UntranslatedError(f"{layer.name} has the activation {layer.activation.__name__}, which is not translated")
