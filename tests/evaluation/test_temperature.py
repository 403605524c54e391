import warnings

import numpy as np
import pytest

from opsin.errors import UsageError
from opsin.evaluation.temperature import HIGHEST, LOWEST, fit_temperature, log_loss


def simulate(count: int, classes: int, temperature: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Logits whose probabilities are true at `temperature`, and labels drawn from those."""
    random = np.random.default_rng(seed)
    honest = random.normal(0, 2, (count, classes))
    return honest * temperature, (honest + random.gumbel(size=honest.shape)).argmax(axis=1)


@pytest.mark.parametrize("temperature", [0.3, 1.0, 1.7, 5.0])
def test_the_temperature_that_logits_were_made_with_is_found(temperature):
    logits, labels = simulate(20_000, 5, temperature)

    assert fit_temperature(logits, labels) == pytest.approx(temperature, rel=0.03)


def test_one_sigmoid_unit_is_the_pair_of_zero_and_its_logit():
    pair, labels = simulate(500, 2, 3.0)
    unit = pair[:, 1:] - pair[:, :1]

    assert fit_temperature(unit, labels) == pytest.approx(fit_temperature(pair, labels), abs=1e-6)


@pytest.mark.parametrize("seed", range(40))
def test_it_never_worsens_the_log_loss_on_what_it_is_fitted_on(seed):
    random = np.random.default_rng(seed)
    count, classes = random.integers(1, 60), random.integers(1, 9)
    logits = random.normal(0, 10 ** random.uniform(-2, 2), (count, classes))
    labels = random.integers(0, max(classes, 2), count)

    temperature = fit_temperature(logits, labels)

    assert LOWEST <= temperature <= HIGHEST
    assert log_loss(logits, labels, temperature) <= log_loss(logits, labels)


def test_of_all_temperatures_it_has_the_least_loss_where_there_are_many_pictures():
    logits, labels = simulate(3000, 4, 2.0, seed=3)

    tried = np.geomspace(0.5, 8, 400)
    best = min(tried, key=lambda temperature: log_loss(logits, labels, temperature))

    assert fit_temperature(logits, labels) == pytest.approx(best, rel=0.02)


def test_where_all_pictures_are_right_it_does_not_go_to_zero():
    labels = np.arange(75) % 3

    assert 0.5 < fit_temperature(5.0 * np.eye(3)[labels], labels) < 1


def test_a_single_picture_moves_it_little_where_it_is_right_and_finitely_where_it_is_wrong():
    logits = np.array([[3.0, 0.0]])

    assert 0.8 < fit_temperature(logits, np.array([0])) < 1
    assert 1 < fit_temperature(logits, np.array([1])) < 5


def test_pictures_of_one_class_only_are_enough():
    logits, labels = simulate(4000, 3, 2.0)
    one = labels == 1

    assert LOWEST < fit_temperature(logits[one], labels[one]) < HIGHEST


def test_training_with_soft_labels_which_leaves_answers_too_unsure_gives_less_than_one():
    # What a network learns to say where a tenth of each label is spread over four classes, and it is always right.
    logits = np.log(np.full((200, 4), 0.025) + 0.9 * np.eye(4)[np.arange(200) % 4])

    assert fit_temperature(logits, np.arange(200) % 4) < 0.7


def test_logits_beyond_all_measure_are_no_trouble():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert fit_temperature(np.array([[1e30, 0.0], [1e30, 0.0]]), np.array([0, 1])) == pytest.approx(HIGHEST)


def test_without_pictures_it_is_one():
    assert fit_temperature(np.empty((0, 3)), np.empty(0, dtype=int)) == 1.0


@pytest.mark.parametrize(
    ("logits", "labels"), [(np.array([[np.nan, 0.0]]), [0]), (np.zeros((2, 3)), [0]), (np.zeros(3), [0, 1, 2])]
)
def test_logits_that_are_no_numbers_or_have_no_labels_are_refused(logits, labels):
    with pytest.raises(UsageError, match="finite logits"):
        fit_temperature(logits, np.array(labels))
