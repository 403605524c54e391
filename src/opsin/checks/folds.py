"""Cross-validation in which what judges a picture has learned from no copy of it, whatever the copies are like."""

from typing import TYPE_CHECKING

import numpy as np

from opsin.checks.finding import NotApplicableError

if TYPE_CHECKING:
    from sklearn.base import ClassifierMixin

FOLDS = 5


def fold_of(labels: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Share pictures out into folds, stratified, each group in one of them.

    Args:
        labels: int (n,), 0 to k − 1.
        groups: int (n,).

    Returns:
        int64 (n,), 0 to 4. A class of several groups is in several folds; a fold may be empty.

    >>> np.bincount(fold_of(np.array([0] * 10 + [1] * 5), np.arange(15))).tolist()
    [3, 3, 3, 3, 3]
    """
    shuffled = np.random.default_rng(0).permutation(len(labels))
    _, which, sizes = np.unique(groups[shuffled], return_inverse=True, return_counts=True)
    members = np.split(shuffled[np.argsort(which, kind="stable")], np.cumsum(sizes)[:-1])
    held = np.zeros((FOLDS, labels.max() + 1), dtype=np.int64)
    folds = np.empty(len(labels), dtype=np.int64)
    # The largest first, while there is room everywhere.
    for group in np.flatnonzero(sizes > 1)[np.argsort(-sizes[sizes > 1], kind="stable")]:
        rows = members[group]
        classes, numbers = np.unique(labels[rows], return_counts=True)
        fold = np.lexsort((held.sum(axis=1), held[:, classes] @ numbers))[0]
        held[fold, classes] += numbers
        folds[rows] = fold
    alone = shuffled[sizes[which] == 1]
    by_class, totals = held.T.tolist(), held.sum(axis=1).tolist()
    for row, label in zip(alone.tolist(), labels[alone].tolist(), strict=True):
        of_class = by_class[label]
        fold = min(range(FOLDS), key=lambda fold: (of_class[fold], totals[fold]))
        of_class[fold] += 1
        totals[fold] += 1
        folds[row] = fold
    return folds


def out_of_fold(model: "ClassifierMixin", features: np.ndarray, labels: np.ndarray, folds: np.ndarray) -> np.ndarray:
    """Return what a classifier says of pictures when it was trained on the other folds.

    Args:
        model: a classifier of scikit-learn; it is trained again for each fold.
        features: float (n, d).
        labels: int (n,), 0 to k − 1.
        folds: int (n,), as `fold_of` gives them.

    Returns:
        float64 (n, k), probabilities.

    Raises:
        NotApplicableError: all pictures are in one fold.
    """
    probabilities = np.zeros((len(labels), labels.max() + 1))
    for fold in np.unique(folds):
        held_out = folds == fold
        if held_out.all():
            raise NotApplicableError("all pictures are copies of each other, or of one group")
        known = np.unique(labels[~held_out])
        if len(known) == 1:
            probabilities[held_out, known[0]] = 1
        else:
            model.fit(features[~held_out], labels[~held_out])
            probabilities[np.ix_(held_out, model.classes_)] = model.predict_proba(features[held_out])
    return probabilities


def classes_to_learn(labels: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Return the classes of which there are groups enough for every fold; int, sorted.

    Raises:
        NotApplicableError: there are none, or one.
    """
    pairs = np.unique(np.stack([labels, groups], axis=1), axis=0)
    classes, numbers = np.unique(pairs[:, 0], return_counts=True)
    if (numbers >= FOLDS).sum() < 2:
        raise NotApplicableError(f"it takes two classes of {FOLDS} different pictures or more")
    return classes[numbers >= FOLDS]
