"""The same weights in whatever kind of Keras model: the same layer is found, and the same heat map comes out.

tensorflow#44462, keras#16355 and keras-io#1903 tell how Grad-CAM breaks on nested, Sequential and loaded models.
"""

import keras
import numpy as np
import pytest

import opsin
from opsin.errors import ModelError, UsageError
from opsin.explanation import network as networks
from opsin.explanation.heat_maps import heat_maps
from opsin.explanation.opening import open_network
from opsin.exporters.foreign import Description
from opsin.images.drawing import draw_picture

NAMES = ("a", "b", "c")
SAID = Description(NAMES, "none")
HELD_BY_FLAT = 16 * 20 * 3 + 14 * 18 * 6 + 7 * 9 * 6 + 2 * 5 * 7 * 8 + 2 * 2 * 3 * 8 + 8 + 3
"""Numbers that the layers of `flat` give for a picture, its input left out."""
IMAGES = np.stack([draw_picture(i, 16, 20) for i in range(3)]).astype(np.float32)


def layers():
    keras.utils.set_random_seed(1)
    return [
        keras.layers.Rescaling(1 / 255, name="scale"),
        keras.layers.Conv2D(6, 3, activation="relu", name="conv1"),
        keras.layers.MaxPooling2D(name="pool1"),
        keras.layers.Conv2D(8, 3, name="conv2"),
        keras.layers.ReLU(name="relu2"),
        keras.layers.MaxPooling2D(name="pool2"),
        keras.layers.Dropout(0.2, name="dropout"),
        keras.layers.GlobalAveragePooling2D(name="pool"),
        keras.layers.Dense(3, name="logits"),
    ]


def chain(parts, x):
    for part in parts:
        x = part(x)
    return x


def functional(shape, parts, name):
    image = keras.Input(shape)
    return keras.Model(image, chain(parts, image), name=name)


def flat():
    return functional((16, 20, 3), layers(), "flat")


def sequential():
    return keras.Sequential([keras.Input((16, 20, 3)), *layers()])


def backbone_in_functional():
    parts = layers()
    backbone = functional((16, 20, 3), parts[1:7], "backbone")
    return functional((16, 20, 3), [parts[0], backbone, *parts[7:]], "whole")


def sequential_in_sequential():
    parts = layers()
    return keras.Sequential(
        [
            keras.Input((16, 20, 3)),
            parts[0],
            keras.Sequential([keras.Sequential(parts[1:4], name="inner"), *parts[4:7]], name="backbone"),
            *parts[7:],
        ]
    )


def all_in_one():
    """A model in a model, with its pooling and head: nothing of it is at the top."""
    return functional((16, 20, 3), [functional((16, 20, 3), layers(), "inner")], "outer")


class OfItsOwn(keras.Model):
    def __init__(self):
        super().__init__()
        self.parts = layers()

    def call(self, x):
        return chain(self.parts, x)


def softmax_at_the_end():
    return functional((16, 20, 3), [*layers(), keras.layers.Softmax()], "probabilities")


def softmax_in_the_dense_layer():
    model = flat()
    model.get_layer("logits").activation = keras.activations.softmax
    return model


def softmax_in_a_nested_head():
    parts = layers()
    head = keras.Sequential([*parts[7:], keras.layers.Activation("softmax")], name="head")
    return functional((16, 20, 3), [*parts[:7], head], "whole")


def operations_for_layers():
    parts = layers()
    parts[4] = keras.ops.relu
    parts.append(keras.ops.softmax)
    return functional((16, 20, 3), parts, "operations")


def loaded(build):
    def load(path):
        build().save(path)
        return keras.saving.load_model(path)

    return load


KINDS = {
    "functional": flat,
    "Sequential": sequential,
    "backbone in a functional model": backbone_in_functional,
    "Sequential in Sequential": sequential_in_sequential,
    "model in a model": all_in_one,
    "softmax layer": softmax_at_the_end,
    "softmax in the dense layer": softmax_in_the_dense_layer,
    "softmax in a nested head": softmax_in_a_nested_head,
    "plain operations": operations_for_layers,
}


@pytest.fixture(scope="module")
def expected():
    return heat_maps(open_network(flat(), SAID), IMAGES, [0, 1, 2])


def assert_same(model, expected):
    network = open_network(model, SAID)

    maps, peaks = heat_maps(network, IMAGES, [0, 1, 2])

    assert network.place().shape == (5, 7, 8)
    assert network.place().name.rpartition("/")[2].startswith("relu")
    np.testing.assert_allclose(maps, expected[0], atol=1e-5)
    np.testing.assert_allclose(peaks, expected[1], rtol=1e-4)


