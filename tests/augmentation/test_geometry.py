import numpy as np
import pytest

from opsin.augmentation import geometry
from opsin.augmentation.draws import Draws
from opsin.augmentation.resampling import resample

NUMBERS = np.arange(1, 10, dtype=np.uint8).reshape(3, 3, 1) * 10
MANY = Draws(0, 0, np.arange(5_000))


def moved(image, matrices, fill="reflect", fill_value=0):
    return resample(image, np.round(matrices[0], 9), fill=fill, fill_value=fill_value)[:, :, 0].tolist()


@pytest.mark.parametrize("quarters", [-1, 1, 2, 3])
def test_quarter_turns_are_exact_and_counter_clockwise(quarters):
    turned = moved(NUMBERS, geometry.rotation_map(np.array([90.0 * quarters]), 3, 3))

    assert turned == np.rot90(NUMBERS[:, :, 0], quarters).tolist()


def test_a_half_turn_of_a_wide_picture_is_exact():
    image = np.array([[[1], [2], [3]], [[4], [5], [6]]], dtype=np.uint8)

    assert moved(image, geometry.rotation_map(np.array([180.0]), 2, 3)) == [[6, 5, 4], [3, 2, 1]]


@pytest.mark.parametrize(
    ("fill", "expected"),
    [
        ("reflect", [[60, 50, 40], [30, 20, 10], [60, 50, 40]]),
        ("nearest", [[30, 30, 30], [30, 30, 30], [60, 60, 60]]),
        ("constant", [[7, 7, 7], [30, 7, 7], [60, 7, 7]]),
    ],
)
def test_a_shift_by_whole_pixels_is_exact_with_each_fill(fill, expected):
    # One pixel down, two pixels left.
    shift = geometry.translation_map(np.array([1.0]), np.array([-2.0]))

    assert moved(NUMBERS, shift, fill, 7) == expected


def test_reflection_goes_on_for_more_than_one_picture_width():
    image = np.array([[[1], [2], [3]]], dtype=np.uint8)

    assert moved(image, geometry.translation_map(np.array([0.0]), np.array([5.0]))) == [[2, 1, 2]]


def test_magnifying_twice_halves_the_steps_about_the_centre():
    image = np.array([[[10], [20], [40]]], dtype=np.uint8)

    assert moved(image, geometry.zoom_map(np.array([2.0]), 1, 3)) == [[15, 20, 30]]


def test_shrinking_to_half_brings_the_edges_in():
    image = np.array([[[10], [20], [40]]], dtype=np.uint8)

    assert moved(image, geometry.zoom_map(np.array([0.5]), 1, 3), "constant", 0) == [[0, 20, 0]]
    assert moved(image, geometry.zoom_map(np.array([0.5]), 1, 3), "nearest") == [[10, 20, 40]]


def test_a_crop_of_one_quarter_is_interpolated_between_its_pixels_centres():
    image = np.array([[0, 40, 80, 120]], dtype=np.uint8).reshape(1, 4, 1)
    left_half = np.array([[0.0], [0.0], [1.0], [0.5]])

    # Centres at -0.25, 0.25, 0.75 and 1.25 pixels; the first lies outside and is reflected.
    assert moved(image, geometry.crop_map(left_half, 1, 4)) == [[10, 10, 30, 50]]


def test_several_changes_multiply_into_one_map():
    turn = geometry.rotation_map(np.array([90.0]), 3, 3)
    shift = geometry.translation_map(np.array([0.0]), np.array([1.0]))

    together = moved(NUMBERS, turn @ shift, "nearest")

    turned = np.rot90(NUMBERS[:, :, 0])
    assert together == turned[:, [0, 0, 1]].tolist()


def test_interpolation_agrees_with_bilinear_arithmetic():
    generator = np.random.default_rng(0)
    image = generator.integers(0, 256, (9, 7, 3), dtype=np.uint8)
    matrix = (geometry.zoom_map(np.array([1.3]), 9, 7) @ geometry.rotation_map(np.array([25.0]), 9, 7))[0]

    result = resample(image, matrix, fill="reflect")

    y, x = np.mgrid[:9, :7]
    places = matrix @ np.stack([x.ravel(), y.ravel(), np.ones(63)])
    padded = np.pad(image, ((8, 8), (6, 6), (0, 0)), mode="reflect").astype(float)
    column, row = places[0] + 6, places[1] + 8
    left, top = np.floor(column).astype(int), np.floor(row).astype(int)
    right_share, bottom_share = (column - left)[:, None], (row - top)[:, None]
    upper = padded[top, left] * (1 - right_share) + padded[top, left + 1] * right_share
    lower = padded[top + 1, left] * (1 - right_share) + padded[top + 1, left + 1] * right_share
    expected = (upper * (1 - bottom_share) + lower * bottom_share).reshape(9, 7, 3)
    assert np.abs(result - np.floor(expected)).max() <= 1
    assert -1 <= (result - expected).min() <= (result - expected).max() < 1e-6


@pytest.mark.parametrize("flip", [geometry.horizontal_flip, geometry.vertical_flip])
def test_flips_happen_as_often_as_asked(flip):
    flipped = np.linalg.det(flip(0.3, MANY, 4, 6)) < 0

    assert abs(flipped.mean() - 0.3) < 5 * np.sqrt(0.3 * 0.7 / 5_000)


def test_flips_are_exact():
    sideways = moved(NUMBERS, geometry.horizontal_flip(1.0, Draws(0, 0, [0]), 3, 3))
    upside_down = moved(NUMBERS, geometry.vertical_flip(1.0, Draws(0, 0, [0]), 3, 3))

    assert sideways == NUMBERS[:, ::-1, 0].tolist()
    assert upside_down == NUMBERS[::-1, :, 0].tolist()


def test_shifts_are_whole_pixels_up_to_the_fraction_each_way():
    maps = geometry.translation(0.125, MANY, 32, 16)

    assert np.unique(maps[:, 0, 2]).tolist() == [-2, -1, 0, 1, 2]
    assert np.unique(maps[:, 1, 2]).tolist() == list(range(-4, 5))


def test_rotation_and_zoom_use_their_whole_range_and_no_more():
    turns = np.degrees(np.arctan2(*geometry.rotation(10, MANY, 8, 8)[:, [1, 0], 0].T))
    scales = 1 / geometry.zoom(0.2, MANY, 8, 8)[:, 0, 0]

    np.testing.assert_allclose([turns.min(), turns.max()], [-10, 10], atol=0.05)
    np.testing.assert_allclose([scales.min(), scales.max()], [0.8, 1.2], atol=0.001)


def test_crops_stay_in_the_picture_and_keep_the_least_area():
    maps = geometry.crop(0.25, MANY, 30, 50)

    areas = np.linalg.det(maps)
    first = maps @ [-0.5, -0.5, 1] + 0.5
    last = maps @ [49.5, 29.5, 1] + 0.5
    assert areas.min() >= 0.25
    assert first.min() >= -1e-9
    assert (last[:, :2] <= np.array([50, 30]) + 1e-9).all()
    np.testing.assert_allclose([areas.min(), areas.max()], [0.25, 1], atol=0.005)
