"""Which part each picture goes to: the one that the data gives, or else one that is drawn."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from opsin.data.fingerprints import groups_of
from opsin.data.readers import NO_GROUP
from opsin.data.splits import SPLITS, TEST, TRAIN, VAL, grouped_split, stratified_split
from opsin.errors import DataError


@dataclass(frozen=True)
class Candidates:
    """What a split of n pictures goes by.

    Args:
        names: n names that tell the pictures apart, relative paths say.
        labels: int (n,), class indices, whose shares are kept.
        groups: n names of groups that stay together, empty for none.
        given: the part that the data puts each picture in; None where it does not say.
        together: int (n,), pictures of the same number come into the same part as far as it is drawn here.
    """

    names: Sequence[str]
    labels: np.ndarray
    groups: Sequence[str]
    given: Sequence[str | None]
    together: np.ndarray


def assign_parts(candidates: Candidates, *, val: float, test: float, seed: int) -> tuple[np.ndarray, str]:
    """Share pictures out.

    Splits that the data gives are kept: without a test part their validation part is the one that is held out, and
    validation is taken from training.

    Returns:
        str (n,): `"train"`, `"val"` or `"test"`; and what was decided about splits that the data gives, or nothing.

    Raises:
        DataError: the data gives parts, but none to train on; or there are too few groups.
    """
    given = np.array(candidates.given, dtype=object)
    present = {part for part in SPLITS if (given == part).any()}
    if present <= {TRAIN}:
        return _draw(candidates, np.arange(len(given)), val, test, seed), ""
    if present == {TRAIN, VAL, TEST}:
        return given, "The parts train, val and test are used as given."
    if TRAIN not in present:
        raise DataError(f"Expected a train split; the data has only {' and '.join(sorted(present))}.")
    parts = given.copy()
    note = f"Validation ({val:.0%}) is taken from train; test is held out for the report."
    if TEST not in present:
        parts[given == VAL] = TEST
        note = f"The val part is held out for the report; validation ({val:.0%}) is taken from train."
    rows = np.flatnonzero(given == TRAIN)
    parts[rows] = _draw(candidates, rows, val, 0.0, seed)
    return parts, note


def _draw(candidates: Candidates, positions: np.ndarray, val: float, test: float, seed: int) -> np.ndarray:
    copies = np.asarray(candidates.together)[positions]
    groups = [candidates.groups[i] for i in positions]
    labels, names = candidates.labels[positions], [candidates.names[i] for i in positions]
    if any(group != NO_GROUP for group in groups):
        # A picture without a group is a group of its own.
        alone = [group or f"\0{name}" for group, name in zip(groups, names, strict=True)]
        return grouped_split(labels, _joined(alone, copies), val=val, test=test, seed=seed)
    parts = stratified_split(labels, names, val=val, test=test, seed=seed)
    # Copies are few: they go where the first of them is.
    _, first, which = np.unique(copies, return_index=True, return_inverse=True)
    parts = parts[first]
    # A class all of whose pictures have copies may lie in other parts: it is learned before it is judged.
    for label in np.setdiff1d(labels, labels[parts[which] == TRAIN]):
        parts[np.bincount(which[labels == label]).argmax()] = TRAIN
    return parts[which]


def _joined(groups: Sequence[str], copies: np.ndarray) -> list[str]:
    """Return names of larger groups: where two groups have copies of one picture, they become one."""
    names, numbers = np.unique(np.array(groups, dtype=object), return_inverse=True)
    first_of = {}
    pairs = [(first_of.setdefault(copy, number), number) for copy, number in zip(copies, numbers, strict=True)]
    return [names[number] for number in groups_of(np.array(pairs), len(names))[numbers]]
