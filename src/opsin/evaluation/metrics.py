"""What labels and probabilities say about a classifier, as numbers."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from opsin.catalog import require
from opsin.errors import DataError
from opsin.evaluation.intervals import Estimate, estimate

TOP = (3, 5)

# Room for the rounding of a softmax in half precision; logits are far outside it.
SUM_TOLERANCE = 1e-2


@dataclass(frozen=True)
class ClassScore:
    """How one class did. The scores are fractions from 0 to 1, or None where it has no pictures."""

    name: str
    precision: float | None
    recall: float | None
    f1: float | None
    support: int


@dataclass(frozen=True)
class Average:
    """Scores averaged over the classes that have pictures, fractions from 0 to 1."""

    precision: float
    recall: float
    f1: float


@dataclass(frozen=True, eq=False)
class Metrics:
    """The numbers of a report.

    Attributes:
        n: how many pictures were judged.
        accuracy: the share judged rightly, with its 95 % interval.
        balanced_accuracy: the mean recall of the classes that have pictures, a fraction from 0 to 1.
        top_k: `"3"` or `"5"` -> the share of pictures whose class is among that many most probable
            ones; left out where there are no more classes than that.
        log_loss: mean of -ln(probability given to the true class), in nats, 0 is perfect.
        macro: each class counts the same.
        weighted: each picture counts the same.
        per_class: one entry a class, in the order of `class_names`.
        confusion_matrix: int64 `(k, k)`, pictures of class [row] taken for class [column].
        class_names: the k names, in the order of the class indices.
    """

    n: int
    accuracy: Estimate
    balanced_accuracy: float
    top_k: dict[str, float]
    log_loss: float
    macro: Average
    weighted: Average
    per_class: list[ClassScore]
    confusion_matrix: np.ndarray
    class_names: list[str]


def measure(labels: np.ndarray, probabilities: np.ndarray, class_names: Sequence[str]) -> Metrics:
    """Compute every number of a report, through scikit-learn.

    The class that is said is the most probable one; of equally probable classes, the first. A class
    without pictures has no scores and takes no part in the averages.

    Args:
        labels: int `(N,)`, the true class indices, 0 to k - 1.
        probabilities: float `(N, k)`, each row adds up to 1.
        class_names: k names.

    Raises:
        DataError: the arrays do not fit together, or do not hold labels and probabilities.
        MissingPackageError: scikit-learn is not installed.
    """
    labels, probabilities = _checked(labels, probabilities, len(class_names))
    scores = require("sklearn.metrics", "evaluation")
    predicted = probabilities.argmax(axis=1)
    macro = _average(labels, predicted, "macro")
    classes = range(len(class_names))
    return Metrics(
        n=len(labels),
        accuracy=estimate(int((labels == predicted).sum()), len(labels)),
        # Their definitions are one; `balanced_accuracy_score` warns where a class has no pictures.
        balanced_accuracy=macro.recall,
        top_k={str(k): _top_k(labels, probabilities, k) for k in TOP if k < len(class_names)},
        log_loss=float(scores.log_loss(labels, probabilities, labels=classes)),
        macro=macro,
        weighted=_average(labels, predicted, "weighted"),
        per_class=_per_class(labels, predicted, class_names),
        confusion_matrix=scores.confusion_matrix(labels, predicted, labels=classes),
        class_names=list(class_names),
    )


def _average(labels: np.ndarray, predicted: np.ndarray, average: str) -> Average:
    precision, recall, f1, _ = require("sklearn.metrics", "evaluation").precision_recall_fscore_support(
        labels, predicted, labels=np.unique(labels), average=average, zero_division=0
    )
    return Average(float(precision), float(recall), float(f1))


def _per_class(labels: np.ndarray, predicted: np.ndarray, class_names: Sequence[str]) -> list[ClassScore]:
    columns = require("sklearn.metrics", "evaluation").precision_recall_fscore_support(
        labels, predicted, labels=range(len(class_names)), zero_division=0
    )
    rows = zip(class_names, *(column.tolist() for column in columns), strict=True)
    return [
        ClassScore(name, precision, recall, f1, support)
        if support
        else ClassScore(name, precision=None, recall=None, f1=None, support=0)
        for name, precision, recall, f1, support in rows
    ]


def _top_k(labels: np.ndarray, probabilities: np.ndarray, k: int) -> float:
    # scikit-learn's own breaks ties towards the last classes: a class that is said, being the first
    # of equals, could be missing from its top 3. A stable sort keeps both in one order.
    best = np.argsort(-probabilities, axis=1, kind="stable")[:, :k]
    return float((best == labels[:, None]).any(axis=1).mean())


def _checked(labels: np.ndarray, probabilities: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    labels = np.asarray(labels)
    probabilities = np.asarray(probabilities, dtype=np.float64)
    if labels.ndim != 1 or probabilities.shape != (len(labels), k) or len(labels) < 1 or k < 2:
        raise DataError(
            "Expected labels (N,) and probabilities (N, k) with at least one picture and two classes, "
            f"one name for each. Received labels {labels.shape}, probabilities {probabilities.shape} "
            f"and {k} class names."
        )
    _check_labels(labels, k)
    return labels, _checked_probabilities(probabilities)


def _check_labels(labels: np.ndarray, k: int) -> None:
    if not np.issubdtype(labels.dtype, np.integer):
        raise DataError(f"Expected labels that are class indices (integers). Received {labels.dtype}.")
    outside = (labels < 0) | (labels >= k)
    if outside.any():
        row = int(outside.argmax())
        raise DataError(
            f"Expected labels from 0 to {k - 1}, one for each of {k} classes. "
            f"Received {labels[row]} for picture {row}, counted from 0."
        )


def _checked_probabilities(probabilities: np.ndarray) -> np.ndarray:
    sums = probabilities.sum(axis=1, keepdims=True)
    # Written so that NaN, which no comparison holds for, is found too.
    good = (probabilities >= 0).all(axis=1) & (abs(sums[:, 0] - 1) <= SUM_TOLERANCE)
    if not good.all():
        row = int(good.argmin())
        raise DataError(
            "Expected probabilities: numbers from 0 to 1 that add up to 1 for each picture. "
            f"Received {np.array2string(probabilities[row], threshold=6)} for picture {row}, counted from 0. "
            "NaN comes from a network that diverged in training; logits need a softmax first."
        )
    return probabilities / sums
