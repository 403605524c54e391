"""Features: the network's own numbers, computed once, found again by what they are of, and by nothing else."""

import errno
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import keras
import numpy as np
import pytest

from opsin.architectures.cuts import part_before
from opsin.augmentation.augmenter import Augmenter
from opsin.augmentation.policies import Policy
from opsin.data.cache import Cache
from opsin.data.store import ArrayPixels, StoredImages
from opsin.errors import ModelError, SavingError
from opsin.exporters.litert import convert
from opsin.features import extraction
from opsin.features.extraction import (
    FILE,
    Extractor,
    extract,
    extract_view,
    litert_extractor,
    make_extractor,
    part_key,
    run_on,
)

COUNT, SIDE = 21, 6
POLICY = Policy(rotation=30, brightness=0.4, translation=0.2)


def drawn(seed=0):
    """Noise, from dark to bright."""
    random = np.random.default_rng(seed)
    brightness = random.permutation(COUNT).reshape(-1, 1, 1, 1) / COUNT
    return (random.integers(0, 256, (COUNT, SIDE, SIDE, 3)) * brightness).astype(np.uint8)


PIXELS = drawn()
STORE = ArrayPixels(PIXELS)


def stored(rows=range(COUNT), pixels=STORE):
    return StoredImages(None, pixels, np.array(rows, dtype=np.int64))


def means(images):
    """What the drawn-up network gives: the mean of each channel."""
    return images.mean(axis=(1, 2), dtype=np.float32)


@dataclass
class Network:
    """Stands in for the frozen part of a network, and remembers how many pictures it saw."""

    compute: Callable[[np.ndarray], np.ndarray] = means
    seen: list[int] = field(default_factory=list)

    def __call__(self, images):
        assert images.dtype == np.float32
        self.seen.append(len(images))
        return self.compute(images)

    def extractor(self, key="weights A", **options):
        return Extractor(self, (3,), key, **options)


@pytest.fixture
def cache(tmp_path):
    return Cache(folder=tmp_path / "cache")


@pytest.fixture
def network():
    return Network()


def entries(cache):
    return sorted(path.name for path in cache.folder.iterdir()) if cache.folder.exists() else []


# The network's own numbers


@pytest.fixture(scope="module")
def backbone():
    """A real network, small: pictures to five features to three logits."""
    keras.utils.set_random_seed(3)
    image = keras.Input((SIDE, SIDE, 3), name="image")
    x = keras.layers.Rescaling(1 / 255)(image)
    x = keras.layers.Conv2D(5, 3, activation="elu", name="conv")(x)
    x = keras.layers.GlobalAveragePooling2D(name="features")(x)
    return keras.Model(image, keras.layers.Dense(3, name="logits")(x))


@pytest.fixture(scope="module")
def part(backbone):
    return part_before(backbone, backbone.get_layer("features").output)


EXTRACTORS = {
    "LiteRT": lambda backbone, part: make_extractor(part),
    "Keras, as on a GPU": lambda backbone, part: make_extractor(part, gpu=True),
    "the second output of a twin": lambda backbone, part: litert_extractor(part, convert(backbone), output=1),
}


@pytest.mark.parametrize("make", EXTRACTORS.values(), ids=list(EXTRACTORS))
@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 1e-4), ("float16", 2e-3)])
def test_features_are_the_networks_own(backbone, part, cache, make, dtype, tolerance):
    extractor = make(backbone, part)

    features = extract(extractor, {"train": stored()}, cache=cache, dtype=dtype)["train"]

    assert features.array.dtype == dtype
    assert features.read().dtype == np.float32
    own = keras.ops.convert_to_numpy(part(PIXELS.astype(np.float32)))
    np.testing.assert_allclose(features.read(), own, rtol=tolerance, atol=tolerance * own.max())
    assert np.ptp(own, axis=0).min() > 20 * tolerance * own.max(), "features that are all the same would pass"


def test_a_network_that_litert_cannot_take_runs_in_keras(part, cache, monkeypatch):
    def refuse(part):
        raise ModelError("no such operation")

    monkeypatch.setattr(extraction, "convert_outputs", refuse)

    features = extract(make_extractor(part), {"train": stored()}, cache=cache)["train"]

    np.testing.assert_allclose(features.read(), part.predict_on_batch(PIXELS.astype(np.float32)), rtol=1e-4)


