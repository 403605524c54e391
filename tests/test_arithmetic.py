import math

import numpy as np
import pytest

from opsin.arithmetic import (
    average_pooling,
    convolution,
    convolution_multiply_adds,
    convolution_parameters,
    dense_parameters,
    depthwise_convolution,
    depthwise_parameters,
    max_pooling,
    output_size,
    receptive_field,
    same_padding,
    separable_parameters,
)
from opsin.errors import UsageError

# Odd and even, so that padding="same" is asymmetric along one axis.
HEIGHT, WIDTH = 9, 12


@pytest.fixture
def image():
    return np.random.default_rng(0).standard_normal((HEIGHT, WIDTH, 3)).astype("float32")


def run(layer, image):
    """The Keras layer's answer for one picture, with random biases too, and its weights."""
    layer.build((None, *image.shape))
    random = np.random.default_rng(1)
    layer.set_weights([random.standard_normal(weight.shape) for weight in layer.get_weights()])
    return np.asarray(layer(image[np.newaxis]))[0], layer.get_weights()


def assert_same(answer, expected):
    assert answer.dtype == expected.dtype == np.float32
    np.testing.assert_allclose(answer, expected, atol=1e-4)


GEOMETRIES = [
    {"stride": 1, "dilation": 1},
    {"stride": 2, "dilation": 1},
    {"stride": 3, "dilation": 1},
    {"stride": 1, "dilation": 2},
]


@pytest.mark.parametrize("padding", ["valid", "same"])
@pytest.mark.parametrize("kernel_size", [(3, 3), (2, 4), (1, 1)])
@pytest.mark.parametrize("geometry", GEOMETRIES)
def test_convolution_gives_what_keras_gives(image, kernel_size, geometry, padding):
    keras = pytest.importorskip("keras")
    layer = keras.layers.Conv2D(
        5, kernel_size, strides=geometry["stride"], dilation_rate=geometry["dilation"], padding=padding
    )
    expected, (kernel, bias) = run(layer, image)
    assert_same(convolution(image, kernel, bias, padding=padding, **geometry), expected)


@pytest.mark.parametrize("padding", ["valid", "same"])
@pytest.mark.parametrize("geometry", GEOMETRIES)
def test_depthwise_convolution_gives_what_keras_gives(image, geometry, padding):
    keras = pytest.importorskip("keras")
    layer = keras.layers.DepthwiseConv2D(
        (3, 2),
        strides=geometry["stride"],
        dilation_rate=geometry["dilation"],
        padding=padding,
        depth_multiplier=2,
    )
    expected, (kernel, bias) = run(layer, image)
    assert_same(depthwise_convolution(image, kernel, bias, padding=padding, **geometry), expected)


@pytest.mark.parametrize("padding", ["valid", "same"])
@pytest.mark.parametrize("stride", [1, 2])
def test_a_separable_convolution_is_a_depthwise_one_and_a_pointwise_one(image, stride, padding):
    keras = pytest.importorskip("keras")
    layer = keras.layers.SeparableConv2D(5, 3, strides=stride, padding=padding, depth_multiplier=2)
    expected, (depthwise, pointwise, bias) = run(layer, image)
    maps = depthwise_convolution(image, depthwise, stride=stride, padding=padding)
    assert_same(convolution(maps, pointwise, bias), expected)


@pytest.mark.parametrize("padding", ["valid", "same"])
@pytest.mark.parametrize("stride", [None, 1, 2])
@pytest.mark.parametrize("window", [2, 3, (2, 3)])
@pytest.mark.parametrize(("name", "pooling"), [("Max", max_pooling), ("Average", average_pooling)])
def test_pooling_gives_what_keras_gives(image, name, pooling, window, stride, padding):
    keras = pytest.importorskip("keras")
    layer = getattr(keras.layers, f"{name}Pooling2D")(window, strides=stride, padding=padding)
    expected, _ = run(layer, image)
    assert_same(pooling(image, window, stride=stride, padding=padding), expected)


