"""How chance moves a ratio of sums over pictures: pictures are what was drawn, not pixels.

The pixels of a picture are right or wrong together, so that their number says little about how sure a share of them is.
"""

import math
from collections.abc import Callable

import numpy as np

from opsin.evaluation.intervals import Estimate, wilson_interval

# Student's t for 95 % by degrees of freedom, 1 to 10; beyond, the expansion of `_student` is right to 0.001.
_STUDENT = (12.7062, 4.3027, 3.1824, 2.7764, 2.5706, 2.4469, 2.3646, 2.3060, 2.2622, 2.2281)
_Z = 1.959964


def estimate_ratio(statistic: Callable[..., np.ndarray], *counts: np.ndarray) -> Estimate | None:
    """Return a statistic of sums over pictures with its 95 % interval.

    The deviation is that of the jackknife (Efron and Tibshirani 1993, "An introduction to the bootstrap", section
    11.5): each picture left out once. The interval is that of the log-odds with Student's t, so that it stays within 0
    and 1 and holds for few pictures. In a simulation (2,000 sets of 5, 6, 10, 30 and 100 pictures, areas that differ by
    a factor of ten and more, IoU of 0.34 to 0.95) it holds the true IoU of a class, and the true mean IoU, in 92 to
    96 % of cases where pictures differ little, in 90 to 96 % where they differ much; in 84 to 92 % where nearly all are
    perfect and a few fail wholly, which few pictures do not show.

    Args:
        statistic: takes sums (..., m), one of each of the counts, and returns fractions (...), not a number where
            nothing can be said.
        counts: numbers (n, m), one row a picture. Pictures whose rows are all 0 are not counted among those that say
            something.

    Returns:
        The estimate, whose `n` is the number of pictures that say something; None if the statistic is not a number.
    """
    told = np.any([count.any(axis=1) for count in counts], axis=0)
    rows = [count[told] for count in counts]
    n = int(told.sum())
    sums = [row.sum(axis=0) for row in rows]
    value = float(statistic(*sums))
    if math.isnan(value):
        return None
    if n == 1:
        return Estimate(value, 0.0, 1.0, 1)
    if not 0 < value < 1:
        # All right, or all wrong: that much is known of n pictures as of n answers.
        low, high = wilson_interval(n if value else 0, n)
        return Estimate(value, low, high, n)
    without = statistic(*(total - row for total, row in zip(sums, rows, strict=True)))
    # Where nothing is left to say without a picture, it cannot be told how much that picture moves.
    without = np.where(np.isnan(without), value, without)
    deviation = math.sqrt((n - 1) / n * ((without - without.mean()) ** 2).sum())
    odds = value / (1 - value)
    # Beyond e^50, the ends are 0 and 1 in floating point anyway.
    factor = math.exp(min(student(n - 1) * deviation / (value * (1 - value)), 50.0))
    return Estimate(value, odds / factor / (1 + odds / factor), odds * factor / (1 + odds * factor), n)


def student(degrees: int) -> float:
    """Return how many deviations hold 95 % of Student's t distribution with so many degrees of freedom, 1 or more."""
    if degrees <= len(_STUDENT):
        return _STUDENT[degrees - 1]
    # Abramowitz and Stegun 1964, 26.7.5.
    z, n = _Z, degrees
    first, second = (z**3 + z) / 4, (5 * z**5 + 16 * z**3 + 3 * z) / 96
    return z + first / n + second / n**2 + (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384 / n**3
