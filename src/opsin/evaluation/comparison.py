"""Two classifiers on the same pictures: which is better, and whether the difference is more than chance."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from opsin.catalog import require
from opsin.counting import count
from opsin.errors import DataError
from opsin.evaluation.calibration import expected_error
from opsin.evaluation.intervals import Estimate, estimate, paired_interval
from opsin.evaluation.wording import interval, percent, score

SURE = 0.05
"""Less than this is called more than chance."""


@dataclass(frozen=True)
class Contender:
    """One of the two.

    Args:
        name: what it is called.
        accuracy: with its interval.
        log_loss: in nats.
        ece: expected calibration error, from 0 to 1.
        seconds: what it took to train; None if that is not known.
    """

    name: str
    accuracy: Estimate
    log_loss: float
    ece: float
    seconds: float | None = None


@dataclass(frozen=True)
class Comparison:
    """What came of comparing two classifiers on the same pictures.

    Args:
        first: the one.
        second: the other.
        difference: accuracy of the first minus that of the second, from -1 to 1.
        low: lower end of its 95 % interval, of paired shares.
        high: upper end.
        only_first: how many pictures only the first has right.
        only_second: how many only the second has right.
        p_value: how often chance alone would part them so far or farther (McNemar's exact test).
    """

    first: Contender
    second: Contender
    difference: float
    low: float
    high: float
    only_first: int
    only_second: int
    p_value: float

    def to_dict(self) -> dict[str, Any]:
        """Return all of it, fit for JSON."""
        return asdict(self)

    def __str__(self) -> str:
        rows = [
            f"  {one.name:<24} {percent(one.accuracy.value):>8} ({interval(one.accuracy)})  log-loss "
            f"{score(one.log_loss)}  calibration error {percent(one.ece)}"
            f"{'' if one.seconds is None else f'  {one.seconds:.0f} s'}"
            for one in (self.first, self.second)
        ]
        title = f"The same {count(self.first.accuracy.n, 'picture')}, side by side"
        return "\n".join([title, *rows, f"  {self.verdict}"])

    def second_is_worse(self, margin: float = 0.0) -> bool:
        """Tell whether the second is worse than the first by more than a margin, and more than chance makes it.

        That is so where the 95 % interval of the second's accuracy minus the first's lies below −margin as a whole, and
        McNemar's exact test gives p < 0.05 (with few pictures the interval alone would cry out too soon).

        Args:
            margin: a fraction from 0 to 1.
        """
        return -self.low < -margin and self.p_value < SURE

    @property
    def verdict(self) -> str:
        """One sentence on the difference."""
        counts = f"{self.only_first} only {self.first.name} has right, {self.only_second} only {self.second.name}."
        if not self.difference:
            return f"The two are right equally often, which may be chance: {counts}"
        better, worse = (self.first, self.second) if self.difference >= 0 else (self.second, self.first)
        sure = "more than chance" if self.p_value < SURE else "which may be chance"
        return (
            f"{better.name} is {100 * abs(self.difference):.1f} points better than {worse.name} (95 % interval "
            f"{100 * self.low:+.1f} to {100 * self.high:+.1f} for {self.first.name}), {sure} (McNemar p = "
            f"{self.p_value:.2g}): {counts}"
        )


def compare_answers(
    labels: np.ndarray,
    probabilities: Sequence[np.ndarray],
    names: Sequence[str],
    *,
    seconds: Sequence[float | None] = (None, None),
) -> Comparison:
    """Compare two classifiers.

    Args:
        labels: int (n,), the true classes.
        probabilities: two of float (n, k), of the same pictures in the same order.
        names: what the two are called.
        seconds: what it took to train them.

    Raises:
        DataError: there are no pictures, or the two do not answer to as many.

    >>> truth = np.array([0, 1, 1, 0])
    >>> sure = np.eye(2)[truth]
    >>> compare_answers(truth, [sure, 1 - sure], ["right", "wrong"]).difference
    1.0
    """
    if not len(labels) or any(len(one) != len(labels) for one in probabilities):
        sizes = ", ".join(str(len(one)) for one in (labels, *probabilities))
        raise DataError(f"Expected answers of both to the same pictures, one or more; received {sizes}.")
    right = [one.argmax(axis=1) == labels for one in probabilities]
    contenders = [
        Contender(
            name,
            estimate(int(hits.sum()), len(labels)),
            _log_loss(one, labels),
            float(expected_error(one.max(axis=1), hits)),
            taken,
        )
        for name, hits, one, taken in zip(names, right, probabilities, seconds, strict=True)
    ]
    differences = right[0].astype(float) - right[1]
    only_first, only_second = int((differences > 0).sum()), int((differences < 0).sum())
    low, high = paired_interval(only_first, only_second, len(labels))
    return Comparison(
        *contenders,
        difference=float(differences.mean()),
        low=low,
        high=high,
        only_first=only_first,
        only_second=only_second,
        p_value=_mcnemar(only_first, only_second),
    )


def _mcnemar(only_first: int, only_second: int) -> float:
    # McNemar 1947 in its exact form: of the pictures that only one has right, half would be each one's.
    if not only_first + only_second:
        return 1.0
    return float(require("scipy.stats", "comparing").binomtest(only_first, only_first + only_second).pvalue)


def _log_loss(probabilities: np.ndarray, labels: np.ndarray) -> float:
    chosen = probabilities[np.arange(len(labels)), labels]
    return float(-np.log(np.maximum(chosen, np.finfo(float).tiny)).mean())
