"""Who learns, who chooses, who judges: rows into training, validation and test parts."""

import hashlib
from collections.abc import Sequence

import numpy as np

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

    The groups come in the order of a hash of the seed and their name. Each goes to the part that still lacks most
    of the classes it holds, so parts come near their shares, class by class, as far as the groups' sizes let them.

    Returns:
        str (n,): `"train"`, `"val"` or `"test"`; each part that is wanted has a group.

    Raises:
        DataError: there are too few groups to fill the parts.
    """
    names, group_of = np.unique(np.asarray(groups, dtype=object), return_inverse=True)
    shares = {part: share for part, share in ((TRAIN, 1 - val - test), (TEST, test), (VAL, val)) if share > 0}
    if len(names) < len(shares):
        raise DataError(
            f"Expected at least {len(shares)} groups to split by; received {len(names)}. "
            "Leave the group column out to split by picture."
        )
    k = int(labels.max()) + 1
    # The cells that hold something: a table of a million groups and a thousand classes takes 8 GB.
    cells, counts = np.unique(group_of * k + labels, return_counts=True)
    of_group, of_class = np.divmod(cells, k)
    # As fractions of each class: a rare class counts as much as a common one.
    fractions = counts / np.bincount(labels)[of_class]
    ends = np.searchsorted(of_group, np.arange(len(names) + 1))
    lacking = {part: np.full(k, share) for part, share in shares.items()}
    part_of = np.full(len(names), TRAIN, dtype=object)
    empty = set(shares)
    for done, group in enumerate(sorted(range(len(names)), key=lambda i: _draw(seed, names[i]))):
        open_parts = [part for part in shares if part in empty or len(names) - done > len(empty)]
        held = np.zeros(k)
        its = slice(ends[group], ends[group + 1])
        held[of_class[its]] = fractions[its]
        part = max(open_parts, key=lambda part, held=held: held @ lacking[part])
        part_of[group] = part
        lacking[part] -= held
        empty.discard(part)
    return part_of[group_of]


def _share_out(count: int, *, val: float, test: float) -> tuple[int, int]:
    """Return how many of a class's pictures go to test and to validation."""
    in_test = min(max(round(count * test), 1), count - 1) if test and count >= 2 else 0
    in_val = min(max(round(count * val), 1), count - in_test - 1) if val and count - in_test >= 2 else 0
    return in_test, in_val


def _draw(seed: int, name: str) -> bytes:
    return hashlib.blake2b(f"{seed}\0{name}".encode("utf-8", "surrogateescape"), digest_size=8).digest()
