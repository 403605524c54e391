"""Labels that are probably wrong, by what a model sees in the pictures.

Confident learning (Northcutt, Jiang and Chuang 2021, "Confident learning: estimating uncertainty in dataset labels",
sections 3.1 and 3.2): each picture is judged by a classifier that was not shown its label, and a label is doubted where
another class is more probable than is usual for pictures that bear its name.
"""

import numpy as np

from opsin.catalog import require_installed
from opsin.checks.finding import WARNING, Finding, Group, NotApplicableError, SkippedError, count
from opsin.checks.survey import Survey
from opsin.errors import MissingPackageError

FOLDS = 5
STRENGTH = 0.1
"""scikit-learn's C, on features of unit length times √d: weak enough for a wrong label not to be learned by heart."""

NEIGHBOURS = 3


def label_suspect(survey: Survey) -> Finding | None:
    """Rank the pictures whose label is doubtful, most doubtful first."""
    if survey.features is None:
        raise NotApplicableError("it takes a model that sees what the pictures show; give --model MODEL")
    try:
        require_installed(["sklearn"], "doubting labels")
    except MissingPackageError as error:
        raise SkippedError(str(error)) from error
    all_labels = np.asarray(survey.dataset.labels)
    numbers = np.bincount(all_labels[survey.readable], minlength=len(survey.dataset.class_names))
    rows = survey.readable[numbers[all_labels[survey.readable]] >= FOLDS]
    labels = all_labels[rows]
    if len(np.unique(labels)) < 2:
        raise NotApplicableError(f"it takes two classes of {FOLDS} pictures or more")
    features = _scaled(survey.features[rows])
    classes, labels = np.unique(labels, return_inverse=True)
    probabilities = out_of_fold(features, labels, survey.groups[rows])
    suspects, suggested = doubt(probabilities, labels)
    if not len(suspects):
        return None
    names, class_names = survey.dataset.names, [survey.dataset.class_names[i] for i in classes]
    groups = []
    for row in suspects:
        own, other = labels[row], suggested[row]
        shown = [row, *_nearest(features, labels, row, own), *_nearest(features, labels, row, other)]
        note = (
            f"labelled {class_names[own]} ({probabilities[row, own]:.0%}), looks like {class_names[other]} "
            f"({probabilities[row, other]:.0%}); then the nearest of {class_names[own]} and of {class_names[other]}"
        )
        groups.append(Group(tuple(names[rows[one]] for one in shown), note))
    return Finding(
        "label-suspect",
        WARNING,
        f"{count(len(suspects), 'picture')} ({len(suspects) / len(rows):.1%}) may have a wrong label, most doubtful "
        "first.",
        "Look at them, the first of each group; correct the label, or leave the picture out.",
        tuple(groups),
        tuple(names[rows[row]] for row in suspects),
    )


def out_of_fold(features: np.ndarray, labels: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Return what classifiers say of pictures that they were not trained on.

    Args:
        features: float (n, d).
        labels: int (n,), 0 to k − 1.
        groups: int (n,), pictures of one group are never on both sides.

    Returns:
        float64 (n, k), probabilities.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedGroupKFold, cross_val_predict

    model = LogisticRegression(C=STRENGTH, max_iter=500)
    folds = StratifiedGroupKFold(FOLDS, shuffle=True, random_state=0)
    return cross_val_predict(model, features, labels, groups=groups, cv=folds, method="predict_proba")


def doubt(probabilities: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return which labels are doubtful, most doubtful first, and the class that each picture looks like.

    Args:
        probabilities: float (n, k), out of fold.
        labels: int (n,), 0 to k − 1.

    Returns:
        int (m,), rows; and int (n,), for each row the most probable class but its own.

    >>> probabilities = np.array([[0.9, 0.1], [0.8, 0.2], [0.1, 0.9], [0.95, 0.05]])
    >>> doubt(probabilities, np.array([0, 0, 1, 1]))[0].tolist()
    [3]
    """
    rows = np.arange(len(labels))
    usual = np.array([probabilities[labels == label, label].mean() for label in range(probabilities.shape[1])])
    own = probabilities[rows, labels]
    others = probabilities.copy()
    others[rows, labels] = -1
    suggested = others.argmax(axis=1)
    best = others[rows, suggested]
    doubtful = np.flatnonzero((best >= usual[suggested]) & (best > own))
    return doubtful[np.argsort((own - best)[doubtful], kind="stable")], suggested


def _scaled(features: np.ndarray) -> np.ndarray:
    features = np.asarray(features, dtype=np.float32)
    lengths = np.linalg.norm(features, axis=1, keepdims=True)
    return features / np.maximum(lengths, 1e-12) * np.sqrt(features.shape[1])


def _nearest(features: np.ndarray, labels: np.ndarray, row: int, label: int) -> list[int]:
    """Return the rows of the pictures of a class that are most similar to one, itself excepted."""
    others = np.flatnonzero((labels == label) & (np.arange(len(labels)) != row))
    return others[np.argsort(-(features[others] @ features[row]), kind="stable")[:NEIGHBOURS]].tolist()
