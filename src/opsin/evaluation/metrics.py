"""What labels and probabilities say about a classifier, as numbers."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from opsin.catalog import require
from opsin.errors import DataError
from opsin.evaluation.curves import trace
from opsin.evaluation.intervals import Estimate, estimate, estimate_f1
from opsin.evaluation.margins import Margins, estimate_mean, estimate_score, resample

TOP = (3, 5)
SCORES = ("precision", "recall", "f1")

# Room for the rounding of a softmax in half precision; logits are far outside it.
SUM_TOLERANCE = 1e-2


@dataclass(frozen=True)
class ClassScore:
    """How one class did. Of a class without pictures there is its name, and nothing to say.

    Args:
        name: what it is called.
        precision: the share of right ones where it is said; 0 where it never is.
        recall: the share of its pictures that are found.
        f1: the harmonic mean of the two.
        support: how many pictures it has.
        roc_auc: area under the ROC curve of this class against the rest, from 0 to 1; None where there is no rest.
        average_precision: area under its precision-recall curve, from 0 to 1.
    """

    name: str
    precision: Estimate | None
    recall: Estimate | None
    f1: Estimate | None
    support: int
    roc_auc: float | None = None
    average_precision: float | None = None


@dataclass(frozen=True)
class Average:
    """Scores averaged over the classes that have pictures, fractions from 0 to 1."""

    precision: Estimate
    recall: Estimate
    f1: Estimate


@dataclass(frozen=True, eq=False)
class Metrics:
    """The numbers of a report. Intervals hold the true value in 95 % of cases.

    Shares of pictures (accuracy, top-k, a class's precision, recall and F1) have Wilson intervals; averages over
    classes have Wilson's for the spread of pictures that were drawn again, and log-loss a bootstrap-t interval
    (`margins.py`).

    Attributes:
        n: how many pictures were judged.
        accuracy: the share judged rightly.
        balanced_accuracy: the mean recall of the classes that have pictures.
        top_k: `"3"` or `"5"` -> the share of pictures whose class is among that many most probable
            ones; left out where there are no more classes than that.
        log_loss: mean of -ln(probability given to the true class), in nats, 0 is perfect.
        matthews: Matthews' correlation coefficient of the answers and the truth, from -1 to 1.
        kappa: Cohen's kappa, agreement beyond chance, at most 1.
        macro: each class counts the same.
        weighted: each picture counts the same.
        roc_auc: mean over the classes of the area under the ROC curve; None where no class has one.
        average_precision: mean over the classes of the area under the precision-recall curve.
        per_class: one entry a class, in the order of `class_names`.
        confusion_matrix: int64 `(k, k)`, pictures of class [row] taken for class [column].
        class_names: the k names, in the order of the class indices.
    """

    n: int
    accuracy: Estimate
    balanced_accuracy: Estimate
    top_k: dict[str, Estimate]
    log_loss: Estimate
    matthews: float
    kappa: float
    macro: Average
    weighted: Average
    roc_auc: float | None
    average_precision: float | None
    per_class: list[ClassScore]
    confusion_matrix: np.ndarray
    class_names: list[str]


def measure(labels: np.ndarray, probabilities: np.ndarray, class_names: Sequence[str]) -> Metrics:
    """Compute every number of a report.

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
    labels, probabilities = check_predictions(labels, probabilities, len(class_names))
    scores = require("sklearn.metrics", "evaluation")
    confusion_matrix = scores.confusion_matrix(labels, probabilities.argmax(axis=1), labels=range(len(class_names)))
    rank = _rank(labels, probabilities)
    margins, others = Margins.of(confusion_matrix), resample(confusion_matrix)
    per_class = _per_class(margins, labels, probabilities, class_names)
    return Metrics(
        n=len(labels),
        accuracy=estimate(int(margins.hits.sum()), len(labels)),
        # The mean recall of the classes and the balanced accuracy are one.
        balanced_accuracy=_averaged("macro", "recall", margins, others),
        top_k={str(k): estimate(int((rank < k).sum()), len(labels)) for k in TOP if k < len(class_names)},
        log_loss=estimate_mean(_losses(labels, probabilities)),
        matthews=float(margins.matthews),
        kappa=float(margins.kappa),
        macro=Average(*(_averaged("macro", score, margins, others) for score in SCORES)),
        weighted=Average(*(_averaged("weighted", score, margins, others) for score in SCORES)),
        roc_auc=_mean([one.roc_auc for one in per_class]),
        average_precision=_mean([one.average_precision for one in per_class]),
        per_class=per_class,
        confusion_matrix=confusion_matrix,
        class_names=list(class_names),
    )


def _averaged(average: str, score: str, margins: Margins, others: Margins) -> Estimate:
    value, resampled = (getattr(one, average)(getattr(one, score)) for one in (margins, others))
    return estimate_score(float(value), resampled, int(margins.truths.sum()))


def _per_class(
    margins: Margins, labels: np.ndarray, probabilities: np.ndarray, class_names: Sequence[str]
) -> list[ClassScore]:
    scores = []
    for index, name in enumerate(class_names):
        truths, said, hits = (int(counts[index]) for counts in (margins.truths, margins.said, margins.hits))
        if not truths:
            scores.append(ClassScore(name, precision=None, recall=None, f1=None, support=0))
            continue
        precision = estimate(hits, said) if said else Estimate(0.0, 0.0, 1.0, 0)
        rates = (precision, estimate(hits, truths), estimate_f1(hits, truths, said))
        curves = trace(labels, probabilities, index)
        areas = () if curves is None else (curves.roc_auc, curves.average_precision)
        scores.append(ClassScore(name, *rates, truths, *areas))
    return scores


def _losses(labels: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    # A probability of zero has no logarithm: it is taken for the smallest that adds to 1, as scikit-learn does.
    given = probabilities[np.arange(len(labels)), labels]
    return -np.log(np.clip(given, np.finfo(np.float64).eps, 1 - np.finfo(np.float64).eps))


def _mean(areas: Sequence[float | None]) -> float | None:
    known = [area for area in areas if area is not None]
    return float(np.mean(known)) if known else None


def _rank(labels: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """Return int (n,): how many classes come before the true one; of equally probable classes, the first does."""
    given = probabilities[np.arange(len(labels)), labels][:, None]
    ties = (probabilities == given) & (np.arange(probabilities.shape[1]) < labels[:, None])
    return (probabilities > given).sum(axis=1) + ties.sum(axis=1)


def check_predictions(labels: np.ndarray, probabilities: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Return labels, int (N,), and probabilities, float64 (N, k), each row adding up to 1.

    Raises:
        DataError: they do not fit together, or are something else.
    """
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
