"""Pictures and masks in augmentation: one map for both, and the same one every time."""

import numpy as np
import pytest

from opsin.augmentation.draws import Draws
from opsin.augmentation.policies import Policy
from opsin.errors import UsageError
from opsin.segmentation.augmenting import augment_pair
from opsin.segmentation.elastic import displacement
from opsin.segmentation.policies import PAIR_POLICIES, PairPolicy, describe_pairs, get_pair_policy
from opsin.segmentation.sampling import Places, sample_bilinear, sample_nearest

GEOMETRY = Policy(
    horizontal_flip=0.5, vertical_flip=0.5, rotation=180, zoom=0.3, crop=0.5, fill="constant", fill_value=0
)


def halves(size: int = 64) -> tuple[np.ndarray, np.ndarray]:
    """A picture whose values say what its mask says: 50 for class 0, 250 for class 1."""
    mask = np.zeros((size, size), np.uint8)
    mask[size // 4 : size // 2, size // 3 :] = 1
    return (50 + 200 * mask)[:, :, None].astype(np.uint8), mask


@pytest.mark.parametrize("elastic", [0, 0.05])
@pytest.mark.parametrize("index", range(6))
def test_picture_and_mask_are_moved_by_one_map(elastic, index):
    policy = PairPolicy(base=GEOMETRY, elastic=elastic)

    image, mask = augment_pair(*halves(), seed=1, epoch=2, index=index, policy=policy)

    expected = np.select([mask == 0, mask == 1], [50, 250], 0)
    wrong = np.abs(image[:, :, 0].astype(int) - expected) > 1
    # Where two classes meet the picture mixes them, and nowhere else.
    around = np.lib.stride_tricks.sliding_window_view(np.pad(mask, 1, constant_values=255), (3, 3))
    near_edge = around.min(axis=(2, 3)) != around.max(axis=(2, 3))
    assert (wrong & ~near_edge).sum() <= 2
    assert {0, 1} <= set(np.unique(mask).tolist()) <= {0, 1, 255}


def test_the_same_seed_epoch_and_index_give_the_same_pair():
    policy = PairPolicy(base=Policy(rotation=30, brightness=0.3), elastic=0.02)

    def changed(**settings):
        image, mask = augment_pair(*halves(), **{"seed": 0, "epoch": 0, "index": 0, **settings}, policy=policy)
        return image.tobytes() + mask.tobytes()

    assert changed() == changed()
    assert len({changed(), changed(seed=1), changed(epoch=1), changed(index=1)}) == 4


def test_what_comes_in_at_the_edges_is_ignored_in_the_mask():
    mask = np.zeros((20, 20), np.uint8)
    policy = PairPolicy(base=Policy(translation=0.5))
    image = np.full((20, 20, 1), 9, np.uint8)

    image, moved = augment_pair(image, mask, seed=0, epoch=0, index=3, policy=policy)

    assert (image == 9).all()
    assert 0 < (moved == 255).sum() < moved.size


def test_colours_change_in_the_picture_alone():
    image, mask = halves()
    policy = PairPolicy(base=Policy(brightness=0.5))

    changed, same = augment_pair(image, mask, seed=0, epoch=0, index=0, policy=policy)

    assert (changed != image).any()
    assert same.tolist() == mask.tolist()
    assert (augment_pair(image, mask, seed=0, epoch=0, index=0, policy=policy.for_color("lab"))[0] == image).all()


def test_pictures_are_bent_and_moved_by_one_map():
    image, mask = halves()
    moved = PairPolicy(base=Policy(horizontal_flip=1.0, crop=0.5, fill="nearest"))
    bent = PairPolicy(base=moved.base, elastic=1e-7)

    expected, found = (augment_pair(image, mask, seed=0, epoch=0, index=2, policy=one) for one in (moved, bent))

    assert (found[1] != expected[1]).sum() <= 3
    assert np.abs(found[0].astype(int) - expected[0]).max() <= 2
    assert (found[1] != mask).sum() > 100


def test_flips_are_exact():
    mask = np.arange(16, dtype=np.uint8).reshape(4, 4)
    image = np.repeat(mask[:, :, None], 3, axis=2) * 10
    flipped = augment_pair(
        image, mask, seed=0, epoch=0, index=0, policy=PairPolicy(base=Policy(horizontal_flip=1.0, vertical_flip=1.0))
    )

    assert flipped[0][:, :, 1].tolist() == (10 * mask[::-1, ::-1]).tolist()
    assert flipped[1].tolist() == mask[::-1, ::-1].tolist()


def test_without_changes_the_arrays_come_back_as_they_are():
    image, mask = halves()

    same = augment_pair(image, mask, seed=0, epoch=0, index=0, policy=PAIR_POLICIES["none"])

    assert same[0].tolist() == image.tolist()
    assert same[1].tolist() == mask.tolist()


def test_a_displacement_is_smooth_and_as_large_as_it_is_said_to_be():
    fields = np.stack([displacement(0.02, 3, Draws(0, 0, [index]), 96, 128) for index in range(200)])

    assert fields.shape == (200, 2, 96, 128)
    assert fields.std() == pytest.approx(0.02 * 96, rel=0.05)
    assert abs(fields.mean()) < 0.1
    # Neighbours move alike: nothing folds over.
    assert np.abs(np.diff(fields, axis=2)).max() < 0.5
    assert np.abs(np.diff(fields, axis=3)).max() < 0.5


def test_an_even_displacement_is_a_shift():
    image = np.random.default_rng(0).integers(0, 256, (5, 6, 3), np.uint8)
    places = Places.bent(np.eye(3), np.stack([np.full((5, 6), 1.0), np.full((5, 6), -2.0)]).astype(np.float32))

    moved = sample_bilinear(image, places, fill="constant", fill_value=7)

    assert moved[:4, 2:].tolist() == image[1:, :4].tolist()
    assert (moved[4] == 7).all()
    assert (moved[:, :2] == 7).all()
    assert sample_nearest(image[:, :, 0], places, 255)[:4, 2:].tolist() == image[1:, :4, 0].tolist()


def test_interpolation_is_a_weighted_mean_of_four_pixels():
    image = np.array([[[0], [100]], [[40], [200]]], np.uint8)
    places = Places(np.array([[0.5, 0.25]], np.float32), np.array([[0.5, 1.0]], np.float32))

    assert sample_bilinear(image, places, fill="reflect")[0, :, 0].tolist() == [85, 125]


def test_changes_that_a_mask_cannot_follow_are_refused():
    with pytest.raises(UsageError, match="Received erasing, cutmix: set erasing to 0"):
        PairPolicy(base=Policy(erasing=0.5, cutmix=1.0))
    with pytest.raises(UsageError, match="elastic to be a number"):
        PairPolicy(elastic=0.5)
    with pytest.raises(UsageError, match="elastic_grid"):
        PairPolicy(elastic_grid=1)
    with pytest.raises(UsageError, match="Did you mean 'light'"):
        get_pair_policy("lihgt")


@pytest.mark.parametrize("name", PAIR_POLICIES)
def test_every_policy_says_what_it_does_and_does_it(name):
    image, mask = halves(16)
    image = np.repeat(image, 3, axis=2)

    found = augment_pair(image, mask, seed=0, epoch=0, index=1, policy=get_pair_policy(name))

    assert (found[0].shape, found[1].shape) == (image.shape, mask.shape)
    assert (describe_pairs(PAIR_POLICIES[name]) == "no changes") == (name == "none")


def test_a_mask_of_another_size_than_its_picture_is_refused():
    with pytest.raises(UsageError, match=r"uint8 \(4, 4\), the picture's size"):
        augment_pair(
            np.zeros((4, 4, 3), np.uint8), np.zeros((4, 5), np.uint8), seed=0, epoch=0, index=0, policy=PairPolicy()
        )
