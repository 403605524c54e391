"""Who learns, who chooses, who judges: rows into training, validation and test parts."""

import hashlib
from collections.abc import Sequence

import numpy as np

from opsin.catalog import require
from opsin.errors import DataError, UsageError

TRAIN, VAL, TEST = "train", "val", "test"
SPLITS = (TRAIN, VAL, TEST)


def require_fractions(val: float, test: float) -> None:
    """Raise `UsageError` unless both are fractions and leave something to train on."""
    if not (0 <= val < 1 and 0 <= test < 1 and val + test < 1):
        raise UsageError(
            f"Expected val and test as fractions from 0 to below 1, together below 1; received val={val}, test={test}."
        )


def stratified_split(labels: np.ndarray, names: Sequence[str], *, val: float, test: float, seed: int) -> np.ndarray:
    """Assign each row to a part so that every class is shared out in the same proportions.

    The order within a class comes from a hash of the seed and the picture's name: it is the same on every
    machine and in every version, and a picture that is added moves hardly any other.

    Args:
        labels: int (n,), class indices.
        names: n names that tell the pictures apart, relative paths say.
        val: fraction from 0 to 1 for validation.
        test: fraction from 0 to 1 for test.
        seed: any integer.

    Returns:
        str (n,): `"train"`, `"val"` or `"test"`. A class of two or more has a picture in test, one of three or
        more in validation as well (where those parts are wanted), and always one in training.
    """
    parts = np.full(len(labels), TRAIN, dtype=object)
    for label in np.unique(labels):
        rows = sorted(np.flatnonzero(labels == label), key=lambda row: _draw(seed, names[row]))
        in_test, in_val = _share_out(len(rows), val=val, test=test)
        parts[rows[:in_test]] = TEST
        parts[rows[in_test : in_test + in_val]] = VAL
    return parts


def grouped_split(labels: np.ndarray, groups: Sequence[str], *, val: float, test: float, seed: int) -> np.ndarray:
    """Like `stratified_split`, with every group wholly in one part.

    Returns:
        str (n,): `"train"`, `"val"` or `"test"`.

    Raises:
        DataError: there are too few groups to fill the parts.
    """
    groups = np.asarray(groups, dtype=object)
    parts = np.full(len(labels), TRAIN, dtype=object)
    wanted = [(part, share) for part, share in ((TEST, test), (VAL, val)) if share > 0]
    if len(set(groups)) < len(wanted) + 1:
        raise DataError(
            f"Expected at least {len(wanted) + 1} groups to split by; received {len(set(groups))}. "
            "Leave the group column out to split by picture."
        )
    left = 1.0
    for part, share in wanted:
        rows = np.flatnonzero(parts == TRAIN)
        parts[rows[_one_fold(labels[rows], groups[rows], share / left, seed)]] = part
        left -= share
    return parts


def _one_fold(labels: np.ndarray, groups: np.ndarray, share: float, seed: int) -> np.ndarray:
    model_selection = require("sklearn.model_selection", "splitting by group")
    _, names = np.unique(groups.astype(str), return_inverse=True)
    folds = int(np.clip(round(1 / share), 2, len(np.unique(names))))
    smallest = np.bincount(labels).max()
    splitter = model_selection.StratifiedGroupKFold(n_splits=min(folds, smallest), shuffle=True, random_state=seed)
    candidates = [fold for _, fold in splitter.split(labels, labels, names) if len(fold)]
    # Groups are of unequal size: of the folds the nearest to the share that is wanted.
    return min(candidates, key=lambda fold: abs(len(fold) / len(labels) - share))


def _share_out(count: int, *, val: float, test: float) -> tuple[int, int]:
    """Return how many of a class's pictures go to test and to validation."""
    in_test = min(max(round(count * test), 1), count - 1) if test and count >= 2 else 0
    in_val = min(max(round(count * val), 1), count - in_test - 1) if val and count - in_test >= 2 else 0
    return in_test, in_val


def _draw(seed: int, name: str) -> bytes:
    return hashlib.blake2b(f"{seed}\0{name}".encode("utf-8", "surrogateescape"), digest_size=8).digest()
