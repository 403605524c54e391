import numpy as np
import pytest

from opsin.evaluation.novelty import KEEPS, choose_references, fit_unknown, spread


@pytest.mark.parametrize("count", [1, 7, 75, 500])
@pytest.mark.parametrize("share", KEEPS)
def test_at_least_the_stated_share_of_the_pictures_it_is_fitted_on_is_kept(count, share):
    random = np.random.default_rng(count)
    confidences, distances = random.uniform(0.3, 1, count), random.uniform(0.5, 1.2, count)

    row = fit_unknown(confidences, distances)["keep"][str(share)]

    kept = (confidences >= row["confidence"]) & (distances <= row["distance"])
    assert kept.mean() >= share
    assert (confidences >= row["confidence_alone"]).mean() >= share
    if count == 500:
        assert kept.mean() < share + 0.01
        assert (confidences >= row["confidence_alone"]).mean() == pytest.approx(share)


def test_a_threshold_lies_half_way_between_what_is_kept_and_what_is_not():
    values = np.arange(1, 101) / 100

    row = fit_unknown(values, 2 - values)["keep"]["0.95"]

    assert row["confidence_alone"] == pytest.approx(0.055)
    assert row["confidence"] == pytest.approx(0.015)
    assert row["distance"] == pytest.approx(1.955)


def test_references_are_bounded_of_every_class_and_the_same_each_time():
    labels = np.repeat([0, 1, 2], [30_000, 3_000, 30])

    rows = choose_references(labels, 64)

    assert len(rows) == len(set(rows.tolist())) == 2_000
    assert np.array_equal(rows, choose_references(labels, 64))
    counts = np.bincount(labels[rows], minlength=3)
    assert counts.min() >= 1
    assert abs(counts[0] / counts[1] - 10) < 0.5


def test_the_longer_the_features_the_fewer_references():
    labels = np.arange(60_000) % 10

    assert len(choose_references(labels, 2048)) == 1024
    assert len(choose_references(labels, 10_000_000)) == 5


def test_where_there_are_few_pictures_all_are_taken():
    assert spread(np.array([1, 0, 1]), 5).tolist() == [0, 1, 2]
