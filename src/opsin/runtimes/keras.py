"""Keras itself, on any of its backends: runs `model.keras` where there is no twin."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from opsin.catalog import require
from opsin.errors import ModelError
from opsin.model_folder import ModelCard, read_proved
from opsin.names import KERAS
from opsin.runtimes.base import Outputs, as_input

if TYPE_CHECKING:
    import keras


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


def load_keras(path: str | Path) -> KerasRuntime:
    """Open any `.keras` file in Keras's safe mode.

    Raises:
        ModelError: it cannot be opened so.
    """
    keras = require("keras", "running a .keras file")
    try:
        return KerasRuntime(keras.saving.load_model(path, compile=False, safe_mode=True))
    except (ValueError, TypeError, OSError, KeyError) as error:
        raise ModelError(f"Expected a network that plain Keras can open; {str(path)!r} is none: {error}") from error


def with_features(network: "keras.Model") -> "keras.Model":
    """Return the same network with two outputs: its logits (N, k) and its features (N, d).

    Features are what enters the last dense layer, before any dropout; a network that does not end in a dense
    layer has its logits for features.
    """
    keras = require("keras", "running a network")
    logits = network.outputs[0]
    return keras.Model(network.inputs[0], [logits, _features(keras, network)])


def _features(keras: Any, network: "keras.Model") -> "keras.KerasTensor":
    node = _node(network.outputs[0])
    if not isinstance(node.operation, keras.layers.Dense):
        return network.outputs[0]
    (tensor,) = node.input_tensors
    before = _node(tensor)
    if isinstance(before.operation, keras.layers.Dropout):
        (tensor,) = before.input_tensors
    return tensor if len(tensor.shape) == 2 else keras.layers.Flatten()(tensor)


def _node(tensor: "keras.KerasTensor") -> Any:
    # A layer's own `input` is none where parts of the network were made into networks of their own.
    operation, number, _ = tensor._keras_history
    return operation._inbound_nodes[number]
