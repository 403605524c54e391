"""Slices: how a classifier did on pictures that have something in common, beside all others.

Many slices are looked at, so one of them will do badly by chance alone: p-values are corrected for their number. And
a slice that merely holds more of a hard class tells nothing that the class does not: right answers are compared within
each class.
"""

import itertools
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from opsin.catalog import require
from opsin.checks.facts import Facts
from opsin.checks.survey import Survey
from opsin.data.dataset import ImageDataset
from opsin.evaluation.evidence import Slice
from opsin.evaluation.intervals import Estimate, estimate
from opsin.evaluation.report import Report
from opsin.images.preprocess import Preprocess

LEAST = 10
"""Pictures a slice must have, and leave to the others; smaller ones are left out."""

PER_PART = 25
"""Pictures for each of the parts that numbers are cut into, of which there are two to four."""

MOST_PATHS = 20

MOST_VALUES = 20
"""Slices of one kind; of more values, those with the most pictures are taken."""

CUT_OFF = "cut off"
"""The kind of slices by how much of a picture the model's recipe cuts off."""

SURE = 0.05
"""A corrected p-value below this is called more than chance."""


class Members(NamedTuple):
    """A slice before it is judged: bool (N,), which pictures of a report belong to it."""

    kind: str
    name: str
    inside: np.ndarray


def find_slices(report: Report, dataset: ImageDataset, survey: Survey | None = None) -> tuple[Slice, ...]:
    """Return how each slice did: those that are surely worse than other pictures first, then by accuracy.

    Args:
        report: what the classifier says.
        dataset: pictures with groups and other columns of their CSV, those of the report among them.
        survey: of that data set, for slices by size, brightness and format, and by what is cut off where it has the
            model's recipe; None for none of these.
    """
    rows = rows_of(report, dataset)
    values: dict[str, Sequence[str]] = {"group": dataset.groups, **dataset.columns}
    members = [one for kind, said in values.items() for one in by_value(kind, [said[row] for row in rows])]
    if survey is not None:
        members = [*_by_facts([survey.facts[row] for row in rows], survey.preprocess), *members]
    return judge(report, members)


def judge(report: Report, members: Sequence[Members]) -> tuple[Slice, ...]:
    """Return the slices that are large enough, judged and sorted as `find_slices` has them."""
    right = report.probabilities.argmax(axis=1) == report.labels
    enough = [one for one in members if min(one.inside.sum(), (~one.inside).sum()) >= LEAST]
    # A slice and the rest of the pictures are one question, asked once.
    questions = {_question(one.inside): one.inside for one in enough}
    corrected = holm([p_value(right, inside, report.labels) for inside in questions.values()])
    p_of = dict(zip(questions, corrected, strict=True))
    slices = [
        Slice(one.kind, one.name, _share(right[one.inside]), _share(right[~one.inside]), p_of[_question(one.inside)])
        for one in enough
    ]
    named = [
        replace(found, paths=_mistakes(report, one.inside & ~right)) if is_worse(found) else found
        for found, one in zip(slices, enough, strict=True)
    ]
    return tuple(sorted(named, key=lambda one: (not is_worse(one), one.accuracy.value)))


def is_worse(one: Slice) -> bool:
    """Tell whether a slice did worse than other pictures, more than chance makes it."""
    return one.accuracy.value < one.others.value and one.p_value < SURE


def rows_of(report: Report, dataset: ImageDataset) -> list[int]:
    """Return which picture of a data set each of a report's is."""
    row_of = {name: row for row, name in enumerate(dataset.names)}
    return [row_of[path] for path in report.paths]


