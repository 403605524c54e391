"""Inside a hand-made network: what its channels show, like, and leave undone."""

import keras
import numpy as np
import pytest

from opsin.errors import DataError, UsageError
from opsin.explanation.channels import (
    feature_maps,
    first_filters,
    inspect_channels,
    most_exciting,
)
from opsin.explanation.dreaming import maximize
from opsin.explanation.inside_sheets import draw_channel, draw_filters, draw_maps
from opsin.explanation.opening import open_network
from opsin.exporters.foreign import Description
from opsin.images.drawing import save_image


@pytest.fixture(scope="module")
def network():
    """Four filters: red, twice the same green, and one that is never above zero."""
    image = keras.Input((8, 8, 3))
    x = keras.layers.Conv2D(4, 1, name="colors")(image)
    x = keras.layers.ReLU(name="relu")(x)
    model = keras.Model(image, keras.layers.Dense(2)(keras.layers.GlobalAveragePooling2D()(x)))
    kernel = np.array([[1, 0, 0], [0, 1, 0], [0, 2, 0], [-1, -1, -1]], np.float32).T / 255
    model.get_layer("colors").set_weights([kernel[None, None], np.array([0, 0, 0, -0.5], np.float32)])
    return open_network(model, Description(("a", "b"), "none"))


@pytest.fixture
def pictures(tmp_path):
    """Three pictures of 8×8: black, with a red corner at the lower left, green."""
    images = np.zeros((3, 8, 8, 3), np.uint8)
    images[1, 6:, :2, 0] = 200
    images[2, :, :, 1] = 100
    paths = [str(tmp_path / f"{name}.png") for name in ("black", "red", "green")]
    for image, path in zip(images, paths, strict=True):
        save_image(image, path)
    return paths


def test_the_maps_of_a_layer_are_what_it_computes(network):
    image = np.zeros((8, 8, 3), np.uint8)
    image[0, 0] = 255, 51, 0

    place, maps = feature_maps(network, image, "relu")

    assert place.name == "relu"
    np.testing.assert_allclose(maps[0, 0], [1, 0.2, 0.4, 0], atol=1e-6)
    assert draw_maps(maps).shape[2] == 3


def test_the_pictures_that_excite_a_channel_most_come_first_with_the_place(network, pictures):
    first, *others = most_exciting(network, [*pictures, "missing.png"], 0)

    assert first.path == pictures[1]
    assert first.value == pytest.approx(200 / 255)
    assert (first.row, first.column) == (6.5 / 8, 0.5 / 8)
    assert [one.value for one in others] == [0, 0]


def test_a_channel_that_there_is_not_is_refused(network, pictures):
    with pytest.raises(UsageError, match="from 0 to 3; received 4"):
        most_exciting(network, pictures, 4)
    with pytest.raises(UsageError, match="from 0 to 3; received 4"):
        maximize(network, 4)


def test_dead_and_duplicated_channels_are_counted(network, pictures):
    (found,) = inspect_channels(network, pictures)

    assert (found.layer, found.channels) == ("colors", 4)
    assert found.dead == (3,)
    assert found.duplicated == (2,)


def test_channels_are_dead_only_on_what_was_seen(network, pictures):
    (found,) = inspect_channels(network, pictures[:1])

    assert found.dead == (0, 1, 2, 3)
    with pytest.raises(DataError, match="none of 1 can be read"):
        inspect_channels(network, ["missing.png"])


def test_the_picture_that_a_channel_would_like_best_is_of_its_colour(network, pictures):
    dream = maximize(network, 0, steps=40)

    assert dream.shape == (8, 8, 3)
    assert dream[:, :, 0].mean() > 250
    assert dream[:, :, 1:].mean() == pytest.approx(127, abs=20)
    sheet = draw_channel(network, dream, most_exciting(network, pictures, 0))
    assert sheet.shape[0] > 180


def test_the_first_filters_are_drawn_with_grey_for_nothing(network):
    place, kernel = first_filters(network)

    sheet = draw_filters(kernel)

    assert place.name == "colors"
    assert kernel.shape == (1, 1, 3, 4)
    # The first tile, red alone: its other channels have the weight 0.
    assert sheet[50, 50].tolist() == [255, 128, 128]


def test_a_network_without_filters_says_so():
    model = keras.Sequential([keras.Input((4, 4, 3)), keras.layers.Flatten(), keras.layers.Dense(2)])

    with pytest.raises(UsageError, match="convolutions"):
        first_filters(open_network(model, Description(("a", "b"), "none")))
