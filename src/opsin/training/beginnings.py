"""How a network can begin and be changed before it is trained: whitening, identity, activations, sizes.

Each works on any functional network that has the layers it is about.
"""

import math
from collections.abc import Sequence

import keras
import numpy as np

from opsin.data.store import StoredImages
from opsin.errors import UsageError
from opsin.training.config import AUTO, TrainConfig

SAMPLE_PIXELS = 4_000_000
SAMPLE_PATCHES = 200_000
NOTHING = 1e-8
"""Of the mean variance of patches: a component with less has none."""

SOFTENING = 5e-4
"""Added to each variance, as a share of the mean one of a pixel, so that noise is not blown up (arXiv 2404.00498)."""


def rebuilt(network: keras.Model, config: TrainConfig) -> keras.Model:
    """Return the network with the activation, normalisation and range of sizes that the settings ask for.

    Args:
        network: as the catalogue has it, with random weights.
        config: settings without any None.

    Raises:
        UsageError: it cannot take pictures of several sizes.
    """
    if config.activation != AUTO:
        network = with_activation(network, config.activation)
    if config.norm_momentum is not None:
        for layer in network.layers:
            if isinstance(layer, keras.layers.BatchNormalization):
                layer.momentum = config.norm_momentum
    return of_any_size(network) if config.start_size else network


def with_activation(network: keras.Model, activation: str) -> keras.Model:
    """Return the network with another activation wherever it has a ReLU; weights are random again."""

    def changed(layer: keras.layers.Layer) -> keras.layers.Layer:
        settings = layer.get_config()
        if isinstance(layer, keras.layers.ReLU):
            return keras.layers.Activation(activation, name=layer.name, dtype=layer.dtype_policy)
        if settings.get("activation") == "relu":
            return type(layer).from_config({**settings, "activation": activation})
        return type(layer).from_config(settings)

    return keras.models.clone_model(network, clone_function=changed)


def of_any_size(network: keras.Model) -> keras.Model:
    """Return the network for pictures of any size; weights are random again.

    Raises:
        UsageError: what comes last depends on the size.
    """
    image = keras.Input((None, None, network.inputs[0].shape[-1]), name="image", dtype="float32")
    try:
        grown = keras.models.clone_model(network, input_tensors=image)
    except (TypeError, ValueError) as error:
        raise UsageError(
            f"Expected a network that takes pictures of any size for start_size; {network.name} is for one size: "
            f"{error}. Leave start_size out, or choose an architecture that ends in a global pooling."
        ) from error
    if [v.shape for v in grown.weights] != [v.shape for v in network.weights]:
        raise UsageError(
            f"Expected a network that takes pictures of any size for start_size; {network.name} has weights for one "
            "size. Leave start_size out, or choose an architecture that ends in a global pooling."
        )
    return grown


