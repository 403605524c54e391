"""Colour spaces against known values."""

import numpy as np
import pytest
from PIL import Image

from opsin.errors import UsageError
from opsin.images.color import COLORS, convert_color

IMAGE = np.random.default_rng(0).integers(0, 256, (16, 16, 3), np.uint8)


@pytest.mark.parametrize("color", COLORS)
def test_each_colour_space_has_its_channels(color):
    converted = convert_color(IMAGE, color)
    assert converted.shape == (16, 16, COLORS[color].channels)
    assert converted.dtype == np.uint8
    assert converted.flags.writeable


def test_rgb_is_untouched():
    assert np.array_equal(convert_color(IMAGE, "rgb"), IMAGE)


def test_gray_is_the_luma_of_bt_601():
    luma = IMAGE @ np.array([0.299, 0.587, 0.114])
    assert np.abs(convert_color(IMAGE, "gray")[:, :, 0] - luma).max() <= 0.51


def test_a_grey_picture_keeps_its_values_as_gray():
    grey = np.arange(256, dtype=np.uint8)[:, None]
    assert np.array_equal(convert_color(np.repeat(grey[:, :, None], 3, axis=2), "gray")[:, :, 0], grey)


def test_hsv_of_the_primary_colours():
    primaries = np.array([[[255, 0, 0], [0, 255, 0], [0, 0, 255], [128, 128, 128]]], np.uint8)
    assert convert_color(primaries, "hsv").tolist() == [[[0, 255, 255], [85, 255, 255], [170, 255, 255], [0, 0, 128]]]


@pytest.mark.parametrize(
    ("rgb", "lab"),
    [
        ((255, 0, 0), (53.24, 80.09, 67.20)),
        ((0, 255, 0), (87.73, -86.18, 83.18)),
        ((0, 0, 255), (32.30, 79.19, -107.86)),
        ((255, 255, 255), (100, 0, 0)),
        ((0, 0, 0), (0, 0, 0)),
        ((3, 3, 3), (0.82, 0, 0)),
    ],
)
def test_lab_of_known_colours_under_d65(rgb, lab):
    lightness, a, b = convert_color(np.array([[rgb]], np.uint8), "lab")[0, 0]
    assert (lightness, a, b) == (round(lab[0] * 2.55), round(lab[1] + 128), round(lab[2] + 128))


def test_a_wrong_name_lists_the_choices():
    with pytest.raises(UsageError, match=r"rgb, gray, hsv, lab.*Did you mean 'gray'"):
        convert_color(IMAGE, "grey")


def test_gray_is_what_pillow_gives():
    assert np.array_equal(convert_color(IMAGE, "gray")[:, :, 0], np.asarray(Image.fromarray(IMAGE).convert("L")))
