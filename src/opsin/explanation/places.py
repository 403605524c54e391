"""Places in a network: every layer with what it gives, found by its name, or the one whose maps explain best."""

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from opsin.errors import ModelError, UsageError
from opsin.explanation.calls import operations_of, wrapped_calls

if TYPE_CHECKING:
    import keras

# They only move, thin out or bound what the layer before them has found.
_NO_FINDERS = """
AveragePooling2D MaxPooling2D AdaptiveAveragePooling2D AdaptiveMaxPooling2D GlobalAveragePooling2D GlobalMaxPooling2D
ZeroPadding2D Cropping2D CenterCrop UpSampling2D Resizing Dropout SpatialDropout2D AlphaDropout GaussianDropout
GaussianNoise Identity Reshape Permute Transpose Pad
"""
_CLOSEST = 5


@dataclass(frozen=True)
class Place:
    """A layer of a network, where its maps can be looked at.

    Args:
        name: the layer's; inside a nested model `"<model>/<layer>"`.
        operation: the layer, or the plain operation.
        shape: of what it gives for one picture at its last call: `(h, w, c)` for maps.
        reads: where what it got comes from, as numbers in the list of places.
    """

    name: str
    operation: "keras.Operation"
    shape: tuple[int, ...]
    reads: tuple[int, ...] = ()

    @property
    def is_spatial(self) -> bool:
        """Whether it gives maps, whose values have a place in the picture."""
        return len(self.shape) == 3 and self.shape[0] * self.shape[1] > 1


def list_places(model: "keras.Model", images: Any) -> tuple[list[Place], Any]:
    """Run a network once and list its layers in the order in which they gave what they gave.

    Args:
        model: any Keras model of one input.
        images: what it takes.

    Returns:
        The layers, and what the network gave.
    """
    names: dict[keras.Operation, str] = {}
    for name, operation in operations_of(model):
        names.setdefault(operation, name)
    # Tensors are kept until the end: the place of one that is gone could be another's.
    calls: dict[keras.Operation, tuple[list[Any], Any]] = {}

    def note(operation: "keras.Operation") -> Any:
        def wrapper(call: Any, *args: Any, **kwargs: Any) -> Any:
            output = call(*args, **kwargs)
            calls.pop(operation, None)
            calls[operation] = (_tensors([*args, *kwargs.values()]), output)
            return output

        return wrapper

    with wrapped_calls({operation: note(operation) for operation in names}):
        answer = model(images, training=False)
    # What only passes a tensor on, or holds the layer that made it, comes after that layer.
    maker: dict[int, int] = {}
    for number, (_, output) in enumerate(calls.values()):
        maker.setdefault(id(output), number)
    places = [
        Place(
            names[operation],
            operation,
            tuple(getattr(output, "shape", (0,))[1:]),
            tuple(maker[id(tensor)] for tensor in inputs if id(tensor) in maker),
        )
        for operation, (inputs, output) in calls.items()
    ]
    return places, answer


def _tensors(values: Sequence[Any]) -> list[Any]:
    """Return the tensors among arguments, those in lists, too."""
    inside = [one for value in values for one in (value if isinstance(value, list | tuple) else [value])]
    return [one for one in inside if hasattr(one, "shape")]


def find_place(places: Sequence[Place]) -> Place:
    """Return the last layer that finds something and still knows where.

    That is the one before pooling or flattening, but for networks of depthwise convolutions: their last one finds
    nothing new and only moves what was found, mixed with the padding at the border, and as the average of all places
    follows, where it moves it to does not matter to the training. There it is the layer that the last depthwise one
    reads, if all evidence passes through it. In four networks that rule points better than the last layer does
    (`benchmarks/README.md`, the pointing game).

    Raises:
        ModelError: no layer gives maps that anything has been learned for.
    """
    # Before the first kernel there are only pixels: scaled, padded, augmented.
    first = next((number for number, place in enumerate(places) if _kernel(place) is not None), len(places))
    candidates = [number for number in range(first, len(places)) if _finds(places[number])]
    if not candidates:
        raise ModelError(
            "Expected a network with a layer that gives maps (h, w, c), a convolution say, for a heat map of that "
            "layer; this one has none. Use one that works on pixels: occlusion, integrated_gradients or smooth_grad."
        )
    before = _before_the_last_move(places, candidates)
    return places[candidates[-1] if before is None else before]


def _before_the_last_move(places: Sequence[Place], candidates: Sequence[int]) -> int | None:
    """Return what the last kernel wider than a pixel reads, if that is a depthwise one and nothing leads around it."""
    wide = [number for number in candidates if (_kernel(places[number]) or (1, 1)) > (1, 1)]
    if not wide or type(places[wide[-1]].operation).__name__ != "DepthwiseConv2D":
        return None
    # The depthwise layer, and what only pads or passes on before it.
    way = [wide[-1]]
    while len(places[way[-1]].reads) == 1 and not _finds(places[places[way[-1]].reads[0]]):
        way.append(places[way[-1]].reads[0])
    if len(places[way[-1]].reads) != 1 or places[way[-1]].reads[0] not in candidates:
        return None
    found = places[way[-1]].reads[0]
    behind = [place for number, place in enumerate(places) if number > found and number not in way]
    return None if any(read <= found for place in behind for read in place.reads) else found


def _finds(place: Place) -> bool:
    """Tell whether a layer gives maps of its own finding."""
    import keras

    passes_on = type(place.operation).__name__ in _NO_FINDERS.split()
    return place.is_spatial and not passes_on and not isinstance(place.operation, keras.Model)


def choose_place(places: Sequence[Place], name: str) -> Place:
    """Return the layer of a name; the models around it may be left out of the name where it stays clear.

    Raises:
        UsageError: there is no such layer; the message has the closest.
    """
    found = [place for place in places if place.name == name]
    found = found or [place for place in places if place.name.endswith(f"/{name}")]
    if len(found) == 1:
        return found[0]
    if found:
        raise UsageError(
            f"Expected the name of one layer; {name!r} could be any of: {', '.join(place.name for place in found)}. "
            "Give it with the models around it."
        )
    names = [place.name for place in places]
    raise UsageError(
        f"Expected the name of a layer of this network; received {name!r}. Closest: "
        f"{', '.join(_closest(name, names))}. opsin summary MODEL lists them all."
    )


def _closest(name: str, names: list[str]) -> list[str]:
    ends = {one.rpartition("/")[2]: one for one in names} | {one: one for one in names}
    close = dict.fromkeys(ends[one] for one in difflib.get_close_matches(name, ends, n=2 * _CLOSEST, cutoff=0.0))
    return list(close)[:_CLOSEST]


def _kernel(place: Place) -> tuple[int, int] | None:
    """Return the size (h, w) of the kernels, (h, w, c, f), that a layer slides over something; None if it has none."""
    sizes = [tuple(weight.shape[:2]) for weight in getattr(place.operation, "weights", ()) if len(weight.shape) == 4]
    return max(sizes, default=None)
