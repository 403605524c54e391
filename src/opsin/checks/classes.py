"""Classes: whether there are pictures enough of each, in each part."""

from opsin.checks.finding import ERROR, WARNING, Finding, Group, NotApplicableError, one_each
from opsin.checks.survey import Survey
from opsin.counting import count
from opsin.data.splits import SPLITS, TRAIN

RARE = 10
IMBALANCE = 10
"""How many times more pictures the largest class may have than the smallest."""

EMPTY = "a folder without pictures, so not a class"


def rare_class(survey: Survey) -> Finding | None:
    """Find classes of few pictures."""
    counts = {name: number for name, number in _counts(survey).items() if number < RARE}
    if not counts:
        return None
    return Finding(
        "rare-class",
        WARNING,
        f"{_classes(len(counts))} fewer than {RARE} pictures that can be read: {_some(counts)}.",
        "Add pictures, or join classes: of so few, most are needed to learn from and nearly none are left to judge by.",
        _examples(survey, counts),
    )


def imbalance(survey: Survey) -> Finding | None:
    """Find out whether some classes have many times more pictures than others."""
    counts = {name: number for name, number in _counts(survey).items() if number}
    if len(counts) < 2:
        raise NotApplicableError("there is one class only")
    largest, smallest = max(counts, key=counts.get), min(counts, key=counts.get)
    if counts[largest] < IMBALANCE * counts[smallest]:
        return None
    return Finding(
        "imbalance",
        WARNING,
        f"{largest!r} has {counts[largest]:,} pictures, {counts[largest] / counts[smallest]:.0f} times as many as "
        f"{smallest!r} ({counts[smallest]:,}).",
        "Go by balanced accuracy and by each class's recall; train with --class-weights balanced, or add pictures.",
        _examples(survey, {smallest: counts[smallest]}),
    )


def empty_class(survey: Survey) -> Finding | None:
    """Find class folders without pictures, and classes of which none can be read."""
    empty = [skipped.path for skipped in survey.dataset.skipped if skipped.reason == EMPTY]
    unreadable = [name for name, number in _counts(survey).items() if number == 0]
    if not empty and not unreadable:
        return None
    said = [f"{count(len(empty), 'folder')} without pictures: {', '.join(map(repr, empty[:8]))}"] if empty else []
    said += [f"of {', '.join(map(repr, unreadable[:8]))} no picture can be read"] if unreadable else []
    return Finding(
        "empty-class",
        WARNING,
        "; ".join(said)[:1].upper() + "; ".join(said)[1:] + ".",
        "Put pictures there, or take the folder away: nothing can be learned of it.",
        one_each(empty),
    )


def class_mismatch(survey: Survey) -> Finding | None:
    """Find classes that are in one part of the data and not in another."""
    given = survey.dataset.given_splits
    parts = [part for part in SPLITS if part in given]
    if len(parts) < 2:
        raise NotApplicableError("the data comes as one part")
    labels, names = survey.dataset.labels, survey.dataset.class_names
    present = {part: {names[label] for label, its in zip(labels, given, strict=True) if its == part} for part in parts}
    missing = {part: sorted(set().union(*present.values()) - found) for part, found in present.items()}
    if not any(missing.values()):
        return None
    said = [f"{part} lacks {', '.join(map(repr, lacking[:8]))}" for part, lacking in missing.items() if lacking]
    return Finding(
        "class-mismatch",
        ERROR if missing.get(TRAIN) else WARNING,
        f"The parts have different classes: {'; '.join(said)}.",
        "Give every part pictures of every class: what is not in train cannot be learned, what is in no other part is "
        "not judged.",
    )


def _counts(survey: Survey) -> dict[str, int]:
    """Return how many readable pictures each class has."""
    counts = dict.fromkeys(survey.dataset.class_names, 0)
    for row in survey.readable:
        counts[survey.dataset.class_names[survey.dataset.labels[row]]] += 1
    return counts


def _examples(survey: Survey, counts: dict[str, int]) -> tuple[Group, ...]:
    dataset = survey.dataset
    paths: dict[str, list[str]] = {name: [] for name in counts}
    for row in survey.readable:
        its = paths.get(dataset.class_names[dataset.labels[row]])
        if its is not None and len(its) < RARE:
            its.append(dataset.names[row])
    return tuple(
        Group(tuple(paths[name]), f"{name}: {count(number, 'picture')}")
        for name, number in counts.items()
        if paths[name]
    )


def _classes(number: int) -> str:
    return f"{number:,} classes have" if number > 1 else "A class has"


def _some(counts: dict[str, int], most: int = 8) -> str:
    shown = ", ".join(f"{name!r} ({number})" for name, number in list(counts.items())[:most])
    return shown + (f" and {len(counts) - most} more" if len(counts) > most else "")
