"""Labels that are probably wrong, by what a model sees in the pictures.

Each picture is judged by a classifier that was not shown its label. Those that it takes for another class are ranked by
the probability of the class whose name they bear ("self-confidence", Kuan and Mueller 2022, "Model-agnostic label
quality scoring to detect real-world label errors", section 2). Of these, a label is called wrong where the other class
is more probable than is usual for pictures that bear its name (confident learning; Northcutt, Jiang and Chuang 2021,
"Confident learning: estimating uncertainty in dataset labels", section 3.1).
"""

import numpy as np

from opsin.catalog import require_installed
from opsin.checks.finding import NOTE, WARNING, Finding, Group, NotApplicableError, SkippedError
from opsin.checks.folds import classes_to_learn, fold_of, out_of_fold
from opsin.checks.survey import Survey
from opsin.counting import count
from opsin.errors import MissingPackageError

STRENGTH = 4.0
"""scikit-learn's C, on features of length 1: weak enough for a wrong label not to be learned by heart. How many planted
errors the ranking brings to its top: `python -m benchmarks.checks --model RUN`."""

NEIGHBOURS = 3
COMPARED = 100
"""Suspects that are shown beside what they are most similar to."""


def label_suspect(survey: Survey) -> Finding | None:
    """Rank the pictures whose label is doubtful, most doubtful first."""
    if survey.features is None:
        raise NotApplicableError("it takes a model that sees what the pictures show; give --model MODEL")
    try:
        require_installed(["sklearn"], "doubting labels")
    except MissingPackageError as error:
        raise SkippedError(str(error)) from error
    labels, groups = np.asarray(survey.dataset.labels)[survey.readable], survey.kept_together[survey.readable]
    classes = classes_to_learn(labels, groups)
    rows = survey.readable[np.isin(labels, classes)]
    labels = np.searchsorted(classes, np.asarray(survey.dataset.labels)[rows])
    features = scaled(survey.features[rows])
    together = survey.kept_together[rows]
    probabilities = survey.remembered(f"logistic regression {STRENGTH}", judge, features, labels, together)
    suspects, suggested, sure = doubt(probabilities, labels)
    if not len(suspects):
        return None
    named = [survey.dataset.class_names[i] for i in classes]
    notes = [
        f"labelled {named[labels[row]]} ({probabilities[row, labels[row]]:.0%}), looks like {named[suggested[row]]} "
        f"({probabilities[row, suggested[row]]:.0%})"
        for row in suspects
    ]
    beside = [_beside(features, labels, row, suggested[row]) for row in suspects[:COMPARED]]
    names = np.array([survey.dataset.names[row] for row in rows], dtype=object)
    compared = [tuple(names[near]) for near in beside] + [()] * (len(suspects) - len(beside))
    surely = [row for row in suspects if sure[row]]
    looks = "looks" if len(suspects) == 1 else "look"
    return Finding(
        "label-suspect",
        WARNING if surely else NOTE,
        f"{count(len(suspects), 'picture')} ({len(suspects) / len(rows):.1%}) {looks} more like another class, most "
        f"doubtful first; {count(len(surely), 'label')} {'is' if len(surely) == 1 else 'are'} probably wrong.",
        "Look at them in this order; correct what is wrong, or leave it out (--write-list does so with the probable "
        "ones).",
        tuple(Group((names[row],), note, near) for row, note, near in zip(suspects, notes, compared, strict=True)),
        tuple(names[surely]),
    )


def judge(features: np.ndarray, labels: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Return what classifiers say of pictures that they were not trained on.

    Args:
        features: float (n, d), as `scaled` gives them.
        labels: int (n,), 0 to k − 1, each of them there.
        groups: int (n,), pictures of one group are never on both sides.

    Returns:
        float64 (n, k), probabilities.
    """
    from sklearn.linear_model import LogisticRegression

    return out_of_fold(LogisticRegression(C=STRENGTH, max_iter=500), features, labels, fold_of(labels, groups))


def doubt(probabilities: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return which labels are doubtful, what each picture looks like, and which labels are probably wrong.

    Args:
        probabilities: float (n, k), out of fold.
        labels: int (n,), 0 to k − 1, each of them there.

    Returns:
        int (m,), rows; int (n,), for each row the most probable class but its own; and bool (n,), whether its label is
        probably wrong.

    >>> probabilities = np.array([[0.9, 0.1], [0.8, 0.2], [0.1, 0.9], [0.95, 0.05], [0.6, 0.4]])
    >>> rows, _, sure = doubt(probabilities, np.array([0, 0, 1, 1, 1]))
    >>> rows.tolist(), sure.tolist()
    ([3, 4], [False, False, False, True, False])
    """
    rows = np.arange(len(labels))
    own = probabilities[rows, labels]
    numbers = np.bincount(labels, minlength=probabilities.shape[1])
    usual = np.bincount(labels, weights=own, minlength=len(numbers)) / numbers
    others = probabilities.copy()
    others[rows, labels] = -1
    suggested = others.argmax(axis=1)
    best = others[rows, suggested]
    doubtful = np.flatnonzero(best > own)
    sure = (best > own) & (best >= usual[suggested])
    return doubtful[np.argsort(own[doubtful], kind="stable")], suggested, sure


def scaled(features: np.ndarray) -> np.ndarray:
    """Return float32 (n, d), features of length 1: the same `STRENGTH` fits those of any model."""
    features = np.asarray(features, dtype=np.float32)
    lengths = np.linalg.norm(features, axis=1, keepdims=True)
    return features / np.maximum(lengths, 1e-12)


def _beside(features: np.ndarray, labels: np.ndarray, row: int, other: int) -> list[int]:
    """Return the rows most similar to one: of its own class, then of the other."""
    similar = np.argsort(-(features @ features[row]), kind="stable")
    own = similar[(labels[similar] == labels[row]) & (similar != row)][:NEIGHBOURS]
    return [*own, *similar[labels[similar] == other][:NEIGHBOURS]]
