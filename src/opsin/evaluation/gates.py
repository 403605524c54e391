"""Gates: what a report must show for a model to pass, `accuracy=0.9` say, and whether it does."""

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from opsin.errors import UsageError
from opsin.evaluation.intervals import Estimate
from opsin.evaluation.report import Report
from opsin.evaluation.wording import readable, score

MIN, MAX = "min", "max"

RANGES = {
    **dict.fromkeys(("accuracy", "balanced_accuracy", "top_k.3", "top_k.5", "roc_auc", "average_precision"), (0, 1)),
    **{f"{average}.{name}": (0, 1) for average in ("macro", "weighted") for name in ("precision", "recall", "f1")},
    "kappa": (-1, 1),
    "matthews": (-1, 1),
    "log_loss": (0, float("inf")),
    "ece": (0, 1),
    "brier": (0, 2),
}
"""What a gate can be on, and the least and the greatest value that it can have."""

OF_A_CLASS = ("precision", "recall", "f1", "roc_auc", "average_precision")
"""What a gate can be on of one class: `recall.phishing`."""

LESS_IS_BETTER = ("log_loss", "ece", "brier")

_SHOWN = 8


@dataclass(frozen=True)
class Gate:
    """One condition.

    Args:
        name: a key of `RANGES`, or one of `OF_A_CLASS`, a dot and a class name.
        bound: `"min"` if the number may not be less than is wanted, `"max"` if it may not be more.
        wanted: the number.
    """

    name: str
    bound: str
    wanted: float


@dataclass(frozen=True)
class Passage:
    """What became of a gate.

    The number that was measured is what decides, as everyone expects of `accuracy=0.9`; its interval says how sure that
    is.

    Args:
        gate: the condition.
        measured: the number; None if there was nothing to measure: no picture of the class, say.
        low: lower end of its 95 % interval; None where there is none for such a number.
        high: its upper end.
    """

    gate: Gate
    measured: float | None
    low: float | None = None
    high: float | None = None

    @property
    def held(self) -> bool:
        """Whether the condition holds; of what could not be measured, it does not."""
        if self.measured is None:
            return False
        return self.measured >= self.gate.wanted if self.gate.bound == MIN else self.measured <= self.gate.wanted

    @property
    def is_sure(self) -> bool:
        """Whether the interval does not reach across what is wanted: other pictures would hardly say otherwise."""
        if self.low is None or self.high is None:
            return False
        return not self.low < self.gate.wanted < self.high

    def to_dict(self) -> dict[str, Any]:
        """Return all of it, fit for JSON."""
        return {**asdict(self.gate), "measured": self.measured, "low": self.low, "high": self.high, "held": self.held}

    def __str__(self) -> str:
        sign = "at least" if self.gate.bound == MIN else "at most"
        wanted = (
            f"{'held  ' if self.held else 'FAILED'}  {readable(self.gate.name)}: wanted {sign} {self.gate.wanted:g}"
        )
        if self.measured is None:
            return f"{wanted}, and there is nothing to measure it on: no picture of the class, or of no other."
        found = f"{wanted}, measured {score(self.measured)}"
        if self.low is None or self.high is None:
            return found
        # Rounded to three digits, an end can look like what is wanted and lie on its other side.
        unsure = "" if self.is_sure else "; the interval reaches across what is wanted: more pictures would tell"
        return f"{found} (95 % interval {score(self.low)} to {score(self.high)}{unsure})"


def read_gates(least: Iterable[str], most: Iterable[str], class_names: Sequence[str]) -> tuple[Gate, ...]:
    """Read gates as a command line has them, before anything is measured.

    Args:
        least: what must be reached: `"accuracy=0.9"`, `"recall.phishing=0.95"`.
        most: what must not be passed: `"log_loss=0.5"`.
        class_names: the model's.

    Raises:
        UsageError: there is nothing of that name, no number, or one that is out of range.

    >>> read_gates(["recall.a=b=0.9"], [], ["a=b", "c"])
    (Gate(name='recall.a=b', bound='min', wanted=0.9),)
    """
    return tuple(_read(text, bound, class_names) for texts, bound in ((least, MIN), (most, MAX)) for text in texts)


def check_gates(gates: Iterable[Gate], report: Report) -> tuple[Passage, ...]:
    """Return what became of each gate."""
    return tuple(_check(gate, report) for gate in gates)


def _read(text: str, bound: str, class_names: Sequence[str]) -> Gate:
    # A class's name may hold `=`; a number does not.
    name, equals, number = text.rpartition("=")
    try:
        wanted = float(number)
    except ValueError:
        equals = ""
    if not equals:
        raise UsageError(f"Expected --{bound} NAME=NUMBER, accuracy=0.9 say; received {text!r}.")
    measure = _measure_of(name, class_names)
    right = MAX if measure in LESS_IS_BETTER else MIN
    if bound != right:
        what = "less" if right == MAX else "more"
        raise UsageError(f"Expected --{right} for {measure}, of which {what} is better; received --{bound} {text}.")
    low, high = RANGES.get(measure, (0, 1))
    # Written so that NaN is refused too.
    if not low <= wanted <= high:
        raise UsageError(f"Expected a number from {low} to {high:g} for {name}; received {number}. 90 % is 0.9.")
    return Gate(name, bound, wanted)


def _measure_of(name: str, class_names: Sequence[str]) -> str:
    """Return what of a report, or of a class, a gate is on."""
    measure, dot, class_name = name.partition(".")
    if name in RANGES:
        # More of the most probable classes than there are: always right, so nothing is measured.
        if measure == "top_k" and int(class_name) >= len(class_names):
            raise UsageError(f"Expected more than {class_name} classes for {name}; the model has {len(class_names)}.")
        return name
    if dot and measure in OF_A_CLASS and class_name in class_names:
        return measure
    choices = [*RANGES, *(f"{one}.{of}" for one in OF_A_CLASS for of in class_names)]
    close = difflib.get_close_matches(name, choices, n=1, cutoff=0.5)
    named = ", ".join(map(readable, class_names[:_SHOWN])) + (", …" if len(class_names) > _SHOWN else "")
    raise UsageError(
        f"Expected one of these: {', '.join(RANGES)}; or, of a class of the model ({named}), one of "
        f"{', '.join(f'{one}.CLASS' for one in OF_A_CLASS)}. Received {name!r}."
        + (f" Did you mean {close[0]!r}?" if close else "")
    )


def _check(gate: Gate, report: Report) -> Passage:
    found = _measured(gate.name, report)
    if isinstance(found, Estimate):
        return Passage(gate, found.value, found.low, found.high)
    return Passage(gate, found)


def _measured(name: str, report: Report) -> Estimate | float | None:
    metrics, calibration = report.metrics, report.calibration.after
    if name == "ece":
        return calibration.ece
    if name == "brier":
        return calibration.brier
    measure, dot, rest = name.partition(".")
    if measure == "top_k":
        return metrics.top_k[rest]
    if measure in ("macro", "weighted"):
        return getattr(getattr(metrics, measure), rest)
    if not dot:
        return getattr(metrics, name)
    return getattr(metrics.per_class[metrics.class_names.index(rest)], measure)
