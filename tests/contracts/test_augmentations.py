"""What every augmentation in the catalogue keeps to, and every policy."""

import subprocess
import sys

import numpy as np
import pytest

from opsin.augmentation import AUGMENTATIONS, ERASING, MIXING
from opsin.augmentation.augmenter import Augmenter
from opsin.augmentation.policies import POLICIES, Policy
from opsin.catalog import resolve

# Amounts at which each one surely does something to nearly every picture.
STRENGTHS = {"rotation": 180, "hue": 180, "zoom": 0.9, "crop": 0.01}
SETTINGS = {name: Policy(**{name: STRENGTHS.get(name, 1.0)}) for name in AUGMENTATIONS}
SHAPES = [(8, 8), (13, 5), (5, 13), (1, 9), (9, 1), (1, 1)]
COLOUR_ONLY = {"saturation", "hue"}


def pictures(height, width, channels, count=6):
    return np.random.default_rng(0).integers(0, 256, (count, height, width, channels), dtype=np.uint8)


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_its_catalogue_entry_resolves_to_a_documented_function(name):
    function = resolve(AUGMENTATIONS[name])

    assert callable(function)
    assert function.__doc__


@pytest.mark.parametrize("fill", ["reflect", "nearest", "constant"])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("policy", [*SETTINGS.values(), *POLICIES.values()], ids=[*SETTINGS, *POLICIES])
def test_it_keeps_dtype_shape_and_range(policy, channels, shape, fill):
    images = pictures(*shape, channels)
    settings = Policy(**policy.active(), fill=fill, fill_value=255)
    augmenter = Augmenter(settings, seed=0, class_count=3)
    targets = np.eye(3, dtype=np.float32)[[0, 1, 2, 0, 1, 2]]

    changed = augmenter.augment_batch(images, epoch=0, indices=np.arange(6))
    mixed, mixed_targets = augmenter.mix_batch(changed, targets, epoch=0, batch=0)

    for array in (changed, mixed):
        assert array.dtype == np.float32
        assert array.shape == images.shape
        assert np.isfinite(array).all()
        assert array.min() >= 0
        assert array.max() <= 255
    assert mixed_targets.dtype == np.float32
    np.testing.assert_allclose(mixed_targets.sum(axis=1), 1, atol=1e-6)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", [name for name in AUGMENTATIONS if name not in MIXING])
def test_it_changes_pixels_where_it_has_a_meaning(name, channels):
    images = pictures(16, 12, channels)

    changed = Augmenter(SETTINGS[name], seed=0, class_count=2).augment_batch(images, epoch=0, indices=np.arange(6))

    has_meaning = channels == 3 or name not in COLOUR_ONLY
    assert (changed != images).any() == has_meaning


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_it_gives_the_same_for_the_same_seed_and_another_for_the_next(name):
    images = pictures(16, 12, 3)
    targets = np.eye(6, dtype=np.float32)

    def changed(seed):
        augmenter = Augmenter(SETTINGS[name], seed=seed, class_count=6)
        batch = augmenter.augment_batch(images, epoch=0, indices=np.arange(6))
        return augmenter.mix_batch(batch, targets, epoch=0, batch=0)[0]

    np.testing.assert_array_equal(changed(1), changed(1))
    # A flip of probability 1 has nothing left to draw.
    if not name.endswith("flip"):
        assert (changed(1) != changed(2)).any()


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", [name for name in AUGMENTATIONS if name not in {*ERASING, *MIXING}])
def test_it_leaves_an_even_gray_picture_even(name, channels):
    images = np.full((6, 9, 7, channels), 120, dtype=np.uint8)
    augmenter = Augmenter(SETTINGS[name], seed=0, class_count=2)

    changed = augmenter.augment_batch(images, epoch=0, indices=np.arange(6))

    assert (np.ptp(changed, axis=(1, 2, 3)) == 0).all()


def test_listing_the_catalogue_loads_neither_numpy_nor_pillow():
    code = "import sys, opsin.augmentation.policies; sys.exit(bool({'numpy', 'PIL'} & set(sys.modules)))"

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
