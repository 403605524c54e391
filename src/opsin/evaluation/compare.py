"""`compare`: two models on the same pictures, none of which either has learned from."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from opsin.classifier import Classifier
from opsin.counting import count
from opsin.data.cache import Cache
from opsin.data.dataset import ImageDataset
from opsin.errors import DataError
from opsin.evaluation.choose_part import ALL, AUTO, Part, choose_part
from opsin.evaluation.comparison import Comparison, compare_answers
from opsin.evaluation.evaluate import Progress, evaluate_each, without
from opsin.evaluation.intervals import Estimate
from opsin.evaluation.leaks import find_leaked
from opsin.evaluation.report import Report
from opsin.evaluation.wording import percent, readable, shortened

SHOWN = 10
CLASSES_SHOWN = 20
NAME_LENGTH = 40


@dataclass(frozen=True)
class Changed:
    """A picture of which only one of the two is right.

    Args:
        path: relative to the data's folder.
        truth: its class.
        first: what the first says.
        second: what the second says.
        probability: what the second gives to the class that it says, from 0 to 1.
    """

    path: str
    truth: str
    first: str
    second: str
    probability: float


@dataclass(frozen=True)
class ClassChange:
    """The recall of one class by both; None where it has no pictures."""

    name: str
    first: Estimate | None
    second: Estimate | None

    @property
    def change(self) -> float:
        """The second's minus the first's, from -1 to 1."""
        return 0.0 if self.first is None or self.second is None else self.second.value - self.first.value


@dataclass(frozen=True, eq=False)
class ModelComparison:
    """What came of comparing two models.

    Attributes:
        comparison: the numbers, and whether chance explains them.
        classes: each class's recall by both, those that lost most first.
        fixed: the pictures that only the second has right, its surest answers first.
        broken: those that only the first has right, the second's surest answers first.
        reports: that of the first, that of the second: of the same pictures, their classes in the same order.
        notes: what there is to know about the choice of the pictures, a sentence each.
    """

    comparison: Comparison
    classes: tuple[ClassChange, ...]
    fixed: tuple[Changed, ...]
    broken: tuple[Changed, ...]
    reports: tuple[Report, Report]
    notes: tuple[str, ...]

    def second_is_worse(self, margin: float = 0.0) -> bool:
        """Tell whether the second is worse by more than a margin and more than chance: `Comparison.second_is_worse`."""
        return self.comparison.second_is_worse(margin)

    def to_dict(self) -> dict[str, Any]:
        """Return all but the reports, fit for JSON; `change` is the second's accuracy minus the first's."""
        found = self.comparison
        return {
            **found.to_dict(),
            "change": {"value": -found.difference, "low": -found.high, "high": -found.low},
            "classes": [{**dataclasses.asdict(one), "change": one.change} for one in self.classes],
            "fixed": [dataclasses.asdict(one) for one in self.fixed],
            "broken": [dataclasses.asdict(one) for one in self.broken],
            "split": self.reports[0].split,
            "notes": list(self.notes),
        }

    def __str__(self) -> str:
        blocks = [[str(self.comparison)], _class_lines(self.classes)]
        blocks += [_changed_lines("broken: only the first is right", self.broken)]
        blocks += [_changed_lines("fixed: only the second is right", self.fixed)]
        return "\n\n".join("\n".join(block) for block in blocks if block)


def compare(
    first: str | Path | Classifier,
    second: str | Path | Classifier,
    data: str | Path | ImageDataset,
    *,
    split: str = AUTO,
    cache: Cache | None = None,
    progress: Progress | None = None,
) -> ModelComparison:
    """Compare two models on the same pictures: the second is the new one, the first what it is held against.

    Each model's run folder says which pictures of the data it has not learned from; those that both hold out are taken,
    without near-copies of pictures that one of them has learned from. Pictures are read once where the two take them
    alike, and a few at a time.

    Args:
        first: a model, or its folder.
        second: another, of the same classes in any order.
        data: labelled pictures: a data set, a folder, or a CSV.
        split: which part of the data, `"auto"` for what both hold out; see `choose_part`.
        cache: where decoded pictures may be found.
        progress: is called with the number of pictures done and the number of all.

    Raises:
        UsageError: there is no such model, data or part.
        DataError: the two have different classes, or no picture is left to compare them on.

    Example:
        >>> print(compare("runs/old", "runs/new", "photos"))  # doctest: +SKIP
    """
    classifiers = [one if isinstance(one, Classifier) else Classifier.open_own(one) for one in (first, second)]
    names = _names([one.folder for one in classifiers])
    _require_same_classes(classifiers, names)
    dataset = data if isinstance(data, ImageDataset) else ImageDataset.open(data)
    part = _shared_part(classifiers, names, dataset, split)
    reports = evaluate_each(classifiers, part.dataset, split=part.name, cache=cache, progress=progress)
    return compare_reports(reports[0], reports[1], names, notes=part.notes)


def compare_reports(
    first: Report, second: Report, names: Sequence[str] = ("first", "second"), *, notes: Sequence[str] = ()
) -> ModelComparison:
    """Compare two reports on the pictures that both have.

    Args:
        first: the one.
        second: the other, of the same classes in any order.
        names: what the two models are called.
        notes: what there is to know about the pictures.

    Raises:
        DataError: they have different classes, other labels of the same pictures, or no picture in common.
    """
    first, second = _aligned(first, second, names)
    comparison = compare_answers(first.labels, [first.probabilities, second.probabilities], names)
    classes = [
        ClassChange(a.name, a.recall, b.recall)
        for a, b in zip(first.metrics.per_class, second.metrics.per_class, strict=True)
    ]
    said = [report.probabilities.argmax(axis=1) for report in (first, second)]
    right = [answers == first.labels for answers in said]
    return ModelComparison(
        comparison,
        tuple(sorted(classes, key=lambda one: one.change)),
        _changed(first, second, ~right[0] & right[1]),
        _changed(first, second, right[0] & ~right[1]),
        (first, second),
        tuple(notes),
    )


def _changed(first: Report, second: Report, chosen: np.ndarray) -> tuple[Changed, ...]:
    confidence, names = second.probabilities.max(axis=1), first.class_names
    rows = np.flatnonzero(chosen)
    return tuple(
        Changed(
            first.paths[row],
            names[first.labels[row]],
            names[int(first.probabilities[row].argmax())],
            names[int(second.probabilities[row].argmax())],
            float(confidence[row]),
        )
        for row in rows[np.argsort(-confidence[rows], kind="stable")]
    )


def _aligned(first: Report, second: Report, names: Sequence[str]) -> tuple[Report, Report]:
    """Return both with the second's classes in the first's order, and with the pictures that both have."""
    _require_same_names([first.class_names, second.class_names], names)
    shared = set(first.paths) & set(second.paths)
    if not shared:
        raise DataError("Expected reports on the same pictures; these two have none in common.")
    order = [second.class_names.index(name) for name in first.class_names]
    if order != sorted(order):
        second = Report.from_predictions(
            np.argsort(order)[second.labels],
            second.probabilities[:, order],
            second.paths,
            first.class_names,
            split=second.split,
            skipped=second.skipped,
            root=second.root,
            temperature=second.calibration.temperature,
        )
    if first.paths != second.paths:
        # What one recipe can read, another cannot: a picture that is too large to be drawn smaller, say.
        first, second = without(first, set(first.paths) - shared), without(second, set(second.paths) - shared)
    if first.paths != second.paths or (first.labels != second.labels).any():
        raise DataError("Expected the same pictures in the same order, with the same labels; these two differ in them.")
    return first, second


def _names(folders: Sequence[Path]) -> tuple[str, str]:
    """Return what tells two model folders apart: the run folder's name, or all of its path if these are the same."""
    runs = [folder.resolve().parent if folder.name == "model" else folder.resolve() for folder in folders]
    first, second = (run.name for run in runs)
    if first != second:
        return first, second
    return (str(runs[0]), str(runs[1])) if runs[0] != runs[1] else (f"{first} (first)", f"{second} (second)")


