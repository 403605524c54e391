import numpy as np
import pytest

from opsin.augmentation.mixing import cutmix, cutmix_box, mixup

IMAGES = np.stack([np.full((6, 10, 1), value, dtype=np.float32) for value in (0, 100, 200)])
TARGETS = np.eye(3, dtype=np.float32)


class Scripted:
    """A generator whose draws are known."""

    def __init__(self, share, place=(3.0, 5.0)):
        self.share = share
        self.places = iter(place)

    def beta(self, a, b):
        return self.share

    def permutation(self, count):
        return np.array([1, 2, 0])

    def uniform(self, low, high):
        return next(self.places)


def test_mixup_blends_pictures_and_targets_in_one_share():
    images, targets = mixup(0.2, Scripted(0.75), IMAGES, TARGETS)

    assert images[:, 0, 0, 0].tolist() == [25, 125, 150]
    assert targets.tolist() == [[0.75, 0.25, 0], [0, 0.75, 0.25], [0.25, 0, 0.75]]


def test_cutmix_puts_in_a_box_of_the_share_that_is_left():
    images, targets = cutmix(1.0, Scripted(0.75), IMAGES, TARGETS)

    # Half of each side, about the centre: rows 1.5 to 4.5 and columns 2.5 to 7.5, rounded to even.
    box = np.zeros((6, 10), dtype=bool)
    box[2:4, 2:8] = True
    np.testing.assert_array_equal(images[0, :, :, 0], np.where(box, 100, 0))
    np.testing.assert_allclose(targets[0], [48 / 60, 12 / 60, 0], rtol=1e-6)


def test_a_box_over_the_edge_counts_only_what_it_covers():
    images, targets = cutmix(1.0, Scripted(0.0, place=(0.0, 0.0)), IMAGES, TARGETS)

    assert (images[0] == 100).sum() == 3 * 5
    np.testing.assert_allclose(targets[0], [45 / 60, 15 / 60, 0], rtol=1e-6)


def test_cutmix_shares_are_the_pixels_replaced_whatever_is_drawn():
    generator = np.random.default_rng(0)
    for _ in range(200):
        images, targets = cutmix(1.0, generator, IMAGES, TARGETS)

        kept = (images == IMAGES).mean(axis=(1, 2, 3))
        np.testing.assert_allclose(targets.diagonal(), kept, atol=1e-6)


def test_boxes_stay_in_the_picture():
    generator = np.random.default_rng(0)
    boxes = np.array([cutmix_box(generator, generator.uniform(), 5, 9) for _ in range(500)])

    assert boxes.min() == 0
    assert boxes[:, 2].max() == 5
    assert boxes[:, 3].max() == 9
    assert (boxes[:, :2] <= boxes[:, 2:]).all()


@pytest.mark.parametrize("mix", [mixup, cutmix])
def test_mixing_leaves_its_input_alone(mix):
    images, targets = IMAGES.copy(), TARGETS.copy()

    mix(1.0, np.random.default_rng(0), images, targets)

    np.testing.assert_array_equal(images, IMAGES)
    np.testing.assert_array_equal(targets, TARGETS)
