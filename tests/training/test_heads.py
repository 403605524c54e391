"""Solved heads: what evidence chooses is what sklearn would solve, and no picture judges a head that has seen it."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss

from opsin.training import heads
from opsin.training.heads import STRENGTHS, HeadData, mean_log_loss, solve_head


def clouds(centers, each, seed=0, spread=1.0):
    """Normal clouds round some centres: float32 (n, d), int (n,)."""
    random = np.random.default_rng(seed)
    labels = np.repeat(np.arange(len(centers)), each)
    features = np.array(centers)[labels] + random.normal(0, spread, (len(labels), len(centers[0])))
    return features.astype(np.float32), labels


def noise(count, dimensions, classes, seed=0):
    """Features that tell nothing of their labels."""
    random = np.random.default_rng(seed)
    features = random.normal(size=(count, dimensions)).astype(np.float32)
    return features, random.permutation(np.arange(count) % classes)


def data(features, labels, *, views=(), weights=None, val=None, groups=None):
    val_features, val_labels = val or (features[:0], labels[:0])
    weights = np.ones(labels.max() + 1) if weights is None else np.array(weights)
    return HeadData([features, *views], labels, weights, val_features, val_labels, groups=groups)


def probabilities(logits):
    exponents = np.exp(logits - logits.max(axis=1, keepdims=True))
    return exponents / exponents.sum(axis=1, keepdims=True)


def accuracy(logits, labels):
    return (logits.argmax(axis=1) == labels).mean()


TWO = clouds([(0, 0, 0), (2, 0, 1)], 40)
FOUR = clouds([(0, 0, 0, 0, 0), (3, 0, 1, 0, 0), (0, 3, 0, 1, 0), (3, 3, 0, 0, 1)], 25)


@pytest.mark.parametrize(("features", "labels"), [TWO, FOUR], ids=["two classes", "four classes"])
def test_the_head_is_the_one_that_sklearn_solves_with_the_strength_that_was_chosen(features, labels):
    head = solve_head(data(features, labels), seed=0)

    centred = features - features.mean(axis=0)
    solver = LogisticRegression(C=head.strength, max_iter=1000, tol=1e-6).fit(centred / centred.std(), labels)
    expected = solver.predict_proba(centred / centred.std())
    np.testing.assert_allclose(probabilities(head.logits(features)), expected, atol=0.01)
    assert head.kernel.shape == (features.shape[1], labels.max() + 1)
    assert (head.kernel.dtype, head.bias.dtype) == (np.float32, np.float32)
    assert head.strength in STRENGTHS


def test_two_classes_have_logits_whose_difference_is_the_one_column_of_the_solver():
    head = solve_head(data(*TWO), seed=0)

    np.testing.assert_allclose(head.kernel[:, 0], -head.kernel[:, 1])
    assert head.kernel[0, 1] > 0, "class 1 lies where the first feature is larger"


@pytest.mark.parametrize(("features", "labels"), [TWO, FOUR], ids=["two classes", "four classes"])
def test_what_it_is_said_to_be_worth_is_what_the_left_out_pictures_show(features, labels):
    head = solve_head(data(features, labels), seed=0)

    assert head.judged == len(labels)
    assert head.out_of_fold.shape == (len(labels), labels.max() + 1)
    assert head.accuracy == accuracy(head.out_of_fold, labels)
    assert head.accuracy > 0.75
    assert head.log_loss == pytest.approx(log_loss(labels, probabilities(head.out_of_fold)), rel=1e-4)


def test_the_strength_that_is_chosen_is_the_best_of_those_tried():
    features, labels = noise(60, 40, 2)
    telling, of = clouds([[-0.8] * 40, [0.8] * 40], 30, spread=0.3)

    # Where nothing can be learned, weights stay near zero; where all can, they may grow.
    assert solve_head(data(features, labels), seed=0).strength <= 0.01
    assert solve_head(data(telling, of), seed=0).strength >= 1


def test_out_of_fold_logits_come_from_heads_that_had_not_seen_the_picture(monkeypatch):
    # With one weak penalty only, a head learns forty random labels by heart.
    monkeypatch.setattr(heads, "STRENGTHS", (100.0,))
    features, labels = noise(120, 200, 2)

    head = solve_head(data(features, labels), seed=0)

    assert accuracy(head.logits(features), labels) == 1
    assert 0.3 < accuracy(head.out_of_fold, labels) < 0.7


def test_a_pictures_views_are_never_on_both_sides_of_a_fold(monkeypatch):
    monkeypatch.setattr(heads, "STRENGTHS", (100.0,))
    features, labels = noise(120, 200, 2)

    head = solve_head(data(features, labels, views=[features, features]), seed=0)

    assert 0.3 < accuracy(head.out_of_fold, labels) < 0.7


def test_pictures_of_a_group_are_never_on_both_sides_of_a_fold(monkeypatch):
    monkeypatch.setattr(heads, "STRENGTHS", (100.0,))
    once, of = noise(40, 100, 2)
    features, labels = np.repeat(once, 3, axis=0), np.repeat(of, 3)
    groups = [f"patient {number // 3}" for number in range(120)]

    apart = solve_head(data(features, labels), seed=0)
    together = solve_head(data(features, labels, groups=groups), seed=0)

    assert accuracy(apart.out_of_fold, labels) > 0.9, "the same picture three times gives itself away"
    assert accuracy(together.out_of_fold, labels) < 0.75
    assert together.judged == 120


def test_views_of_a_picture_are_one_piece_of_evidence(monkeypatch):
    monkeypatch.setattr(heads, "STRENGTHS", (0.1,))
    features, labels = FOUR

    once = solve_head(data(features, labels), seed=0)
    four_times = solve_head(data(features, labels, views=[features] * 3), seed=0)

    np.testing.assert_allclose(four_times.kernel, once.kernel, atol=2e-3)
    np.testing.assert_allclose(four_times.bias, once.bias, atol=2e-3)


def test_views_are_learned_from(monkeypatch):
    monkeypatch.setattr(heads, "STRENGTHS", (1.0,))
    features, labels = clouds([(-1, 0), (1, 0)], 30, spread=0.3)
    mirrored = features * np.array([1, 0], dtype=np.float32) + np.array([0, 5], dtype=np.float32) * (
        2 * labels[:, None] - 1
    )

    alone, both = (solve_head(data(features, labels, views=views), seed=0) for views in ([], [mirrored]))

    assert alone.kernel[1, 1] < 0
    assert both.kernel[1, 1] > 0.25


def test_class_weights_move_the_border_towards_the_common_class():
    many, few = clouds([(0, 0)], 180)[0], clouds([(1.5, 0)], 20, seed=1)[0]
    features, labels = np.concatenate([many, few]), np.repeat([0, 1], [180, 20])

    plain = solve_head(data(features, labels), seed=0).logits(features).argmax(axis=1)
    weighted = solve_head(data(features, labels, weights=[200 / 360, 200 / 40]), seed=0).logits(features).argmax(axis=1)

    assert plain[labels == 1].mean() < 0.5
    assert weighted[labels == 1].mean() > 0.7


@pytest.mark.parametrize("scale", [1000, 0.001])
def test_the_scale_of_features_does_not_matter(scale):
    features, labels = FOUR

    head, scaled = (solve_head(data(x, labels), seed=0) for x in (features, (features + 3) * np.float32(scale)))

    assert scaled.strength == head.strength
    np.testing.assert_allclose(scaled.logits((features + 3) * scale), head.logits(features), atol=0.02)
    np.testing.assert_allclose(scaled.out_of_fold, head.out_of_fold, atol=0.02)


def test_the_same_seed_gives_the_same_head_and_another_seed_other_folds():
    first, second, other = (solve_head(data(*FOUR), seed=seed) for seed in (3, 3, 4))

    np.testing.assert_array_equal(first.kernel, second.kernel)
    np.testing.assert_array_equal(first.out_of_fold, second.out_of_fold)
    assert not np.array_equal(first.out_of_fold, other.out_of_fold)


# Few pictures, and many


def test_two_pictures_a_class_are_left_out_in_turn():
    features, labels = clouds([(0, 0), (9, 0), (0, 9)], 2)

    head = solve_head(data(features, labels), seed=0)

    assert head.judged == 6
    assert head.accuracy == accuracy(head.out_of_fold, labels) == 1


def one_each():
    features, labels = clouds([(0, 0), (9, 0), (0, 9)], 1)
    return features, labels, None


def one_group_of_a_class():
    features, labels = clouds([(0, 0), (9, 0), (0, 9)], 4)
    return features, labels, [f"{number}" if number > 3 else "all of class 0" for number in range(12)]


@pytest.mark.parametrize("few", [one_each, one_group_of_a_class])
def test_where_nothing_of_a_class_can_be_left_out_validation_decides(few):
    features, labels, groups = few()
    val = clouds([(0, 0), (9, 0), (0, 9)], 5, seed=1)

    head = solve_head(data(features, labels, val=val, groups=groups), seed=0)

    assert (head.judged, head.out_of_fold) == (15, None)
    assert head.accuracy == accuracy(head.logits(val[0]), val[1]) == 1
    assert head.log_loss == pytest.approx(mean_log_loss(head.logits(val[0]), val[1]), rel=0.2)


def test_many_pictures_have_fewer_folds_and_very_many_a_single_one(monkeypatch):
    features, labels = FOUR
    monkeypatch.setattr(heads, "MANY_ROWS", 100)
    many = heads._folds(data(features, labels), 0)
    monkeypatch.setattr(heads, "VERY_MANY_ROWS", 100)
    head = solve_head(data(features, labels), seed=0)

    assert [len(judged) for _, judged in many] == [34, 33, 33]
    assert (head.judged, head.out_of_fold) == (34, None)
    assert head.accuracy > 0.75


def test_features_that_say_nothing_at_all_give_a_head_that_guesses():
    labels = np.repeat([0, 1], 10)

    head = solve_head(data(np.full((20, 3), 7, dtype=np.float32), labels), seed=0)

    np.testing.assert_allclose(head.logits(np.full((1, 3), 7, dtype=np.float32)), 0, atol=1e-3)
    assert head.log_loss == pytest.approx(np.log(2), rel=1e-3)


def test_once_it_is_asked_to_stop_it_takes_the_best_so_far():
    head = solve_head(data(*FOUR), seed=0, stop=lambda: True)

    assert head.strength == STRENGTHS[0]
    assert np.isfinite(head.kernel).all()


def test_log_loss_is_that_of_sklearn_and_large_logits_do_no_harm():
    random = np.random.default_rng(0)
    logits, labels = random.normal(0, 3, (50, 4)), random.integers(0, 4, 50)

    assert mean_log_loss(logits, labels) == pytest.approx(log_loss(labels, probabilities(logits), labels=range(4)))
    assert mean_log_loss(np.array([[1000.0, 0.0]]), np.array([1])) == 1000
