"""The channels of a layer: their maps on a picture, what excites them most, and those that do nothing."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from opsin.errors import DataError, PictureError, UsageError
from opsin.explanation.calls import wrapped_calls
from opsin.explanation.gradients import maps_of
from opsin.explanation.network import ImageNetwork
from opsin.explanation.places import Place
from opsin.images.reading import read_images

if TYPE_CHECKING:
    import keras

_FOLLOWING = frozenset({"BatchNormalization", "ReLU", "Activation", "LeakyReLU", "PReLU", "Relu", "Relu6"})
DUPLICATE = 0.999
"""The cosine of two filters from which on they are taken for the same."""


@dataclass(frozen=True)
class LayerHealth:
    """How many channels of a layer do nothing, or the same as another.

    Args:
        layer: its name.
        channels: how many it has.
        dead: channels that gave one and the same value at every place of every picture, before or after its activation.
        duplicated: channels whose filter is that of an earlier one.
    """

    layer: str
    channels: int
    dead: tuple[int, ...]
    duplicated: tuple[int, ...]


@dataclass(frozen=True)
class Excitement:
    """How much a picture excites a channel.

    Args:
        path: the picture.
        value: the channel's highest value in it.
        row: where that is, as a fraction of the input's height.
        column: as a fraction of its width.
    """

    path: str
    value: float
    row: float
    column: float


def feature_maps(network: ImageNetwork, image: np.ndarray, layer: str | None = None) -> tuple[Place, np.ndarray]:
    """Return a layer, and the maps it gives for uint8 (h, w, c): float32 (h', w', k)."""
    place = network.place(layer)
    return place, maps_of(network, image[None].astype(np.float32), place)[0]


def require_channel(place: Place, channel: int) -> None:
    """Raise `UsageError` unless a layer has such a channel."""
    if not 0 <= channel < place.shape[-1]:
        raise UsageError(f"Expected a channel of {place.name!r}, from 0 to {place.shape[-1] - 1}; received {channel}.")


def most_exciting(
    network: ImageNetwork, paths: Sequence[str], channel: int, *, layer: str | None = None, top: int = 12
) -> list[Excitement]:
    """Return the pictures that excite a channel most, the most exciting first.

    Pictures that cannot be read are passed over.

    Args:
        network: the network.
        paths: the pictures.
        channel: which, from 0 on.
        layer: whose; None: the last layer that gives maps.
        top: how many pictures to return.
    """
    place = network.place(layer)
    require_channel(place, channel)
    found: list[Excitement] = []
    for names, images in _batches(network, paths):
        maps = maps_of(network, images, place)[..., channel]
        for name, one in zip(names, maps, strict=True):
            row, column = np.unravel_index(one.argmax(), one.shape)
            places = (row + 0.5) / one.shape[0], (column + 0.5) / one.shape[1]
            found.append(Excitement(name, float(one.max()), *map(float, places)))
    return sorted(found, key=lambda one: -one.value)[:top]


def inspect_channels(network: ImageNetwork, paths: Sequence[str]) -> list[LayerHealth]:
    """Count dead and duplicated channels in every layer of kernels, its activation included, over some pictures.

    Raises:
        DataError: none of the pictures can be read.
    """
    watched = [place for place in network.places if place.is_spatial and not _has_parts(place.operation)]
    lowest: dict[keras.Operation, np.ndarray] = {}
    highest: dict[keras.Operation, np.ndarray] = {}

    def note(operation: "keras.Operation") -> Any:
        def wrapper(call: Any, *args: Any, **kwargs: Any) -> Any:
            output = call(*args, **kwargs)
            values = np.asarray(output, dtype=np.float32)
            low, high = values.min(axis=(0, 1, 2)), values.max(axis=(0, 1, 2))
            lowest[operation] = np.minimum(lowest.get(operation, low), low)
            highest[operation] = np.maximum(highest.get(operation, high), high)
            return output

        return wrapper

    read = 0
    with wrapped_calls({place.operation: note(place.operation) for place in watched}):
        for names, images in _batches(network, paths):
            network.logits(images)
            read += len(names)
    if not read:
        raise DataError(f"Expected pictures to run the network on; none of {len(paths)} can be read.")
    return [
        LayerHealth(
            group[0].name,
            group[0].shape[-1],
            tuple(map(int, np.flatnonzero(_constant(group, lowest, highest)))),
            duplicated_filters(group[0]),
        )
        for group in _groups(watched)
    ]


def _groups(places: Sequence[Place]) -> list[list[Place]]:
    """Return each layer of kernels with the normalisation and the activation that come right after it."""
    groups: list[list[Place]] = []
    following = False
    for place in places:
        if kernel_of(place) is not None:
            groups.append([place])
            following = True
        elif following and type(place.operation).__name__ in _FOLLOWING and place.shape == groups[-1][0].shape:
            groups[-1].append(place)
        else:
            following = False
    return groups


def _constant(group: Sequence[Place], lowest: dict, highest: dict) -> np.ndarray:
    """Return which channels, bool (k,), are the same everywhere after at least one of these layers."""
    spans = [(lowest[place.operation], highest[place.operation]) for place in group]
    return np.any([high - low <= 1e-6 * np.maximum(1, np.abs(high)) for low, high in spans], axis=0)


def duplicated_filters(place: Place) -> tuple[int, ...]:
    """Return the filters of a layer that point the same way as an earlier one; () for layers without kernels."""
    kernel = kernel_of(place)
    if kernel is None:
        return ()
    columns = kernel.reshape(-1, kernel.shape[-1])
    lengths = np.linalg.norm(columns, axis=0)
    directions = columns / np.where(lengths > 0, lengths, 1)
    likeness = np.triu(directions.T @ directions, k=1)
    return tuple(map(int, np.flatnonzero((likeness >= DUPLICATE).any(axis=0))))


def kernel_of(place: Place) -> np.ndarray | None:
    """Return a layer's kernel as float32 (h, w, c, filters); None if it has none.

    Of depthwise layers each channel's filter is one of its own: (h, w, 1, c).
    """
    kernels = [w for w in getattr(place.operation, "weights", ()) if len(w.shape) == 4]
    if not kernels or _has_parts(place.operation):
        return None
    kernel = kernels[0].numpy()
    if "epthwise" in type(place.operation).__name__ or len(kernels) > 1:
        return kernel.reshape(*kernel.shape[:2], 1, -1)
    return kernel.transpose(0, 1, 3, 2) if "Transpose" in type(place.operation).__name__ else kernel


def first_filters(network: ImageNetwork) -> tuple[Place, np.ndarray]:
    """Return the first layer with kernels, and them: float32 (h, w, c, filters).

    Raises:
        UsageError: there is none.
    """
    for place in network.places:
        kernel = kernel_of(place)
        if kernel is not None:
            return place, kernel
    raise UsageError("Expected a network with convolutions, whose filters can be drawn; this one has none.")


def _has_parts(operation: "keras.Operation") -> bool:
    return any(True for _ in _sublayers(operation))


def _sublayers(operation: "keras.Operation") -> Iterable:
    flatten = getattr(operation, "_flatten_layers", None)
    return flatten(include_self=False) if flatten else ()


def _batches(network: ImageNetwork, paths: Sequence[str]) -> Iterable[tuple[list[str], np.ndarray]]:
    """Yield the paths and the float32 images of those pictures that can be read, in batches."""
    names: list[str] = []
    images: list[np.ndarray] = []
    for path, image in zip(paths, read_images(paths, network.preprocess), strict=True):
        if isinstance(image, PictureError):
            continue
        names.append(path)
        images.append(image)
        if len(names) == network.batch_size:
            yield names, np.stack(images).astype(np.float32)
            names, images = [], []
    if names:
        yield names, np.stack(images).astype(np.float32)
