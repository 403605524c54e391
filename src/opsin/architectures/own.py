"""A user's own network, under the same contract as the catalogue's."""

import contextlib
import importlib.util
import sys
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from opsin.catalog import require
from opsin.errors import OpsinError, UsageError

if TYPE_CHECKING:
    import keras

PROBABILITY_ENDINGS = ("softmax", "log_softmax", "logsoftmax", "sigmoid", "hard_sigmoid", "hardsigmoid")


def load_network(reference: str, input_shape: tuple[int, int, int], class_count: int) -> "keras.Model":
    """Build the network that a function in a user's file returns.

    The file may import others that lie beside it.

    Args:
        reference: `"FILE.py:function"`; called as `function(input_shape, class_count)`.
        input_shape: `(h, w, c)`.
        class_count: k.

    Returns:
        A network that passed `check_network`.

    Raises:
        UsageError: there is no such file or function, its code fails (the message says in which line), or what it
            returned does not hold to the contract.
        MissingPackageError: Keras is not installed.
    """
    path, name = _file_and_name(reference)
    require("keras", "building a network")
    with _own_code(path, name):
        network = _load_function(path, name)(input_shape, class_count)
    return check_network(network, input_shape, class_count)


def _file_and_name(reference: str) -> tuple[Path, str]:
    file, _, name = reference.rpartition(":")
    path = Path(file)
    if path.suffix != ".py" or not name:
        raise UsageError(f"Expected a network of one's own as FILE.py:function. Received {reference!r}.")
    if not path.is_file():
        raise UsageError(f"Expected a Python file at {file!r}; there is none. Check the path in {reference!r}.")
    return path, name


@contextlib.contextmanager
def _own_code(path: Path, name: str) -> Iterator[None]:
    """Let a user's file import its neighbours, and its errors say where they are."""
    folder = str(path.resolve().parent)
    sys.path.insert(0, folder)
    try:
        yield
    except OpsinError:
        raise
    except Exception as error:
        raise UsageError(
            f"Expected {name}(input_shape, class_count) in {str(path)!r} to build a network; "
            f"received {type(error).__name__}: {_first_line(error)} ({_place(error, folder)}). Mend it there, or add "
            "--debug for the whole traceback."
        ) from error
    finally:
        # The file may have changed the list itself.
        with contextlib.suppress(ValueError):
            sys.path.remove(folder)


def _first_line(error: Exception) -> str:
    text = error.msg if isinstance(error, SyntaxError) else str(error)
    return next(iter(text.strip().splitlines()), "no more is said")


def _place(error: Exception, folder: str) -> str:
    """Say which line of the user's code an error comes from."""
    if isinstance(error, SyntaxError):
        return f"{error.filename}, line {error.lineno}"
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if Path(frame.filename).is_absolute()]
    own = [frame for frame in frames if str(Path(frame.filename).parent.resolve()) == folder]
    # A function that takes other arguments fails before its first line.
    return f"{own[-1].filename}, line {own[-1].lineno}" if own else "in the call itself"


def _load_function(path: Path, name: str) -> Callable:
    function = getattr(_import_file(path), name, None)
    if not callable(function):
        raise UsageError(
            f"Expected a function {name!r} in {str(path)!r}; received {function!r}. "
            f"Define it as: def {name}(input_shape, class_count)"
        )
    return function


def _import_file(path: Path):
    spec = importlib.util.spec_from_file_location(f"own_network_{path.stem}", path)
    module = importlib.util.module_from_spec(spec)
    # Dataclasses and pickling look their module up by name.
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def check_network(network: "keras.Model", input_shape: tuple[int, int, int], class_count: int) -> "keras.Model":
    """Check that a network takes pictures and gives logits.

    Args:
        network: functional or Sequential, from float32 `(N, h, w, c)`, 0 to 255, to float32 logits `(N, k)`,
            or `(N, 1)` for two classes.
        input_shape: `(h, w, c)` of the pictures. The network must fix all three: the LiteRT twin and the summary have
            one size.
        class_count: k.

    Returns:
        The same network.

    Raises:
        UsageError: it is something else; the message says what.
    """
    keras = require("keras", "building a network")
    if not isinstance(network, keras.Model):
        raise UsageError(f"Expected a keras.Model; received {type(network).__name__}. Return the model itself.")
    if not getattr(network, "inputs", None):
        raise UsageError(
            f"Expected a built functional or Sequential model; received {type(network).__name__} "
            f"{network.name!r} without a known input. Begin it with keras.Input({tuple(input_shape)})."
        )
    _check_input(network, input_shape)
    _check_output(network, class_count)
    _check_raw_logits(network)
    return network


def _check_input(network: "keras.Model", input_shape: tuple[int, int, int]):
    shapes = [tuple(tensor.shape) for tensor in network.inputs]
    if len(shapes) == 1 and len(shapes[0]) == 4 and None in shapes[0][1:]:
        # Where neither says a size, the message still shows a whole line to write.
        wanted = tuple(side or usual for side, usual in zip(input_shape, (224, 224, 3), strict=True))
        raise UsageError(
            f"Expected a network whose input has one fixed size; received {shapes[0]}, which leaves it open. "
            f"Begin it with keras.Input({wanted})."
        )
    if shapes != [(None, *input_shape)]:
        raise UsageError(
            f"Expected a network with one input of shape {(None, *input_shape)}; received {shapes}. "
            f"Begin it with keras.Input({tuple(input_shape)})."
        )


def _check_output(network: "keras.Model", class_count: int):
    outputs = [(*tensor.shape, tensor.dtype) for tensor in network.outputs]
    unit_counts = (1, 2) if class_count == 2 else (class_count,)
    if outputs not in [[(None, units, "float32")] for units in unit_counts]:
        raise UsageError(
            f"Expected a network with one output, float32 of shape (None, {class_count}), one logit a class; "
            f"received {outputs}. End it with keras.layers.Dense({class_count}, dtype='float32')."
        )


def _check_raw_logits(network: "keras.Model"):
    last = network
    while hasattr(last, "layers"):
        # Operations, since softmax can be one without being a layer; Sequential has layers only.
        last = (getattr(last, "operations", None) or last.layers)[-1]
    activation = getattr(last, "activation", None)
    ending = getattr(activation, "__name__", type(last).__name__).lower()
    if ending in PROBABILITY_ENDINGS:
        raise UsageError(
            f"Expected a network that ends in raw logits; received one whose last layer {last.name!r} "
            f"ends in {ending}. Remove the {ending} activation: Opsin applies it."
        )
