import numpy as np
import pytest
from sklearn import metrics as reference

from opsin.evaluation.curves import POINTS, trace


def test_four_pictures_worked_by_hand():
    labels, scores = np.array([0, 1, 0, 1]), np.array([0.9, 0.8, 0.4, 0.1])
    found = trace(labels, np.stack([scores, 1 - scores], axis=1), 0)
    np.testing.assert_allclose(found.true_positive_rate, [0, 0.5, 0.5, 1, 1])
    np.testing.assert_allclose(found.false_positive_rate, [0, 0, 0.5, 0.5, 1])
    np.testing.assert_allclose(found.precision, [1, 1, 0.5, 2 / 3, 0.5])
    assert found.roc_auc == pytest.approx(0.75)
    assert found.average_precision == pytest.approx(0.5 * 1 + 0.5 * 2 / 3)


def test_areas_are_those_of_scikit_learn_even_among_many_ties():
    random = np.random.default_rng(0)
    labels = random.integers(0, 3, 300)
    probabilities = random.dirichlet([1, 1, 1], 300).round(1)
    for index in range(3):
        found = trace(labels, probabilities, index)
        truth, scores = labels == index, probabilities[:, index]
        assert found.roc_auc == pytest.approx(reference.roc_auc_score(truth, scores), abs=1e-9)
        assert found.average_precision == pytest.approx(reference.average_precision_score(truth, scores), abs=1e-9)


def test_with_one_class_there_is_nothing_to_tell_apart():
    probabilities = np.array([[0.9, 0.1], [0.8, 0.2]])
    assert trace(np.array([0, 0]), probabilities, 0) is None
    assert trace(np.array([0, 0]), probabilities, 1) is None


def test_a_thinned_curve_keeps_its_ends():
    random = np.random.default_rng(0)
    labels, scores = random.integers(0, 2, 5000), random.random(5000)
    found = trace(labels, np.stack([scores, 1 - scores], axis=1), 0).thinned()
    assert len(found.precision) == len(found.true_positive_rate) == POINTS
    assert (found.true_positive_rate[0], found.true_positive_rate[-1]) == (0, 1)
    assert (found.false_positive_rate[0], found.false_positive_rate[-1]) == (0, 1)
