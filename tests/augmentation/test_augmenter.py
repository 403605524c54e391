from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from opsin.augmentation.augmenter import Augmenter
from opsin.augmentation.policies import POLICIES, Policy, get_policy
from opsin.errors import UsageError

IMAGES = np.random.default_rng(0).integers(0, 256, (12, 20, 14, 3), dtype=np.uint8)
INDICES = np.arange(100, 112)
TARGETS = np.eye(4, dtype=np.float32)[np.arange(12) % 4]


def augmented(augmenter, chosen, epoch=3):
    return augmenter.augment_batch(IMAGES[chosen], epoch=epoch, indices=INDICES[chosen])


@pytest.fixture
def strong():
    return Augmenter(get_policy("strong"), seed=7, class_count=4)


def test_no_policy_changes_no_pixel():
    augmenter = Augmenter(get_policy("none"), seed=0, class_count=4)

    images = augmenter.augment_batch(IMAGES, epoch=0, indices=INDICES)

    assert images.dtype == np.float32
    np.testing.assert_array_equal(images, IMAGES)


@pytest.mark.parametrize("name", POLICIES)
def test_a_picture_comes_out_the_same_in_any_batch_order_and_thread(name):
    augmenter = Augmenter(get_policy(name), seed=7, class_count=4)
    whole = augmented(augmenter, np.arange(12))

    backwards = augmented(augmenter, np.arange(12)[::-1])[::-1]
    with ThreadPoolExecutor(4) as threads:
        pieces = np.concatenate(
            list(threads.map(lambda start: augmented(augmenter, np.s_[start : start + 3]), (0, 3, 6, 9)))
        )
    alone = [augmenter.augment_image(IMAGES[i], epoch=3, index=INDICES[i]) for i in range(12)]

    np.testing.assert_array_equal(backwards, whole)
    np.testing.assert_array_equal(pieces, whole)
    np.testing.assert_array_equal(alone, whole)


def test_seed_epoch_and_index_each_give_other_pixels(strong):
    other_seed = Augmenter(strong.policy, seed=8, class_count=4)
    first = strong.augment_image(IMAGES[0], epoch=0, index=0)

    assert (first != strong.augment_image(IMAGES[0], epoch=1, index=0)).any()
    assert (first != strong.augment_image(IMAGES[0], epoch=0, index=1)).any()
    assert (first != other_seed.augment_image(IMAGES[0], epoch=0, index=0)).any()


def test_the_pictures_given_stay_as_they_are(strong):
    before = IMAGES.copy()

    strong.augment_batch(IMAGES, epoch=0, indices=INDICES)

    np.testing.assert_array_equal(IMAGES, before)


def test_a_read_only_store_can_be_augmented(strong):
    images = IMAGES.copy()
    images.flags.writeable = False

    assert strong.augment_batch(images, epoch=0, indices=INDICES).shape == images.shape


def test_half_of_the_pictures_are_flipped_and_no_pixel_is_blurred():
    image = np.arange(60, dtype=np.uint8).reshape(4, 5, 3)
    augmenter = Augmenter(Policy(horizontal_flip=0.5), seed=0, class_count=2)

    images = augmenter.augment_batch(np.tile(image, (2_000, 1, 1, 1)), epoch=0, indices=np.arange(2_000))

    flipped = (images == image[:, ::-1]).all(axis=(1, 2, 3))
    same = (images == image).all(axis=(1, 2, 3))
    assert (flipped ^ same).all()
    assert abs(flipped.mean() - 0.5) < 5 * np.sqrt(0.25 / 2_000)


def test_a_picture_is_shifted_before_it_is_flipped():
    shifted = Augmenter(Policy(translation=0.25), seed=0, class_count=2)
    both = Augmenter(Policy(translation=0.25, horizontal_flip=1.0), seed=0, class_count=2)

    expected = augmented(shifted, np.arange(12))[:, :, ::-1]

    np.testing.assert_array_equal(augmented(both, np.arange(12)), expected)


def test_contrast_and_brightness_are_applied_in_that_order():
    augmenter = Augmenter(Policy(contrast=1.0, brightness=0.5), seed=0, class_count=2)
    image = np.array([[[100], [140]]], dtype=np.uint8)

    images = augmenter.augment_batch(np.tile(image, (500, 1, 1, 1)), epoch=0, indices=np.arange(500))

    # Whatever the contrast is, the mean of 120 stays, and is then multiplied by 0.5 to 1.5.
    means = images.mean(axis=(1, 2, 3))
    assert 60 <= means.min() < 65
    assert 175 < means.max() <= 180.5


@pytest.mark.parametrize("color", ["hsv", "lab"])
def test_channels_that_are_no_light_keep_their_values(color):
    policy = Policy(brightness=0.5, contrast=0.5, saturation=0.5, hue=90)

    images = Augmenter(policy, seed=0, class_count=2, color=color).augment_batch(IMAGES, epoch=0, indices=INDICES)

    np.testing.assert_array_equal(images, IMAGES)


def test_mixing_is_a_function_of_seed_epoch_and_batch(strong):
    images = IMAGES.astype(np.float32)

    first, _ = strong.mix_batch(images, TARGETS, epoch=1, batch=2)
    again, _ = strong.mix_batch(images, TARGETS, epoch=1, batch=2)
    other, _ = strong.mix_batch(images, TARGETS, epoch=1, batch=3)

    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


def test_mixup_and_cutmix_take_turns():
    augmenter = Augmenter(Policy(mixup=1.0, cutmix=1.0), seed=0, class_count=4)
    images = np.repeat(np.array([0, 255], dtype=np.float32), 6).reshape(12, 1, 1, 1) * np.ones((1, 8, 8, 3))

    mixed = [augmenter.mix_batch(images, TARGETS, epoch=0, batch=batch)[0] for batch in range(200)]

    blended = np.mean([((image > 0) & (image < 255)).any() for image in mixed])
    assert 0.3 < blended < 0.7


def test_nothing_is_mixed_where_mixing_is_off():
    augmenter = Augmenter(get_policy("standard"), seed=0, class_count=4)
    images = IMAGES.astype(np.float32)

    mixed, targets = augmenter.mix_batch(images, TARGETS, epoch=0, batch=0)

    assert mixed is images
    assert targets is TARGETS


@pytest.mark.parametrize(
    ("images", "indices", "message"),
    [
        (IMAGES.astype(np.float32), INDICES, "uint8"),
        (IMAGES[0], INDICES, r"\(N, h, w, c\)"),
        (IMAGES[:, :, :, :2], INDICES, "1 or 3 channels"),
        (IMAGES, INDICES[:5], "one index for each of 12 images. Received 5"),
    ],
)
def test_arrays_of_another_kind_are_refused(strong, images, indices, message):
    with pytest.raises(UsageError, match=message):
        strong.augment_batch(images, epoch=0, indices=indices)


def test_targets_of_another_shape_are_refused(strong):
    with pytest.raises(UsageError, match=r"shape \(12, 4\).*Received \(12,\)"):
        strong.mix_batch(IMAGES.astype(np.float32), TARGETS[:, 0], epoch=0, batch=0)


def test_a_negative_seed_and_an_unknown_colour_space_are_refused():
    with pytest.raises(UsageError, match="Received -1"):
        Augmenter(Policy(), seed=-1, class_count=2)
    with pytest.raises(UsageError, match="Did you mean 'rgb'"):
        Augmenter(Policy(), seed=0, class_count=2, color="rbg")
