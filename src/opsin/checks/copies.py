"""Copies: the same picture, or nearly the same, where it is there twice, in two classes or in two parts."""

import collections
from collections.abc import Iterable

import numpy as np

from opsin.checks.finding import ERROR, WARNING, Finding, Group, NotApplicableError
from opsin.checks.survey import Survey
from opsin.counting import count
from opsin.data.fingerprints import groups_of
from opsin.data.readers import NO_GROUP
from opsin.data.splits import TRAIN


def duplicate(survey: Survey) -> Finding | None:
    """Find pictures that are in one class twice, pixel for pixel; those in two parts of the data are leaks."""
    labels, given, names = survey.dataset.labels, survey.dataset.given_splits, survey.dataset.names
    groups = []
    for rows in survey.same_content:
        by_class: dict[tuple, dict[str, int]] = collections.defaultdict(dict)
        for row in rows:
            # A CSV can name one file twice: what leaves out the second would leave out the first.
            by_class[labels[row], given[row]].setdefault(names[row], row)
        groups += [list(some.values()) for some in by_class.values() if len(some) > 1]
    if not groups:
        return None
    surplus = [row for rows in groups for row in rows[1:]]
    are = "is an exact copy" if len(surplus) == 1 else "are exact copies"
    return Finding(
        "duplicate",
        WARNING,
        f"{count(len(surplus), 'picture')} {are} of another one{_in_class(survey)}, pixel for pixel.",
        "Leave the copies out: they count twice. Opsin keeps them in one part, so that they cannot leak.",
        _named(survey, groups),
        _names(survey, surplus),
    )


def near_duplicate(survey: Survey) -> Finding | None:
    """Find pictures that are nearly the same: re-encoded, resized, cropped a little, brightened."""
    pairs = []
    for first, second in survey.near_pairs.tolist():
        one, other = _first_of_class(survey, first), _first_of_class(survey, second)
        pairs += [(one[label], other[label]) for label in one.keys() & other.keys()]
    if not pairs:
        return None
    groups = _connected(pairs)
    largest = max(map(len, groups))
    return Finding(
        "near-duplicate",
        WARNING,
        f"{count(sum(map(len, groups)), 'picture')} are nearly the same as another one{_in_class(survey)}: "
        f"{count(len(groups), 'group')}{' of' if len(groups) == 1 else ', the largest of'} {largest}.",
        "Look at them in the page. Opsin keeps each group in one part, so that it cannot leak; leave out what "
        "adds nothing.",
        _named(survey, groups),
    )


def conflicting_label(survey: Survey) -> Finding | None:
    """Find pictures that are in two classes."""
    labels, class_names = survey.dataset.labels, survey.dataset.class_names
    near = [survey.rows_of[first] + survey.rows_of[second] for first, second in survey.near_pairs.tolist()]
    conflicts = [rows for rows in [*survey.same_content, *near] if len({labels[row] for row in rows}) > 1]
    if not conflicts:
        return None
    groups = _connected((rows[0], other) for rows in conflicts for other in rows[1:])
    notes = [", ".join(sorted({class_names[labels[row]] for row in rows})) for rows in groups]
    return Finding(
        "conflicting-label",
        ERROR,
        f"{count(len(groups), 'picture')} {'is' if len(groups) == 1 else 'are'} in more than one class, the same or "
        "nearly the same.",
        "Decide for one class and leave the others out: nothing can be learned from both.",
        _named(survey, groups, notes),
        _names(survey, sorted({row for rows in groups for row in rows})),
    )


def leakage(survey: Survey) -> Finding | None:
    """Find pictures, or groups that the data names, that are in two parts."""
    given = survey.dataset.given_splits
    if len(set(given) - {None}) < 2:
        raise NotApplicableError("the data comes as one part; Opsin splits it, and keeps copies together")
    by_look = collections.defaultdict(list)
    for row, group in enumerate(survey.groups):
        by_look[int(group)].append(row)
    by_name = collections.defaultdict(list)
    for row, group in enumerate(survey.dataset.groups):
        if group != NO_GROUP:
            by_name[group].append(row)
    cases = [(rows, "the same or nearly the same picture") for rows in by_look.values()]
    cases += [(rows, f"the group {group}") for group, rows in by_name.items()]
    leaks = [(rows, note) for rows, note in cases if len({given[row] for row in rows}) > 1]
    if not leaks:
        return None
    held_out = {row for rows, _ in leaks for row in rows if given[row] != TRAIN}
    from_train = sorted({row for rows, _ in leaks for row in rows if given[row] == TRAIN})
    notes = [f"{note}: in {' and '.join(sorted({str(given[row]) for row in rows}))}" for rows, note in leaks]
    all_held_out = sum(part not in (None, TRAIN) for part in given)
    return Finding(
        "leakage",
        ERROR,
        f"{len(held_out):,} of {count(all_held_out, 'held-out picture')} ({len(held_out) / max(1, all_held_out):.1%}) "
        f"{'is' if len(held_out) == 1 else 'are'} in another part as well, the same, nearly the same or of the same "
        "group: results are better than they should be.",
        f"Leave the copies in train out{' (--write-list does)' * _has_labels(survey)}, or split again without the "
        "folders' own parts.",
        _named(survey, [rows for rows, _ in leaks], notes),
        _names(survey, from_train),
    )


def _in_class(survey: Survey) -> str:
    return " in the same class" if _has_labels(survey) else ""


def _has_labels(survey: Survey) -> bool:
    """Tell data of classes from pictures that have masks, say, which come as one class."""
    return len(survey.dataset.class_names) > 1


def _first_of_class(survey: Survey, row: int) -> dict[int, int]:
    """Return the first row of each class among the copies of a picture."""
    rows = reversed(survey.rows_of[row])
    return {int(survey.dataset.labels[one]): one for one in rows}


def _connected(pairs: Iterable[tuple[int, int]]) -> list[list[int]]:
    """Return sorted lists of rows that pairs connect."""
    pairs = list(pairs)
    rows = np.unique(np.array(pairs))
    place = {int(row): i for i, row in enumerate(rows)}
    first_of = groups_of(np.array([(place[a], place[b]) for a, b in pairs]), len(rows))
    found = collections.defaultdict(list)
    for row, first in zip(rows.tolist(), first_of, strict=True):
        found[int(first)].append(row)
    return list(found.values())


def _names(survey: Survey, rows: Iterable[int]) -> tuple[str, ...]:
    return tuple(survey.dataset.names[row] for row in rows)


def _named(survey: Survey, groups: list[list[int]], notes: list[str] | None = None) -> tuple[Group, ...]:
    return tuple(
        Group(_names(survey, rows), note) for rows, note in zip(groups, notes or [""] * len(groups), strict=True)
    )
