import warnings

import numpy as np
import pytest
from sklearn import metrics as reference

from opsin.errors import DataError
from opsin.evaluation.metrics import ClassScore, measure


def predictions(n, k, seed=0):
    generator = np.random.default_rng(seed)
    labels = np.concatenate([np.arange(k), generator.integers(0, k, n - k)])
    scores = np.exp(2 * generator.normal(size=(n, k)) + 2 * np.eye(k)[labels])
    return labels, scores / scores.sum(axis=1, keepdims=True)


def rates(one):
    return one.precision.value, one.recall.value, one.f1.value


def values(estimates):
    return {name: estimate.value for name, estimate in estimates.items()}


def names(k):
    return [f"class {index}" for index in range(k)]


@pytest.mark.parametrize("k", [2, 4, 7])
def test_the_numbers_are_those_of_scikit_learn(k):
    labels, probabilities = predictions(200, k)
    predicted = probabilities.argmax(axis=1)

    measured = measure(labels, probabilities, names(k))

    close = {"rel": 1e-9, "abs": 1e-9}
    assert measured.accuracy.value == pytest.approx(reference.accuracy_score(labels, predicted), **close)
    balanced = reference.balanced_accuracy_score(labels, predicted)
    assert measured.balanced_accuracy.value == pytest.approx(balanced, **close)
    assert measured.log_loss.value == pytest.approx(reference.log_loss(labels, probabilities), **close)
    assert measured.kappa == pytest.approx(reference.cohen_kappa_score(labels, predicted), **close)
    assert measured.matthews == pytest.approx(reference.matthews_corrcoef(labels, predicted), **close)
    for average, found in (("macro", measured.macro), ("weighted", measured.weighted)):
        expected = reference.precision_recall_fscore_support(labels, predicted, average=average)[:3]
        assert rates(found) == pytest.approx(expected, **close)
    columns = reference.precision_recall_fscore_support(labels, predicted)
    found = [(*rates(one), one.support) for one in measured.per_class]
    np.testing.assert_allclose(found, np.transpose(columns), rtol=0, atol=1e-9)
    np.testing.assert_array_equal(measured.confusion_matrix, reference.confusion_matrix(labels, predicted))
    truth = np.eye(k)[labels]
    areas = [(one.roc_auc, one.average_precision) for one in measured.per_class]
    expected = [reference.roc_auc_score(truth, probabilities, average=None)]
    expected.append([reference.average_precision_score(truth[:, i], probabilities[:, i]) for i in range(k)])
    np.testing.assert_allclose(areas, np.transpose(expected), rtol=0, atol=1e-9)
    assert (measured.roc_auc, measured.average_precision) == pytest.approx(np.mean(expected, axis=1), **close)


def test_top_k_is_that_of_scikit_learn_where_nothing_ties():
    labels, probabilities = predictions(200, 7)
    expected = {str(k): reference.top_k_accuracy_score(labels, probabilities, k=k) for k in (3, 5)}
    top_k = measure(labels, probabilities, names(7)).top_k
    assert values(top_k) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize(("k", "kept"), [(2, []), (3, []), (4, ["3"]), (5, ["3"]), (6, ["3", "5"])])
def test_a_top_k_that_holds_every_class_is_left_out(k, kept):
    assert list(measure(*predictions(30, k), names(k)).top_k) == kept


def test_five_pictures_worked_by_hand():
    # Three cats, of which one is taken for a dog; two dogs, of which one is taken for a cat.
    labels = np.array([0, 0, 0, 1, 1])
    cat = np.array([0.9, 0.8, 0.4, 0.3, 0.7])

    measured = measure(labels, np.stack([cat, 1 - cat], axis=1), ["cat", "dog"])

    assert measured.n == 5
    assert measured.confusion_matrix.tolist() == [[2, 1], [1, 1]]
    assert [(one.name, *rates(one), one.support) for one in measured.per_class] == [
        ("cat", pytest.approx(2 / 3), pytest.approx(2 / 3), pytest.approx(2 / 3), 3),
        ("dog", 0.5, 0.5, 0.5, 2),
    ]
    assert (measured.accuracy.value, measured.accuracy.n) == (0.6, 5)
    assert measured.balanced_accuracy.value == pytest.approx(7 / 12)
    assert measured.weighted.f1.value == pytest.approx(0.6)
    assert measured.log_loss.value == pytest.approx(-np.log([0.9, 0.8, 0.4, 0.7, 0.3]).mean())