def test_padding_in_pixels_is_zeros_on_all_four_sides(image):
    kernel = np.ones((3, 3, 3, 1), "float32")
    padded = np.pad(image, [(2, 2), (2, 2), (0, 0)])
    assert_same(convolution(image, kernel, padding=2), convolution(padded, kernel))


def test_stride_and_dilation_may_differ_by_axis(image):
    kernel = np.ones((3, 2, 3, 1), "float32")
    answer = convolution(image, kernel, stride=(1, 2), dilation=(3, 1))
    assert answer.shape == (3, 6, 1)
    assert answer[1, 2, 0] == pytest.approx(image[[1, 4, 7]][:, 4:6].sum(), abs=1e-4)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_dtype_stays(image, dtype):
    image = image.astype(dtype)
    kernel, bias = np.ones((3, 3, 3, 2), dtype), np.ones(2, dtype)
    answers = [
        convolution(image, kernel, bias, padding="same"),
        depthwise_convolution(image, kernel),
        max_pooling(image, padding="same"),
        average_pooling(image, padding="same"),
    ]
    assert [answer.dtype for answer in answers] == [np.dtype(dtype)] * 4


def test_max_pooling_of_negative_or_whole_numbers_never_takes_the_padding():
    image = np.full((3, 3, 1), -7, "int8")
    np.testing.assert_array_equal(max_pooling(image, 2, padding="same"), np.full((2, 2, 1), -7, "int8"))


def test_a_vertical_edge_answers_where_brightness_falls():
    patch = np.array([[10, 10, 10, 0, 0]] * 5, "float32")[:, :, np.newaxis]
    kernel = np.array([[-1, 0, 1]] * 3, "float32")[:, :, np.newaxis, np.newaxis]
    np.testing.assert_array_equal(convolution(patch, kernel)[:, :, 0], [[0, -30, -30]] * 3)


def test_max_pooling_of_a_four_by_four_example():
    image = np.array([[1, 3, 2, 4], [5, 6, 1, 2], [3, 2, 8, 1], [4, 7, 3, 9]])
    np.testing.assert_array_equal(max_pooling(image[:, :, np.newaxis], 2)[:, :, 0], [[6, 4], [7, 9]])


@pytest.mark.parametrize(
    ("size", "kernel", "stride", "padding", "expected"),
    [
        (32, 3, 1, 1, 32),
        (32, 3, 2, 1, 16),
        (28, 5, 1, "valid", 24),
        (224, 3, 1, "valid", 222),
        (32, 3, 1, "valid", 30),
        (32, 3, 1, "same", 32),
        (32, 3, 2, "same", 16),
        (32, 5, 2, "valid", 14),
    ],
)
def test_output_sizes_from_the_text_book(size, kernel, stride, padding, expected):
    assert output_size(size, kernel, stride=stride, padding=padding) == expected


