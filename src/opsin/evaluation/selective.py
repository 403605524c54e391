"""Answering only where sure: what a threshold gains in accuracy and costs in answers; and what mistakes cost."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from opsin.errors import DataError
from opsin.evaluation.intervals import Estimate, estimate
from opsin.evaluation.margins import estimate_mean

THRESHOLDS = (0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99)

POINTS = 101


@dataclass(frozen=True)
class Cautious:
    """What comes of answering only where the best class is at least so probable.

    Args:
        threshold: the probability, from 0 to 1.
        answered: the share of pictures that get an answer.
        accuracy: the share of right ones among them; None if nothing is answered.
    """

    threshold: float
    answered: Estimate
    accuracy: Estimate | None


@dataclass(frozen=True, eq=False)
class RiskCoverage:
    """The share of wrong answers if only the surest pictures are answered: Geifman, El-Yaniv 2017, arXiv 1705.08500.

    Args:
        coverage: float (m,), rising to 1: the share that is answered.
        risk: float (m,): the share of wrong ones among them.
        area: under the curve through every picture: the smaller, the better.
        best_area: of a classifier with as many mistakes, whose mistakes are its least sure answers.
    """

    coverage: np.ndarray
    risk: np.ndarray
    area: float
    best_area: float


@dataclass(frozen=True, eq=False)
class Costs:
    """What the answers cost, where mistakes do not weigh the same.

    Args:
        matrix: float (k, k), the cost of saying class [column] where class [row] is true.
        most_probable: mean cost of a picture when the most probable class is said.
        cheapest: the same when the class is said whose expected cost is the least.
        changed: how many answers that changes.
        confusion_matrix: int (k, k), of the cheapest answers.
    """

    matrix: np.ndarray
    most_probable: Estimate
    cheapest: Estimate
    changed: int
    confusion_matrix: np.ndarray


def threshold_table(
    labels: np.ndarray, probabilities: np.ndarray, thresholds: Sequence[float] = THRESHOLDS
) -> list[Cautious]:
    """Return what each threshold gains and costs.

    Args:
        labels: int (n,).
        probabilities: float (n, k).
        thresholds: from 0 to 1.
    """
    confidence, right = probabilities.max(axis=1), probabilities.argmax(axis=1) == labels
    rows = []
    for threshold in thresholds:
        sure = confidence >= threshold
        n = int(sure.sum())
        accuracy = estimate(int(right[sure].sum()), n) if n else None
        rows.append(Cautious(threshold, estimate(n, len(labels)), accuracy))
    return rows


def risk_coverage(labels: np.ndarray, probabilities: np.ndarray) -> RiskCoverage:
    """Return the curve of mistakes over answers, surest first.

    Pictures of the same confidence are answered together: which of them comes first would be chance.

    Args:
        labels: int (n,).
        probabilities: float (n, k).
    """
    confidence, wrong = probabilities.max(axis=1), probabilities.argmax(axis=1) != labels
    order = np.argsort(-confidence, kind="stable")
    counts = np.unique(-confidence, return_counts=True)[1]
    mistakes = np.add.reduceat(wrong[order].astype(float), np.concatenate([[0], counts.cumsum()[:-1]]))
    # Within a tie, each answer has the tie's mean share of mistakes.
    even = np.repeat(mistakes / counts, counts)
    risk = even.cumsum() / np.arange(1, len(even) + 1)
    best = np.sort(wrong).cumsum() / np.arange(1, len(wrong) + 1)
    shown = np.unique(np.linspace(0, len(risk) - 1, min(POINTS, len(risk))).round().astype(int))
    return RiskCoverage((shown + 1) / len(risk), risk[shown], float(risk.mean()), float(best.mean()))


def weigh(labels: np.ndarray, probabilities: np.ndarray, matrix: np.ndarray) -> Costs:
    """Say what the answers cost, and what they would cost if costs decided them.

    Args:
        labels: int (n,).
        probabilities: float (n, k), calibrated: costs are weighed by them.
        matrix: float (k, k), the cost of saying class [column] where class [row] is true.

    Raises:
        DataError: the matrix has another size, or holds what is no number.
    """
    matrix, k = np.asarray(matrix, dtype=np.float64), probabilities.shape[1]
    if matrix.shape != (k, k) or not np.isfinite(matrix).all():
        raise DataError(
            f"Expected a matrix of costs ({k}, {k}) of finite numbers, a row for each true class and a column for each "
            f"class that is said; received {matrix.shape}{'' if matrix.shape != (k, k) else ' with NaN or infinity'}."
        )
    said, cheapest = probabilities.argmax(axis=1), (probabilities @ matrix).argmin(axis=1)
    confusion = np.zeros((k, k), dtype=np.int64)
    np.add.at(confusion, (labels, cheapest), 1)
    return Costs(
        matrix,
        estimate_mean(matrix[labels, said]),
        estimate_mean(matrix[labels, cheapest]),
        int((said != cheapest).sum()),
        confusion,
    )