def by_number(kind: str, values: np.ndarray, unit: str) -> list[Members]:
    """Cut pictures into two to four parts of nearly equal size by a number.

    Args:
        kind: what the number is.
        values: float (N,).
        unit: what is said behind it.
    """
    parts = int(np.clip(len(values) // PER_PART, 2, 4))
    below = values[values < values.max()]
    if not len(below):
        return []
    # A value that many pictures share is on one side of an edge, the greatest one too.
    edges = np.unique(np.minimum(np.quantile(values, np.arange(1, parts) / parts, method="lower"), below.max()))
    which = np.searchsorted(edges, values, side="left")
    shown = [f"{edge:,.4g}" if edge < 1000 else f"{edge:,.0f}" for edge in edges]
    between = [f"over {low} up to {high} {unit}" for low, high in itertools.pairwise(shown)]
    names = [f"up to {shown[0]} {unit}", *between, f"over {shown[-1]} {unit}"]
    return [Members(kind, name.strip(), which == part) for part, name in enumerate(names)]


def by_value(kind: str, values: Sequence[str]) -> list[Members]:
    """Put pictures of the same value together; many different numbers are cut into parts instead.

    Args:
        kind: what the value is.
        values: N; a picture without one is in no slice.
    """
    present = np.array([bool(value) for value in values], dtype=bool)
    numbers = _numbers([value for value in values if value])
    if numbers is not None and len(np.unique(numbers)) > MOST_VALUES:
        return [Members(kind, one.name, _among(present, one.inside)) for one in by_number(kind, numbers, "")]
    array = np.array(values, dtype=object)
    found, counts = np.unique([value for value in values if value], return_counts=True)
    order = np.argsort(-counts, kind="stable")[:MOST_VALUES]
    return [Members(kind, str(found[i]), array == found[i]) for i in order if counts[i] >= LEAST]


def p_value(right: np.ndarray, inside: np.ndarray, labels: np.ndarray) -> float:
    """Return how often chance would part a slice from others so far or farther, given each class's right answers.

    Within a class, the right answers that fall into the slice by chance are hypergeometric; their sum over the classes
    is what Mantel and Haenszel (1959) compare with what was seen. Here its distribution is computed in full, and with a
    single class this is Fisher's exact test. Outcomes no likelier than the one that was seen count.

    Args:
        right: bool (N,), which answers are right.
        inside: bool (N,), which pictures are in the slice.
        labels: int (N,).

    >>> right, inside = np.array([1, 1, 1, 0, 0, 0], bool), np.array([1, 1, 1, 0, 0, 0], bool)
    >>> round(p_value(right, inside, np.zeros(6, int)), 6)  # 2 of the 20 ways to draw three are so uneven
    0.1
    """
    hypergeometric = require("scipy.stats", "judging slices").hypergeom
    chances, least = np.ones(1), 0
    for label in np.unique(labels):
        of_class = labels == label
        n, hits, drawn = int(of_class.sum()), int(right[of_class].sum()), int(inside[of_class].sum())
        low, high = max(0, drawn - (n - hits)), min(drawn, hits)
        # Where a class leaves chance nothing to decide, there is nothing to fold in.
        if low < high:
            chances = np.convolve(chances, hypergeometric.pmf(np.arange(low, high + 1), n, hits, drawn))
        least += low
    seen = chances[int(right[inside].sum()) - least]
    # Equal outcomes differ by rounding.
    return float(min(1.0, chances[chances <= seen * (1 + 1e-7)].sum()))


def holm(p_values: Sequence[float]) -> list[float]:
    """Correct p-values for their number, so that one of many is below 0.05 by chance in 5 % of cases at most.

    Holm 1979, "A simple sequentially rejective multiple test procedure".

    >>> [round(p, 3) for p in holm([0.01, 0.04, 0.03])]
    [0.03, 0.06, 0.06]
    """
    order = np.argsort(p_values, kind="stable")
    factors = len(p_values) - np.arange(len(p_values))
    steps = np.minimum(1.0, np.maximum.accumulate(np.asarray(p_values, dtype=float)[order] * factors))
    corrected = np.empty(len(p_values))
    corrected[order] = steps
    return corrected.tolist()


def _mistakes(report: Report, rows: np.ndarray) -> tuple[str, ...]:
    found = np.flatnonzero(rows)
    order = np.argsort(-report.probabilities.max(axis=1)[found], kind="stable")
    return tuple(report.paths[row] for row in found[order[:MOST_PATHS]])


def _question(inside: np.ndarray) -> bytes:
    """Return what is the same for a slice and for the rest of the pictures."""
    return (inside ^ inside[0]).tobytes()


def _by_facts(facts: Sequence[Facts], preprocess: Preprocess | None) -> list[Members]:
    cut_off = [] if preprocess is None else [100 * preprocess.cut_off(one.height, one.width) for one in facts]
    return [
        *(by_number(CUT_OFF, np.array(cut_off), "% of the area") if cut_off else []),
        *by_number("size", np.array([max(one.width, one.height) for one in facts], dtype=float), "pixels"),
        *by_number("brightness", np.array([one.mean for one in facts]), "of 255"),
        *by_value("format", [one.format for one in facts]),
    ]


def _among(present: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """Return bool (N,) for all pictures from a bool for each of those that are present."""
    all_of_them = np.zeros(len(present), dtype=bool)
    all_of_them[present] = inside
    return all_of_them


def _numbers(values: Sequence[str]) -> np.ndarray | None:
    try:
        numbers = np.array(values, dtype=np.float64)
    except ValueError:
        return None
    return numbers if np.isfinite(numbers).all() else None


def _share(right: np.ndarray) -> Estimate:
    return estimate(int(right.sum()), len(right))