def test_another_weight_is_another_key_and_so_is_another_runtime(part):
    before = make_extractor(part, gpu=True).key

    part.get_layer("conv").bias.assign_add([0, 0, 0, 0, 1e-6])
    after = make_extractor(part, gpu=True).key
    part.get_layer("conv").bias.assign_sub([0, 0, 0, 0, 1e-6])

    assert len({before, after, part_key(part, "litert")}) == 3


def test_each_picture_has_its_own_row_whatever_the_order_and_the_batch_size(cache, network):
    parts = {"train": stored([20, 3, 3, 7]), "val": stored([0, 19])}

    features = extract(network.extractor(batch_size=2), parts, cache=cache)

    np.testing.assert_array_equal(features["train"].read(), means(PIXELS[[20, 3, 3, 7]]))
    np.testing.assert_array_equal(features["val"].read(), means(PIXELS[[0, 19]]))
    np.testing.assert_array_equal(features["train"].read(np.array([3, 0])), means(PIXELS[[7, 20]]))
    np.testing.assert_array_equal(features["train"].read(slice(1, 3)), means(PIXELS[[3, 3]]))
    assert sum(network.seen) == 5


def test_a_batch_that_takes_longer_keeps_its_place(cache):
    second_is_done = threading.Event()

    def first_waits(images):
        if np.array_equal(images, PIXELS[:8]):
            assert second_is_done.wait(30)
        else:
            second_is_done.set()
        return means(images)

    extractor = Extractor(first_waits, (3,), "key", lanes=2)

    features = extract(extractor, {"train": stored()}, cache=cache)["train"]

    np.testing.assert_array_equal(features.read(), means(PIXELS))


def test_as_many_calls_as_there_are_lanes_are_made_side_by_side(cache):
    together = threading.Barrier(2)

    def wait(images):
        together.wait(30)
        return means(images)

    extractor = Extractor(wait, (3,), "key", batch_size=3, lanes=2)

    features = extract(extractor, {"train": stored(range(18))}, cache=cache)["train"]

    np.testing.assert_array_equal(features.read(), means(PIXELS[:18]))


def test_pictures_of_two_data_sets_are_kept_apart(cache, network):
    other = drawn(1)
    parts = {"train": stored(), "test": stored([4, 2], ArrayPixels(other))}

    features = extract(network.extractor(), parts, cache=cache)

    np.testing.assert_array_equal(features["train"].read(), means(PIXELS))
    np.testing.assert_array_equal(features["test"].read(), means(other[[4, 2]]))


def test_a_part_without_pictures_has_no_features(cache, network):
    features = extract(network.extractor(), {"train": stored(), "test": stored([])}, cache=cache)
    alone = extract(network.extractor(), {"test": stored([])}, cache=cache)

    assert len(features["test"]) == len(alone["test"]) == 0
    assert features["test"].read().shape == alone["test"].read().shape == (0, 3)


def test_progress_counts_to_the_end(cache, network):
    steps = []

    extract(network.extractor(), {"train": stored()}, cache=cache, progress=lambda *step: steps.append(step))

    assert steps == [(8, 21), (16, 21), (21, 21)]


def test_what_a_further_part_makes_of_features_is_what_the_whole_would_have(cache):
    halved = extract(
        Extractor(lambda images: images / 2, PIXELS.shape[1:], "half"), {"train": stored([9, 2, 2, 20])}, cache=cache
    )
    further = Network()

    features = run_on(further.extractor(batch_size=3), halved["train"])

    np.testing.assert_array_equal(features.read(), means(PIXELS[[9, 2, 2, 20]].astype(np.float32) / 2))
    np.testing.assert_array_equal(features.read(np.array([3])), means(PIXELS[[20]] / np.float32(2)))
    assert further.seen == [3, 1]
    assert len(entries(cache)) == 1


# Once


def test_a_second_run_computes_nothing(cache, network):
    first = extract(network.extractor(), {"train": stored()}, cache=cache)
    network.seen.clear()

    second = extract(network.extractor(), {"train": stored()}, cache=cache, progress=pytest.fail, say=pytest.fail)

    assert network.seen == []
    np.testing.assert_array_equal(second["train"].read(), first["train"].read())


