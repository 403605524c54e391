"""Where a classifier goes wrong: its most confident mistakes, the classes it confuses."""

from dataclasses import dataclass

import numpy as np

from opsin.evaluation.metrics import ClassScore, Metrics
from opsin.evaluation.report import Report


@dataclass(frozen=True)
class Mistake:
    """One picture judged wrongly; `probability` is what the wrong class was given, 0 to 1."""

    path: str
    truth: str
    said: str
    probability: float


@dataclass(frozen=True)
class Confusion:
    """How many pictures of one class were taken for another, out of `support` pictures of that class."""

    truth: str
    said: str
    count: int
    support: int


def confident_mistakes(report: Report, limit: int = 20) -> list[Mistake]:
    """Return the wrongly judged pictures, the most confident first: often the label is what is wrong."""
    predicted = report.probabilities.argmax(axis=1)
    confidence = report.probabilities.max(axis=1)
    worst, names = mistaken_rows(report)[:limit], report.class_names
    return [Mistake(report.paths[i], names[report.labels[i]], names[predicted[i]], float(confidence[i])) for i in worst]


def mistaken_rows(report: Report) -> np.ndarray:
    """Return int (m,), the rows of the wrongly judged pictures, the most confident first."""
    confidence = report.probabilities.max(axis=1)
    wrong = np.flatnonzero(report.probabilities.argmax(axis=1) != report.labels)
    return wrong[np.argsort(-confidence[wrong], kind="stable")]


def confused_pairs(metrics: Metrics, limit: int = 3) -> list[Confusion]:
    """Return the pairs of classes that were confused on the most pictures."""
    errors = metrics.confusion_matrix.copy()
    np.fill_diagonal(errors, 0)
    order = np.argsort(-errors, axis=None, kind="stable")[:limit]
    pairs = zip(*np.unravel_index(order, errors.shape), strict=True)
    names, support = metrics.class_names, metrics.confusion_matrix.sum(axis=1)
    return [
        Confusion(names[truth], names[said], int(errors[truth, said]), int(support[truth]))
        for truth, said in pairs
        if errors[truth, said]
    ]


def worst_first(scores: list[ClassScore]) -> list[ClassScore]:
    """Return the classes that have pictures, lowest F1 first, then those without."""
    return sorted(scores, key=lambda one: (one.f1 is None, one.f1.value if one.f1 else 0.0))
