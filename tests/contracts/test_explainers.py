"""What every method of explanation keeps to."""

import subprocess
import sys

import keras
import numpy as np
import pytest

from opsin.catalog import resolve
from opsin.errors import UsageError
from opsin.explanation import EXPLAINERS, ON_PIXELS
from opsin.explanation.explain import explain
from opsin.explanation.heat_maps import heat_maps
from opsin.explanation.opening import open_network
from opsin.explanation.overlay import TITLES
from opsin.exporters.foreign import Description
from opsin.images.drawing import draw_picture

NAMES = ("a", "b", "c")
IMAGES = np.stack([draw_picture(i, 16, 20) for i in (1, 3, 4)])

# A gradient's size is the same on both sides of a single unit.
WITHOUT_SIDES = {"smooth_grad"}


def network(ends=3):
    keras.utils.set_random_seed(5)
    model = keras.Sequential(
        [
            keras.Input((16, 20, 3)),
            keras.layers.Rescaling(1 / 127.5, offset=-1),
            keras.layers.Conv2D(6, 3, activation="relu", name="conv1"),
            keras.layers.Conv2D(6, 3, strides=2, activation="relu", name="conv2"),
            keras.layers.Flatten(),
            keras.layers.Dense(ends, activation="softmax" if ends > 1 else "sigmoid"),
        ]
    )
    return open_network(model, Description(NAMES if ends > 1 else NAMES[:2]))


@pytest.fixture(scope="module")
def three():
    return network()


@pytest.mark.parametrize("name", EXPLAINERS)
def test_its_catalogue_entry_resolves_to_a_documented_function_with_a_title(name):
    function = resolve(EXPLAINERS[name])

    assert function.__name__ == name
    assert "arXiv" in function.__doc__ or "doi" in function.__doc__
    assert name in TITLES


@pytest.mark.parametrize("name", EXPLAINERS)
def test_it_gives_maps_from_0_to_1_and_their_peaks(name, three):
    maps, peaks = heat_maps(three, IMAGES, [0, 1, 2], method=name)

    assert maps.dtype == peaks.dtype == np.float32
    assert maps.ndim == 3
    assert len(maps) == len(peaks) == 3
    assert np.isfinite(maps).all()
    assert maps.min() >= 0
    np.testing.assert_array_equal(maps.max(axis=(1, 2)), np.where(peaks > 0, 1, 0))
    assert peaks.max() > 0


@pytest.mark.parametrize("name", EXPLAINERS)
def test_it_gives_the_same_again_and_the_same_for_a_picture_among_others(name, three):
    maps, peaks = heat_maps(three, IMAGES, [0, 1, 2], method=name)

    again, _ = heat_maps(three, IMAGES, [0, 1, 2], method=name)
    alone, alone_peaks = heat_maps(three, IMAGES[1:2], [1], method=name)

    np.testing.assert_array_equal(maps, again)
    np.testing.assert_allclose(maps[1], alone[0], atol=1e-4)
    np.testing.assert_allclose(peaks[1], alone_peaks[0], rtol=1e-3)


@pytest.mark.parametrize("name", EXPLAINERS)
def test_another_class_has_another_map(name, three):
    same = np.repeat(IMAGES[2:], 3, axis=0)

    maps, _ = heat_maps(three, same, [0, 1, 2], method=name)

    assert np.abs(maps[0] - maps[1]).max() > 0.01
    assert np.abs(maps[1] - maps[2]).max() > 0.01


@pytest.mark.parametrize("name", [name for name in EXPLAINERS if name not in WITHOUT_SIDES])
def test_one_sigmoid_unit_has_two_sides(name):
    maps, _ = heat_maps(network(ends=1), np.repeat(IMAGES[2:], 2, axis=0), [0, 1], method=name)

    assert np.abs(maps[0] - maps[1]).max() > 0.01


@pytest.mark.parametrize("name", EXPLAINERS)
def test_it_leaves_network_and_pictures_as_they_were(name, three):
    images = IMAGES.astype(np.float32)
    before = three.model(images).numpy()

    heat_maps(three, images, [0, 1, 2], method=name)

    np.testing.assert_array_equal(images, IMAGES)
    np.testing.assert_array_equal(three.model(images).numpy(), before)


@pytest.mark.parametrize("name", EXPLAINERS)
def test_an_explanation_lies_on_the_whole_picture_and_can_be_drawn(name, three, tmp_path):
    picture = draw_picture(4, 50, 70)

    found = explain(three, picture, method=name, class_name="b")
    found.save(tmp_path / "why.png")

    assert found.heat_map.shape == (50, 70)
    assert (found.class_name, found.class_index, found.method) == ("b", 1, name)
    assert (found.layer is None) == (name in ON_PIXELS)
    assert (tmp_path / "why.png").stat().st_size > 1000


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"method": "grad_kam"}, "Did you mean 'grad_cam'"),
        ({"method": "occlusion", "layer": "conv1"}, "works on pixels"),
        ({"class_name": "d"}, "Expected one of these as class: a, b, c"),
        ({"layer": "conv3"}, "Closest: conv"),
    ],
)
def test_what_there_is_not_is_refused(arguments, said, three):
    with pytest.raises(UsageError, match=said):
        explain(three, draw_picture(4, 16, 20), **arguments)


@pytest.mark.parametrize(
    ("images", "indices"), [(IMAGES[:, :8], [0, 1, 2]), (IMAGES, [0, 1]), (IMAGES, [0, 1, 3]), (IMAGES, [-1, 0, 1])]
)
def test_arrays_that_do_not_fit_are_refused(images, indices, three):
    with pytest.raises(UsageError):
        heat_maps(three, images, indices)


def test_no_pictures_give_no_maps(three):
    maps, peaks = heat_maps(three, IMAGES[:0], [])

    assert (len(maps), len(peaks)) == (0, 0)


def test_listing_the_catalogue_loads_neither_numpy_nor_tensorflow():
    code = "import sys, opsin.explanation; sys.exit(bool({'numpy', 'PIL', 'keras', 'tensorflow'} & set(sys.modules)))"

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
