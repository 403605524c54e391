"""The recipe from a picture to a network's input, with answers worked out by hand."""

import io
import itertools
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from opsin.errors import ModelError, PictureError, UsageError
from opsin.images.color import COLORS
from opsin.images.decode import decode_image
from opsin.images.preprocess import DRAFT_TOLERANCE, FITS, RESAMPLES, Preprocess

TWO_PIXELS = np.array([[[0, 0, 0], [200, 200, 200]]], np.uint8)
QUARTERS = np.array([[[10, 0, 0], [20, 0, 0], [30, 0, 0], [40, 0, 0]]], np.uint8)
WHITE, GREEN = [255, 255, 255], [0, 255, 0]


def noise(height, width, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def encoded(image, name="PNG", **options):
    stream = io.BytesIO()
    Image.fromarray(image).save(stream, name, **options)
    return stream.getvalue()


def photo(height, width):
    """Draw blobs of every size, so that there is detail at each scale, as in a photo."""
    random = np.random.default_rng(1)
    layers = [
        Image.fromarray(random.integers(0, 256, (4 * 2**k, 4 * 2**k, 3), np.uint8)).resize((width, height), 3)
        for k in range(6)
    ]
    weights = [2.0**-k for k in range(6)]
    return np.average([np.asarray(layer) for layer in layers], axis=0, weights=weights).astype(np.uint8)


def test_two_pixels_average_to_one():
    assert Preprocess(1, 1)(TWO_PIXELS).tolist() == [[[100, 100, 100]]]


def test_two_pixels_grow_to_four_with_pixel_centres_at_halves():
    assert Preprocess(1, 4)(TWO_PIXELS)[0, :, 0].tolist() == [0, 50, 150, 200]


def test_nearest_repeats_pixels():
    assert Preprocess(1, 4, resample="nearest")(TWO_PIXELS)[0, :, 0].tolist() == [0, 0, 200, 200]


def test_crop_keeps_the_middle():
    assert Preprocess(1, 2, fit="crop")(QUARTERS)[0, :, 0].tolist() == [20, 30]


def test_crop_of_a_tall_picture_keeps_the_middle():
    assert Preprocess(2, 1, fit="crop")(QUARTERS.transpose(1, 0, 2))[:, 0, 0].tolist() == [20, 30]


def test_pad_puts_the_background_evenly_around():
    padded = Preprocess(3, 2, fit="pad", background=(0, 255, 0))(TWO_PIXELS)
    assert padded.tolist() == [[GREEN] * 2, TWO_PIXELS[0].tolist(), [GREEN] * 2]


def test_stretch_fills_the_size_with_the_whole_picture():
    # A triangle of support 2 at 1.0: (0.75 × 10 + 0.75 × 20 + 0.25 × 30) / 1.75 = 17.1.
    assert Preprocess(2, 2)(QUARTERS)[:, :, 0].tolist() == [[17, 33], [17, 33]]
    assert Preprocess(2, 2, resample="box")(QUARTERS)[:, :, 0].tolist() == [[15, 35], [15, 35]]


@pytest.mark.parametrize(("fit", "resample"), [*itertools.product(FITS, RESAMPLES)])
def test_a_picture_of_the_right_size_is_untouched(fit, resample):
    image = noise(9, 13)
    recipe = Preprocess(9, 13, fit=fit, resample=resample)
    assert np.array_equal(recipe(image), image)
    assert np.array_equal(recipe.read(encoded(image)), image)


@pytest.mark.parametrize(("fit", "color"), [*itertools.product(FITS, COLORS)])
def test_a_file_and_its_pixels_give_the_same(fit, color):
    image = noise(30, 20)
    recipe = Preprocess(11, 17, fit=fit, color=color)
    assert np.array_equal(recipe.read(encoded(image)), recipe(image))
    assert recipe(image).shape == recipe.shape == (11, 17, recipe.channels)


@pytest.mark.parametrize("size", [(1, 5000), (5000, 1), (1, 1)])
@pytest.mark.parametrize("fit", FITS)
def test_extreme_proportions_work(fit, size):
    image = np.full((*size, 3), 77, np.uint8)
    result = Preprocess(8, 6, fit=fit, background=(77, 77, 77))(image)
    assert (result == 77).all()
    assert result.shape == (8, 6, 3)


@settings(max_examples=60, deadline=None)
@given(
    sizes=st.tuples(*[st.integers(1, 90)] * 4),
    fit=st.sampled_from(sorted(FITS)),
    resample=st.sampled_from(sorted(RESAMPLES)),
)
def test_a_flat_picture_stays_flat_at_every_size(sizes, fit, resample):
    height, width, target_height, target_width = sizes
    recipe = Preprocess(target_height, target_width, fit=fit, resample=resample, background=(9, 99, 200))
    image = np.full((height, width, 3), (9, 99, 200), np.uint8)
    assert (recipe(image) == (9, 99, 200)).all()


@pytest.mark.parametrize("fit", FITS)
@pytest.mark.parametrize("resample", ["bilinear", "bicubic", "lanczos"])
@pytest.mark.parametrize("orientation", [1, 3, 6, 7])
def test_decoding_a_jpeg_small_changes_less_than_the_tolerance(fit, resample, orientation):
    exif = Image.Exif()
    exif[274] = orientation
    content = encoded(photo(333, 415), "JPEG", quality=90, exif=exif)
    recipe = Preprocess(40, 40, fit=fit, resample=resample)
    assert decode_image(content, least_size=recipe.least_size).shape != decode_image(content).shape
    difference = np.abs(recipe.read(content).astype(int) - recipe(decode_image(content)))
    assert difference.mean() < DRAFT_TOLERANCE


@pytest.mark.parametrize("resample", ["nearest", "box"])
def test_filters_that_go_by_whole_pixels_see_the_full_size(resample):
    content = encoded(photo(333, 415), "JPEG")
    recipe = Preprocess(40, 40, resample=resample)
    assert np.array_equal(recipe.read(content), recipe(decode_image(content)))


def test_transparency_shows_the_recipes_background():
    content = encoded(np.zeros((2, 2, 4), np.uint8))
    assert (Preprocess(2, 2, background=(0, 255, 0)).read(content) == GREEN).all()
    assert (Preprocess(2, 2, background=(0, 255, 0))(np.zeros((2, 2, 4), np.uint8)) == GREEN).all()


def test_a_picture_that_cannot_be_read_is_an_error():
    with pytest.raises(PictureError, match="the file is empty"):
        Preprocess(2, 2).read(b"")


@pytest.mark.parametrize(
    ("fit", "size", "fraction"),
    [
        ("crop", (100, 100), 0),
        ("crop", (100, 400), 0.75),
        ("crop", (400, 100), 0.75),
        ("crop", (300, 400), 0.25),
        ("pad", (100, 400), 0),
        ("stretch", (100, 400), 0),
    ],
)
def test_what_crop_cuts_off_is_told(fit, size, fraction):
    assert Preprocess(10, 10, fit=fit).cut_off(*size) == pytest.approx(fraction)


def test_a_recipe_survives_json():
    recipe = Preprocess(32, 48, fit="pad", color="lab", resample="lanczos", background=(1, 2, 3))
    assert Preprocess.from_dict(json.loads(json.dumps(recipe.to_dict()))) == recipe


def test_missing_and_unknown_keys_are_errors_that_name_them():
    values = Preprocess(2, 2).to_dict()
    with pytest.raises(ModelError, match="sharpen"):
        Preprocess.from_dict({**values, "sharpen": True})
    del values["fit"]
    with pytest.raises(ModelError, match="fit"):
        Preprocess.from_dict(values)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"height": 0}, "height to be a whole number from 1 to 8192. Received 0"),
        ({"width": 8193}, "width .* Received 8193"),
        ({"height": 2.5}, "Received 2.5"),
        ({"height": True}, "Received True"),
        ({"height": "32"}, "Received '32'"),
        ({"fit": "strech"}, "Did you mean 'stretch'"),
        ({"color": "bgr"}, "rgb, gray, hsv, lab"),
        ({"resample": "cubic"}, "Did you mean 'bicubic'"),
        ({"background": (1, 2)}, r"Received \(1, 2\)"),
        ({"background": (1, 2, 256)}, "Received 256"),
        ({"background": "white"}, "Received 'white'"),
    ],
)
def test_a_wrong_setting_is_refused_at_once(values, message):
    with pytest.raises(UsageError, match=message):
        Preprocess(**{"height": 2, "width": 2, **values})


def test_an_array_of_floats_is_refused():
    with pytest.raises(UsageError, match="Floats from 0 to 1"):
        Preprocess(2, 2)(np.zeros((2, 2, 3)))