def _require_same_classes(classifiers: Sequence[Classifier], names: Sequence[str]) -> None:
    _require_same_names([one.class_names for one in classifiers], names)


def _require_same_names(class_names: Sequence[Sequence[str]], names: Sequence[str]) -> None:
    first, second = (set(one) for one in class_names)
    if first == second:
        return
    only = [
        f"only {name!r} knows {', '.join(repr(one) for one in sorted(surplus)[:8])}{', …' if len(surplus) > 8 else ''}"
        for name, surplus in zip(names, (first - second, second - first), strict=True)
        if surplus
    ]
    raise DataError(
        f"Expected two models of the same classes; {' and '.join(only)}. Models of different classes answer different "
        "questions: evaluate each on its own."
    )


def _shared_part(classifiers: Sequence[Classifier], names: Sequence[str], data: ImageDataset, wanted: str) -> Part:
    """Return the pictures that neither has learned from, as far as that can be told."""
    parts = [choose_part(one, data, wanted) for one in classifiers]
    notes = [
        f"{name}: {warning}"
        for name, part in zip(names, parts, strict=True)
        for warning in dict.fromkeys(part.warnings)
    ]
    shared = np.intersect1d(*(part.dataset.rows for part in parts))
    dataset = ImageDataset(data.listing, shared)
    kinds = {part.name for part in parts}
    sizes = [len(part.dataset) for part in parts]
    if not len(shared):
        raise DataError(
            f"Expected pictures that neither model has learned from; {names[0]} holds out {sizes[0]:,} of "
            f"{len(data):,}, {names[1]} holds out {sizes[1]:,}, and none is among both. Give pictures that are new to "
            "both, or train both with the same split."
        )
    if len(shared) < max(sizes):
        notes.append(
            f"Comparing on the {len(shared):,} of {count(len(data), 'picture')} that both models hold out: {names[0]} "
            f"{sizes[0]:,} ({parts[0].name}), {names[1]} {sizes[1]:,} ({parts[1].name})."
        )
    elif len(shared) < len(data):
        notes.append(
            f"Comparing on {len(shared):,} of {count(len(data), 'picture')}: the {parts[0].name} part of both."
        )
    if wanted == AUTO:
        dataset, left_out = _without_leaked(classifiers, data, dataset)
        notes += [left_out] if left_out else []
    return Part(dataset, kinds.pop() if len(kinds) == 1 else _held_out(kinds), tuple(notes))


