"""The LiteRT twin: the same network for prediction without TensorFlow. TensorFlow only."""

from typing import TYPE_CHECKING

import numpy as np

from opsin.catalog import require
from opsin.errors import ModelError
from opsin.runtimes.keras import KerasRuntime, with_features
from opsin.runtimes.litert import LiteRTRuntime

if TYPE_CHECKING:
    import keras


def convert(network: "keras.Model") -> bytes:
    """Return a network as a LiteRT file with the outputs logits and features, and any batch size.

    Only LiteRT's built-in operations are used.

    Args:
        network: float32 (N, h, w, c), 0 to 255 → logits (N, k) or (N, 1).

    Raises:
        ModelError: the network holds an operation that LiteRT has not.
    """
    tensorflow = require("tensorflow", "writing a LiteRT file")
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    two_outputs = with_features(network)

    @tensorflow.function
    def infer(image: "tensorflow.Tensor") -> tuple:
        logits, features = two_outputs(image, training=False)
        return logits, features

    specification = tensorflow.TensorSpec((None, *network.input_shape[1:]), tensorflow.float32, name="image")
    # Variables become constants first: the converter would otherwise keep them as resources.
    frozen = convert_variables_to_constants_v2(infer.get_concrete_function(specification))
    converter = tensorflow.lite.TFLiteConverter.from_concrete_functions([frozen], two_outputs)
    try:
        return converter.convert()
    except Exception as error:
        raise ModelError(f"Expected operations that LiteRT has; it cannot take this network: {error}") from error


def largest_difference(network: "keras.Model", content: bytes, images: np.ndarray) -> float:
    """Return by how much the twin's logits and features differ from the network's, at most.

    Args:
        network: the source.
        content: the LiteRT file.
        images: float32 (N, h, w, c), 0 to 255.

    Returns:
        The largest absolute difference, as a fraction of the largest absolute value of that output (1 if smaller).
    """
    source, twin = KerasRuntime(network).run(images), LiteRTRuntime(content).run(images)
    differences = []
    for expected, received in ((source.logits, twin.logits), (source.features, twin.features)):
        scale = max(1.0, float(np.abs(expected).max()))
        differences.append(float(np.abs(expected - received).max()) / scale)
    return max(differences)