def start_as_identity(network: keras.Model) -> None:
    """Let each convolution but the first pass its channels on unchanged, as far as it has filters (in place).

    The centre of a kernel is 1 for its own channel and all else of that filter 0; further filters stay random (Jordan
    2024, arXiv 2404.00498, section 3.3).
    """
    convolutions = [layer for layer in network.layers if type(layer) is keras.layers.Conv2D]
    for layer in convolutions[1:]:
        kernel = keras.ops.convert_to_numpy(layer.kernel).copy()
        height, width, channels, filters = kernel.shape
        if layer.groups > 1 or not (height % 2 and width % 2 and height * width > 1):
            continue
        same = min(channels, filters)
        kernel[..., :same] = 0
        kernel[height // 2, width // 2, range(same), range(same)] = 1
        layer.kernel.assign(kernel)


def first_convolution(network: keras.Model) -> keras.layers.Conv2D:
    """Return the convolution that sees the scaled pictures.

    Raises:
        UsageError: the first layer with weights is none.
    """
    first = next((layer for layer in network.layers if layer.weights), None)
    if type(first) is not keras.layers.Conv2D or first.groups > 1 or max(first.dilation_rate) > 1:
        kind = "none" if first is None else f"{first.name}, {type(first).__name__}"
        raise UsageError(
            f"Expected a plain convolution as first layer with weights to whiten; received {kind}. Leave that out: "
            "--no-whiten."
        )
    return first


def freeze_to_whiten(network: keras.Model) -> None:
    """Keep the first convolution's kernel from being trained, if all of it is to whiten; before compiling."""
    layer = first_convolution(network)
    height, width, channels, filters = layer.kernel.shape
    layer.kernel.trainable = filters > 2 * height * width * channels


def whiten(network: keras.Model, images: StoredImages, seed: int) -> None:
    """Set the first convolution so that it decorrelates patches of the training pictures (in place).

    Its filters are the patches' principal components, largest first, each divided by its standard deviation, and their
    negatives, so that an activation that cuts off what is negative loses nothing; where it has biases, they take the
    mean off, and go on learning. Filters beyond those stay as they are (Jordan 2024, arXiv 2404.00498, section 3.2).

    Args:
        network: built; `freeze_to_whiten` was called before it was compiled.
        images: training pictures, some of which are looked at.
        seed: decides which.
    """
    layer = first_convolution(network)
    kernel = keras.ops.convert_to_numpy(layer.kernel).copy()
    generator = np.random.default_rng(seed)
    few = max(1, SAMPLE_PIXELS // math.prod(images.read(slice(0, 1)).shape[1:3]))
    rows = generator.permutation(len(images))[:few]
    scaled = keras.Model(network.inputs[0], layer.input)
    pixels = keras.ops.convert_to_numpy(scaled(images.read(np.sort(rows)).astype(np.float32), training=False))
    patches = _patches(pixels, kernel.shape[:2], generator)
    filters, mean = whitening_filters(patches, kernel.shape[-1])
    kernel[..., : filters.shape[-1]] = filters
    layer.kernel.assign(kernel)
    if layer.use_bias:
        layer.bias.assign(-np.tensordot(mean, kernel, 3))


def whitening_filters(patches: np.ndarray, most: int) -> tuple[np.ndarray, np.ndarray]:
    """Return filters that decorrelate patches, and the mean patch.

    Args:
        patches: float (N, height, width, channels).
        most: how many filters there may be.

    Returns:
        float32 (height, width, channels, filters): pairs of a filter and its negative, all first ones before all
        second ones, and zeros for what no two patches differ in; float32 (height, width, channels).
    """
    shape = patches.shape[1:]
    flat = patches.reshape(len(patches), -1).astype(np.float64)
    mean = flat.mean(axis=0)
    covariance = np.atleast_2d(np.cov(flat - mean, rowvar=False, bias=True))
    variances, components = np.linalg.eigh(covariance)
    largest = np.argsort(-variances)[: most // 2]
    softening = max(SOFTENING * variances.mean(), np.finfo(np.float32).tiny)
    filters = components[:, largest] / np.sqrt(np.maximum(variances[largest], 0) + softening)
    # Three equal channels, say: its filter would only enlarge rounding errors, and its bias learn without bounds.
    filters[:, variances[largest] <= NOTHING * variances.mean()] = 0
    # A component's sign is an accident of the solver: its largest part is positive.
    filters *= np.sign(filters[np.abs(filters).argmax(axis=0), range(filters.shape[1])])
    both = np.concatenate([filters, -filters], axis=1).reshape(*shape, -1)
    return both.astype(np.float32), mean.reshape(shape).astype(np.float32)


def _patches(pixels: np.ndarray, size: Sequence[int], generator: np.random.Generator) -> np.ndarray:
    """Return up to `SAMPLE_PATCHES` patches, float32 (N, height, width, channels), from anywhere in the pictures."""
    windows = np.lib.stride_tricks.sliding_window_view(pixels, tuple(size), axis=(1, 2))
    # (N, y, x, channels, height, width): drawn without a copy of all of them.
    count, down, right = windows.shape[:3]
    wanted = min(SAMPLE_PATCHES, count * down * right)
    drawn = generator.choice(count * down * right, wanted, replace=False)
    return windows[np.unravel_index(drawn, (count, down, right))].transpose(0, 2, 3, 1)