@pytest.mark.parametrize("build", KINDS.values(), ids=KINDS)
def test_the_right_layer_is_found_and_gives_the_same_heat_map(build, expected):
    assert expected[1].max() > 0
    assert_same(build(), expected)


@pytest.mark.parametrize("build", [KINDS[kind] for kind in KINDS if "operations" not in kind])
def test_it_does_so_in_a_model_loaded_from_disk(build, expected, tmp_path):
    build().save(tmp_path / "my.keras")

    assert_same(keras.saving.load_model(tmp_path / "my.keras"), expected)
    assert_same(tmp_path / "my.keras", expected)


def test_it_does_so_in_a_model_of_a_class_of_its_own(expected):
    model = OfItsOwn()
    image = keras.Input((16, 20, 3))
    assert_same(keras.Model(image, model(image)), expected)


def test_a_model_is_left_as_it_was():
    model = softmax_in_the_dense_layer()
    before = model(IMAGES).numpy()

    heat_maps(open_network(model, SAID), IMAGES, [0, 1, 2])

    np.testing.assert_array_equal(model(IMAGES).numpy(), before)
    assert not any("call" in vars(layer) for layer in model.layers)


def test_before_flattening_the_last_convolution_is_found_not_its_pooling():
    parts = layers()
    model = functional((16, 20, 3), [*parts[:6], keras.layers.Flatten(), keras.layers.Dense(3)], "flattened")

    assert open_network(model, SAID).place().name == "relu2"


def test_squeezed_maps_and_pooling_that_keeps_its_axes_are_passed_over():
    parts = layers()
    tail = [keras.layers.GlobalAveragePooling2D(keepdims=True), keras.layers.Conv2D(3, 1), keras.layers.Flatten()]
    model = functional((16, 20, 3), [*parts[:5], *tail], "squeezed")

    assert open_network(model, SAID).place().name == "relu2"


def test_a_layer_is_taken_by_its_name_also_inside_a_nested_model():
    network = open_network(backbone_in_functional(), SAID)

    assert network.place("backbone/conv1").shape == (14, 18, 6)
    assert network.place("conv1") == network.place("backbone/conv1")
    assert heat_maps(network, IMAGES, [0, 1, 2], layer="backbone/conv1")[0].shape == (3, 14, 18)


@pytest.mark.parametrize(
    ("layer", "said"),
    [
        ("backbone/conv3", r"Closest: backbone/conv\d"),
        ("logits", r"gives \(3,\).*'backbone/relu2'"),
    ],
)
def test_a_layer_that_is_not_there_or_gives_no_maps_is_refused(layer, said):
    network = open_network(backbone_in_functional(), SAID)

    with pytest.raises(UsageError, match=said):
        heat_maps(network, IMAGES, [0, 1, 2], layer=layer)


def test_a_name_that_two_layers_have_is_refused():
    parts, others = layers(), layers()
    one, two = functional((16, 20, 3), parts[1:3], "one"), functional((7, 9, 6), [others[1]], "two")
    model = functional((16, 20, 3), [one, two, *parts[7:]], "both")

    with pytest.raises(UsageError, match="one/conv1, two/conv1"):
        open_network(model, SAID).place("conv1")


def test_a_shared_layer_is_looked_at_where_it_is_used_last():
    keras.utils.set_random_seed(0)
    shared = keras.layers.Conv2D(3, 3, padding="same", activation="relu", name="shared")
    parts = [shared, keras.layers.MaxPooling2D(), shared, keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(3)]
    network = open_network(functional((16, 20, 3), parts, "shared_layers"), SAID)

    assert network.place().shape == (8, 10, 3)
    assert heat_maps(network, IMAGES, [0, 1, 2])[0].shape == (3, 8, 10)


def test_a_model_with_several_inputs_is_refused():
    first, second = keras.Input((16, 20, 3), name="photo"), keras.Input((16, 20, 3), name="mask")
    both = keras.layers.GlobalAveragePooling2D()(keras.layers.Add()([first, second]))
    model = keras.Model([first, second], keras.layers.Dense(3)(both))

    with pytest.raises(UsageError, match=r"one input.*has 2: 'photo', 'mask'"):
        open_network(model, SAID)


def test_a_file_of_a_model_with_several_inputs_is_refused(tmp_path):
    first, second = keras.Input((16, 20, 3), name="photo"), keras.Input((16, 20, 3), name="mask")
    both = keras.layers.GlobalAveragePooling2D()(keras.layers.Add()([first, second]))
    keras.Model([first, second], keras.layers.Dense(3)(both)).save(tmp_path / "two.keras")

    with pytest.raises(UsageError, match="one input"):
        open_network(tmp_path / "two.keras", SAID)


