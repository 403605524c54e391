"""Decoded pixels: once for each picture, exactly the recipe's, and a damaged cache is never trusted."""

import errno
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from opsin.data import array_file, store
from opsin.data import cache as cache_module
from opsin.data.cache import INDEX, Cache, default_folder
from opsin.data.dataset import ImageDataset
from opsin.data.store import PIXELS, ArrayPixels, DecodedAgain, decode_datasets, find_decoded
from opsin.errors import DataError, PictureError
from opsin.images.preprocess import Preprocess

RECIPE = Preprocess(5, 7)
ONE = 5 * 7 * 3  # bytes of one picture


@pytest.fixture
def cache(tmp_path):
    return Cache(folder=tmp_path / "cache")


@pytest.fixture
def animals(pictures):
    """Six cats and four dogs."""
    return ImageDataset.from_folder(pictures({"cat": 6, "dog": 4}))


@pytest.fixture
def decoded(monkeypatch):
    """The paths that were decoded, in any order."""
    paths = []
    read = Preprocess.read
    monkeypatch.setattr(Preprocess, "read", lambda self, source: (paths.append(source), read(self, source))[1])
    return paths


def exact(dataset):
    return np.stack([RECIPE.read(path) for path in dataset.paths])


def decode(dataset, cache, **options):
    (stored,) = decode_datasets([dataset], RECIPE, cache=cache, **options)
    return stored


def rows(stored):
    return stored.read(slice(None))


def the_store(cache):
    (folder,) = (path for path in cache.folder.iterdir() if not path.name.startswith("."))
    return folder


# Equal to the recipe


@pytest.mark.parametrize("color", ["rgb", "gray", "hsv", "lab"])
def test_rows_are_exactly_what_the_recipe_reads(animals, cache, color):
    recipe = Preprocess(5, 7, color=color, fit="crop")
    (stored,) = decode_datasets([animals], recipe, cache=cache)
    assert np.array_equal(rows(stored), np.stack([recipe.read(path) for path in animals.paths]))


def test_each_part_has_its_own_pictures_in_its_own_order(animals, cache):
    backwards = animals.subset([9, 3, 0])
    dogs = animals.subset(animals.labels == 1)
    first, second = decode_datasets([backwards, dogs], RECIPE, cache=cache)
    assert np.array_equal(rows(first), exact(backwards))
    assert np.array_equal(rows(second), exact(dogs))
    assert np.array_equal(second.read(np.array([2, 0])), exact(dogs)[[2, 0]])


def test_what_is_read_is_a_copy(animals, cache):
    stored = decode(animals, cache)
    stored.read(np.array([0]))[:] = 0
    assert np.array_equal(rows(stored), exact(animals))


def test_an_empty_part_is_fine(animals, cache):
    part, nothing = decode_datasets([animals, animals.subset([])], RECIPE, cache=cache)
    assert (len(part), len(nothing)) == (10, 0)
    assert len(decode(animals.subset([]), cache, say=pytest.fail)) == 0


# Once for each picture


def test_a_second_run_decodes_nothing(animals, cache, decoded):
    decode(animals, cache)
    assert sorted(decoded) == sorted(animals.paths)
    decoded.clear()
    again = decode(ImageDataset.from_folder(animals.root), cache, progress=pytest.fail)
    assert decoded == []
    assert np.array_equal(rows(again), exact(animals))


def test_parts_of_one_listing_share_a_store_and_another_seed_finds_it(animals, cache, decoded):
    decode_datasets(list(animals.split(seed=0)), RECIPE, cache=cache)
    assert len(decoded) == len(animals)
    decode_datasets(list(animals.split(seed=1)), RECIPE, cache=cache)
    assert len(decoded) == len(animals)
    assert len(list(cache.folder.iterdir())) == 1


def test_the_same_size_in_another_recipe_is_another_store(animals, cache):
    decode(animals, cache)
    recipe = Preprocess(5, 7, fit="crop")
    (other,) = decode_datasets([animals], recipe, cache=cache)
    assert np.array_equal(rows(other), np.stack([recipe.read(path) for path in animals.paths]))


def test_a_picture_that_changed_behind_its_time_stamp_is_decoded_anew(animals, cache):
    decode(animals, cache)
    path = Path(animals.paths[0])
    before = path.stat()
    content = Path(animals.paths[1]).read_bytes()
    path.write_bytes(content.ljust(before.st_size, b"\0")[: max(before.st_size, len(content))])
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert np.array_equal(rows(decode(animals, cache))[0], RECIPE.read(animals.paths[1]))


