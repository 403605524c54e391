"""Calibration: whether, of the answers given with 80 % probability, 80 % are right."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from opsin.evaluation.intervals import Estimate, wilson_interval
from opsin.evaluation.margins import estimate_mean

BINS = 15
"""Of equal width, as Guo et al. 2017 (arXiv 1706.04599) have them."""

SIMULATIONS = 1000


@dataclass(frozen=True)
class Bin:
    """The pictures whose best class has a probability within a range.

    Args:
        low: the range's lower end, exclusive but for 0.
        high: its upper end.
        n: how many pictures.
        confidence: their mean probability.
        accuracy: the share of them judged rightly.
        accuracy_low: lower end of its 95 % Wilson interval.
        accuracy_high: upper end.
    """

    low: float
    high: float
    n: int
    confidence: float
    accuracy: float
    accuracy_low: float
    accuracy_high: float


@dataclass(frozen=True)
class Reliability:
    """How far probabilities can be believed.

    Args:
        ece: expected calibration error, the mean distance of a bin's accuracy from its confidence, from 0 to 1.
        brier: the mean squared distance of the probabilities from the truth, summed over the classes, from 0 to 2.
        log_loss: in nats.
        bins: those that hold pictures.
    """

    ece: float
    brier: Estimate
    log_loss: float
    bins: tuple[Bin, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return all of it, fit for JSON."""
        brier = {"brier": self.brier.value, "brier_interval": [self.brier.low, self.brier.high]}
        return {"ece": self.ece, **brier, "log_loss": self.log_loss, "bins": [asdict(one) for one in self.bins]}


@dataclass(frozen=True)
class Calibration:
    """Calibration before and after the logits were divided by a temperature.

    Args:
        temperature: what they were divided by; 1 changes nothing.
        before: of the probabilities at temperature 1.
        after: of the probabilities as they are shown.
        perfect_low: lower end of the range in which 95 % of perfectly calibrated classifiers, of these confidences on
            as many pictures, have their expected calibration error: it is never 0, however good they are.
        perfect_high: its upper end.
    """

    temperature: float
    before: Reliability
    after: Reliability
    perfect_low: float
    perfect_high: float

    @property
    def is_believable(self) -> bool:
        """Whether the error is no larger than chance gives a perfectly calibrated classifier."""
        return self.after.ece <= self.perfect_high

    def to_dict(self) -> dict[str, Any]:
        """Return all of it, fit for JSON: the numbers after calibration, and those before beside them."""
        return {
            "temperature": self.temperature,
            **self.after.to_dict(),
            "perfect_ece": [self.perfect_low, self.perfect_high],
            "before": self.before.to_dict(),
        }


def measure_calibration(labels: np.ndarray, probabilities: np.ndarray, temperature: float = 1.0) -> Calibration:
    """Measure how far probabilities can be believed.

    Args:
        labels: int (n,).
        probabilities: float (n, k), as they are shown.
        temperature: what the logits were divided by to get them.
    """
    low, high = perfect_range(probabilities.max(axis=1))
    after = reliability(labels, probabilities)
    before = after if temperature == 1 else reliability(labels, heated(probabilities, 1 / temperature))
    return Calibration(temperature, before, after, low, high)


def heated(probabilities: np.ndarray, temperature: float) -> np.ndarray:
    """Return the probabilities that the same logits give when they are divided by another temperature.

    Logits are known from their softmax but for a constant, which the softmax does not see.

    Args:
        probabilities: float (n, k).
        temperature: by which to divide what is already divided.
    """
    logits = np.log(np.maximum(probabilities, np.finfo(np.float64).tiny)) / temperature
    exponents = np.exp(logits - logits.max(axis=1, keepdims=True))
    return exponents / exponents.sum(axis=1, keepdims=True)


def reliability(labels: np.ndarray, probabilities: np.ndarray) -> Reliability:
    """Measure one set of probabilities.

    Args:
        labels: int (n,).
        probabilities: float (n, k).
    """
    confidence = probabilities.max(axis=1)
    right = probabilities.argmax(axis=1) == labels
    truth = np.eye(probabilities.shape[1])[labels]
    given = probabilities[np.arange(len(labels)), labels]
    return Reliability(
        ece=float(expected_error(confidence, right)),
        # Brier 1950, "Verification of forecasts expressed in terms of probability": its score P.
        brier=estimate_mean(((probabilities - truth) ** 2).sum(axis=1)),
        log_loss=float(-np.log(np.maximum(given, np.finfo(np.float64).eps)).mean()),
        bins=_bins(confidence, right),
    )


def expected_error(confidence: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Return the expected calibration error, Guo et al. 2017, "ECE".

    Args:
        confidence: float (n,), the probability of each answer.
        right: bool (n,), or (m, n) for many outcomes of the same answers.

    Returns:
        float, or (m,).
    """
    index = _bin_of(confidence)
    order = np.argsort(index, kind="stable")
    starts = np.unique(index[order], return_index=True)[1]
    gaps = np.add.reduceat((right - confidence)[..., order], starts, axis=-1)
    return np.abs(gaps).sum(axis=-1) / len(confidence)


def perfect_range(confidence: np.ndarray, *, seed: int = 0) -> tuple[float, float]:
    """Return the range that holds 95 % of the errors of classifiers whose answers are right as often as they say.

    Args:
        confidence: float (n,), the probability of each answer.
        seed: of the simulation.
    """
    random = np.random.default_rng(seed)
    at_once = max(1, 4_000_000 // len(confidence))
    errors = [
        expected_error(confidence, random.random((min(at_once, SIMULATIONS - start), len(confidence))) < confidence)
        for start in range(0, SIMULATIONS, at_once)
    ]
    low, high = np.percentile(np.concatenate(errors), [2.5, 97.5])
    return float(low), float(high)


def _bin_of(confidence: np.ndarray) -> np.ndarray:
    return np.clip(np.ceil(confidence * BINS).astype(int) - 1, 0, BINS - 1)


def _bins(confidence: np.ndarray, right: np.ndarray) -> tuple[Bin, ...]:
    index = _bin_of(confidence)
    bins = []
    for number in np.unique(index):
        inside = index == number
        n, hits = int(inside.sum()), int(right[inside].sum())
        bins.append(
            Bin(
                number / BINS,
                (number + 1) / BINS,
                n,
                float(confidence[inside].mean()),
                hits / n,
                *wilson_interval(hits, n),
            )
        )
    return tuple(bins)
