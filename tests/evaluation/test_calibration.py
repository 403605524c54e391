import numpy as np
import pytest
from sklearn.metrics import brier_score_loss

from opsin.classifier import softmax
from opsin.evaluation.calibration import expected_error, heated, measure_calibration, perfect_range
from opsin.evaluation.temperature import fit_temperature


def simulated(n, k=4, sharpness=1.0, seed=0):
    """Labels drawn from a network's true probabilities, and logits that claim `sharpness` times as much."""
    random = np.random.default_rng(seed)
    logits = 2 * random.normal(size=(n, k))
    labels = (softmax(logits).cumsum(axis=1) > random.random((n, 1))).argmax(axis=1)
    return labels, sharpness * logits


def test_five_pictures_worked_by_hand():
    # Two answers of 0.95, one right; three of 0.6, two right.
    confidence = np.array([0.95, 0.95, 0.6, 0.6, 0.6])
    right = np.array([True, False, True, True, False])
    expected = 2 / 5 * abs(0.5 - 0.95) + 3 / 5 * abs(2 / 3 - 0.6)
    assert expected_error(confidence, right) == pytest.approx(expected)

    labels = np.where(right, 0, 1)
    found = measure_calibration(labels, np.stack([confidence, 1 - confidence], axis=1)).after
    assert found.ece == pytest.approx(expected)
    assert [(one.n, one.confidence, one.accuracy) for one in found.bins] == [
        (3, pytest.approx(0.6), pytest.approx(2 / 3)),
        (2, pytest.approx(0.95), 0.5),
    ]
    assert found.brier.value == pytest.approx(np.mean([2 * 0.05**2, 2 * 0.95**2, 0.32, 0.32, 2 * 0.6**2]))


def test_the_error_of_many_outcomes_at_once_is_that_of_each():
    random = np.random.default_rng(0)
    confidence, right = random.random(50), random.random((7, 50)) < 0.5
    np.testing.assert_allclose(expected_error(confidence, right), [expected_error(confidence, one) for one in right])


def test_brier_of_two_classes_is_twice_that_of_scikit_learn_which_counts_one():
    labels, logits = simulated(100, k=2)
    probabilities = softmax(logits)
    found = measure_calibration(labels, probabilities).after.brier.value
    assert found == pytest.approx(2 * brier_score_loss(labels, probabilities[:, 1]))


def test_a_classifier_that_claims_too_much_is_found_and_a_fitted_temperature_mends_it():
    labels, logits = simulated(4000, sharpness=3.0)
    temperature = fit_temperature(logits[:2000], labels[:2000])
    found = measure_calibration(labels[2000:], softmax(logits[2000:], temperature), temperature)
    assert temperature == pytest.approx(3.0, rel=0.1)
    assert found.before.ece > 0.1 > found.perfect_high
    assert found.is_believable
    assert found.after.ece < found.before.ece
    assert found.after.log_loss < found.before.log_loss


def test_before_calibration_means_the_logits_as_the_network_gave_them():
    labels, logits = simulated(300)
    found = measure_calibration(labels, softmax(logits, 2.5), 2.5)
    raw = measure_calibration(labels, softmax(logits))
    assert found.before.ece == pytest.approx(raw.after.ece)
    assert found.before.log_loss == pytest.approx(raw.after.log_loss)


def test_perfectly_calibrated_classifiers_lie_in_the_range_of_perfect_ones():
    inside = []
    for seed in range(100):
        labels, logits = simulated(300, seed=seed)
        probabilities = softmax(logits)
        confidence = probabilities.max(axis=1)
        low, high = perfect_range(confidence, seed=seed)
        inside.append(low <= expected_error(confidence, probabilities.argmax(axis=1) == labels) <= high)
    assert 0.88 <= np.mean(inside) <= 1.0


def test_heating_by_one_changes_nothing_and_zero_stays_zero():
    probabilities = np.array([[0.7, 0.3, 0.0]])
    np.testing.assert_allclose(heated(probabilities, 1.0), probabilities, atol=1e-12)


def test_a_probability_of_zero_for_the_truth_is_a_number():
    found = measure_calibration(np.array([1, 0]), np.array([[1.0, 0.0], [1.0, 0.0]]))
    assert np.isfinite(found.after.log_loss)
    assert found.after.ece == pytest.approx(0.5)
