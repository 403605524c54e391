"""The classes that masks show, where nobody has said what they are."""

import numpy as np
import pytest
from PIL import Image

from opsin.errors import DataError, UsageError
from opsin.segmentation.dataset import SegmentationDataset


def row(*values: int, dtype: type = np.uint8) -> np.ndarray:
    return np.array([values], dtype)


def inferred(folder, **settings):
    return SegmentationDataset.from_folder(folder, **settings)


@pytest.mark.parametrize(
    ("masks", "values", "ignore"),
    [
        ([row(0, 255), row(0, 0)], (0, 255), ()),
        ([row(1, 2), row(3, 1)], (1, 2, 3), ()),
        ([row(0, 1), row(255, 1)], (0, 1), (255,)),
        ([row(0, 128), row(255, 128)], (0, 128, 255), ()),
        ([row(0, 65535, dtype=np.uint16), row(0, 255)], (0, 255), ()),
        ([row(300, 301, 65535, dtype=np.uint16)], (300, 301), (65535,)),
    ],
)
def test_each_number_is_a_class_and_255_is_ignored_beside_indices(write_pairs, masks, values, ignore):
    table = inferred(write_pairs({str(i): mask for i, mask in enumerate(masks)})).classes

    assert (table.values, table.ignore, table.names) == (values, ignore, tuple(map(str, values)))


def test_names_and_ignored_values_are_taken(write_pairs):
    root = write_pairs({"a": row(1, 2, 3)})

    table = inferred(root, names=("animal", "ground"), ignore=(3,)).classes

    assert (table.names, table.values, table.ignore) == (("animal", "ground"), (1, 2), (3,))
    # No number is 0: no class is a background, which is drawn as nothing.
    assert (0, 0, 0) not in table.colors
    with pytest.raises(UsageError, match=r"each of the 3 classes that the masks hold \(1, 2, 3\)"):
        inferred(root, names=("animal", "ground"))


def test_a_palette_gives_its_colours(write_pairs):
    image = Image.fromarray(row(0, 1))
    image.putpalette([9, 9, 9, 200, 0, 0])

    dataset = inferred(write_pairs({"a": image}))

    assert dataset.classes.colors == ((9, 9, 9), (200, 0, 0))
    assert dataset.note == "The masks hold 0, 1: 2 classes."


def test_each_colour_is_a_class(write_pairs):
    colors = np.array([[[255, 0, 0], [0, 0, 0]]], np.uint8)

    dataset = inferred(write_pairs({"a": colors, "b": np.zeros((1, 2), np.uint8)}))

    assert (dataset.classes.names, dataset.classes.code) == (("#000000", "#ff0000"), "color")
    assert dataset.note == "The masks hold the colours #000000, #ff0000: 2 classes."
    with pytest.raises(UsageError, match=r"these are in colours"):
        inferred(write_pairs({"a": colors}, "others"), ignore=(0,))


def blurred(channels: int) -> np.ndarray:
    mask = np.zeros((64, 64, 3), np.uint8)
    mask[16:50, 10:40] = (0, 250, 0) if channels == 3 else 255
    return mask if channels == 3 else mask[:, :, 0]


@pytest.mark.parametrize("channels", [1, 3])
def test_levels_are_found_again_in_masks_that_jpeg_has_changed(write_pairs, encode, channels):
    content = encode(blurred(channels), "JPEG", quality=80)

    dataset = inferred(write_pairs({"a": content}))

    assert dataset.classes.k == 2
    assert "compressed as JPEG or smoothed" in dataset.note
    if channels == 1:
        assert dataset.classes.values == (0, 255)


def test_photographs_are_no_masks(write_pairs):
    gray = np.arange(256, dtype=np.uint8).reshape(16, 16)
    colors = np.random.default_rng(0).integers(0, 256, (40, 40, 3), np.uint8)

    with pytest.raises(DataError, match=r"255 different numbers \(0, 1, "):
        inferred(write_pairs({"a": gray}))
    with pytest.raises(DataError, match=r"100 different numbers .* as photographs do"):
        inferred(write_pairs({"a": gray % 100}, "gray"))
    with pytest.raises(DataError, match="1,600 colours, as photographs do"):
        inferred(write_pairs({"a": colors}, "colors"))


def test_masks_that_cannot_be_read_are_said(write_pairs):
    root = write_pairs({"a": row(0, 1)})
    (root / "masks" / "a.png").write_bytes(b"no picture")

    with pytest.raises(DataError, match=r"none of the 1 can\. The first: its content is none of the formats"):
        inferred(root)