@pytest.mark.parametrize("stride", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("kernel", [1, 2, 3, 5])
@pytest.mark.parametrize("dilation", [1, 2])
def test_same_means_the_size_divided_by_the_stride_rounded_up(kernel, stride, dilation):
    sizes = range(1, 15)
    answers = [output_size(n, kernel, stride=stride, padding="same", dilation=dilation) for n in sizes]
    assert answers == [math.ceil(n / stride) for n in sizes]


def test_the_odd_zero_of_same_padding_goes_to_the_end():
    assert same_padding(224, 3, stride=2) == (0, 1)
    assert same_padding(32, 5) == (2, 2)
    assert same_padding(32, 3, dilation=4) == (4, 4)
    assert same_padding(9, 1, stride=4) == (0, 0)


@pytest.mark.parametrize(
    ("kernel", "channels_in", "channels_out", "expected"),
    [(3, 3, 32, 896), (3, 32, 64, 18_496), (3, 64, 64, 36_928), (1, 64, 32, 2_080), ((1, 7), 2, 3, 45)],
)
def test_parameters_of_a_convolution(kernel, channels_in, channels_out, expected):
    assert convolution_parameters(kernel, channels_in=channels_in, channels_out=channels_out) == expected


def test_parameters_of_a_dense_layer_on_a_picture():
    assert dense_parameters(64 * 64 * 3, 32) == 393_216 + 32


def test_a_separable_convolution_costs_one_part_in_channels_and_one_in_kernel_area():
    assert separable_parameters(3, channels_in=64, channels_out=128) == 8_896
    assert convolution_parameters(3, channels_in=64, channels_out=128) == 73_856
    separable = separable_parameters(3, channels_in=64, channels_out=128, bias=False)
    plain = convolution_parameters(3, channels_in=64, channels_out=128, bias=False)
    assert separable / plain == pytest.approx(1 / 128 + 1 / 9)


def test_parameters_are_those_that_keras_counts(image):
    layers = pytest.importorskip("keras").layers
    counted = {
        layers.Conv2D(6, (3, 2), groups=3): convolution_parameters((3, 2), channels_in=3, channels_out=6, groups=3),
        layers.DepthwiseConv2D(3, depth_multiplier=2): depthwise_parameters(3, channels=3, multiplier=2),
        layers.SeparableConv2D(5, 3, depth_multiplier=2): separable_parameters(
            3, channels_in=3, channels_out=5, multiplier=2
        ),
        layers.Dense(7): dense_parameters(3, 7),
    }
    for layer in counted:
        layer.build((None, *image.shape))
    assert [layer.count_params() for layer in counted] == list(counted.values())


def test_multiply_adds_use_every_weight_at_every_place_and_no_bias():
    assert convolution_multiply_adds(3, channels_in=3, channels_out=32, places=30 * 30) == 864 * 900
    assert convolution_multiply_adds(3, channels_in=8, channels_out=8, groups=8, places=10) == 720


@pytest.mark.parametrize(
    ("layers", "expected"),
    [
        ([], (1, 1)),
        ([(3, 1, 1)] * 2, (5, 1)),
        ([(3, 1, 1)] * 3, (7, 1)),
        ([(3, 1, 2)], (5, 1)),
        ([(7, 2, 1), (3, 2, 1)], (11, 4)),
    ],
)
def test_receptive_field_of_a_chain(layers, expected):
    assert receptive_field(layers) == expected


def test_receptive_field_can_be_carried_on_from_the_layers_before():
    layers = [(7, 2, 1), (3, 2, 1), (3, 1, 2), (2, 2, 1)]
    assert receptive_field(layers[2:], start=receptive_field(layers[:2])) == receptive_field(layers)


def test_receptive_field_is_as_far_as_a_single_pixel_is_felt():
    dot = np.zeros((40, 1, 1))
    dot[20] = 1
    maps = convolution(dot, np.ones((3, 1, 1, 1)))
    maps = convolution(maps, np.ones((3, 1, 1, 1)), dilation=(2, 1))
    assert np.count_nonzero(maps) == receptive_field([(3, 1, 1), (3, 1, 2)])[0]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: output_size(4, 5), r"spans 5 pixels, on 4"),
        (lambda: output_size(8, 3, dilation=4), r"spans 9 pixels, on 8"),
        (lambda: output_size(8, 3, padding="full"), r"Received 'full'"),
        (lambda: output_size(8, 3, padding=-1), r"Received -1"),
        (lambda: output_size(8, 3, stride=0), r"Received 8, 3, 0 and 1"),
        (lambda: convolution(np.zeros((5, 5, 3)), np.zeros((3, 3, 1, 8))), r"shape \(3, 3, 1, 8\)"),
        (lambda: convolution(np.zeros((5, 5, 3)), np.zeros((3, 3))), r"shape \(3, 3\)"),
        (lambda: convolution(np.zeros((2, 5, 3)), np.zeros((3, 3, 3, 8))), r"spans 3 pixels, on 2"),
        (lambda: max_pooling(np.zeros((4, 4))), r"shape \(4, 4\)"),
        (lambda: max_pooling(np.zeros((1, 4, 1)), 2), r"spans 2 pixels, on 1"),
        (lambda: convolution_parameters(3, channels_in=3, channels_out=8, groups=2), r"into 2 groups"),
    ],
)
def test_what_cannot_be_computed_says_what_was_expected_and_received(call, message):
    with pytest.raises(UsageError, match=message):
        call()
