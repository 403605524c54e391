"""Advice that comes of the mistakes: their labels, classes, slices, and what the model looks at."""

import numpy as np

from opsin.catalog import require
from opsin.counting import count
from opsin.evaluation.advice import Basis
from opsin.evaluation.evidence import Advice, Slice
from opsin.evaluation.report import Report
from opsin.evaluation.slices import CUT_OFF, SURE, holm, is_worse, p_value
from opsin.evaluation.wording import percent, shortened

CONFIDENT = 0.95
"""The probability from which a mistake makes one doubt its label."""

VERY_SURE = 0.01
"""The p-value below which labels are doubted: to send people through right labels costs them most."""

FEWEST = 3
"""Pictures that a case is made of at least."""

SCARCE = 0.5
"""Training pictures, of the median over the classes, below which a class is called scarce."""

BORDER = 0.1
"""The outer part of a heat map, as a fraction of its sides: 36 % of its area."""

AT_THE_BORDER = 0.6
"""The share of the heat there that is called looking at the border."""

OFTEN = 0.25
"""The share of the heat maps that makes it worth a sentence."""

NAME_LENGTH = 40

SLICE_ACTIONS = {
    "size": "Look at what goes wrong with pictures of this size, and train on more like them",
    "brightness": "Look at what goes wrong in this light, and train on more pictures like these",
    "format": "Find out what else sets these files apart, and train on more of them",
    CUT_OFF: "Train with --fit pad or --fit stretch, for the crop cuts off what matters",
    "group": "Find out what is special about this group, and train on more such pictures",
}


def doubtful_labels(basis: Basis) -> list[Advice]:
    """Point at labels where the model is sure of another class more often than its probabilities allow for.

    To be wrong with 97 % happens to a good model in 3 of 100 such answers, and proves nothing about a label: all five
    such pictures of a flower classifier were labelled rightly. So it takes more such mistakes than the probabilities
    add up to, while the unsure answers are right as often as they say: else the model is just too sure of itself.
    Where similar training pictures are known, they must agree with the answer.
    """
    labels, probabilities, paths = _held_out(basis)
    confidence, wrong = probabilities.max(axis=1), probabilities.argmax(axis=1) != labels
    sure = confidence >= CONFIDENT
    if not _more_than(wrong[sure], 1 - confidence[sure], VERY_SURE) or _more_than(wrong[~sure], 1 - confidence[~sure]):
        return []
    rows = [row for row in np.flatnonzero(wrong & sure) if _agree(basis.report, paths[row], probabilities[row])]
    if len(rows) < FEWEST:
        return []
    rows = sorted(rows, key=lambda row: -confidence[row])
    expected = float((1 - confidence[sure]).sum())
    here = count(len(labels), "picture")
    return [
        Advice(
            f"Look at the labels of these {count(len(rows), 'picture')}, and correct those that are wrong.",
            f"Of {here} that the model had not seen, it is at least {100 * CONFIDENT:.0f} % sure of another "
            f"class in {int((wrong & sure).sum())}; its probabilities would explain {expected:.1f}.",
            len(rows) / len(labels),
            tuple(paths[row] for row in rows),
        )
    ]


def conflicting_labels(basis: Basis) -> list[Advice]:
    """Point at pictures that are there several times, pixel for pixel, under different labels."""
    report, cases = basis.report, basis.background.conflicting
    if not cases:
        return []
    paths = tuple(path for case in cases for path in case)
    wrong = report.probabilities.argmax(axis=1) != report.labels
    concerned = set(paths) & {report.paths[row] for row in np.flatnonzero(wrong)}
    return [
        Advice(
            f"Decide on one label for {count(len(cases), 'picture')} that the data has under several.",
            f"{count(len(paths), 'file')} hold the same pixels as one of another class; {len(concerned):,} of them are "
            "among the mistakes.",
            len(concerned) / report.metrics.n,
            paths,
        )
    ]


def weak_classes(basis: Basis) -> list[Advice]:
    """Name the class that is found less often than the others; say so if there is little to learn it from."""
    report, counts = basis.report, basis.background.train_counts
    right = report.probabilities.argmax(axis=1) == report.labels
    present = [index for index in range(len(report.class_names)) if (report.labels == index).any()]
    if len(present) < 2:
        return []
    everyone = np.zeros(len(right), dtype=int)
    chances = holm([p_value(right, report.labels == index, everyone) for index in present])
    found = []
    for index, chance in zip(present, chances, strict=True):
        inside = report.labels == index
        recall, others = right[inside].mean(), right[~inside].mean()
        if recall >= others or chance >= SURE:
            continue
        name, errors = _name(report, index), int((~right & inside).sum())
        seen = counts.get(report.class_names[index])
        is_scarce = seen is not None and seen <= SCARCE * np.median(list(counts.values()))
        learned = "" if seen is None else f" The model learned from {count(seen, 'picture')} of it."
        found.append(
            Advice(
                f"Collect more pictures of {name}: there are few to learn from."
                if is_scarce
                else f"Look at the pictures of {name} that are taken for something else, and collect more like these.",
                f"It makes {errors:,} of {count(int((~right).sum()), 'mistake')} ({percent(errors / (~right).sum())}) "
                f"with {percent(inside.mean())} of the pictures; {percent(recall)} of it is found, of the others "
                f"{percent(others)}.{learned}",
                float((others - recall) * inside.mean()),
                _paths(report, ~right & inside),
            )
        )
    return sorted(found, key=lambda one: -one.gain)[:1]


