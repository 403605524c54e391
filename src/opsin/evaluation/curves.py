"""Each class against the rest, at every threshold: ROC and precision-recall curves, and their areas.

The numbers are scikit-learn's (a test holds them equal), which takes minutes for a thousand classes.
"""

from dataclasses import dataclass

import numpy as np

POINTS = 101
"""How many points of a curve are kept: as many as a chart can show."""


@dataclass(frozen=True, eq=False)
class Curves:
    """Two curves of one class against the rest, from the highest threshold to the lowest.

    Args:
        false_positive_rate: float (m,), rising from 0 to 1: of the other classes' pictures, the share said to be of it.
        true_positive_rate: float (m,), rising from 0 to 1: of its own pictures, the share found.
        precision: float (m,), of those said to be of it, the share that are; 1 where none is said to be.
    """

    false_positive_rate: np.ndarray
    true_positive_rate: np.ndarray
    precision: np.ndarray

    @property
    def roc_auc(self) -> float:
        """Area under the ROC curve, from 0 to 1: how often a picture of the class is given more than another."""
        return float(np.trapezoid(self.true_positive_rate, self.false_positive_rate))

    @property
    def average_precision(self) -> float:
        """Area under the precision-recall curve as steps, from 0 to 1."""
        return float((np.diff(self.true_positive_rate) * self.precision[1:]).sum())

    def thinned(self) -> "Curves":
        """Return the same curves with at most `POINTS` points, both ends among them."""
        m = len(self.precision)
        kept = np.unique(np.linspace(0, m - 1, min(POINTS, m)).round().astype(int))
        return Curves(self.false_positive_rate[kept], self.true_positive_rate[kept], self.precision[kept])


def trace(labels: np.ndarray, probabilities: np.ndarray, class_index: int) -> Curves | None:
    """Return a class's two curves; None where all pictures are of the class, or none are: nothing is told apart.

    Args:
        labels: int (n,).
        probabilities: float (n, k).
        class_index: which class.
    """
    truth = labels == class_index
    if truth.all() or not truth.any():
        return None
    order = np.argsort(-probabilities[:, class_index], kind="stable")
    scores, hits = probabilities[order, class_index], truth[order].cumsum()
    # Pictures of one score stand or fall together: only the last of them is a point.
    last = np.append(np.flatnonzero(np.diff(scores)), len(scores) - 1)
    found, said = hits[last], last + 1
    precision = np.concatenate([[1.0], found / said])
    rates = [np.concatenate([[0.0], counts / counts[-1]]) for counts in (said - found, found)]
    return Curves(*rates, precision)