def test_progress_counts_to_the_end(animals, cache):
    steps = []
    decode(animals, cache, progress=lambda done, total: steps.append((done, total)))
    assert steps == [(number, 10) for number in range(1, 11)]


# A damaged cache is not trusted


def truncate(folder):
    os.truncate(folder / PIXELS, 100)


def lengthen(folder):
    (folder / PIXELS).write_bytes((folder / PIXELS).read_bytes() + b"\0")


def flip_a_byte(folder):
    content = bytearray((folder / PIXELS).read_bytes())
    content[-1] ^= 1
    (folder / PIXELS).write_bytes(content)


def lose_the_pixels(folder):
    (folder / PIXELS).unlink()


def lose_the_index(folder):
    (folder / INDEX).unlink()


def break_the_index(folder):
    (folder / INDEX).write_text('{"format": 1, ')


def empty_the_index(folder):
    (folder / INDEX).write_text("[]")


def claim_another_format(folder):
    index = json.loads((folder / INDEX).read_text())
    (folder / INDEX).write_text(json.dumps({**index, "format": 99}))


DAMAGES = [
    truncate,
    lengthen,
    flip_a_byte,
    lose_the_pixels,
    lose_the_index,
    break_the_index,
    empty_the_index,
    claim_another_format,
]


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_store_is_built_again_and_that_is_said(animals, cache, decoded, damage):
    decode(animals, cache)
    damage(the_store(cache))
    decoded.clear()
    said = []
    stored = decode(animals, cache, say=said.append)
    assert len(decoded) == len(animals)
    assert np.array_equal(rows(stored), exact(animals))
    assert len(said) == 1
    assert "damaged; they are made anew" in said[0]
    decode(animals, cache, say=pytest.fail, progress=pytest.fail)


def test_damage_in_any_block_is_found(animals, cache, monkeypatch):
    monkeypatch.setattr(array_file, "BLOCK_BYTES", 100)
    decode(animals, cache)
    path = the_store(cache) / PIXELS
    whole = path.read_bytes()
    for position in range(0, len(whole), 97):
        path.write_bytes(whole[:position] + bytes([whole[position] ^ 128]) + whole[position + 1 :])
        assert find_decoded(animals, RECIPE, cache) is None
    path.write_bytes(whole)
    assert find_decoded(animals, RECIPE, cache) is not None


def test_an_interrupted_decoding_leaves_nothing(animals, cache, monkeypatch):
    def interrupt(self, source):
        raise KeyboardInterrupt

    monkeypatch.setattr(Preprocess, "read", interrupt)
    with pytest.raises(KeyboardInterrupt):
        decode(animals, cache)
    assert list(cache.folder.iterdir()) == []


DYING = """
import os, pathlib, sys
from opsin.data.dataset import ImageDataset
from opsin.data.cache import Cache
from opsin.data.store import decode_datasets
from opsin.images.preprocess import Preprocess
dataset, cache = ImageDataset.from_folder(sys.argv[1]), Cache(folder=pathlib.Path(sys.argv[2]))
decode_datasets([dataset], Preprocess(5, 7), cache=cache, progress=lambda done, total: done == 5 and os._exit(9))
"""


def test_what_a_killed_process_leaves_is_never_taken_for_a_store(animals, cache):
    killed = subprocess.run([sys.executable, "-c", DYING, animals.root, cache.folder])
    assert killed.returncode == 9
    assert [path.name.startswith(".") for path in cache.folder.iterdir()] == [True]
    assert find_decoded(animals, RECIPE, cache) is None
    assert np.array_equal(rows(decode(animals, cache)), exact(animals))


# Pictures that cannot be read


@pytest.fixture
def broken(animals):
    """The data set after its second cat and its last dog were damaged."""
    for row in (1, 9):
        Path(animals.paths[row]).write_bytes(b"no picture")
    return ImageDataset.from_folder(animals.root)


@pytest.mark.parametrize("enabled", [True, False])
def test_unreadable_pictures_are_reported_and_the_rest_is_used(broken, tmp_path, enabled):
    cache = Cache(folder=tmp_path / "cache", enabled=enabled)
    for _ in range(2):  # The second time from the cache, where there is one.
        stored = decode(broken, cache)
        assert [(skipped.path, skipped.lost) for skipped in stored.unreadable] == [
            ("cat/1.png", True),
            ("dog/3.png", True),
        ]
        assert "none of the formats" in stored.unreadable[0].reason
        good = broken.subset([0, 2, 3, 4, 5, 6, 7, 8])
        assert stored.dataset.names == good.names
        assert np.array_equal(rows(stored), exact(good))


