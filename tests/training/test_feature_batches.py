"""Batches of cached features: every picture once an epoch, in an order and a view that (seed, epoch) decide."""

import numpy as np
import pytest

from opsin.features.extraction import StoredFeatures
from opsin.training.feature_batches import FeatureBatches, PlainFeatureBatches

COUNT, VIEWS = 23, 3
LABELS = np.arange(COUNT) % 4
WEIGHTS = np.array([0.5, 1.0, 2.0, 4.0])

# Row r of the file holds picture COUNT - 1 - r, and of view v the numbers (picture, v).
ROWS = np.arange(COUNT)[::-1].copy()


def view(number):
    array = np.stack([ROWS, np.full(COUNT, number)], axis=1).astype(np.float16)
    return StoredFeatures(array, ROWS)


def batches(seed=0, views=VIEWS, batch_size=5):
    stored = [view(number) for number in range(views)]
    return FeatureBatches(stored, LABELS, class_weights=WEIGHTS, batch_size=batch_size, seed=seed)


def epoch(data, number):
    """What an epoch shows: the pictures in their order, and the view of each picture."""
    data.start_epoch(number)
    shown = np.concatenate([data[batch][0] for batch in range(len(data))]).astype(int)
    return shown[:, 0], shown[np.argsort(shown[:, 0]), 1]


def test_every_picture_is_shown_once_an_epoch_with_its_label_and_weight():
    data = batches()
    for number in range(3):
        data.start_epoch(number)
        shown = [data[batch] for batch in range(len(data))]

        assert [len(features) for features, _, _ in shown] == [5, 5, 5, 4, 4]
        features, labels, weights = (np.concatenate(one) for one in zip(*shown, strict=True))
        pictures = features[:, 0].astype(int)
        assert sorted(pictures) == list(range(COUNT))
        np.testing.assert_array_equal(labels, LABELS[pictures])
        np.testing.assert_array_equal(weights, WEIGHTS[LABELS[pictures]])
        assert (features.dtype, labels.dtype, weights.dtype) == (np.float32, np.int32, np.float32)


def test_each_picture_shows_its_views_in_turn():
    data = batches()

    views = np.stack([epoch(data, number)[1] for number in range(2 * VIEWS)])

    np.testing.assert_array_equal(views[1:], (views[:-1] + 1) % VIEWS)
    assert len(set(views[0])) == VIEWS, "views differ from picture to picture in one epoch"


def test_pictures_without_views_are_shown_as_they_are():
    assert set(epoch(batches(views=1), 4)[1]) == {0}


def test_order_and_views_are_a_function_of_seed_and_epoch_alone():
    gone_through = batches()
    for number in range(4):
        epoch(gone_through, number)

    for order, again in zip(epoch(gone_through, 2), epoch(batches(), 2), strict=True):
        np.testing.assert_array_equal(order, again)


def test_another_epoch_has_another_order_and_another_seed_has_both_another_order_and_other_views():
    order, views = epoch(batches(), 1)

    assert not np.array_equal(epoch(batches(), 2)[0], order)
    assert not np.array_equal(epoch(batches(seed=1), 1)[0], order)
    assert not np.array_equal(epoch(batches(seed=1), 1)[1], views)


def test_the_size_of_batches_changes_neither():
    for small, large in zip(epoch(batches(batch_size=2), 3), epoch(batches(batch_size=100), 3), strict=True):
        np.testing.assert_array_equal(small, large)


@pytest.mark.parametrize("size", [4, 23, 50])
def test_plain_batches_hold_all_pictures_in_order(size):
    data = PlainFeatureBatches(view(0), LABELS, size)

    features, labels = (np.concatenate(one) for one in zip(*(data[i] for i in range(len(data))), strict=True))

    np.testing.assert_array_equal(features[:, 0], np.arange(COUNT))
    np.testing.assert_array_equal(labels, LABELS)
    assert (features.dtype, labels.dtype) == (np.float32, np.int32)
