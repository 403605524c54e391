import numpy as np
import pytest

from opsin.errors import UsageError
from opsin.evaluation import thresholds
from opsin.evaluation.thresholds import WANTED, precision_table, threshold_for_precision

# Class 0 is said of five pictures, of which the third and the fifth are of class 1.
PROBABILITIES = np.array([[0.95, 0.05], [0.9, 0.1], [0.8, 0.2], [0.7, 0.3], [0.6, 0.4], [0.2, 0.8], [0.4, 0.6]])
LABELS = np.array([0, 0, 1, 0, 1, 1, 0])


@pytest.mark.parametrize(
    ("wanted", "threshold", "right", "said"),
    [(1.0, 0.85, 2, 2), (0.76, 0.85, 2, 2), (0.75, 0.65, 3, 4), (0.6, 0.3, 3, 5), (0.1, 0.3, 3, 5)],
)
def test_the_lowest_threshold_with_the_wanted_precision_is_half_way_to_the_next_picture(wanted, threshold, right, said):
    found = threshold_for_precision(LABELS, PROBABILITIES, 0, wanted)

    assert found.threshold == pytest.approx(threshold)
    assert (found.precision.value, found.precision.n) == (right / said, said)
    assert (found.recall.value, found.recall.n) == (right / 4, 4)


def test_its_interval_says_how_little_few_pictures_support():
    found = threshold_for_precision(LABELS, PROBABILITIES, 0, 0.99)

    assert (found.precision.value, found.precision.n) == (1.0, 2)
    assert found.precision.low < 0.4


def test_where_no_threshold_is_enough_there_is_none_and_the_best_precision_is_told():
    labels = np.where(LABELS == 0, 1, 0)

    found = threshold_for_precision(labels, PROBABILITIES, 0, 0.9)

    assert found.threshold is None
    assert (found.precision.value, found.precision.n) == (0.4, 5)


def test_a_class_that_is_never_said_has_no_threshold_and_no_precision():
    found = threshold_for_precision(np.array([0, 2]), np.array([[0.9, 0.1, 0.0], [0.8, 0.1, 0.1]]), 2, 0.9)

    assert found[:2] == (None, None)
    assert (found.recall.value, found.recall.n) == (0.0, 1)


def test_pictures_of_equal_probability_are_said_or_left_out_together():
    labels, probabilities = np.array([0, 0, 1]), np.array([[0.9, 0.1], [0.7, 0.3], [0.7, 0.3]])

    assert threshold_for_precision(labels, probabilities, 0, 1.0).threshold == pytest.approx(0.8)


@pytest.mark.parametrize(("index", "wanted"), [(0, 0), (0, 1.1), (0, float("nan")), (2, 0.9), (-1, 0.9)])
def test_a_precision_that_is_no_fraction_or_a_class_that_is_none_is_wrong_usage(index, wanted):
    with pytest.raises(UsageError, match="Expected a"):
        threshold_for_precision(LABELS, PROBABILITIES, index, wanted)


def test_the_cards_table_has_for_each_class_what_can_be_reached():
    table = precision_table(LABELS, PROBABILITIES, ("cat", "dog"))

    assert table["pictures"] == 7
    assert table["classes"]["cat"]["0.99"] == [pytest.approx(0.85), 2, 2]
    # The most probable dog is one, the other is none.
    assert table["classes"]["dog"]["0.9"] == [pytest.approx(0.7), 1, 1]
    assert precision_table(1 - LABELS, PROBABILITIES, ("cat", "dog"))["classes"] == {"cat": {}, "dog": {}}


def test_the_cards_table_looks_at_each_class_once(monkeypatch):
    random = np.random.default_rng(0)
    labels, probabilities = random.integers(0, 9, 300), random.dirichlet(np.ones(9), 300)
    probabilities[np.arange(300), labels] += 0.3
    one_by_one = {
        str(index): {
            str(wanted): [found.threshold, found.precision.n, round(found.precision.value * found.precision.n)]
            for wanted in WANTED
            if (found := threshold_for_precision(labels, probabilities, index, wanted)).threshold is not None
        }
        for index in range(9)
    }
    looked, steps = [], thresholds._steps
    monkeypatch.setattr(thresholds, "_steps", lambda *arguments: looked.append(arguments[-1]) or steps(*arguments))

    table = precision_table(labels, probabilities, tuple(map(str, range(9))))

    assert table["classes"] == one_by_one
    assert looked == list(range(9))
