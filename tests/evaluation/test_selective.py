import numpy as np
import pytest

from opsin.errors import DataError
from opsin.evaluation.selective import risk_coverage, threshold_table, weigh


def of_two(confidence, right):
    """Labels and probabilities of a classifier that always says class 0, so sure, and is right or not."""
    confidence = np.asarray(confidence)
    return np.where(right, 0, 1), np.stack([confidence, 1 - confidence], axis=1)


def test_a_threshold_keeps_the_sure_answers():
    labels, probabilities = of_two([0.95, 0.9, 0.7, 0.6], [True, True, False, True])
    low, high, none = threshold_table(labels, probabilities, [0.5, 0.9, 0.99])
    assert (low.answered.value, low.accuracy.value) == (1.0, 0.75)
    assert (high.answered.value, high.accuracy.value, high.accuracy.n) == (0.5, 1.0, 2)
    assert (none.answered.value, none.accuracy) == (0.0, None)


def test_the_risk_of_four_pictures_worked_by_hand():
    found = risk_coverage(*of_two([0.9, 0.8, 0.7, 0.6], [True, False, True, False]))
    np.testing.assert_allclose(found.coverage, [0.25, 0.5, 0.75, 1.0])
    np.testing.assert_allclose(found.risk, [0, 1 / 2, 1 / 3, 1 / 2])
    assert found.area == pytest.approx((0 + 1 / 2 + 1 / 3 + 1 / 2) / 4)
    assert found.best_area == pytest.approx((0 + 0 + 1 / 3 + 1 / 2) / 4)


def test_equally_sure_answers_are_judged_together_whatever_their_order():
    one = risk_coverage(*of_two([0.8, 0.8, 0.6], [True, False, True]))
    other = risk_coverage(*of_two([0.8, 0.8, 0.6], [False, True, True]))
    np.testing.assert_allclose(one.risk, other.risk)
    np.testing.assert_allclose(one.risk, [0.5, 0.5, 1 / 3])


def test_costs_decide_for_the_class_whose_mistakes_are_dear():
    # To miss a dog (class 1) costs ten times what a false alarm does.
    matrix = np.array([[0.0, 1.0], [10.0, 0.0]])
    labels, probabilities = np.array([0, 1, 0]), np.array([[0.95, 0.05], [0.7, 0.3], [0.6, 0.4]])
    found = weigh(labels, probabilities, matrix)
    assert found.most_probable.value == pytest.approx(10 / 3)
    # Said are cat (0.5 against 0.95), dog (7 against 0.7), dog (4 against 0.6).
    assert found.cheapest.value == pytest.approx(1 / 3)
    assert found.changed == 2
    assert found.confusion_matrix.tolist() == [[1, 1], [0, 1]]


@pytest.mark.parametrize("matrix", [np.ones((2, 3)), np.array([[0, np.nan], [1, 0]])])
def test_a_matrix_of_costs_that_does_not_fit_is_refused(matrix):
    with pytest.raises(DataError, match="matrix of costs"):
        weigh(np.array([0]), np.array([[0.5, 0.5]]), matrix)
