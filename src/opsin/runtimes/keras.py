"""Keras itself, on any of its backends: runs `model.keras` where there is no twin."""

from pathlib import Path

import numpy as np

from opsin.catalog import require
from opsin.errors import ModelError
from opsin.runtimes.base import Outputs


class KerasRuntime:
    """A saved Keras network.

    Args:
        path: the `.keras` file. It is opened in Keras's safe mode: no code in it is run.

    Raises:
        ModelError: the file cannot be opened so.
    """

    def __init__(self, path: str | Path):
        keras = require("keras", "running a .keras file")
        try:
            network = keras.saving.load_model(path, compile=False, safe_mode=True)
        except (ValueError, TypeError, OSError, KeyError) as error:
            raise ModelError(f"Expected a network that plain Keras can open; {str(path)!r} is none: {error}") from error
        self.network = with_features(network)
        self.input_shape = tuple(network.input_shape[1:])

    def run(self, images: np.ndarray) -> Outputs:
        """Run the network on float32 (N, h, w, c), 0 to 255, N ≥ 1."""
        logits, features = self.network(images, training=False)
        return Outputs(*(np.asarray(_to_numpy(tensor), dtype=np.float32) for tensor in (logits, features)))


def with_features(network: "keras.Model") -> "keras.Model":  # noqa: F821
    """Return the same network with two outputs: its logits (N, k) and its features (N, d).

    Features are what enters the last dense layer, before any dropout; a network that does not end in a dense
    layer has its logits for features.
    """
    keras = require("keras", "running a network")
    logits = network.outputs[0]
    return keras.Model(network.inputs[0], [logits, _features(keras, network)])


def _features(keras: object, network: "keras.Model") -> "keras.KerasTensor":  # noqa: F821
    layer = network.outputs[0]._keras_history.operation
    if not isinstance(layer, keras.layers.Dense):
        return network.outputs[0]
    tensor = layer.input
    before = tensor._keras_history.operation
    if isinstance(before, keras.layers.Dropout):
        tensor = before.input
    return tensor if len(tensor.shape) == 2 else keras.layers.Flatten()(tensor)


def _to_numpy(tensor: object) -> np.ndarray:
    from keras import ops

    return ops.convert_to_numpy(tensor)
