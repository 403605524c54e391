import numpy as np
import pytest
from scipy.stats import binomtest

from opsin.errors import DataError
from opsin.evaluation.comparison import compare_answers

LABELS = np.arange(40) % 2


def answers(right: np.ndarray, sure: float = 0.8) -> np.ndarray:
    """Probabilities of two classes that are right where they shall be."""
    said = np.where(right, LABELS, 1 - LABELS)
    return np.where(np.eye(2, dtype=bool)[said], sure, 1 - sure)


def test_pictures_that_only_one_has_right_decide():
    first, second = np.arange(40) < 36, np.arange(40) < 24

    found = compare_answers(LABELS, [answers(first), answers(second)], ["a", "b"], seconds=[1.0, 2.0])

    assert (found.only_first, found.only_second) == (12, 0)
    assert found.difference == pytest.approx(0.3)
    assert found.p_value == pytest.approx(binomtest(12, 12).pvalue)
    assert found.low > 0.1
    assert "a is 30.0 points better than b" in found.verdict
    assert "more than chance" in found.verdict


def test_two_that_are_right_on_other_pictures_may_be_equal():
    first, second = np.arange(40) % 4 != 0, np.arange(40) % 4 != 1

    found = compare_answers(LABELS, [answers(first), answers(second)], ["a", "b"])

    assert (found.difference, found.p_value) == (0.0, 1.0)
    assert found.low < 0 < found.high
    assert "may be chance" in found.verdict


def test_the_same_answers_may_differ_on_other_pictures():
    same = answers(np.arange(40) < 30)

    found = compare_answers(LABELS, [same, same], ["a", "b"])

    assert (found.difference, found.p_value) == (0.0, 1.0)
    # A picture more on either side of 42: 1.96 √(2/42 / 42).
    assert (found.low, found.high) == pytest.approx((-0.06600, 0.06600), abs=1e-5)


def test_an_interval_without_zero_is_not_said_of_what_may_be_chance():
    found = compare_answers(LABELS[:20], [answers(LABELS >= 0)[:20], answers(np.arange(40) >= 4)[:20]], ["a", "b"])

    # 5/22 - 1/22 ± 1.96 √((6/22 - (4/22)²) / 22)
    assert (found.low, found.high) == pytest.approx((-0.02275, 0.38639), abs=1e-5)
    assert "(95 % interval -2.3 to +38.6 for a), which may be chance" in found.verdict


@pytest.mark.parametrize("n", [1, 2, 20])
def test_the_interval_of_all_against_none_ends_at_one(n):
    found = compare_answers(LABELS[:n], [answers(LABELS >= 0)[:n], answers(LABELS < 0)[:n]], ["a", "b"])

    assert (found.difference, found.high) == (1.0, 1.0)
    assert -1 <= found.low < 1


def test_log_loss_is_that_of_the_probabilities():
    found = compare_answers(LABELS, [answers(LABELS >= 0, 0.8), answers(LABELS >= 0, 0.6)], ["a", "b"])

    assert found.first.log_loss == pytest.approx(-np.log(0.8))
    assert found.second.log_loss == pytest.approx(-np.log(0.6))


@pytest.mark.parametrize("count", [0, 39])
def test_answers_to_other_pictures_cannot_be_compared(count):
    with pytest.raises(DataError, match="same pictures"):
        compare_answers(LABELS, [answers(LABELS >= 0), answers(LABELS >= 0)[:count]], ["a", "b"])