def confused_classes(basis: Basis) -> list[Advice]:
    """Name two classes that are taken for each other more than chance and more than twice as often as any two."""
    report = basis.report
    errors = report.metrics.confusion_matrix.copy()
    np.fill_diagonal(errors, 0)
    present = int((report.metrics.confusion_matrix.sum(axis=1) > 0).sum())
    both, total = np.triu(errors + errors.T), int(errors.sum())
    pairs = present * (present - 1) // 2
    # With two classes, every mistake is between the two.
    if present < 3 or not total:
        return []
    first, second = np.unravel_index(int(both.argmax()), both.shape)
    number = int(both[first, second])
    chance = require("scipy.stats", "advice").binom.sf(number - 1, total, 1 / pairs) * pairs
    if number < FEWEST or number / total < max(2 / pairs, 0.2) or chance >= SURE:
        return []
    one, other = _name(report, first), _name(report, second)
    said = report.probabilities.argmax(axis=1)
    rows = ((report.labels == first) & (said == second)) | ((report.labels == second) & (said == first))
    return [
        Advice(
            f"Look at {one} and {other} side by side: merge them if their difference does not matter to you, else "
            "collect pictures that show it.",
            f"They are taken for each other in {number:,} of {count(total, 'mistake')} ({percent(number / total)}): "
            f"{int(errors[first, second]):,} of {one} for {other}, {int(errors[second, first]):,} the other way.",
            number / report.metrics.n,
            _paths(report, rows),
        )
    ]


def weak_slices(basis: Basis) -> list[Advice]:
    """Name the slice of each kind that did worse than other pictures, more than chance makes it."""
    found = []
    kinds = set()
    for one in basis.report.evidence.slices:
        if is_worse(one) and one.kind not in kinds:
            kinds.add(one.kind)
            found.append(_on_slice(one, basis.report.metrics.n))
    return found


def looking_at_the_border(basis: Basis) -> list[Advice]:
    """Say so where heat maps of mistakes have most of their heat at the border."""
    report = basis.report
    wrong = set(_paths(report, report.probabilities.argmax(axis=1) != report.labels))
    maps = {
        path: one.heat
        for path, one in report.evidence.explained.items()
        if path in wrong and one.heat is not None and one.peak > 0
    }
    paths = tuple(path for path, heat in maps.items() if border_share(heat) >= AT_THE_BORDER)
    if len(paths) < FEWEST or len(paths) < OFTEN * len(maps):
        return []
    return [
        Advice(
            "Crop the pictures to what matters, or show it on other backgrounds in training: the model looks at the "
            "border.",
            f"In {len(paths)} of {count(len(maps), 'mistake')} with a heat map, at least {100 * AT_THE_BORDER:.0f} % "
            f"of the heat is in the outer {100 * BORDER:.0f} % of the picture on each side, 36 % of its area.",
            len(paths) / report.metrics.n,
            paths,
        )
    ]


def border_share(heat: np.ndarray) -> float:
    """Return the share of a heat map, float (h, w), that lies in the outer tenth on each side.

    >>> round(border_share(np.ones((10, 10))), 2)
    0.36
    """
    height, width = heat.shape
    rows, columns = max(1, round(height * BORDER)), max(1, round(width * BORDER))
    total = float(heat.sum(dtype=np.float64))
    return 1 - float(heat[rows:-rows, columns:-columns].sum(dtype=np.float64)) / total if total > 0 else 0.0


def _held_out(basis: Basis) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Return labels, probabilities and paths of all pictures that were judged by what had not seen them."""
    report, more = basis.report, basis.background.held_out
    if more is None:
        return report.labels, report.probabilities, report.paths
    return (
        np.concatenate([report.labels, more.labels]),
        np.concatenate([report.probabilities, more.probabilities]),
        [*report.paths, *more.paths],
    )


def _more_than(wrong: np.ndarray, chances: np.ndarray, at: float = SURE) -> bool:
    """Tell whether there are more mistakes than the probabilities of mistakes allow for: Poisson, p below `at`."""
    poisson = require("scipy.stats", "advice").poisson
    return bool(wrong.any() and poisson.sf(int(wrong.sum()) - 1, float(chances.sum())) < at)


def _agree(report: Report, path: str, probabilities: np.ndarray) -> bool:
    """Tell whether most of the similar training pictures are of the class that is said; True if none are known."""
    explained = report.evidence.explained.get(path)
    if explained is None or not explained.neighbours:
        return True
    said = report.class_names[int(probabilities.argmax())]
    return 2 * sum(one.label == said for one in explained.neighbours) > len(explained.neighbours)


def _on_slice(one: Slice, n: int) -> Advice:
    action = SLICE_ACTIONS.get(one.kind, "Look at what goes wrong with these pictures, and train on more like them")
    what = f"{shortened(one.kind, NAME_LENGTH)} {shortened(one.name, NAME_LENGTH)}"
    return Advice(
        f"{action}: {what}.",
        f"Of {count(one.accuracy.n, 'such picture')} {percent(one.accuracy.value)} are judged rightly, of the others "
        f"{percent(one.others.value)} (p = {one.p_value:.2g}, corrected for the number of slices).",
        (one.others.value - one.accuracy.value) * one.accuracy.n / n,
        one.paths,
    )


def _name(report: Report, index: int) -> str:
    return repr(shortened(report.class_names[index], NAME_LENGTH))


def _paths(report: Report, rows: np.ndarray) -> tuple[str, ...]:
    """Return the paths at rows, bool (N,), the most confident answers first."""
    confidence = report.probabilities.max(axis=1)
    found = np.flatnonzero(rows)
    return tuple(report.paths[row] for row in found[np.argsort(-confidence[found], kind="stable")])
