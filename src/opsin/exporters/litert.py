"""The LiteRT twin: the same network for prediction without TensorFlow. TensorFlow only."""

from typing import TYPE_CHECKING

import numpy as np

from opsin.catalog import require
from opsin.errors import ModelError
from opsin.runtimes.base import Outputs, Runtime
from opsin.runtimes.keras import KerasRuntime, with_features
from opsin.runtimes.litert import LiteRTRuntime

if TYPE_CHECKING:
    import keras

BATCH_SIZE = 8
"""Pictures at a time: 64 large ones at once need more than 10 GB in a large network."""

ABOUT_ZERO = 1e-20
"""An output of which no value is larger is zero; what float32 holds below it loses digits."""


def convert(network: "keras.Model") -> bytes:
    """Return a network as a LiteRT file with the outputs logits and features, and any batch size.

    Only LiteRT's built-in operations are used.

    Args:
        network: float32 (N, h, w, c), 0 to 255 → logits (N, k) or (N, 1).

    Raises:
        ModelError: the network holds an operation that LiteRT has not.
    """
    tensorflow = require("tensorflow", "writing a LiteRT file")
    two_outputs = with_features(network)
    # The converter first saves this module and finds variables nowhere else; in a Keras network it finds none.
    # Constants instead of variables are no way out: SiLU has a gradient of its own, which cannot be saved then,
    # and the converter, saying nothing, writes a file without a signature.
    module = tensorflow.Module()
    module.weights = [variable.value for variable in two_outputs.variables]

    @tensorflow.function
    def infer(image: "tensorflow.Tensor") -> tuple:
        logits, features = two_outputs(image, training=False)
        return logits, features

    specification = tensorflow.TensorSpec((None, *network.input_shape[1:]), tensorflow.float32, name="image")
    try:
        signature = infer.get_concrete_function(specification)
        return tensorflow.lite.TFLiteConverter.from_concrete_functions([signature], module).convert()
    except Exception as error:
        raise ModelError(f"Expected operations that LiteRT has; it cannot take this network: {error}") from error


def largest_difference(network: "keras.Model", content: bytes, images: np.ndarray) -> float:
    """Return by how much the twin's logits and features differ from the network's, at most.

    Args:
        network: the source.
        content: the LiteRT file.
        images: float32 (N, h, w, c), 0 to 255.

    Returns:
        The largest absolute difference, as a fraction of the largest absolute value of that output: 1 for a
        twin that gives zeros.

    Raises:
        ModelError: the twin cannot be opened or run.
    """
    source, twin = run_source(network, images), _run_twin(content, images)
    differences = []
    for expected, received in ((source.logits, twin.logits), (source.features, twin.features)):
        scale = max(ABOUT_ZERO, float(np.abs(expected).max()))
        differences.append(float(np.abs(expected - received).max()) / scale)
    return float(np.max(differences))  # Not Python's `max`, which may pass over what is not a number.


def run_source(network: "keras.Model", images: np.ndarray) -> Outputs:
    """Run a network in Keras, on the CPU: GPUs compute in TF32, which keeps 3 digits, unless told otherwise.

    Args:
        network: float32 (N, h, w, c), 0 to 255 → logits (N, k) or (N, 1).
        images: what it shall see, N ≥ 1.
    """
    keras = require("keras", "running a network")
    with keras.device("cpu"):
        return _run(KerasRuntime(network), images)


def _run_twin(content: bytes, images: np.ndarray) -> Outputs:
    twin = LiteRTRuntime(content)
    try:
        return _run(twin, images)
    except (ValueError, RuntimeError) as error:
        raise ModelError(f"Expected a LiteRT network that runs; running it failed: {error}") from error


def _run(runtime: Runtime, images: np.ndarray) -> Outputs:
    parts = [runtime.run(images[start : start + BATCH_SIZE]) for start in range(0, len(images), BATCH_SIZE)]
    return Outputs(
        np.concatenate([part.logits for part in parts]),
        np.concatenate([part.features for part in parts]),
    )
