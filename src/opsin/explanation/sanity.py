"""Whether a heat map shows what the network has learned: it must change when the weights become random."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from opsin.explanation.geometry import enlarge
from opsin.explanation.heat_maps import heat_maps
from opsin.explanation.network import ImageNetwork

if TYPE_CHECKING:
    import keras

MOST_STEPS = 10
SAME = 0.5
"""A rank correlation above this, with all weights random, says that the map does not depend on what was learned."""
_SIDE = 28


@dataclass(frozen=True)
class SanityStep:
    """A heat map after the layers from the top down to one have got random weights.

    Args:
        layer: the lowest of them.
        layers: how many they are.
        correlation: Spearman's rank correlation with the trained network's map, -1 to 1; None if the map is empty now.
    """

    layer: str
    layers: int
    correlation: float | None


def check_sanity(
    network: ImageNetwork, image: np.ndarray, class_index: int, *, method: str, layer: str | None = None
) -> list[SanityStep]:
    """Make the weights random, layer by layer from the top (Adebayo et al. 2018, arXiv 1810.03292, "cascading").

    The paper draws new weights; here each array's own values are shuffled, which keeps their distribution. The network
    has its weights back at the end.

    Args:
        network: the network; nobody else may use it meanwhile.
        image: uint8 (h, w, c), 0 to 255, as it sees it.
        class_index: the class that is explained.
        method: a name in `opsin.explanation.EXPLAINERS`.
        layer: for methods on a layer: its name.

    Returns:
        At most 10 steps, the last with all layers.
    """
    weighted = [place for place in reversed(network.places) if _own_weights(place.operation)]
    counts = np.unique(np.geomspace(1, len(weighted), MOST_STEPS).round().astype(int))
    random, done, steps = np.random.default_rng(0), 0, []
    with _restored(network.model):
        trained = _ranked(network, image, class_index, method, layer)
        for count in counts:
            for place in weighted[done:count]:
                _shuffle(place.operation, random)
            done = int(count)
            now = _ranked(network, image, class_index, method, layer)
            steps.append(SanityStep(weighted[done - 1].name, done, rank_correlation(trained, now)))
    return steps


def verdict(steps: list[SanityStep]) -> str:
    """Say in a sentence what the last step says."""
    left = steps[-1].correlation
    if left is None or abs(left) < SAME:
        return "With random weights the map is another: it shows what the network has learned."
    return (
        f"With all weights random the map is still much the same (rank correlation {left:.2f}): it shows the picture's "
        "edges more than what the network has learned."
    )


def rank_correlation(first: np.ndarray, second: np.ndarray) -> float | None:
    """Return Spearman's rank correlation of two arrays, -1 to 1; None where one of them is the same everywhere.

    >>> rank_correlation(np.array([1, 2, 3, 3]), np.array([10, 40, 90, 90]))
    1.0
    """
    ranks = [_ranks(values.ravel()) for values in (first, second)]
    deviations = [one - one.mean() for one in ranks]
    below = np.sqrt((deviations[0] ** 2).sum() * (deviations[1] ** 2).sum())
    return round(float((deviations[0] * deviations[1]).sum() / below), 6) if below > 0 else None


def _ranks(values: np.ndarray) -> np.ndarray:
    """Return ranks from 0 on; equals share the mean of theirs."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return (last - (counts + 1) / 2)[inverse]


def _ranked(network: ImageNetwork, image: np.ndarray, class_index: int, method: str, layer: str | None) -> np.ndarray:
    maps, _ = heat_maps(network, image[None], np.array([class_index]), method=method, layer=layer)
    # Pixel methods are compared by places, not by single pixels.
    return enlarge(maps, _SIDE, _SIDE)[0] if max(maps.shape[1:]) > _SIDE else maps[0]


def _own_weights(operation: "keras.Operation") -> list:
    """Return the variables of a layer itself, without those of layers in it."""
    own = (getattr(operation, name, ()) for name in ("_trainable_variables", "_non_trainable_variables"))
    return [variable for variables in own for variable in variables]


def _shuffle(operation: "keras.Operation", random: np.random.Generator) -> None:
    for variable in _own_weights(operation):
        values = variable.numpy()
        if np.issubdtype(values.dtype, np.floating):
            variable.assign(random.permutation(values.ravel()).reshape(values.shape))


@contextlib.contextmanager
def _restored(model: "keras.Model") -> Iterator[None]:
    before = [variable.numpy() for variable in model.variables]
    try:
        yield
    finally:
        for variable, values in zip(model.variables, before, strict=True):
            variable.assign(values)
