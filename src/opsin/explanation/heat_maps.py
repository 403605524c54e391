"""Heat maps of many pictures at once: arrays in, arrays out."""

import numpy as np

from opsin.catalog import choose, resolve
from opsin.errors import ModelError, UsageError
from opsin.explanation import EXPLAINERS, ON_A_LAYER
from opsin.explanation.network import ImageNetwork
from opsin.explanation.places import Place


def heat_maps(
    network: ImageNetwork,
    images: np.ndarray,
    class_indices: np.ndarray,
    *,
    method: str = "grad_cam",
    layer: str | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Say for each of many pictures what in it speaks for a class.

    Args:
        network: from `opsin.explanation.opening.open_network`.
        images: uint8 or float32 (N, h, w, c), 0 to 255, as the recipe `network.preprocess` makes them.
        class_indices: int (N,): which class each picture is explained for; any class, not only the best.
        method: a name in `opsin.explanation.EXPLAINERS`.
        layer: for methods on a layer: its name; None finds the last one that gives maps.

    Returns:
        The heat maps, float32 (N, h', w') from 0 to 1, each over its whole input, at the method's own resolution
        (`opsin.explanation.geometry.onto_picture` lays one on its picture); and their peaks, float32 (N,): each one's
        maximum before scaling, in the method's unit. A peak of 0 says that there is no evidence, and its map is 0.

    Raises:
        UsageError: there is no such method, layer or class.
        ModelError: no layer gives maps, or the network gives something that is no number.
    """
    place = place_for(network, method, layer)
    images, class_indices = np.asarray(images), np.asarray(class_indices, dtype=np.int64)
    if images.shape[1:] != network.preprocess.shape or class_indices.shape != images.shape[:1]:
        raise UsageError(
            f"Expected images (N, {', '.join(map(str, network.preprocess.shape))}) and N class indices; received "
            f"{images.shape} and {class_indices.shape}."
        )
    if len(images) and not 0 <= class_indices.min() <= class_indices.max() < len(network.class_names):
        raise UsageError(
            f"Expected class indices from 0 to {len(network.class_names) - 1}; received {class_indices.min()} to "
            f"{class_indices.max()}."
        )
    explainer = resolve(EXPLAINERS[method])
    size = network.batch_size
    evidence = [
        explainer(network, images[i : i + size].astype(np.float32), class_indices[i : i + size], place)
        for i in range(0, len(images), size)
    ]
    if not evidence:
        return np.zeros((0, 1, 1), np.float32), np.zeros(0, np.float32)
    return scaled(np.concatenate(evidence))


def place_for(network: ImageNetwork, method: str, layer: str | None = None) -> Place | None:
    """Return the layer that a method looks at; None for one that works on pixels.

    Raises:
        UsageError: there is no such method or layer, or a layer is given to a method on pixels.
        ModelError: no layer gives maps.
    """
    choose("method", method, EXPLAINERS)
    if method in ON_A_LAYER:
        return network.place(layer)
    if layer is not None:
        raise UsageError(
            f"Expected no layer with {method!r}, which works on pixels; received {layer!r}. Leave it out, or choose "
            f"one of: {', '.join(ON_A_LAYER)}."
        )
    return None


def scaled(evidence: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Scale evidence, float (N, h, w), 0 or more, to heat maps from 0 to 1, and return their peaks too.

    >>> maps, peaks = scaled(np.array([[[0.0, 4.0]], [[0.0, 0.0]]]))
    >>> maps.tolist(), peaks.tolist()
    ([[[0.0, 1.0]], [[0.0, 0.0]]], [4.0, 0.0])
    """
    if not np.isfinite(evidence).all():
        raise ModelError(
            "Expected numbers from the network; it gives NaN or infinity, as one does whose training diverged. Train "
            "it again."
        )
    peaks = evidence.max(axis=(1, 2)).astype(np.float32)
    # Where there is no evidence, nothing is stretched to look like some.
    divisors = np.where(peaks > 0, peaks, 1)[:, None, None]
    return (evidence / divisors).astype(np.float32).clip(0, 1), peaks
