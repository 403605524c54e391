import numpy as np
import pytest

from opsin.augmentation import color
from opsin.augmentation.draws import Draws

PIXELS = np.array([[[200, 100, 50], [10, 20, 30]]], dtype=np.uint8)
GRAYS = np.repeat(np.arange(256, dtype=np.uint8), 3).reshape(16, 16, 3)


def recolored(image, matrices):
    return color.recolor(image, matrices[0]).tolist()


def one(value):
    return np.array([value], dtype=float)


def test_brightness_multiplies_and_stops_at_white():
    assert recolored(PIXELS, color.brightness_map(one(1.5))) == [[[255, 150, 75], [15, 30, 45]]]


def test_contrast_spreads_about_the_mean():
    means = color.mean_values(PIXELS[None])

    # The mean is 410 / 6 = 68 1/3.
    assert recolored(PIXELS, color.contrast_map(one(0.5), means)) == [[[134, 84, 59], [39, 44, 49]]]


def test_no_contrast_leaves_the_mean():
    means = color.mean_values(PIXELS[None])

    assert recolored(PIXELS, color.contrast_map(one(0), means)) == [[[68] * 3] * 2]


def test_no_saturation_leaves_the_luma():
    # 0.299 · 200 + 0.587 · 100 + 0.114 · 50 = 124.2, and 18.15.
    assert recolored(PIXELS, color.saturation_map(one(0))) == [[[124] * 3, [18] * 3]]


def test_a_third_of_the_circle_turns_red_into_green_into_blue():
    assert recolored(PIXELS, color.hue_map(one(120))) == [[[50, 200, 100], [30, 10, 20]]]


@pytest.mark.parametrize("matrices", [color.saturation_map(one(1.7)), color.hue_map(one(33))])
def test_saturation_and_hue_leave_grays_as_they_are(matrices):
    np.testing.assert_array_equal(color.recolor(GRAYS, matrices[0]), GRAYS)
    np.testing.assert_array_equal(color.recolor(GRAYS[:, :, :1], matrices[0]), GRAYS[:, :, :1])


def test_a_gray_picture_changes_as_a_colour_picture_with_equal_channels():
    matrices = color.brightness_map(one(0.8)) @ color.contrast_map(one(1.3), one(127.5))

    np.testing.assert_array_equal(
        color.recolor(GRAYS[:, :, :1], matrices[0]), color.recolor(GRAYS, matrices[0])[:, :, :1]
    )


@pytest.mark.parametrize("change", [color.brightness, color.contrast])
def test_factors_use_their_whole_range_and_no_more(change):
    factors = change(0.2, Draws(0, 0, np.arange(5_000)), np.zeros(5_000))[:, 0, 0]

    np.testing.assert_allclose([factors.min(), factors.max()], [0.8, 1.2], atol=0.001)
    assert abs(factors.mean() - 1) < 0.01
