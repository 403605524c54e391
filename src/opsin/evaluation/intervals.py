"""How far a number that was measured on some pictures can be from the one that is meant."""

import math
from dataclasses import dataclass
from statistics import NormalDist

from opsin.errors import UsageError


@dataclass(frozen=True)
class Estimate:
    """A number that was measured on `n` pictures, and its 95 % interval: a fraction from 0 to 1 unless said."""

    value: float
    low: float
    high: float
    n: int


def estimate(successes: int, n: int) -> Estimate:
    """Return the fraction `successes / n` with its 95 % Wilson interval.

    >>> accuracy = estimate(9, 10)
    >>> f"{accuracy.value:.2f}, from {accuracy.low:.2f} to {accuracy.high:.2f}"
    '0.90, from 0.60 to 0.98'
    """
    low, high = wilson_interval(successes, n)
    return Estimate(value=successes / n, low=low, high=high, n=n)


def estimate_f1(hits: int, truths: int, said: int) -> Estimate:
    """Return F1, `2 hits / (truths + said)`, with its 95 % interval.

    Of the pictures that are of the class or were said to be, the share that are both is a plain fraction, J, which has
    a Wilson interval; F1 is 2 J / (1 + J), and so are the ends.

    Args:
        hits: pictures of the class that were said to be of it.
        truths: pictures of the class.
        said: pictures that were said to be of it.

    >>> estimate_f1(8, truths=10, said=10).value
    0.8
    """
    either = truths + said - hits
    low, high = wilson_interval(hits, either)
    return Estimate(2 * hits / max(truths + said, 1), 2 * low / (1 + low), 2 * high / (1 + high), either)


def wilson_interval(successes: float, n: float, confidence: float = 0.95) -> tuple[float, float]:
    """Return the range of true fractions that agree with what was counted.

    The score interval of Wilson (1927, "Probable inference, the law of succession, and statistical
    inference"): unlike value ± 1.96 standard errors it stays within 0 and 1, and holds for few pictures.

    Args:
        successes: how many of the pictures count, 0 to `n`.
        n: how many pictures there are, or that the knowledge is worth; with none, the interval is 0 to 1.
        confidence: the share of such intervals that hold the true fraction, between 0 and 1.

    Returns:
        Lower and upper end, fractions from 0 to 1.

    Raises:
        UsageError: `successes` or `confidence` is outside its range.

    >>> low, high = wilson_interval(5, 10)
    >>> f"{low:.4f} {high:.4f}"
    '0.2366 0.7634'
    """
    if not (0 <= successes <= n and 0 < confidence < 1):
        raise UsageError(
            "Expected 0 <= successes <= n and a confidence between 0 and 1. "
            f"Received successes={successes}, n={n}, confidence={confidence}."
        )
    if n == 0:
        return 0.0, 1.0
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    fraction = successes / n
    centre = (fraction + z**2 / (2 * n)) / (1 + z**2 / n)
    reach = z / (1 + z**2 / n) * math.sqrt(fraction * (1 - fraction) / n + z**2 / (4 * n**2))
    # Rounding would leave the ends at 1e-17 from 0 and 1, and the value outside its own interval.
    return (centre - reach if successes else 0.0), (centre + reach if successes < n else 1.0)


def paired_interval(only_first: int, only_second: int, n: int) -> tuple[float, float]:
    """Return the 95 % interval of the difference of two shares of the same pictures, from -1 to 1.

    Bonett and Price 2012, "Adjusted Wald confidence interval for a difference of binomial proportions based on paired
    data": with one more picture on either side, it has a width even where the two never part, as resamples have not.
    Unlike theirs, it ends at -1 and 1 and holds the difference itself.

    Args:
        only_first: how many pictures count for the first share only.
        only_second: how many for the second only.
        n: how many there are, 1 or more.

    >>> "{:.3f} {:.3f}".format(*paired_interval(4, 0, 20))
    '-0.023 0.386'
    """
    first, second, value = (only_first + 1) / (n + 2), (only_second + 1) / (n + 2), (only_first - only_second) / n
    half = NormalDist().inv_cdf(0.975) * math.sqrt((first + second - (first - second) ** 2) / (n + 2))
    return max(-1.0, min(value, first - second - half)), min(1.0, max(value, first - second + half))
