"""Which pictures are none of a model's classes: what they are compared with, and thresholds that keep known ones."""

import math
from typing import Any

import numpy as np

KEEPS = (0.8, 0.9, 0.95, 0.98, 0.99)
"""The shares of known pictures that a card has thresholds for."""
NEIGHBOUR = 5
"""Near enough to tell, and beyond a picture's own few near-copies."""

MOST_REFERENCES = 2_000
MOST_BYTES = 4 * 2**20
"""Of the references' features, in float16."""

BY_DISTANCE = 0.8
"""The part of the known pictures given up that distance gives up. Confidence tells little of pictures of another kind:
with half of it, 72 % of cats and dogs were refused in the mean by a classifier of flowers that has 75 pictures to fit
on; with this, 89 %."""


def choose_references(labels: np.ndarray, dimensions: int) -> np.ndarray:
    """Return which pictures others are compared with: rising int (m,), of each class its share, at least one.

    The same pictures for the same labels; at most 2,000, and so many that their features take about 4 MiB.

    Args:
        labels: int (n,), of the training pictures.
        dimensions: of their features.
    """
    most = max(NEIGHBOUR, min(MOST_REFERENCES, MOST_BYTES // (2 * dimensions)))
    return spread(labels, most)


def spread(labels: np.ndarray, most: int) -> np.ndarray:
    """Return at most `most` pictures, of each class its share: rising int (m,), the same for the same labels."""
    labels = np.asarray(labels)
    if len(labels) <= most:
        return np.arange(len(labels))
    order = np.random.default_rng(0).permutation(len(labels))
    by_class = order[np.argsort(labels[order], kind="stable")]
    # Steps of equal length through the classes one after the other, each in an order drawn by lot.
    return np.sort(by_class[np.linspace(0, len(labels) - 1, most).round().astype(int)])


def fit_unknown(confidences: np.ndarray, distances: np.ndarray) -> dict[str, Any]:
    """Return what `thresholds["unknown"]` of a card holds: thresholds that keep at least so many of these pictures.

    A picture is kept if it is near and the answer is sure enough. Of the share that may be lost, distance takes four
    fifths and confidence one; where they lose the same pictures, fewer are lost. What goes by confidence alone
    has a threshold of its own.

    Args:
        confidences: float (n,), calibrated probabilities of the best class, of known pictures that took no part in
            the training.
        distances: float (n,), how far the same pictures are from the references, themselves and their near-copies not
            among those.
    """
    rows = {}
    for share in KEEPS:
        rows[str(share)] = {
            "confidence": _least(confidences, (1 - share) * (1 - BY_DISTANCE)),
            "distance": -_least(-distances, (1 - share) * BY_DISTANCE),
            "confidence_alone": _least(confidences, 1 - share),
        }
    return {"neighbour": NEIGHBOUR, "pictures": len(confidences), "keep": rows}


def _least(values: np.ndarray, spare: float) -> float:
    """Return a threshold that at most this share of the values is below, half-way to the first of those."""
    values = np.sort(np.asarray(values, dtype=np.float64))
    # The shares' own rounding must not lose or gain a picture.
    lost = math.floor(spare * len(values) + 1e-9)
    return float((values[lost - 1] + values[lost]) / 2 if lost else values[0])
