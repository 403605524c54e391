"""A heat map comes to lie on the picture as a person sees it, whatever the recipe did to the picture."""

import numpy as np
import pytest
from PIL import Image

from opsin.explanation.geometry import onto_picture
from opsin.images.preprocess import Preprocess


def spot(recipe, picture):
    """The heat map of a network that finds what is bright."""
    return recipe(picture)[:, :, 0].astype(np.float32) / 255


@pytest.mark.parametrize("size", [(60, 90), (90, 60), (200, 40)], ids=["wide", "tall", "very tall"])
@pytest.mark.parametrize("fit", ["stretch", "pad", "crop"])
def test_what_is_found_at_a_place_is_shown_at_that_place(fit, size):
    height, width = size
    recipe = Preprocess(32, 48, fit=fit, background=(0, 0, 0))
    picture = np.zeros((height, width, 3), np.uint8)
    middle = round(height * 0.55), round(width * 0.6)
    picture[middle[0] - 4 : middle[0] + 4, middle[1] - 4 : middle[1] + 4] = 255

    laid = onto_picture(spot(recipe, picture), recipe, height, width)

    assert laid.shape == size
    rows, columns = np.nonzero(laid > 0.5 * laid.max())
    assert rows.mean() == pytest.approx(middle[0] - 0.5, abs=1.5)
    assert columns.mean() == pytest.approx(middle[1] - 0.5, abs=1.5)


def test_there_is_no_evidence_in_what_is_cut_off():
    recipe = Preprocess(10, 10, fit="crop")

    laid = onto_picture(np.ones((5, 5)), recipe, 20, 60)

    assert (laid[:, 20:40] == 1).all()
    assert not laid[:, :20].any()
    assert not laid[:, 40:].any()


def test_between_two_cells_the_curve_is_smooth_and_nothing_is_hotter_than_the_cells():
    heat_map = np.array([[0.0, 0.9, 1.0, 0.0]], np.float32)

    laid = onto_picture(heat_map, Preprocess(8, 8), 8, 80)[0]

    # Two hot cells beside each other: the peak lies between their middles, at 30 and 50.
    assert 40 < laid.argmax() < 50
    assert laid.min() == 0
    assert 0.99 < laid.max() <= 1
    assert abs(np.diff(laid, 2)).max() < 0.02


def test_what_lies_in_the_padding_is_left_out():
    recipe = Preprocess(12, 12, fit="pad")
    heat_map = np.zeros((12, 12), np.float32)
    heat_map[:3], heat_map[5:7] = 1, 0.5  # The picture, three times as wide as high, has the rows from 4 to 8.

    laid = onto_picture(heat_map, recipe, 10, 30)

    assert laid.max() == pytest.approx(0.5)
    np.testing.assert_allclose(laid, laid[::-1], atol=1e-6)


def test_the_recipe_says_where_the_picture_lies():
    picture = Image.new("RGB", (40, 10), "black")
    recipe = Preprocess(20, 20, fit="pad")

    result = recipe(np.array(picture))
    left, top, right, bottom = recipe.place(10, 40)

    assert not result[top:bottom, left:right].any()
    assert (np.delete(result, np.s_[top:bottom], axis=0) == 255).all()
