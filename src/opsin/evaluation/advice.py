"""What to do next: at most five sentences, the most promising first, each with the numbers and pictures that say so.

A rule speaks only where what it says is so, beyond chance. Its gain is the accuracy that would be won if all that it is
about came right: counted from the mistakes concerned, an upper bound and no promise. Where nothing stands out, there is
no advice.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from opsin.catalog import resolve
from opsin.evaluation.background import Background
from opsin.evaluation.evidence import Advice
from opsin.evaluation.report import Report

MOST = 5

RULES = {
    "majority": "opsin.evaluation.advice_on_trust:no_better_than_one_answer",
    "labels": "opsin.evaluation.advice_on_mistakes:doubtful_labels",
    "conflicts": "opsin.evaluation.advice_on_mistakes:conflicting_labels",
    "classes": "opsin.evaluation.advice_on_mistakes:weak_classes",
    "pairs": "opsin.evaluation.advice_on_mistakes:confused_classes",
    "slices": "opsin.evaluation.advice_on_mistakes:weak_slices",
    "border": "opsin.evaluation.advice_on_mistakes:looking_at_the_border",
    "learned by heart": "opsin.evaluation.advice_on_trust:learned_by_heart",
    "learned too little": "opsin.evaluation.advice_on_trust:learned_too_little",
    "leaks": "opsin.evaluation.advice_on_trust:leaked_pictures",
    "robustness": "opsin.evaluation.advice_on_trust:fragile",
    "calibration": "opsin.evaluation.advice_on_trust:misleading_probabilities",
    "few pictures": "opsin.evaluation.advice_on_trust:too_few_pictures",
}
"""What is looked for. Of advice that promises no accuracy, what stands here first comes first."""


@dataclass(frozen=True, eq=False)
class Basis:
    """What advice is based on: a report with its evidence, and what is known beside it."""

    report: Report
    background: Background = field(default_factory=Background)


def advise(report: Report, background: Background | None = None, *, most: int = MOST) -> tuple[Advice, ...]:
    """Return what to do next, the most promising first; nothing where nothing stands out.

    Args:
        report: what a classifier is worth, with the evidence that there is: slices, robustness, explanations.
        background: what is known of its training.
        most: how many sentences at most.
    """
    basis = Basis(report, background or Background())
    found: Sequence[Advice] = [one for rule in RULES.values() for one in resolve(rule)(basis)]
    return tuple(sorted(found, key=lambda one: -one.gain)[:most])
