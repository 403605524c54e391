import numpy as np
import pytest
from sklearn import metrics as reference

from opsin.evaluation.intervals import estimate, estimate_f1
from opsin.evaluation.margins import Margins, estimate_mean, estimate_score, resample


def confusion(k, accuracy, share):
    """The expected share, (k, k), of each cell, where classes differ in how well they are told."""
    rates = np.clip(accuracy + np.linspace(-0.3, 0.3, k) * (1 - accuracy), 0.05, 0.995)
    rows = np.where(np.eye(k, dtype=bool), rates[:, None], (1 - rates[:, None]) / (k - 1))
    return rows * (np.asarray(share) / np.sum(share))[:, None]


@pytest.mark.parametrize(
    ("k", "n", "accuracy", "share"),
    [(2, 60, 0.9, [1, 1]), (2, 400, 0.8, [1, 3]), (5, 250, 0.85, [1, 1, 1, 1, 1]), (6, 480, 0.7, range(1, 7))],
)
def test_intervals_hold_the_truth_in_95_of_100_cases(k, n, accuracy, share):
    expected = confusion(k, accuracy, share)
    truth = Margins.of(expected * 1e9)
    random = np.random.default_rng(0)
    held = {"macro f1": [], "balanced accuracy": [], "f1": [], "recall": []}
    for _ in range(1000):
        drawn = random.multinomial(n, expected.ravel()).reshape(k, k)
        margins, others = Margins.of(drawn), resample(drawn, seed=int(random.integers(1e9)))
        for name, score in (("macro f1", "f1"), ("balanced accuracy", "recall")):
            scores, resampled = (one.macro(getattr(one, score)) for one in (margins, others))
            found = estimate_score(float(scores), resampled, n)
            held[name].append(found.low <= truth.macro(getattr(truth, score)) <= found.high)
        hits, truths, said = (int(counts[-1]) for counts in (margins.hits, margins.truths, margins.said))
        found = estimate_f1(hits, truths, said)
        held["f1"].append(found.low <= truth.f1[-1] <= found.high)
        found = estimate(hits, truths)
        held["recall"].append(found.low <= truth.recall[-1] <= found.high)
    shares = {name: float(np.mean(hits)) for name, hits in held.items()}
    # As far as 1000 cases can tell; `python -m benchmarks.intervals` draws more, in more settings.
    assert all(0.93 <= one <= 0.97 for one in shares.values()), shares


def test_the_interval_of_a_loss_holds_the_truth_in_95_of_100_cases():
    random = np.random.default_rng(1)
    found = [estimate_mean(random.exponential(0.4, 100), seed=i) for i in range(1000)]
    assert 0.93 <= np.mean([one.low <= 0.4 <= one.high for one in found]) <= 0.97


def test_the_interval_of_a_loss_has_nothing_beyond_what_was_seen():
    found = estimate_mean(np.array([0.0] * 30 + [5.0]))
    assert 0 <= found.low < found.value < found.high <= 5


def test_a_loss_that_is_always_the_same_has_an_interval_without_width():
    found = estimate_mean(np.full(5, 0.25))
    assert (found.low, found.value, found.high, found.n) == (0.25, 0.25, 0.25, 5)


def test_all_right_is_not_certain():
    margins, others = Margins.of(np.diag([20, 20])), resample(np.diag([20, 20]))
    found = estimate_score(float(margins.macro(margins.f1)), others.macro(others.f1), 40)
    assert (found.value, found.high) == (1.0, 1.0)
    assert 0.8 < found.low < 0.97


def test_a_score_that_is_a_plain_share_has_the_interval_of_one():
    matrix = np.array([[18, 2, 0], [3, 25, 2], [0, 1, 29]])
    margins, others = Margins.of(matrix), resample(matrix)
    found = estimate_score(float(margins.weighted(margins.recall)), others.weighted(others.recall), 80)
    plain = estimate(72, 80)
    # But for the chance of the resamples.
    assert (found.low, found.value, found.high) == pytest.approx((plain.low, plain.value, plain.high), abs=3e-3)


def test_one_picture_has_an_interval():
    matrix = np.array([[1, 0], [0, 0]])
    others = resample(matrix)
    found = estimate_score(1.0, others.macro(others.f1), 1)
    assert found.low < 0.5
    assert found.high == 1.0


def test_a_class_without_pictures_takes_no_part_in_averages():
    margins = Margins.of(np.array([[2, 1, 1], [0, 4, 0], [0, 0, 0]]))
    assert margins.macro(margins.recall) == pytest.approx((0.5 + 1) / 2)
    assert margins.weighted(margins.recall) == pytest.approx(6 / 8)


def test_resamples_have_as_many_pictures_and_the_same_mean():
    matrix = np.array([[30, 10, 0], [5, 25, 10], [0, 2, 18]])
    others = resample(matrix)
    assert set(others.truths.sum(axis=1)) == set(others.said.sum(axis=1)) == {100}
    np.testing.assert_allclose(others.hits.mean(axis=0), [30, 25, 18], atol=0.6)
    np.testing.assert_allclose(others.said.mean(axis=0), matrix.sum(axis=0), atol=0.6)


@pytest.mark.parametrize("said", [[0, 0, 0, 0], [0, 1, 0, 1], [1, 1, 0, 0]])
@pytest.mark.parametrize("labels", [[0, 0, 0, 0], [0, 0, 1, 1]])
def test_kappa_and_matthews_where_only_one_class_occurs(labels, said):
    margins = Margins.of(np.histogram2d(labels, said, bins=2, range=[[-0.5, 1.5]] * 2)[0].astype(int))
    if len({*labels, *said}) > 1:
        assert margins.matthews == pytest.approx(reference.matthews_corrcoef(labels, said))
        assert margins.kappa == pytest.approx(reference.cohen_kappa_score(labels, said))
    else:
        assert (margins.kappa, margins.matthews) == (0.0, 0.0)


def test_kappa_of_100000_pictures_does_not_overflow():
    labels = np.repeat([0, 1], 50_000)
    said = np.roll(labels, 1000)
    margins = Margins.of(reference.confusion_matrix(labels, said))
    assert margins.matthews == pytest.approx(reference.matthews_corrcoef(labels, said), abs=1e-9)
    assert margins.kappa == pytest.approx(reference.cohen_kappa_score(labels, said), abs=1e-9)


def test_f1_is_that_of_its_counts_and_lies_within_its_interval():
    found = estimate_f1(6, truths=8, said=10)
    assert found.value == pytest.approx(reference.f1_score([1] * 8 + [0] * 4, [1] * 6 + [0] * 2 + [1] * 4))
    assert found.low < found.value < found.high
    assert found.n == 12