def test_a_model_with_several_outputs_is_refused():
    image = keras.Input((16, 20, 3))
    pooled = keras.layers.GlobalAveragePooling2D()(image)
    model = keras.Model(image, [keras.layers.Dense(3, name="kind")(pooled), keras.layers.Dense(2, name="age")(pooled)])

    with pytest.raises(UsageError, match="one output"):
        open_network(model, SAID)


def test_a_model_without_spatial_layers_is_refused_but_its_pixels_can_be_explained():
    parts = [keras.layers.Rescaling(1 / 255), keras.layers.Flatten(), keras.layers.Dense(8), keras.layers.Dense(3)]
    network = open_network(functional((16, 20, 3), parts, "dense"), SAID)

    with pytest.raises(ModelError, match=r"this one has none.*occlusion"):
        heat_maps(network, IMAGES, [0, 1, 2])
    assert heat_maps(network, IMAGES[:1], [0], method="occlusion")[1][0] > 0


def test_a_softmax_that_cannot_be_taken_off_is_refused():
    class Hidden(keras.layers.Layer):
        def call(self, x):
            return keras.ops.softmax(x)

    with pytest.raises(ModelError, match="softmax that is no Keras layer"):
        open_network(functional((16, 20, 3), [*layers(), Hidden()], "hidden"), SAID)


def test_the_range_of_values_must_be_known():
    parts = layers()[1:]

    with pytest.raises(UsageError, match="range of values"):
        open_network(functional((16, 20, 3), parts, "unscaled"), Description(NAMES))


def test_a_network_that_scales_inside_a_nested_model_needs_no_range():
    inner = keras.Sequential(layers(), name="inner")

    network = open_network(keras.Sequential([keras.Input((16, 20, 3)), inner]), Description(NAMES))

    assert network.scale is None


def test_the_scaling_that_is_said_is_done():
    parts = layers()[1:]
    network = open_network(functional((16, 20, 3), parts, "unscaled"), Description(NAMES, "zero_one"))

    maps, _ = heat_maps(network, IMAGES, [0, 1, 2])

    np.testing.assert_allclose(maps, heat_maps(open_network(flat(), SAID), IMAGES, [0, 1, 2])[0], atol=1e-5)


def test_another_number_of_class_names_is_refused():
    with pytest.raises(UsageError, match="Expected 3 class names"):
        open_network(flat(), Description(("a", "b"), "none"))


def test_a_network_of_keras_applications_is_explained_as_it_is():
    model = keras.applications.MobileNet(alpha=0.25, input_shape=(64, 64, 3), weights=None, classes=3)

    network = open_network(model, Description(NAMES, "minus_one_one"))

    # What its last depthwise convolution reads: behind it, places are mixed with the padding.
    assert network.place().name == "conv_pw_12_relu"
    picture = draw_picture(2, 90, 120)
    explanation = opsin.explain(network, picture, class_name="b")
    assert explanation.heat_map.shape == (90, 120)


def separable(*, around: bool):
    """A network that ends in a depthwise convolution, with or without a way around it."""
    inputs = keras.Input((8, 8, 3))
    x = keras.layers.Conv2D(4, 3, padding="same", name="before")(inputs)
    x = expanded = keras.layers.ReLU(name="expanded")(x)
    x = keras.layers.ZeroPadding2D(1)(x)
    x = keras.layers.DepthwiseConv2D(3, name="moved")(x)
    x = keras.layers.Conv2D(4, 1, name="mixed")(x)
    x = keras.layers.Add(name="sum")([x, expanded]) if around else x
    return keras.Model(inputs, keras.layers.Dense(3)(keras.layers.GlobalAveragePooling2D()(x)))


@pytest.mark.parametrize(("around", "found"), [(False, "expanded"), (True, "sum")])
def test_of_depthwise_convolutions_the_last_is_only_left_out_if_nothing_leads_around_it(around, found):
    assert open_network(separable(around=around), Description(NAMES, "none")).place().name == found


def test_as_many_pictures_are_run_at_a_time_as_there_is_room_for(monkeypatch):
    def maps():
        network = open_network(flat(), SAID)
        return network.batch_size, heat_maps(network, IMAGES, np.array([0, 1, 2]))[0]

    many, expected = maps()
    monkeypatch.setattr(networks, "HELD_BYTES", 2 * 4 * HELD_BY_FLAT)
    two, found = maps()

    assert (many, two) == (networks.MOST_AT_ONCE, 2)
    np.testing.assert_allclose(found, expected, atol=1e-5)
