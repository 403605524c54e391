"""Listening in on a network while it runs: what its layers get and give, and something else in its place.

Keras gives no way into a nested, loaded or subclassed model that works for all of them (tensorflow#44462, keras#16355,
keras-io#1903). But whatever the model, each of its layers and operations is called, and the call can be wrapped.
"""

import contextlib
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import keras

Wrapper = Callable[..., Any]
"""Called as `wrapper(call, *args, **kwargs)` instead of a layer's own `call`; what it returns goes on."""


@contextlib.contextmanager
def wrapped_calls(wrappers: "Mapping[keras.Operation, Wrapper]") -> Iterator[None]:
    """Wrap the calls of some layers and operations of a network for a while. Not for several threads at once.

    Args:
        wrappers: for each layer what is called in its place.
    """
    before = {operation: vars(operation).get("call") for operation in wrappers}
    try:
        for operation, wrapper in wrappers.items():
            # Keras would track what is set on a layer the usual way.
            object.__setattr__(operation, "call", _bound(wrapper, operation.call))
        yield
    finally:
        for operation, call in before.items():
            if call is not None:
                object.__setattr__(operation, "call", call)
            elif "call" in vars(operation):
                object.__delattr__(operation, "call")


def _bound(wrapper: Wrapper, call: Callable) -> Callable:
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        return wrapper(call, *args, **kwargs)

    return wrapped


def operations_of(model: "keras.Operation", prefix: str = "") -> "Iterator[tuple[str, keras.Operation]]":
    """Yield every layer and operation in a network under its name, a nested model's as `"<model>/<layer>"`.

    What holds others comes before them.
    """
    for operation in _parts(model):
        yield prefix + operation.name, operation
        yield from operations_of(operation, f"{prefix}{operation.name}/")


def _parts(model: "keras.Operation") -> "list[keras.Operation]":
    import keras

    if isinstance(model, keras.Function):
        return [one for one in model.operations if not isinstance(one, keras.layers.InputLayer)]
    if isinstance(model, keras.Sequential):
        return model.layers
    return model._flatten_layers(include_self=False, recursive=False) if isinstance(model, keras.Layer) else []
