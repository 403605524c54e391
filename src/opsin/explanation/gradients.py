"""Gradients of a class's score: by the maps of a layer, by the pixels. TensorFlow only."""

from typing import TYPE_CHECKING, Any

import numpy as np

from opsin.catalog import require
from opsin.errors import UsageError
from opsin.explanation.calls import wrapped_calls
from opsin.explanation.network import ImageNetwork
from opsin.explanation.places import Place

if TYPE_CHECKING:
    import tensorflow as tf


def maps_and_gradients(
    network: ImageNetwork, images: np.ndarray, class_indices: np.ndarray, place: Place
) -> tuple[np.ndarray, np.ndarray]:
    """Return the maps A of a layer, and the gradient of the class's score S by each of their values, ∂S/∂A.

    Args:
        network: whose layer it is.
        images: float32 (N, h, w, c), 0 to 255.
        class_indices: int (N,).
        place: the layer.

    Returns:
        Two float32 (N, h', w', k).

    Raises:
        UsageError: the score does not depend on that layer.
    """
    tf = require("tensorflow", "explaining a network")
    maps: list[tf.Tensor] = []
    # Nothing but the maps is watched: what lies below the layer is computed once and not remembered.
    with tf.GradientTape(watch_accessed_variables=False) as tape:

        def watch(call: Any, *args: Any, **kwargs: Any) -> "tf.Tensor":
            # Of a layer that is called several times, the last call counts.
            output = call(*args, **kwargs)
            tape.watch(output)
            maps[:] = [output]
            return output

        score = network.scores(network.logits(images, {place.operation: watch}), class_indices)
    gradients = tape.gradient(score, maps[0])
    if gradients is None:
        raise UsageError(
            f"Expected a layer that the classes' scores depend on; they do not depend on {place.name!r}. Choose "
            "another."
        )
    return tf.cast(maps[0], tf.float32).numpy(), tf.cast(gradients, tf.float32).numpy()


def maps_of(network: ImageNetwork, images: np.ndarray, place: Place) -> np.ndarray:
    """Return what a layer gives for float32 (N, h, w, c), 0 to 255: float32 (N, ...)."""
    tf = require("tensorflow", "explaining a network")
    found: list[Any] = []

    def note(call: Any, *args: Any, **kwargs: Any) -> Any:
        found[:] = [call(*args, **kwargs)]
        return found[0]

    with wrapped_calls({place.operation: note}):
        network.logits(images)
    return tf.cast(found[0], tf.float32).numpy()


def pixel_gradients(
    network: ImageNetwork, images: np.ndarray, class_indices: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the gradient of the class's score by each pixel value, float32 (N, h, w, c), and the scores, (N,)."""
    tf = require("tensorflow", "explaining a network")
    pixels = tf.convert_to_tensor(images, tf.float32)
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(pixels)
        scores = network.scores(network.logits(pixels), class_indices)
    return tape.gradient(scores, pixels).numpy(), scores.numpy()


def scores_of(network: ImageNetwork, images: np.ndarray, class_indices: np.ndarray) -> np.ndarray:
    """Return the class's score of each picture, float32 (N,), computed in batches."""
    size = network.batch_size
    return np.concatenate(
        [
            network.scores(network.logits(images[i : i + size]), class_indices[i : i + size]).numpy()
            for i in range(0, len(images), size)
        ]
    )
