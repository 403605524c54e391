"""Keras itself, on any of its backends: runs `model.keras` where there is no twin."""

import math
import tempfile
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from opsin.catalog import require
from opsin.errors import ModelError
from opsin.keras_file import WEIGHTS, require_affordable, require_harmless
from opsin.model_folder import ModelCard, read_proved
from opsin.names import KERAS
from opsin.runtimes.base import Outputs, as_input

if TYPE_CHECKING:
    import keras

H5_SUFFIXES = (".h5", ".hdf5")
PICKLE_SUFFIXES = (".pkl", ".pickle", ".joblib", ".pt", ".pth", ".ckpt", ".bin")

_PASSING = frozenset({"Reshape", "Flatten", "Identity", "Dropout", "Cast", "Squeeze"})


class KerasRuntime:
    """A Keras network, on whatever backend Keras has.

    Args:
        network: float32 (N, h, w, c), 0 to 255 → logits (N, k) or (N, 1).
    """

    def __init__(self, network: "keras.Model"):
        self.network = with_features(network)
        self.input_shape = tuple(network.inputs[0].shape[1:])

    def run(self, images: np.ndarray) -> Outputs:
        """Run the network on uint8 or float32 (N, h, w, c), 0 to 255, N ≥ 1."""
        ops = require("keras", "running a network").ops
        outputs = self.network(as_input(images, "float32"), training=False)
        return Outputs(*(ops.convert_to_numpy(tensor).astype(np.float32) for tensor in outputs))


def open_keras(folder: Path, card: ModelCard, threads: int | None = None) -> KerasRuntime:
    """Open a model folder's `model.keras` in Keras's safe mode: no code in it is run.

    Args:
        folder: the model folder.
        card: its card.
        threads: without meaning here; Keras's backend decides.

    Raises:
        ModelError: the file is missing, altered, or cannot be opened so.
    """
    read_proved(folder, KERAS, card)
    return load_keras(folder / KERAS)


def load_keras(path: str | Path, *, trust: bool = False) -> KerasRuntime:
    """Open any `.keras` file as a runtime, as `load_network` does."""
    network = load_network(path, trust=trust)
    try:
        return KerasRuntime(network)
    except Exception as error:
        raise _not_opened(path, error) from error


def load_network(path: str | Path, *, trust: bool = False) -> "keras.Model":
    """Open any `.keras` file: inspected first, and in Keras's safe mode.

    Args:
        path: the file.
        trust: whether whoever made the file may run code on this machine. Nothing is inspected then, code in the file
            is run, and `.h5` models are opened as well.

    Raises:
        ModelError: it cannot be opened so, or does something that is not known to be harmless.
    """
    keras = require("keras", "running a .keras file")
    _check_kind(Path(path), trust)
    config = None if trust else require_harmless(path, registered=frozenset(keras.saving.get_custom_objects()))
    try:
        if config is None:
            return keras.saving.load_model(path, compile=False, safe_mode=False)
        return _with_weights(path, _build(path, config))
    except ModelError:
        raise
    # What Keras raises on a damaged file is not said anywhere.
    except Exception as error:
        raise _not_opened(path, error) from error


def _check_kind(path: Path, trust: bool) -> None:
    kind = path.suffix.lower()
    if kind == ".keras" or (trust and kind in H5_SUFFIXES):
        return
    if kind in H5_SUFFIXES:
        ways_out = (
            "a whole model in HDF5 may hold code that is run when it is opened. If you trust who made it, open it with "
            "trust=True, --trust on the command line"
        )
    elif kind in PICKLE_SUFFIXES:
        ways_out = "a pickle is a program, and opening it runs it. Build the network anew and put its weights into it"
    else:
        ways_out = "no other kind is known"
    raise ModelError(
        f"Expected a .keras file; received {str(path)!r}: {ways_out}, or save the model where it comes from with "
        "model.save('NAME.keras')."
    )


def _build(path: str | Path, config: dict[str, Any]) -> "keras.Model":
    """Build the network of a config, once: none of its weights is allocated before it is known how many there are."""
    keras = require("keras", "running a .keras file")
    from keras.src.backend.common import global_state
    from keras.src.saving.serialization_lib import ObjectSharingScope

    waiting = global_state.get_global_attribute("uninitialized_variables", [], set_to_default=True)
    before = len(waiting)
    with keras.StatelessScope(), ObjectSharingScope():
        try:
            network = keras.saving.deserialize_keras_object(_uncompiled(config), safe_mode=True)
            require_affordable(path, sum(math.prod(variable.shape) for variable in network.variables))
        except Exception:
            # Whatever waits at the scope's end is allocated there.
            del waiting[before:]
            raise
    return network


def _with_weights(path: str | Path, network: "keras.Model") -> "keras.Model":
    # From within the zip Keras would read them many times slower.
    with tempfile.TemporaryDirectory() as folder, zipfile.ZipFile(path) as archive:
        network.load_weights(archive.extract(WEIGHTS, folder))
    return network


def _uncompiled(config: Any) -> Any:
    """Return the config without what networks in it are compiled with: an optimizer allocates at once."""
    if isinstance(config, dict):
        return {key: _uncompiled(value) for key, value in config.items() if key != "compile_config"}
    return [_uncompiled(value) for value in config] if isinstance(config, list) else config


def _not_opened(path: str | Path, error: Exception) -> ModelError:
    return ModelError(f"Expected a network that plain Keras can open; {str(path)!r} is none: {error}")


def with_features(network: "keras.Model") -> "keras.Model":
    """Return the same network with two outputs: its logits (N, k) and its features (N, d).

    Features are what enters the last dense layer, before any dropout; a network that does not end in a dense
    layer has its logits for features.
    """
    keras = require("keras", "running a network")
    logits = network.outputs[0]
    return keras.Model(network.inputs[0], [logits, _features(keras, network)])


def _features(keras: Any, network: "keras.Model") -> "keras.KerasTensor":
    node = node_of(network.outputs[0])
    if not isinstance(node.operation, keras.layers.Dense):
        return network.outputs[0]
    (tensor,) = node.input_tensors
    before = node_of(tensor)
    if isinstance(before.operation, keras.layers.Dropout):
        (tensor,) = before.input_tensors
    return tensor if len(tensor.shape) == 2 else keras.layers.Flatten()(tensor)


def node_of(tensor: "keras.KerasTensor") -> Any:
    """Return what made a tensor: its operation, and the tensors that went in."""
    # A layer's own `input` is none where parts of the network were made into networks of their own.
    operation, number, _ = tensor._keras_history
    return operation._inbound_nodes[number]


def passes_on(operation: "keras.Operation") -> bool:
    """Return whether a layer, or an operation, only passes on what it gets: what ends a network may stand before it."""
    keras = require("keras", "opening a network")
    linear = isinstance(operation, keras.layers.Activation) and operation.activation is keras.activations.linear
    return linear or type(operation).__name__ in _PASSING


def activation_of(operation: "keras.Operation") -> str | None:
    """Return which activation a layer, or an operation, is or ends in: `softmax` or `sigmoid`; None for any other."""
    keras = require("keras", "opening a network")
    if type(operation).__name__ in ("Softmax", "Sigmoid"):
        return type(operation).__name__.lower()
    names = {keras.activations.softmax: "softmax", keras.activations.sigmoid: "sigmoid"}
    return names.get(getattr(operation, "activation", None))