def _held_out(kinds: set[str]) -> str:
    return next(iter(kinds - {ALL}))


def _without_leaked(
    classifiers: Sequence[Classifier], data: ImageDataset, dataset: ImageDataset
) -> tuple[ImageDataset, str]:
    leaked = np.any([find_leaked(one, data, dataset) for one in classifiers], axis=0)
    if not leaked.any():
        return dataset, ""
    many = count(int(leaked.sum()), "picture")
    why = "the same, or nearly the same, as pictures that one of the two has learned from"
    if leaked.all():
        return dataset, f"Warning: all of these are {why}: the figures are too good."
    return dataset.subset(~leaked), f"{many} of these left out: {why}."


def _class_lines(classes: Sequence[ClassChange]) -> list[str]:
    shown = [one for one in classes if one.change]
    if not shown:
        return []
    lines = [
        f"  {shortened(one.name, NAME_LENGTH)}: {percent(one.first.value)} to {percent(one.second.value)} "
        f"({100 * one.change:+.1f} points, {count(one.first.n, 'picture')})"
        for one in shown[:CLASSES_SHOWN]
    ]
    more = [f"  … and {len(shown) - len(lines):,} more"] if len(shown) > len(lines) else []
    return ["recall that changed, the greatest loss first", *lines, *more]


def _changed_lines(title: str, changed: Sequence[Changed]) -> list[str]:
    if not changed:
        return []
    lines = [
        f"  {readable(one.path)}: {shortened(one.truth, NAME_LENGTH)}; first {shortened(one.first, NAME_LENGTH)}, "
        f"second {shortened(one.second, NAME_LENGTH)}"
        for one in changed[:SHOWN]
    ]
    more = [f"  … and {len(changed) - len(lines):,} more (--json has all)"] if len(changed) > len(lines) else []
    return [f"{title} ({len(changed):,})", *lines, *more]
