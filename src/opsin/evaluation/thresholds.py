"""From which probability on a class is said, for a wanted precision; and the table of it that a model's card holds."""

from typing import Any, NamedTuple

import numpy as np

from opsin.errors import UsageError
from opsin.evaluation.intervals import Estimate, estimate

WANTED = (0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 0.999)
"""The precisions that a card has thresholds for."""


class ClassThreshold(NamedTuple):
    """What a wanted precision of one class asks for, and costs.

    Args:
        threshold: the least probability at which the class is said, from 0 to 1; None if no threshold is enough.
        precision: the share of right ones among the pictures of which it is said then, on so many (`n`); without a
            threshold, the highest that any has. None if the class is never the most probable one.
        recall: the share of the class's pictures of which it is said then; None if there is no picture of the class.
    """

    threshold: float | None
    precision: Estimate | None
    recall: Estimate | None


def threshold_for_precision(
    labels: np.ndarray, probabilities: np.ndarray, class_index: int, wanted: float
) -> ClassThreshold:
    """Return the lowest threshold from which on a class is said with the wanted precision, on these pictures.

    A class is said where it is the most probable one and its probability reaches the threshold, which lies half-way to
    the first picture that it leaves out: two runtimes round differently. How far the precision on new pictures
    may be from that on these is told by its interval: with few of them, far.

    Args:
        labels: int (N,), 0 to k - 1.
        probabilities: float (N, k), calibrated.
        class_index: which class.
        wanted: its precision, above 0 and at most 1.

    Raises:
        UsageError: `wanted` is no such fraction, or there is no such class.

    >>> probabilities = np.array([[0.9, 0.1], [0.8, 0.2], [0.6, 0.4], [0.3, 0.7]])
    >>> threshold, precision, recall = threshold_for_precision(np.array([0, 0, 1, 1]), probabilities, 0, 0.99)
    >>> round(threshold, 6), precision.value, precision.n, recall.value
    (0.7, 1.0, 2, 1.0)
    """
    labels, probabilities = np.asarray(labels), np.asarray(probabilities, dtype=np.float64)
    if not 0 < wanted <= 1:
        raise UsageError(f"Expected a precision above 0 and at most 1; received {wanted}.")
    if not 0 <= class_index < probabilities.shape[1]:
        raise UsageError(f"Expected a class from 0 to {probabilities.shape[1] - 1}; received {class_index}.")
    steps = _steps(labels, probabilities, probabilities.argmax(axis=1), class_index)
    return _lowest(steps, int((labels == class_index).sum()), wanted)


def _lowest(counted: tuple[np.ndarray, ...], of_class: int, wanted: float) -> ClassThreshold:
    steps, said, right = counted
    if not len(steps):
        return ClassThreshold(None, None, estimate(0, of_class) if of_class else None)
    enough = np.flatnonzero(right / said >= wanted)
    # The lowest one that is enough; or, to say how near it comes, the best.
    row = enough[-1] if len(enough) else int((right / said).argmax())
    after = steps[row + 1] if row + 1 < len(steps) else 0.0
    return ClassThreshold(
        float((steps[row] + after) / 2) if len(enough) else None,
        estimate(int(right[row]), int(said[row])),
        estimate(int(right[row]), of_class) if of_class else None,
    )


def _steps(labels: np.ndarray, probabilities: np.ndarray, best: np.ndarray, class_index: int) -> tuple[np.ndarray, ...]:
    """Return falling probabilities of a class where it is the best one, and how many reach each, and are right."""
    rows = np.flatnonzero(best == class_index)
    rows = rows[np.argsort(-probabilities[rows, class_index], kind="stable")]
    found = probabilities[rows, class_index]
    # Equal probabilities are said or left out together.
    last = np.flatnonzero(np.append(found[1:] < found[:-1], True)) if len(rows) else np.empty(0, dtype=int)
    right = np.cumsum(labels[rows] == class_index)
    return found[last], last + 1, right[last]


def precision_table(labels: np.ndarray, probabilities: np.ndarray, class_names: tuple[str, ...]) -> dict[str, Any]:
    """Return what `thresholds["precision"]` of a card holds.

    Args:
        labels: int (N,), of pictures that the network was not trained on.
        probabilities: float (N, k), calibrated.
        class_names: k names.

    Returns:
        `pictures`: N; `classes`: by name, and then by wanted precision as a string, the threshold, of how many
        pictures the class is said then, and of how many rightly. What no threshold reaches is left out.
    """
    labels, probabilities = np.asarray(labels), np.asarray(probabilities, dtype=np.float64)
    best, of_class = probabilities.argmax(axis=1), np.bincount(labels, minlength=len(class_names))
    classes: dict[str, dict[str, list[float | int]]] = {}
    for index, name in enumerate(class_names):
        rows, steps = {}, _steps(labels, probabilities, best, index)
        for wanted in WANTED:
            threshold, precision, _ = _lowest(steps, int(of_class[index]), wanted)
            if threshold is not None:
                rows[str(wanted)] = [threshold, precision.n, round(precision.value * precision.n)]
        classes[name] = rows
    return {"pictures": len(labels), "classes": classes}
