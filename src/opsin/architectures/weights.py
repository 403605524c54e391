"""Weights from files: read layer by layer, and put into a network that they fit."""

import contextlib
import re
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np

from opsin.catalog import require
from opsin.errors import ModelError, UsageError
from opsin.keras_file import require_harmless

# Where Keras puts underscores when it makes `depthwise_conv2d` of DepthwiseConv2D.
_WORD_STARTS = re.compile("(?<=[a-z])(?=[A-Z])|(?<=.)(?=[A-Z][a-z])")

_FORMATS = "a .h5, .weights.h5 or .keras file"


@dataclass(frozen=True)
class LayerWeights:
    """The weights of one layer, as a file holds them.

    Args:
        name: the layer's name in the file.
        arrays: its weights, in Keras's order.
    """

    name: str
    arrays: tuple[np.ndarray, ...]


def load_weights(network: keras.Model, path: str | Path, *, called: str) -> str:
    """Put a file's weights into a network that ends where its features are.

    Layers are matched by name where the file has all names, and otherwise by their order. What the file holds beyond
    the network, a classification head say, is left out.

    Args:
        network: the backbone.
        path: Keras's old weight files (`.h5`, those of keras.applications), `.weights.h5`, or a whole `.keras`.
        called: what messages call the network.

    Returns:
        A sentence on what was left out; empty if nothing was.

    Raises:
        UsageError: there is no such file.
        ModelError: it cannot be read, or holds the weights of another network; the message has the first layer and the
            shapes that differ.
    """
    path = Path(path)
    if not path.is_file():
        raise UsageError(f"Expected weights, {_FORMATS}; there is none at {str(path)!r}. Check the path.")
    targets = [layer for layer in _leaves(network) if layer.weights]
    with _explaining(path):
        found = list(_read(path, network))
    by_name = {one.name: one for one in found}
    if all(layer.name in by_name for layer in targets):
        matched = [by_name[layer.name] for layer in targets]
    else:
        matched = found[: len(targets)]
    _require_fitting(called, targets, matched, found, path)
    for layer, source in zip(targets, matched, strict=True):
        put_weights(layer, source.arrays)
    used = {id(one) for one in matched}
    beyond = [one.name for one in found if id(one) not in used]
    return f"Left out of {path.name!r}, since it comes after the features: {', '.join(beyond)}." if beyond else ""


def put_weights(layer: keras.Layer, arrays: Sequence[np.ndarray]) -> None:
    """Give a layer its weights, and let it take in what it computes from them."""
    layer.set_weights(list(arrays))
    if isinstance(layer, keras.layers.Normalization):
        layer.finalize_state()


def copy_weights(source: keras.Model, target: keras.Model) -> None:
    """Put the weights of one network into another of the same layers."""
    for here, there in zip(_leaves(source), _leaves(target), strict=True):
        put_weights(there, here.get_weights())


def _leaves(network: keras.Model) -> Iterator[keras.Layer]:
    for layer in network.layers:
        if isinstance(layer, keras.Model):
            yield from _leaves(layer)
        else:
            yield layer


@contextlib.contextmanager
def _explaining(path: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError, KeyError, TypeError, RuntimeError, zipfile.BadZipFile) as error:
        raise ModelError(
            f"Expected weights, {_FORMATS}; {str(path)!r} cannot be read: {error}. It may be cut short: compare its "
            "size with where it comes from, and fetch it again."
        ) from error


def _read(path: Path, network: keras.Model) -> Iterator[LayerWeights]:
    if path.suffix == ".keras":
        try:
            require_harmless(path, registered=frozenset(keras.saving.get_custom_objects()))
        except ModelError as error:
            raise ValueError(str(error).rstrip(".")) from error
        whole = keras.saving.load_model(path, compile=False, safe_mode=True)
        for layer in _leaves(whole):
            if layer.weights:
                yield LayerWeights(layer.name, tuple(keras.ops.convert_to_numpy(w) for w in layer.weights))
        return
    with require("h5py", "reading weights").File(path) as file:
        if _texts(file.attrs, "layer_names") or "model_weights" in file:
            yield from _read_legacy(file.get("model_weights", file), network)
        elif "layers" in file or "_layer_checkpoint_dependencies" in file:
            yield from _read_by_kind(file, network)
        else:
            raise ValueError(f"it holds {', '.join(file) or 'nothing'}, and no layers")


