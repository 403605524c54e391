import math

import pytest

from opsin.errors import UsageError
from opsin.evaluation.intervals import estimate, wilson_interval


@pytest.mark.parametrize(
    ("successes", "n", "low", "high"),
    [
        # Newcombe (1998), "Two-sided confidence intervals for the single proportion", table I, method 3.
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_the_interval_is_the_published_one(successes, n, low, high):
    assert wilson_interval(successes, n) == pytest.approx((low, high), abs=5e-5)


@pytest.mark.parametrize(("confidence", "z"), [(0.90, 1.644854), (0.95, 1.959964), (0.99, 2.575829)])
def test_at_either_end_the_count_is_z_standard_errors_away(confidence, z):
    # The definition of the score interval: the standard error is that of the end, not of the value.
    for end in wilson_interval(8, 10, confidence):
        assert abs(0.8 - end) / math.sqrt(end * (1 - end) / 10) == pytest.approx(z, abs=1e-5)


@pytest.mark.parametrize("n", [1, 3, 7, 50, 100_000])
def test_the_interval_holds_the_value_and_stays_within_0_and_1(n):
    for successes in (0, n // 2, n):
        accuracy = estimate(successes, n)
        assert 0 <= accuracy.low <= accuracy.value <= accuracy.high <= 1


def test_of_no_pictures_nothing_is_known():
    assert wilson_interval(0, 0) == (0.0, 1.0)


@pytest.mark.parametrize(("successes", "n", "confidence"), [(-1, 5, 0.95), (6, 5, 0.95), (1, 5, 1.0)])
def test_impossible_counts_are_refused_with_their_values(successes, n, confidence):
    with pytest.raises(UsageError, match=f"successes={successes}, n={n}, confidence={confidence}"):
        wilson_interval(successes, n, confidence)
