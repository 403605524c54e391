"""Losses over pixels, against answers that were worked out on paper."""

from types import SimpleNamespace

import keras
import numpy as np
import pytest

from opsin.errors import UsageError
from opsin.segmentation import LOSSES
from opsin.segmentation.classes import IGNORED
from opsin.segmentation.config import SegmentConfig, parts_of
from opsin.segmentation.learning import weigh_classes
from opsin.segmentation.losses import PixelLoss
from opsin.segmentation.watching import MeanIoU, PixelAccuracy

# Two pixels: of class 0, said with probability 3/4; of class 1, said with probability 1/2.
LOGITS = np.array([[[[np.log(3.0), 0.0], [0.0, 0.0]]]], dtype=np.float32)
CLASSES = np.array([[[0, 1]]], dtype=np.uint8)
CROSS_ENTROPY = -(np.log(3 / 4) + np.log(1 / 2)) / 2
FOCAL = -(np.log(3 / 4) / 16 + np.log(1 / 2) / 4) / 2
DICE = ((1 - 2 * 0.75 / (1 + 1.25)) + (1 - 2 * 0.5 / (1 + 0.75))) / 2


def _loss(name, classes=CLASSES, logits=LOGITS, weights=(1.0, 1.0)):
    return float(PixelLoss(name, weights)(classes, logits))


@pytest.mark.parametrize(
    ("name", "expected"),
    [("ce", CROSS_ENTROPY), ("focal", FOCAL), ("dice", DICE), ("ce+dice", CROSS_ENTROPY + DICE)],
)
def test_two_pixels_have_the_loss_that_paper_says(name, expected):
    assert _loss(name) == pytest.approx(expected, rel=1e-5)


def test_a_class_weight_counts_its_pixels_so_often():
    expected = -(3 * np.log(3 / 4) + np.log(1 / 2)) / 2

    assert _loss("ce", weights=(3.0, 1.0)) == pytest.approx(expected, rel=1e-5)


def test_dice_weighs_the_overlaps_of_classes():
    expected = (3 * (1 - 1.5 / 2.25) + (1 - 1 / 1.75)) / 4

    assert _loss("dice", weights=(3.0, 1.0)) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("name", LOSSES)
def test_ignored_pixels_are_as_if_they_were_not_there(name):
    classes = np.array([[[0, 1, IGNORED]]], dtype=np.uint8)
    logits = np.concatenate([LOGITS, [[[[-9.0, 7.0]]]]], axis=2).astype(np.float32)

    assert _loss(name, classes, logits) == pytest.approx(_loss(name), rel=1e-6)


@pytest.mark.parametrize("name", LOSSES)
def test_a_picture_that_is_ignored_throughout_costs_nothing_and_teaches_nothing(name):
    logits = keras.Variable(LOGITS)
    import tensorflow as tf

    with tf.GradientTape() as tape:
        loss = PixelLoss(name, (1.0, 1.0))(np.full((1, 1, 2), IGNORED, np.uint8), logits.value)

    assert float(loss) == 0
    assert not np.any(tape.gradient(loss, logits.value))


@pytest.mark.parametrize("name", LOSSES)
def test_what_is_told_rightly_and_surely_costs_nothing(name):
    sure = np.where(np.arange(2) == CLASSES[..., None], 60.0, -60.0).astype(np.float32)

    assert _loss(name, logits=sure) == pytest.approx(0, abs=1e-6)


def test_a_class_that_is_not_in_the_picture_does_not_spoil_its_dice():
    logits = np.concatenate([LOGITS, np.full((1, 1, 2, 1), -80, np.float32)], axis=-1)

    assert _loss("dice", logits=logits, weights=(1.0, 1.0, 1.0)) == pytest.approx(DICE, rel=1e-5)


def test_each_picture_of_a_batch_counts_alike():
    batch = np.concatenate([CLASSES, np.full_like(CLASSES, IGNORED)])

    assert _loss("ce", batch, np.concatenate([LOGITS, LOGITS])) == pytest.approx(CROSS_ENTROPY / 2, rel=1e-5)


@pytest.mark.parametrize("wrong", ["dise", "ce+", "ce+ce"])
def test_a_loss_that_is_none_is_refused(wrong):
    with pytest.raises(UsageError):
        parts_of(wrong)


def test_pixel_accuracy_leaves_ignored_pixels_out():
    metric = PixelAccuracy()
    metric.update_state(np.array([[[0, 1, 1, IGNORED]]], np.uint8), np.eye(2, dtype="float32")[[[[0, 0, 1, 1]]]])

    assert float(metric.result()) == pytest.approx(2 / 3)


def test_mean_iou_is_over_all_pixels_of_the_epoch_and_the_classes_that_occur():
    metric = MeanIoU(3)
    metric.update_state(np.array([[[0, 0, IGNORED]]], np.uint8), np.eye(3, dtype="float32")[[[[0, 1, 2]]]])
    metric.update_state(np.array([[[1, 1, 1]]], np.uint8), np.eye(3, dtype="float32")[[[[1, 1, 0]]]])

    # Class 0: 1 of 3 pixels that are it or said to be; class 1: 2 of 4; class 2 does not occur.
    assert float(metric.result()) == pytest.approx((1 / 3 + 2 / 4) / 2)


class _Stored:
    """Masks in memory, with what of `StoredPairs` is looked at."""

    def __init__(self, masks, k):
        self.masks, self.rows = self, np.arange(len(masks))
        self.dataset = SimpleNamespace(classes=SimpleNamespace(k=k))
        self._masks = masks

    def read(self, rows):
        return self._masks[rows]


@pytest.mark.parametrize(("asked", "expected"), [("auto", [2 / 3, 2.0]), ("none", [1.0, 1.0])])
def test_classes_weigh_against_their_share_of_the_pixels_1_on_average(asked, expected):
    masks = np.array([[[0, 0]], [[0, 1]], [[IGNORED, IGNORED]]], np.uint8)

    weights = weigh_classes(SegmentConfig(class_weights=asked), _Stored(masks, 2))

    assert weights == pytest.approx(expected)


def test_a_rare_class_weighs_ten_times_the_commonest_at_most():
    masks = np.zeros((1, 1, 1000), np.uint8)
    masks[0, 0, 0] = 1

    weights = weigh_classes(SegmentConfig(class_weights="auto"), _Stored(masks, 2))

    assert weights[1] / weights[0] == pytest.approx(10)
