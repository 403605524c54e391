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


def test_the_same_answers_differ_in_nothing():
    same = answers(np.arange(40) < 30)

    found = compare_answers(LABELS, [same, same], ["a", "b"])

    assert (found.low, found.high, found.p_value) == (0.0, 0.0, 1.0)


def test_log_loss_is_that_of_the_probabilities():
    found = compare_answers(LABELS, [answers(LABELS >= 0, 0.8), answers(LABELS >= 0, 0.6)], ["a", "b"])

    assert found.first.log_loss == pytest.approx(-np.log(0.8))
    assert found.second.log_loss == pytest.approx(-np.log(0.6))


@pytest.mark.parametrize("count", [0, 39])
def test_answers_to_other_pictures_cannot_be_compared(count):
    with pytest.raises(DataError, match="same pictures"):
        compare_answers(LABELS, [answers(LABELS >= 0), answers(LABELS >= 0)[:count]], ["a", "b"])