def test_each_part_reports_its_own_unreadable_pictures(broken, cache):
    cats, dogs = decode_datasets([broken.subset(range(6)), broken.subset(range(6, 10))], RECIPE, cache=cache)
    assert [skipped.path for skipped in cats.unreadable] == ["cat/1.png"]
    assert [skipped.path for skipped in dogs.unreadable] == ["dog/3.png"]


def test_a_picture_that_is_gone_is_unreadable(animals, cache):
    Path(animals.paths[0]).unlink()
    stored = decode(animals, cache)
    assert [(skipped.path, skipped.reason) for skipped in stored.unreadable] == [("cat/0.png", "there is no such file")]


def test_if_no_picture_can_be_read_the_data_cannot_be_used(broken, cache):
    with pytest.raises(DataError, match=r"none of the 2 under .* can\. The first, 'cat/1.png': "):
        decode(broken.subset([1, 9]), cache)


# Room


def test_without_a_cache_nothing_is_written_and_rows_are_the_same(animals, tmp_path):
    stored = decode(animals, Cache(folder=tmp_path / "cache", enabled=False), say=pytest.fail)
    assert np.array_equal(rows(stored), exact(animals))
    assert isinstance(stored.pixels, ArrayPixels)
    assert not (tmp_path / "cache").exists()


def test_what_fits_nowhere_is_decoded_again_and_that_is_said(animals, tmp_path, monkeypatch, decoded):
    monkeypatch.setattr(store, "IN_MEMORY_BYTES", 10 * ONE - 1)
    said = []
    stored = decode(animals, Cache(folder=tmp_path / "cache", enabled=False), say=said.append)
    assert isinstance(stored.pixels, DecodedAgain)
    assert np.array_equal(rows(stored), exact(animals))
    assert len(said) == 1
    assert "decoded again in every epoch" in said[0]


def test_a_picture_that_breaks_while_it_is_decoded_again_is_named(animals, tmp_path, monkeypatch):
    monkeypatch.setattr(store, "IN_MEMORY_BYTES", 0)
    stored = decode(animals, Cache(folder=tmp_path, enabled=False))
    Path(animals.paths[2]).unlink()
    with pytest.raises(PictureError, match=r"cat/2\.png"):
        stored.read(np.arange(4))


def test_beyond_the_limit_nothing_is_kept_and_that_is_said(animals, tmp_path):
    said = []
    cache = Cache(folder=tmp_path / "cache", limit_bytes=10 * ONE - 1)
    stored = decode(animals, cache, say=said.append)
    assert np.array_equal(rows(stored), exact(animals))
    assert len(said) == 1
    assert "has no room for" in said[0]
    assert not cache.folder.exists()


def test_a_full_disk_is_said_and_nothing_half_written_stays(animals, cache, monkeypatch):
    def full(descriptor, size):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(array_file, "_reserve", full)
    said = []
    stored = decode(animals, cache, say=said.append)
    assert np.array_equal(rows(stored), exact(animals))
    assert len(said) == 1
    assert "the disk is full" in said[0]
    assert list(cache.folder.iterdir()) == []


def test_where_nothing_can_be_written_pictures_are_held_in_memory(animals, tmp_path):
    (tmp_path / "file").touch()
    said = []
    stored = decode(animals, Cache(folder=tmp_path / "file" / "cache"), say=said.append)
    assert np.array_equal(rows(stored), exact(animals))
    assert len(said) == 1
    assert "cannot be kept" in said[0]


def test_a_cache_that_can_only_be_read_is_read(animals, cache, monkeypatch):
    decode(animals, cache)

    def refuse(*arguments, **options):
        raise PermissionError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(os, "utime", refuse)
    stored = decode(animals, cache, progress=pytest.fail, say=pytest.fail)
    assert np.array_equal(rows(stored), exact(animals))


def test_the_least_recently_used_store_makes_room(pictures, tmp_path):
    cache = Cache(folder=tmp_path / "cache", limit_bytes=25 * ONE)
    first, second, third = (ImageDataset.from_folder(pictures({"cat": 10}, root=name)) for name in "abc")
    for number, dataset in enumerate((first, second)):
        decode(dataset, cache)
        for index in cache.folder.glob(f"*/{INDEX}"):
            if index.stat().st_mtime > 100:
                os.utime(index, (number, number))
    decode(first, cache)  # Now the second has not been used for the longest time.
    decode(third, cache)
    found = [find_decoded(dataset, RECIPE, cache) is not None for dataset in (first, second, third)]
    assert found == [True, False, True]