def _read_legacy(group: Any, network: keras.Model) -> Iterator[LayerWeights]:
    layers = (layer for layer in network.layers if layer.weights)
    for name in _texts(group.attrs, "layer_names"):
        arrays = [np.asarray(group[name][weight]) for weight in _texts(group[name].attrs, "weight_names")]
        layer = next(layers, None) if arrays else None
        if isinstance(layer, keras.Model) and len(arrays) == len(layer.weights):
            yield from _of_nested(layer, arrays)
        elif arrays:
            yield LayerWeights(name, tuple(arrays))


def _of_nested(model: keras.Model, arrays: list[np.ndarray]) -> Iterator[LayerWeights]:
    """Give each layer of a nested model its own: the old files hold them as one layer's, what is trained first."""
    variables = [*model.trainable_weights, *model.non_trainable_weights]
    by_variable = {id(variable): array for variable, array in zip(variables, arrays, strict=True)}
    for layer in _leaves(model):
        if layer.weights:
            yield LayerWeights(layer.name, tuple(by_variable[id(variable)] for variable in layer.weights))


def _texts(attributes: Any, name: str) -> list[str]:
    # Long lists are in parts: layer_names0, layer_names1 and so on.
    parts = [attributes[name]] if name in attributes else []
    while f"{name}{len(parts)}" in attributes:
        parts.append(attributes[f"{name}{len(parts)}"])
    return [text.decode() if isinstance(text, bytes) else str(text) for part in parts for text in part]


def _read_by_kind(file: Any, network: keras.Model) -> Iterator[LayerWeights]:
    """Read Keras 3's `.weights.h5`, which calls a layer by its class and a number: `conv2d_3`."""
    group = file["layers"] if "layers" in file else file["_layer_checkpoint_dependencies"]
    # A backbone that was one layer of a larger model.
    nested = [one for one in group if one.startswith("functional") and "layers" in group[one]]
    yield from _named_by_kind(group[nested[0]]["layers"] if nested else group, network)
    if nested:
        yield from _unclaimed(group, [])


def _named_by_kind(group: Any, network: keras.Model) -> Iterator[LayerWeights]:
    counts: dict[str, int] = {}
    taken = []
    # A network that was made flat before it was saved has its layers side by side.
    for layer in network.layers if "sequential" in group else _leaves(network):
        kind = _WORD_STARTS.sub("_", type(layer).__name__).lower()
        number = counts[kind] = counts.get(kind, -1) + 1
        key = f"{kind}_{number}" if number else kind
        if key not in group:
            continue
        taken.append(key)
        if isinstance(layer, keras.Model):
            yield from _named_by_kind(group[key]["layers"], layer)
        elif layer.weights:
            yield LayerWeights(layer.name, _variables(group[key]))
    yield from _unclaimed(group, taken)


def _unclaimed(group: Any, taken: list[str]) -> Iterator[LayerWeights]:
    for key in group:
        if key not in taken and _variables(group[key]):
            yield LayerWeights(key, _variables(group[key]))


def _variables(group: Any) -> tuple[np.ndarray, ...]:
    variables = group.get("vars", {})
    return tuple(np.asarray(variables[str(number)]) for number in range(len(variables)))


def _require_fitting(
    called: str,
    targets: list[keras.Layer],
    matched: list[LayerWeights],
    found: list[LayerWeights],
    path: Path,
) -> None:
    for number, (layer, source) in enumerate(zip(targets, matched, strict=False), start=1):
        expected = [tuple(variable.shape) for variable in layer.weights]
        received = [array.shape for array in source.arrays]
        if expected != received:
            raise ModelError(
                f"Expected the weights of {called}; those in {str(path)!r} are of another network or width: "
                f"layer {number} with weights, {layer.name!r}, has the shapes {expected}, the file's {source.name!r} "
                f"{received}. Give the weights of this architecture (--weights), or the architecture of these weights "
                "(--arch)."
            )
    if len(matched) < len(targets):
        raise ModelError(
            f"Expected the weights of {called}, which has {len(targets)} layers with weights; {str(path)!r} has "
            f"{len(found)}: there are none for {targets[len(matched)].name!r}. Give the weights of this architecture "
            "(--weights), or the architecture of these weights (--arch)."
        )
    used = {id(source) for source in matched}
    foreign = [source.name for source in found[: len(matched)] if id(source) not in used]
    if foreign:
        # VGG19, say, has all the names and shapes of VGG16.
        raise ModelError(
            f"Expected the weights of {called}; those in {str(path)!r} are of another network: {foreign[0]!r}, which "
            f"{called} does not have, comes before the last of its layers there. Give the weights of this architecture "
            "(--weights), or the architecture of these weights (--arch)."
        )
