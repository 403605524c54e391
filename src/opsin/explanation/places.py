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
    """

    name: str
    operation: "keras.Operation"
    shape: tuple[int, ...]

    @property
    def is_spatial(self) -> bool:
        """Whether it gives maps, whose values have a place in the picture."""
        return len(self.shape) == 3 and self.shape[0] * self.shape[1] > 1


def list_places(model: "keras.Model", images: Any) -> list[Place]:
    """Run a network once and list its layers in the order in which they gave what they gave.

    Args:
        model: any Keras model of one input.
        images: what it takes.
    """
    names: dict[keras.Operation, str] = {}
    for name, operation in operations_of(model):
        names.setdefault(operation, name)
    shapes: dict[keras.Operation, tuple[int, ...]] = {}

    def note(operation: "keras.Operation") -> Any:
        def wrapper(call: Any, *args: Any, **kwargs: Any) -> Any:
            output = call(*args, **kwargs)
            shapes.pop(operation, None)
            shapes[operation] = tuple(getattr(output, "shape", (0,))[1:])
            return output

        return wrapper

    with wrapped_calls({operation: note(operation) for operation in names}):
        model(images, training=False)
    return [Place(names[operation], operation, shape) for operation, shape in shapes.items()]


def find_place(places: Sequence[Place]) -> Place:
    """Return the last layer that finds something and still knows where: the one before pooling or flattening.

    Raises:
        ModelError: no layer gives maps that anything has been learned for.
    """
    import keras

    # Before the first kernel there are only pixels: scaled, padded, augmented.
    first = next((number for number, place in enumerate(places) if _is_convolution(place)), len(places))
    candidates = [
        place
        for place in places[first:]
        if place.is_spatial
        and type(place.operation).__name__ not in _NO_FINDERS.split()
        and not isinstance(place.operation, keras.Model)
    ]
    if not candidates:
        raise ModelError(
            "Expected a network with a layer that gives maps (h, w, c), a convolution say, for a heat map of that "
            "layer; this one has none. Use one that works on pixels: occlusion, integrated_gradients or smooth_grad."
        )
    return candidates[-1]


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


def _is_convolution(place: Place) -> bool:
    """Tell whether a layer slides kernels of its own, (h, w, c, f), over something."""
    return any(len(weight.shape) == 4 for weight in getattr(place.operation, "weights", ()))