def test_another_split_of_the_same_data_finds_the_same_file(cache, network):
    halves = np.random.default_rng(0).permutation(COUNT)
    extract(network.extractor(), {"train": stored(halves[:11]), "val": stored(halves[11:])}, cache=cache)
    network.seen.clear()

    again = extract(network.extractor(), {"train": stored(range(5)), "val": stored(range(5, COUNT))}, cache=cache)

    assert network.seen == []
    np.testing.assert_array_equal(again["val"].read(), means(PIXELS[5:]))
    assert len(entries(cache)) == 1


def test_features_are_mapped_from_the_file_and_cannot_be_written_to(cache, network):
    for _ in range(2):  # The second time they are found.
        array = extract(network.extractor(), {"train": stored()}, cache=cache)["train"].array

        assert isinstance(array, np.memmap)
        assert not array.flags.writeable


def changed_pixels():
    images = PIXELS.copy()
    images[20, 5, 5, 2] ^= 1
    return ArrayPixels(images)


CHANGES = {
    "weights": {"key": "weights B"},
    "pixels": {"pixels": changed_pixels()},
    "pictures": {"rows": range(1, COUNT)},
    "policy": {"policy": Policy(rotation=30, brightness=0.4, translation=0.2, erasing=0.1)},
    "seed": {"seed": 1},
    "view": {"view": 2},
    "dtype": {"dtype": "float16"},
    "no view": {"view": None},
}


def compute(network, cache, changes):
    chosen = {"key": "weights A", "pixels": STORE, "rows": range(COUNT), "policy": POLICY, "seed": 0, "view": 1}
    chosen = {"dtype": "float32", **chosen, **changes}
    extractor, images = network.extractor(chosen["key"]), stored(chosen["rows"], chosen["pixels"])
    if chosen["view"] is None:
        return extract(extractor, {"train": images}, cache=cache, dtype=chosen["dtype"])["train"].read()
    augmenter = Augmenter(chosen["policy"], chosen["seed"], 3)
    return extract_view(extractor, images, augmenter, chosen["view"], cache=cache, dtype=chosen["dtype"]).read()


@pytest.mark.parametrize("changes", CHANGES.values(), ids=list(CHANGES))
def test_features_of_anything_else_are_never_found(cache, network, tmp_path, changes):
    compute(network, cache, {})
    network.seen.clear()

    other = compute(network, cache, changes)

    assert sum(network.seen) == len(other)
    np.testing.assert_array_equal(other, compute(network, Cache(folder=tmp_path / "fresh"), changes))
    network.seen.clear()
    compute(network, cache, {})
    compute(network, cache, changes)
    assert network.seen == []


# Views


def test_a_view_is_the_picture_as_augmentation_changes_it_by_seed_view_and_row(cache, network):
    augmenter = Augmenter(POLICY, 5, 3)

    features = extract_view(network.extractor(), stored([20, 3, 9]), augmenter, 2, cache=cache).read()

    alone = np.stack([augmenter.augment_image(PIXELS[row], epoch=2, index=row) for row in (20, 3, 9)])
    np.testing.assert_array_equal(features, means(alone.astype(np.float32)))
    assert not np.allclose(features, means(PIXELS[[20, 3, 9]]), atol=1)


def test_a_pictures_view_does_not_depend_on_the_pictures_beside_it(cache, network):
    augmenter = Augmenter(POLICY, 0, 3)
    whole = extract_view(network.extractor(), stored(), augmenter, 1, cache=cache).read()

    some = extract_view(network.extractor(batch_size=2), stored([4, 18, 0]), augmenter, 1, cache=cache).read()

    np.testing.assert_array_equal(some, whole[[4, 18, 0]])


# What can go wrong


def damage_the_bytes(folder):
    content = bytearray((folder / FILE).read_bytes())
    content[-1] ^= 1
    (folder / FILE).write_bytes(content)


def cut_it_short(folder):
    (folder / FILE).write_bytes((folder / FILE).read_bytes()[:-1])