def test_what_cannot_make_enough_room_is_not_removed(animals, pictures, cache, monkeypatch):
    decode(animals, cache)
    other = ImageDataset.from_folder(pictures({"cat": 90}, root="other"))
    monkeypatch.setattr(cache_module, "free_bytes", lambda folder: 10)
    said = []
    decode(other, cache, say=said.append)
    assert "has no room" in said[0]
    assert find_decoded(animals, RECIPE, cache) is not None


def test_only_what_a_killed_process_left_long_ago_is_removed(animals, cache):
    kept = [f".{'a' * 32}.1-00.tmp", ".config", f".{'c' * 32}"]
    old = [f".{'b' * 32}.1-00.tmp", f".{'b' * 32}.00.old"]
    for name in (*kept, *old):
        (cache.folder / name).mkdir(parents=True)
        (cache.folder / name / PIXELS).touch()
        if name != kept[0]:
            os.utime(cache.folder / name, (1, 1))
    decode(animals, cache)
    assert {path.name for path in cache.folder.iterdir() if path.name.startswith(".")} == set(kept)


def test_other_folders_in_the_cache_folder_are_never_removed(animals, tmp_path):
    cache = Cache(folder=tmp_path / "cache", limit_bytes=10 * ONE)
    (cache.folder / "mine").mkdir(parents=True)
    for name in (PIXELS, INDEX):
        (cache.folder / "mine" / name).write_bytes(bytes(ONE))
    decode(animals, cache)
    assert (cache.folder / "mine" / PIXELS).is_file()


# Finding


def test_a_part_is_found_in_the_store_of_the_whole_and_nothing_is_decoded(animals, cache, decoded):
    decode(animals, cache)
    decoded.clear()
    part = ImageDataset.from_folder(animals.root).subset([7, 2])
    found = find_decoded(part, RECIPE, cache)
    assert decoded == []
    assert np.array_equal(rows(found), exact(part))


def test_what_was_never_decoded_is_not_found_and_not_decoded(animals, cache, decoded):
    assert find_decoded(animals, RECIPE, cache) is None
    assert decoded == []


def test_with_the_cache_switched_off_nothing_is_found(animals, cache):
    decode(animals, cache)
    assert find_decoded(animals, RECIPE, Cache(folder=cache.folder, enabled=False)) is None


def test_the_cache_lies_where_the_environment_says(monkeypatch, tmp_path):
    monkeypatch.setenv("OPSIN_CACHE", str(tmp_path / "own"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert default_folder() == Cache().folder == tmp_path / "own"
    monkeypatch.setenv("OPSIN_CACHE", "")
    assert default_folder() == tmp_path / "xdg" / "opsin"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert default_folder() == tmp_path / "home" / ".cache" / "opsin"


# What pixels are known by


def test_pixels_have_the_same_key_wherever_they_are_kept(animals, cache):
    mapped = decode(animals, cache)
    in_memory = decode(animals, Cache(folder=cache.folder, enabled=False))
    found = find_decoded(animals, RECIPE, cache)
    assert mapped.pixels.key == in_memory.pixels.key == found.pixels.key


def test_one_value_makes_another_key_and_so_does_another_order():
    images = np.arange(4 * ONE, dtype=np.int64).astype(np.uint8).reshape(4, 5, 7, 3)
    changed = images.copy()
    changed[3, 4, 6, 2] ^= 1
    keys = {ArrayPixels(one).key for one in (images, changed, images[::-1], images[:3])}
    assert len(keys) == 4
    assert ArrayPixels(images.copy()).key in keys


def test_pixels_that_are_decoded_again_are_known_by_their_files_and_recipe(animals, cache, monkeypatch):
    monkeypatch.setattr(store, "IN_MEMORY_BYTES", 0)
    nowhere = Cache(folder=cache.folder, enabled=False)
    before = decode(animals, nowhere).pixels
    again = decode(ImageDataset.from_folder(animals.root), nowhere).pixels
    (other,) = decode_datasets([animals], Preprocess(5, 7, fit="crop"), cache=nowhere)
    Path(animals.paths[9]).write_bytes(Path(animals.paths[0]).read_bytes())
    changed = decode(animals, nowhere).pixels
    assert isinstance(before, DecodedAgain)
    assert before.key == again.key
    assert len({before.key, other.pixels.key, changed.key}) == 3
