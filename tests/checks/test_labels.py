"""Planted label errors are found, and what is only hard is not called wrong."""

import numpy as np
import pytest

from opsin.checks.folds import FOLDS, fold_of, out_of_fold
from opsin.checks.labels import doubt, judge, scaled


def clusters(seed: int, count: int = 600, classes: int = 5, apart: float = 2.2) -> tuple[np.ndarray, np.ndarray]:
    """Gaussian clusters that overlap a little: float (n, 32), int (n,)."""
    random = np.random.default_rng(seed)
    labels = np.arange(count) % classes
    centers = random.normal(0, 1, (classes, 32))
    centers *= apart / np.linalg.norm(centers, axis=1, keepdims=True)
    return centers[labels] + random.normal(0, 0.5, (count, 32)), labels


def planted(labels: np.ndarray, seed: int, share: float = 0.05) -> tuple[np.ndarray, np.ndarray]:
    """Return the labels with a share of them wrong, and which."""
    random = np.random.default_rng(seed + 100)
    rows = random.permutation(len(labels))[: round(share * len(labels))]
    changed = labels.copy()
    changed[rows] = (labels[rows] + random.integers(1, labels.max() + 1, len(rows))) % (labels.max() + 1)
    return changed, rows


@pytest.mark.parametrize("seed", range(3))
def test_three_of_four_planted_errors_are_among_the_first_8_percent(seed):
    features, labels = clusters(seed)
    changed, wrong = planted(labels, seed)

    probabilities = judge(scaled(features), changed, np.arange(len(labels)))
    ranked, suggested, sure = doubt(probabilities, changed)

    first = ranked[: round(0.08 * len(labels))]
    assert np.isin(wrong, first).mean() >= 0.75
    assert (suggested[wrong] == labels[wrong]).mean() >= 0.75
    assert np.isin(np.flatnonzero(sure), wrong).mean() >= 0.75


def test_the_scale_of_the_features_changes_nothing():
    features, labels = clusters(0)
    changed, _ = planted(labels, 0)

    ranked = [doubt(judge(scaled(features * scale), changed, np.arange(600)), changed)[0] for scale in (1, 1e4)]

    assert len(set(ranked[0][:30]) & set(ranked[1][:30])) >= 29


def test_a_copy_with_the_same_wrong_label_does_not_vouch_for_it():
    features, labels = clusters(0, apart=4)
    features, labels = np.concatenate([features, features[:2]]), np.concatenate([labels, labels[:2]])
    groups = np.concatenate([np.arange(600), [0, 1]])
    labels[[0, 600]] = 3

    ranked, _, _ = doubt(judge(scaled(features), labels, groups), labels)

    assert set(ranked[:2]) == {0, 600}


def test_the_ranking_goes_by_the_probability_of_the_own_class():
    probabilities = np.array([[0.30, 0.70], [0.45, 0.55], [0.10, 0.90], [0.90, 0.10], [0.20, 0.80]])

    ranked, suggested, sure = doubt(probabilities, np.array([0, 0, 0, 0, 1]))

    assert ranked.tolist() == [2, 0, 1]
    assert suggested[[0, 1, 2]].tolist() == [1, 1, 1]
    # Of class 1, 80 % is usual.
    assert sure.tolist() == [False, False, True, False, False]


def test_folds_are_stratified_and_keep_groups_whole():
    random = np.random.default_rng(0)
    labels = random.integers(0, 3, 300)
    groups = np.where(np.arange(300) < 200, np.arange(300), 200 + np.arange(300) % 7)

    folds = fold_of(labels, groups)

    assert all(len(set(folds[groups == group])) == 1 for group in np.unique(groups))
    numbers = np.array([np.bincount(labels[folds == fold], minlength=3) for fold in range(FOLDS)])
    assert (np.abs(numbers - numbers.mean(axis=0)) <= 4).all()


def test_every_picture_is_judged_by_what_was_not_shown_its_group():
    class Witness:
        """Says how often it has been shown this very picture."""

        def fit(self, features, labels):
            self.classes_, self.seen = np.unique(labels), set(features[:, 0])

        def predict_proba(self, features):
            known = np.isin(features[:, 0], list(self.seen)).astype(float)
            return np.stack([known] * len(self.classes_), axis=1)

    groups = np.arange(60) % 20
    judged = out_of_fold(
        Witness(), groups[:, None].astype(float), np.arange(60) % 2, fold_of(np.arange(60) % 2, groups)
    )

    assert not judged.any()
