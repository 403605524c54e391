"""Masks over pictures: colours, outlines, what is ignored, and the legend."""

import io

import numpy as np
import pytest
from PIL import Image

from opsin.errors import UsageError
from opsin.segmentation.classes import ClassTable
from opsin.segmentation.overlay import mask_layer, mistake_layer, outline, overlay, with_legend

TABLE = ClassTable(("ground", "cell"), ((0, 0, 0), (200, 100, 0)))
GRAY = np.full((3, 4, 3), 100, np.uint8)
MASK = np.array([[0, 0, 0, 0], [0, 1, 1, 1], [0, 1, 1, 255]], np.uint8)


def test_classes_are_tinted_and_black_is_drawn_as_nothing():
    drawn = overlay(GRAY, MASK, TABLE, opacity=0.5, outlines=False)

    assert drawn[0, 0].tolist() == [100, 100, 100]
    assert drawn[2, 2].tolist() == [150, 100, 50]
    # White, at 0.35.
    assert drawn[2, 3].tolist() == [154, 154, 154]
    assert GRAY.max() == 100


def test_outlines_are_in_full_colour_on_the_classes_own_side():
    drawn = overlay(GRAY, MASK, TABLE, opacity=0.5)

    assert drawn[1, 1].tolist() == [200, 100, 0]
    assert drawn[0, 1].tolist() == [100, 100, 100]
    # Beside what is ignored there is no outline.
    assert drawn[2, 2].tolist() == [150, 100, 50]


def test_outlines_of_large_pictures_are_wider():
    mask = np.zeros((10, 1200), np.uint8)
    mask[:, 600:] = 1

    assert np.flatnonzero(outline(mask)[0]).tolist() == [597, 598, 599, 600, 601, 602]


@pytest.mark.parametrize("k", [2, 200])
def test_a_layer_over_the_picture_is_the_overlay(k):
    table = ClassTable(tuple(map(str, range(k))))
    image = np.random.default_rng(0).integers(0, 256, (6, 7, 3), np.uint8)
    mask = np.random.default_rng(1).integers(0, k, (6, 7), np.uint8)
    mask[0] = 255
    buffer = io.BytesIO()
    mask_layer(mask, table).save(buffer, "PNG")

    picture = Image.fromarray(image).convert("RGBA")
    picture.alpha_composite(Image.open(buffer).convert("RGBA"))

    # With so many classes that their outlines have no colours of their own in the palette, there are none.
    expected = overlay(image, mask, table, outlines=k == 2)
    assert np.abs(np.asarray(picture)[:, :, :3].astype(int) - expected).max() <= 1


def test_a_large_picture_is_drawn_in_parts_as_in_one(monkeypatch):
    random = np.random.default_rng(5)
    image, classes = random.integers(0, 256, (50, 40, 3), np.uint8), random.integers(0, 3, (50, 40), np.uint8)
    table = ClassTable(("ground", "cell", "wall"))
    whole = overlay(image, classes, table)

    monkeypatch.setattr("opsin.segmentation.overlay._PIXELS_AT_ONCE", 300)

    np.testing.assert_array_equal(overlay(image, classes, table), whole)


def test_mistakes_are_where_a_judged_pixel_is_said_to_be_another():
    truth, said = np.array([[0, 1, 1, 255]], np.uint8), np.array([[0, 0, 255, 1]], np.uint8)

    alpha = np.asarray(mistake_layer(truth, said, opacity=1).convert("RGBA"))[0, :, 3]

    assert alpha.tolist() == [0, 255, 255, 0]


@pytest.mark.parametrize("width", [1, 40, 300])
def test_a_legend_has_the_classes_colours_below_the_picture(width):
    image = np.full((50, width, 3), 255, np.uint8)
    table = ClassTable(("ground", "a cell with a very long name", "日本"), ((9, 90, 0), (0, 9, 90), (90, 0, 9)))

    drawn = with_legend(image, table, shown=[1, 2])

    assert drawn.shape[1:] == (width, 3)
    assert (drawn[:50] == 255).all()
    if width > 20:
        found = set(map(tuple, drawn[50:].reshape(-1, 3).tolist()))
        assert {(0, 9, 90), (90, 0, 9)} <= found
        assert (9, 90, 0) not in found


def test_a_mask_of_another_size_is_refused():
    with pytest.raises(UsageError, match=r"the picture's size \(3, 4\)"):
        overlay(GRAY, MASK[:2], TABLE)
