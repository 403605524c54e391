import keras
import numpy as np
import pytest

from opsin.training.losses import CrossEntropy, accuracy

LOGITS = np.array([[2.0, -1.0, 0.5], [0.0, 0.0, 3.0]], dtype=np.float32)


def by_hand(logits: np.ndarray, targets: np.ndarray) -> float:
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    return float(-(targets * np.log(probabilities)).sum(axis=1).mean())


def test_cross_entropy_of_class_indices():
    loss = CrossEntropy()(np.array([0, 2]), LOGITS)

    assert float(loss) == pytest.approx(by_hand(LOGITS, np.eye(3)[[0, 2]]), abs=1e-6)


def test_class_indices_in_a_column_mean_the_same():
    column, flat = np.array([[0], [2]]), np.array([0, 2])

    assert float(CrossEntropy()(column, LOGITS)) == float(CrossEntropy()(flat, LOGITS))


def test_cross_entropy_of_mixed_targets():
    mixed = np.array([[0.7, 0.0, 0.3], [0.0, 0.5, 0.5]], dtype=np.float32)

    assert float(CrossEntropy()(mixed, LOGITS)) == pytest.approx(by_hand(LOGITS, mixed), abs=1e-6)


def test_label_smoothing_is_keras_own():
    expected = keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=0.1)

    received = CrossEntropy(0.1)(np.array([0, 2]), LOGITS)

    assert float(received) == pytest.approx(float(expected(np.eye(3)[[0, 2]], LOGITS)), abs=1e-6)


def test_one_sigmoid_unit_has_the_loss_of_binary_cross_entropy():
    logits = np.array([[1.5], [-0.3], [0.2]], dtype=np.float32)
    labels = np.array([1, 0, 0])
    expected = keras.losses.BinaryCrossentropy(from_logits=True)(labels[:, None], logits)

    assert float(CrossEntropy()(labels, logits)) == pytest.approx(float(expected), abs=1e-6)


def test_sample_weights_weigh_each_picture():
    weights = np.array([2.0, 0.0], dtype=np.float32)

    weighted = CrossEntropy()(np.array([0, 2]), LOGITS, sample_weight=weights)

    assert float(weighted) == pytest.approx(by_hand(LOGITS[:1], np.eye(3)[[0]]), abs=1e-6)


def test_accuracy_of_indices_mixed_targets_and_one_unit():
    mixed = np.array([[0.4, 0.6, 0.0], [0.0, 0.1, 0.9]], dtype=np.float32)

    assert np.asarray(accuracy(np.array([0, 1]), LOGITS)).tolist() == [1.0, 0.0]
    assert np.asarray(accuracy(mixed, LOGITS)).tolist() == [0.0, 1.0]
    assert np.asarray(accuracy(np.array([1, 1]), np.array([[0.1], [-0.1]], np.float32))).tolist() == [1.0, 0.0]
