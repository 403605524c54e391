"""The graphs of keras.applications under the same contract as our own networks."""

import keras

from opsin.architectures.blocks import logits_head, pooled_head, wide_head
from opsin.architectures.scaling import scaled_image


def pretrained(
    input_shape: tuple[int, int, int], class_count: int, *, graph: str, pixels: str, head: str
) -> keras.Model:
    """Build a network of keras.applications with random weights, flat.

    Args:
        input_shape: `(h, w, 3)`.
        class_count: k.
        graph: the function's name in keras.applications, `"MobileNetV2"`.
        pixels: the range its published weights expect; a key of `opsin.architectures.scaling.SCALINGS`.
        head: what comes after its last map; a key of `HEADS`.
    """
    image, x = scaled_image(input_shape, pixels)
    build_graph = getattr(keras.applications, graph)
    pooling, build_head = HEADS[head]
    backbone = flatten(build_graph(include_top=False, weights=None, input_tensor=x, pooling=pooling))
    return keras.Model(image, build_head(backbone.output, class_count), name=backbone.name)


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
