import json

import numpy as np
import pytest

import opsin
from opsin.augmentation.augmenter import Augmenter
from opsin.augmentation.policies import Policy, get_policy
from opsin.data.store import decode_datasets
from opsin.errors import TrainingError
from opsin.images.preprocess import Preprocess
from opsin.pipeline import TrainingBatches, batch_of, shrink
from opsin.training import callbacks
from opsin.training.config import TrainConfig
from opsin.training.run_folder import RunFolder

SETTINGS = TrainConfig(architecture="simple_cnn", epochs=3, batch_size=16, learning_rate=0.01, schedule="constant")


def train(colors, folder, settings=SETTINGS):
    splits = colors.split(0.2, 0.2, seed=0)
    return opsin.train(splits.train, splits.val, settings, test=splits.test, out=RunFolder.create(folder))


def failing(monkeypatch, times: int):
    """Let the loss be no number in epoch 2, so many times."""
    real, left = callbacks._require_finite, [times]

    def require(loss, epoch):
        if epoch == 2 and left[0]:
            left[0] -= 1
            loss = np.nan
        real(loss, epoch)

    monkeypatch.setattr(callbacks, "_require_finite", require)


def test_a_loss_that_is_no_number_once_costs_an_epoch_and_three_quarters_of_the_rate(colors, tmp_path, monkeypatch):
    failing(monkeypatch, 1)

    run = train(colors, tmp_path / "run", SETTINGS.replace(warmup_epochs=0.0))

    assert run.completed
    assert [row["epoch"] for row in run.history] == [1, 2, 3]
    assert [row["learning_rate"] for row in run.history] == pytest.approx([0.01, 0.0025, 0.0025])
    events = [json.loads(line) for line in (run.folder / "events.jsonl").read_text().splitlines()]
    said = [event["text"] for event in events if "no number" in event.get("text", "")]
    assert said == ["The loss became no number in epoch 2: that epoch begins anew, with 0.25 of the learning rate."]


def test_the_epoch_that_begins_anew_begins_where_the_last_good_one_ended(colors, tmp_path, monkeypatch):
    """With the rate unchanged it gives what it would have given."""
    whole = train(colors, tmp_path / "whole")
    failing(monkeypatch, 2)
    monkeypatch.setattr("opsin.training.fit.LOWERING", 1.0)

    again = train(colors, tmp_path / "again")

    def losses(run):
        return [(row["loss"], row["val_loss"]) for row in run.history]

    assert losses(again) == losses(whole)


def test_a_loss_that_stays_no_number_ends_the_training_in_the_end(colors, tmp_path, monkeypatch):
    failing(monkeypatch, 100)

    with pytest.raises(TrainingError, match=r"in epoch 2 it became nan.*learning rate ten times lower"):
        train(colors, tmp_path / "run")


def test_pictures_shrink_by_the_mean_of_what_each_pixel_covers_rounded():
    images = np.arange(16, dtype=np.uint8).reshape(1, 4, 4, 1)

    np.testing.assert_array_equal(shrink(images, 2)[0, ..., 0], [[3, 5], [11, 13]])
    assert shrink(images, 4) is images
    assert shrink(np.zeros((3, 8, 8, 3), np.uint8), 5).shape == (3, 5, 5, 3)


def test_batches_have_the_size_of_their_epoch(colors):
    (stored,) = decode_datasets([colors], Preprocess(24, 24))
    batches = TrainingBatches(
        stored, Augmenter(Policy(), 0, 3), 10, class_weights=np.ones(3), size_at=lambda epoch: 16 + 8 * (epoch > 1)
    )

    sides = []
    for epoch in range(3):
        batches.start_epoch(epoch)
        sides.append(batches[0][0].shape[1:3])
    assert sides == [(16, 16), (16, 16), (24, 24)]


def test_no_batch_of_an_epoch_is_much_smaller_than_the_others(colors):
    """57 pictures by 14: a last batch of one would be most of what normalisation goes by in validation."""
    (stored,) = decode_datasets([colors.subset(range(57))], Preprocess(24, 24))
    batches = TrainingBatches(stored, Augmenter(Policy(), 0, 3), 14, class_weights=np.ones(3))

    shown = [batches[number] for number in range(len(batches))]

    assert [len(images) for images, _, _ in shown] == [12, 12, 11, 11, 11]
    np.testing.assert_array_equal(np.concatenate([labels for _, labels, _ in shown]), batches.labels[batches.order])


@pytest.mark.parametrize(("pictures", "batch_size"), [(42_500, 256), (256, 256), (10, 3), (3, 7), (1, 1)])
def test_pictures_are_shared_out_evenly_and_each_once(pictures, batch_size):
    count = -(-pictures // batch_size)

    parts = [np.arange(pictures)[batch_of(number, pictures, batch_size)] for number in range(count)]

    assert [part.tolist() for part in parts] == [part.tolist() for part in np.array_split(np.arange(pictures), count)]
    assert max(map(len, parts)) <= batch_size


def test_every_picture_is_mirrored_in_one_of_two_epochs_that_follow():
    augmenter = Augmenter(Policy(alternating_flip=1.0), 0, 2)
    images = np.tile(np.arange(4, dtype=np.uint8)[None, None, :, None], (200, 1, 1, 1))

    mirrored = np.stack(
        [augmenter.augment_batch(images, epoch=e, indices=np.arange(200))[:, 0, 0, 0] == 3 for e in range(4)]
    )

    assert (mirrored[0] ^ mirrored[1]).all()
    assert (mirrored[0] == mirrored[2]).all()
    assert (mirrored[1] == mirrored[3]).all()
    assert 70 < mirrored[0].sum() < 130


def test_of_some_pictures_alternating_leaves_the_rest_alone():
    augmenter = Augmenter(Policy(alternating_flip=0.5), 0, 2)
    images = np.tile(np.arange(4, dtype=np.uint8)[None, None, :, None], (400, 1, 1, 1))

    ever = sum(augmenter.augment_batch(images, epoch=e, indices=np.arange(400))[:, 0, 0, 0] == 3 for e in range(2))

    assert set(ever.tolist()) == {0, 1}
    assert 150 < ever.sum() < 250


def test_the_fast_policy_leaves_colours_alone():
    assert set(get_policy("fast").active()) == {"alternating_flip", "translation"}