@pytest.mark.parametrize("damage", [damage_the_bytes, cut_it_short])
def test_a_damaged_file_is_computed_anew_and_that_is_said(cache, network, damage):
    extract(network.extractor(), {"train": stored()}, cache=cache)
    damage(cache.folder / entries(cache)[0])
    network.seen.clear()
    said = []

    features = extract(network.extractor(), {"train": stored()}, cache=cache, say=said.append)["train"]

    assert sum(network.seen) == COUNT
    assert len(said) == 1
    assert said[0].startswith("The features in ")
    assert said[0].endswith("are damaged; they are made anew.")
    np.testing.assert_array_equal(features.read(), means(PIXELS))
    extract(network.extractor(), {"train": stored()}, cache=cache, say=pytest.fail, progress=pytest.fail)


def test_on_a_full_disk_they_are_held_in_memory_and_that_is_said(cache, network, monkeypatch):
    def full(descriptor, size):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("opsin.data.array_file._reserve", full)
    said = []

    features = extract(network.extractor(), {"train": stored()}, cache=cache, say=said.append)["train"]

    assert len(said) == 1
    assert said[0].startswith("The features cannot be kept. ")
    assert "the disk is full" in said[0]
    np.testing.assert_array_equal(features.read(), means(PIXELS))
    assert not isinstance(features.array, np.memmap)
    assert sorted(network.seen) == [5, 8, 8]
    assert entries(cache) == []


def test_in_a_cache_that_is_too_small_they_are_held_in_memory_and_that_is_said(tmp_path, network):
    cache, said = Cache(folder=tmp_path / "cache", limit_bytes=COUNT * 3 * 4 - 1), []

    features = extract(network.extractor(), {"train": stored()}, cache=cache, say=said.append)["train"]

    assert len(said) == 1
    assert "has no room" in said[0]
    assert "of features" in said[0]
    np.testing.assert_array_equal(features.read(), means(PIXELS))
    assert entries(cache) == []


def test_what_neither_disk_nor_memory_can_hold_is_an_error_that_says_what_to_do(tmp_path, network, monkeypatch):
    monkeypatch.setattr(extraction, "IN_MEMORY_BYTES", COUNT * 3 * 4 - 1)
    cache = Cache(folder=tmp_path / "cache", limit_bytes=10)

    with pytest.raises(SavingError, match=r"Expected room for .* of features.*--cache-limit-gb.*--views"):
        extract(network.extractor(), {"train": stored()}, cache=cache)
    assert network.seen == []


def test_without_a_cache_nothing_is_kept(tmp_path, network):
    cache = Cache(folder=tmp_path / "cache", enabled=False)

    for _ in range(2):
        features = extract(network.extractor(), {"train": stored()}, cache=cache, say=pytest.fail)["train"]
        np.testing.assert_array_equal(features.read(), means(PIXELS))

    assert sum(network.seen) == 2 * COUNT
    assert not cache.folder.exists()


class BrokenError(Exception):
    pass


def test_a_network_that_fails_ends_all_threads_and_leaves_nothing(cache):
    def fail(images):
        # The others take their time, as a network does: else all may be done before the first failure is seen.
        time.sleep(0.2 if len(failing.seen) > 1 else 0)
        raise BrokenError("half-way")

    failing = Network(fail)

    with pytest.raises(BrokenError, match="half-way"):
        extract(failing.extractor(batch_size=1), {"train": stored()}, cache=cache)

    assert not [thread.name for thread in threading.enumerate() if thread.name.startswith("opsin-features")]
    assert len(failing.seen) < COUNT
    assert entries(cache) == []


def test_ctrl_c_ends_all_threads_and_leaves_nothing(cache, network):
    def press(done, total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        extract(network.extractor(batch_size=1), {"train": stored()}, cache=cache, progress=press)

    assert not [thread.name for thread in threading.enumerate() if thread.name.startswith("opsin-features")]
    assert entries(cache) == []


@pytest.mark.parametrize("value", [65_000, np.inf, np.nan, -65_000])
def test_features_too_large_for_half_precision_are_an_error_and_never_kept(cache, value):
    def large(images):
        features = means(images)
        features[-1, 1] = value
        return features

    network = Network(large)

    with pytest.raises(ModelError, match=r"float16 can hold.*--unfreeze"):
        extract(network.extractor(), {"train": stored()}, cache=cache, dtype="float16")
    assert entries(cache) == []
    if np.isfinite(value):
        features = extract(network.extractor(), {"train": stored()}, cache=cache)["train"].read()
        assert features[-1, 1] == value
