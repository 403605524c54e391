"""The store of decoded pictures and masks."""

import numpy as np
import pytest

from opsin.data.cache import Cache
from opsin.errors import DataError
from opsin.segmentation.dataset import SegmentationDataset
from opsin.segmentation.road import SegmentationRecipe
from opsin.segmentation.store import decode_pairs

RECIPE = SegmentationRecipe((4, 6))


def masks(count: int) -> dict[str, np.ndarray]:
    random = np.random.default_rng(0)
    return {str(number): random.integers(0, 2, (8, 9), np.uint8) for number in range(count)}


@pytest.fixture
def cache(tmp_path) -> Cache:
    return Cache(folder=tmp_path / "cache")


def test_every_row_is_the_road_of_its_pair(write_pairs, cache):
    dataset = SegmentationDataset.from_folder(write_pairs(masks(5)))
    parts = [dataset.subset([4, 0]), dataset.subset([2])]

    stored = decode_pairs(parts, RECIPE, cache=cache)

    for one in stored:
        images, classes = one.read(slice(None))
        for image, mask, pair in zip(images, classes, one.dataset.pairs, strict=True):
            expected = RECIPE.read(dataset.root / pair.image, dataset.root / pair.mask, dataset.classes)
            assert image.tolist() == expected[0].tolist()
            assert mask.tolist() == expected[1].tolist()


def test_nothing_is_decoded_twice(write_pairs, cache, monkeypatch):
    dataset = SegmentationDataset.from_folder(write_pairs(masks(3)))
    first = decode_pairs([dataset], RECIPE, cache=cache)[0].read(slice(None))

    monkeypatch.setattr("opsin.segmentation.store._read", None)
    again = decode_pairs([dataset], RECIPE, cache=cache)[0].read(slice(None))

    assert [array.tolist() for array in again] == [array.tolist() for array in first]


def test_a_changed_mask_or_another_class_table_is_decoded_anew(write_pairs, cache, encode):
    root = write_pairs(masks(2))
    dataset = SegmentationDataset.from_folder(root)
    decode_pairs([dataset], RECIPE, cache=cache)
    (root / "masks" / "1.png").write_bytes(encode(np.ones((8, 9), np.uint8)))

    assert (decode_pairs([dataset], RECIPE, cache=cache)[0].read(slice(None))[1][1] == 1).all()
    swapped = SegmentationDataset(dataset.listing, type(dataset.classes)(("x", "y"), values=(1, 0)))
    assert (decode_pairs([swapped], RECIPE, cache=cache)[0].read(slice(None))[1][1] == 0).all()


def test_pairs_that_cannot_be_read_are_left_out_and_said(write_pairs, cache, encode):
    root = write_pairs(masks(4))
    dataset = SegmentationDataset.from_folder(root)
    (root / "images" / "0.png").write_bytes(b"no picture")
    (root / "masks" / "1.png").write_bytes(encode(np.full((8, 9), 7, np.uint8)))
    (root / "masks" / "2.png").write_bytes(encode(np.zeros((9, 8), np.uint8)))

    stored = decode_pairs([dataset], RECIPE, cache=cache)[0]

    assert stored.dataset.names == ("images/3.png",)
    assert [one.path for one in stored.unreadable] == ["images/0.png", "images/1.png", "images/2.png"]
    assert stored.unreadable[1].reason.startswith("its mask 'masks/1.png': 72 of its pixels have the value 7")
    assert "the mask has 8 x 9 pixels" in stored.unreadable[2].reason
    with pytest.raises(DataError, match=r"none of the 2 pairs .* can\. The first, 'images/1.png'"):
        decode_pairs([dataset.subset([1, 2])], RECIPE, cache=cache)


def test_without_a_cache_pairs_are_in_memory_or_decoded_again(write_pairs, monkeypatch):
    dataset = SegmentationDataset.from_folder(write_pairs(masks(3)))
    off = Cache(enabled=False)
    in_memory = decode_pairs([dataset], RECIPE, cache=off)[0].read(np.array([2, 0]))
    said: list[str] = []

    monkeypatch.setattr("opsin.data.store.IN_MEMORY_BYTES", 0)
    again = decode_pairs([dataset], RECIPE, cache=off, say=said.append)[0].read(np.array([2, 0]))

    assert [array.tolist() for array in again] == [array.tolist() for array in in_memory]
    assert [line.split(" (")[0] for line in said] == ["The decoded pictures", "The decoded masks"]