def test_a_constant_prediction_finds_only_the_classes_it_names_first():
    labels = np.arange(10)
    measured = measure(labels, np.full((10, 10), 0.1), names(10))
    assert (measured.accuracy.value, values(measured.top_k)) == (0.1, {"3": 0.3, "5": 0.5})


def test_what_is_right_at_once_is_right_in_the_top_3_even_among_ties():
    probabilities = np.array([[0.25, 0.25, 0.25, 0.25]])
    measured = measure([0], probabilities, names(4))
    assert (measured.accuracy.value, values(measured.top_k)) == (1.0, {"3": 1.0})


def test_a_class_without_pictures_has_no_scores_and_no_part_in_the_averages():
    # The fourth picture is taken for the class that has none.
    probabilities = np.eye(3)[[0, 0, 1, 2]]

    measured = measure([0, 0, 1, 1], probabilities, ["cat", "dog", "yeti"])

    assert measured.per_class[2] == ClassScore("yeti", None, None, None, 0)
    assert rates(measured.macro) == (1.0, 0.75, pytest.approx((1 + 2 / 3) / 2))
    assert measured.balanced_accuracy.value == 0.75
    assert measured.confusion_matrix.tolist() == [[2, 0, 0], [0, 1, 1], [0, 0, 0]]


@pytest.mark.parametrize("labels", [[1], [1, 1, 1]])
def test_one_picture_and_one_class_alone_are_measured_without_a_warning(labels):
    probabilities = np.array([[0.2, 0.5, 0.3]] * len(labels))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        measured = measure(labels, probabilities, names(3))
    assert (measured.accuracy.value, measured.accuracy.high, measured.macro.f1.value) == (1.0, 1.0, 1.0)
    assert measured.log_loss.value == pytest.approx(np.log(2))


def test_a_true_class_given_no_probability_at_all_costs_much_but_not_everything():
    measured = measure([0], np.array([[0.0, 1.0]]), ["cat", "dog"])
    assert measured.log_loss.value == pytest.approx(-np.log(np.finfo(np.float64).eps))


def test_rounding_in_half_precision_is_forgiven_without_a_warning():
    labels, probabilities = predictions(50, 6)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        rounded = measure(labels, probabilities.astype(np.float16), names(6))
    assert rounded.log_loss.value == pytest.approx(measure(labels, probabilities, names(6)).log_loss.value, abs=1e-2)


@pytest.mark.parametrize("value", [np.nan, np.inf, -0.5, 7.0])
def test_what_is_no_probability_is_refused_with_its_picture(value):
    labels, probabilities = predictions(10, 3)
    probabilities[4, 1] = value
    with pytest.raises(DataError, match="picture 4"):
        measure(labels, probabilities, names(3))


@pytest.mark.parametrize("label", [-1, 3])
def test_a_label_that_names_no_class_is_refused(label):
    with pytest.raises(DataError, match=f"from 0 to 2.*{label} for picture 1"):
        measure([0, label], np.full((2, 3), 1 / 3), names(3))


def test_labels_that_are_no_integers_are_refused():
    with pytest.raises(DataError, match="float64"):
        measure([0.0, 1.0], np.full((2, 2), 0.5), names(2))


@pytest.mark.parametrize(
    ("labels_shape", "probabilities_shape", "k"),
    [
        ((3,), (2, 3), 3),
        ((2,), (2, 3), 4),
        ((2, 1), (2, 3), 3),
        ((2,), (2,), 2),
        ((0,), (0, 3), 3),
        ((2,), (2, 1), 1),
    ],
)
def test_arrays_that_do_not_fit_together_are_refused(labels_shape, probabilities_shape, k):
    with pytest.raises(DataError, match="Expected labels"):
        measure(np.zeros(labels_shape, int), np.ones(probabilities_shape), names(k))
