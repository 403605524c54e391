"""The graphs of keras.applications under the same contract as our own networks, with random or published weights."""

import contextlib
import sys
import warnings
from collections.abc import Callable, Iterator
from http.client import HTTPException

import keras
import numpy as np

from opsin.architectures.blocks import logits_head, pooled_head, wide_head
from opsin.architectures.scaling import scaled_image
from opsin.architectures.weight_files import IMAGENET, WAYS_OUT
from opsin.architectures.weights import load_weights, put_weights
from opsin.errors import ModelError

# The weights of these were trained on pictures that were divided by the square root of their colours' deviations once
# more (tensorflow#49930). keras.applications adds a layer for it, but only where it downloads the weights itself.
_SCALED_AGAIN = ("EfficientNetB",)
_DEVIATIONS = (0.229, 0.224, 0.225)

# keras.applications gives these published weights only at the size they were trained with.
_ONE_SIZE = ("NASNet",)


def pretrained(
    input_shape: tuple[int, int, int],
    class_count: int,
    *,
    graph: str,
    pixels: str,
    head: str,
    width: float = 1.0,
    weights: str | None = None,
    say: Callable[[str], None] = lambda line: None,
) -> keras.Model:
    """Build a network of keras.applications, flat.

    Args:
        input_shape: `(h, w, 3)`.
        class_count: k.
        graph: the function's name in keras.applications, `"MobileNetV2"`.
        pixels: the range its published weights expect; a key of `opsin.architectures.scaling.SCALINGS`.
        head: what comes after its last map; a key of `HEADS`. With weights, a wide head gives way to a pooled one.
        width: how many channels its layers have, as a fraction of the full network's (MobileNets only).
        weights: None for random ones, `"imagenet"` for the published ones, or a file's path.
        say: is called with a sentence on what of a file was left out.

    Raises:
        UsageError: there is no such file.
        ModelError: the file is of another network, or the published weights cannot be had.
    """
    image, x = scaled_image(input_shape, pixels)
    pooling, build_head = HEADS["pooled" if weights and head == "wide" else head]
    options = {"include_top": False, "pooling": pooling, **({} if width == 1 else {"alpha": width})}
    backbone = _backbone(graph, x, options, weights)
    name = graph if width == 1 else f"{graph}_{width}"
    if weights not in (None, IMAGENET):
        remark = load_weights(backbone, weights, called=name)
        if remark:
            say(remark)
    if weights is not None and graph.startswith(_SCALED_AGAIN):
        _restore_scaling(backbone)
    backbone = flatten(backbone)
    return keras.Model(image, build_head(backbone.output, class_count), name=name)


def _backbone(graph: str, x: keras.KerasTensor, options: dict, weights: str | None) -> keras.Model:
    build_graph = getattr(keras.applications, graph)
    if weights != IMAGENET:
        return build_graph(weights=None, input_tensor=x, **options)
    if not graph.startswith((*_SCALED_AGAIN, *_ONE_SIZE)):
        with _downloading(graph):
            return build_graph(weights="imagenet", input_tensor=x, **options)
    backbone = build_graph(weights=None, input_tensor=x, **options)
    with _downloading(graph):
        backbone.set_weights(build_graph(weights="imagenet", **options).get_weights())
    return backbone


@contextlib.contextmanager
def _downloading(graph: str) -> Iterator[None]:
    """Say what to do where published weights cannot be had, and keep Keras's bar away from stdout."""
    try:
        with contextlib.redirect_stdout(sys.stderr), warnings.catch_warnings():
            # Keras sees no size where a network goes on from a tensor, and says which one's weights it takes.
            warnings.filterwarnings("ignore", message="`input_shape` is undefined")
            yield
    except Exception as error:
        # `keras.utils.get_file` raises no narrower kind when it finds no way to the server, or not the whole file.
        said = any(words in str(error) for words in ("fetch failure", "corrupted file"))
        if not said and not isinstance(error, OSError | HTTPException):
            raise
        raise ModelError(
            f"Expected to have, or to be able to download, the ImageNet weights of {graph}: {error}. {WAYS_OUT}"
        ) from error


def _restore_scaling(backbone: keras.Model) -> None:
    """Divide by the square root of the deviations, where the weights are those that were published."""
    (normalization,) = (layer for layer in backbone.layers if isinstance(layer, keras.layers.Normalization))
    mean, variance, count = normalization.get_weights()
    if np.allclose(variance, np.square(_DEVIATIONS), rtol=1e-3):
        # (x - mean) / sqrt(variance) / sqrt(deviation) is (x - mean) / sqrt(variance * deviation).
        put_weights(normalization, [mean, variance * np.array(_DEVIATIONS, dtype=np.float32), count])


def flatten(network: keras.Model) -> keras.Model:
    """Put the layers of nested Sequential models into the network itself; weights and layers stay the same.

    ConvNeXt of keras.applications has four such models, where explanations and cutting would stop.
    """
    if not any(isinstance(layer, keras.Sequential) for layer in network.layers):
        return network
    return keras.models.clone_model(
        network,
        input_tensors=network.input,
        clone_function=lambda layer: layer,
        call_function=_call_inner_layers,
    )


def _call_inner_layers(layer: keras.Layer, *args, **kwargs) -> keras.KerasTensor:
    if not isinstance(layer, keras.Sequential):
        return layer(*args, **kwargs)
    (x,) = args
    for inner in layer.layers:
        x = inner(x)
    return x


def _normalized_head(x: keras.KerasTensor, class_count: int) -> keras.KerasTensor:
    return logits_head(keras.layers.Identity(name="features")(x), class_count)


# What keras.applications shall pool, and what we add. ConvNeXt normalises what it has pooled, so that its
# pooling must be its own.
HEADS = {
    "pooled": (None, pooled_head),
    "wide": (None, wide_head),
    "normalized": ("avg", _normalized_head),
}
