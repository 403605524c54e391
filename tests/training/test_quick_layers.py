import contextlib

import keras
import numpy as np
import pytest
import tensorflow as tf

import opsin
from opsin.architectures import build_network
from opsin.training import quick_layers as module
from opsin.training.quick_layers import quick_layers
from opsin.training.run_folder import RunFolder


def gradients(network, images, labels):
    with tf.GradientTape() as tape:
        tape.watch(images)
        logits = network(images, training=True)
        loss = tf.reduce_mean(keras.losses.sparse_categorical_crossentropy(labels, logits, from_logits=True))
    variables = [variable.value for variable in network.trainable_variables]
    return [np.asarray(one) for one in tape.gradient(loss, [images, *variables])]


def changed(network):
    return [layer for layer in network.layers if {"convolution_op", "call"} & set(vars(layer))]


@pytest.mark.parametrize("name", ["cifar_cnn", "speed_cnn_narrow", "resnet20", "inverted_cnn"])
def test_gradients_are_those_of_keras(name):
    keras.utils.set_random_seed(0)
    network = build_network(name, (24, 24, 3), 4)
    for layer in network.layers:
        # Their masks would be others.
        if isinstance(layer, keras.layers.Dropout):
            layer.rate = 0.0
    random = np.random.default_rng(0)
    images = tf.constant(random.uniform(0, 255, (6, 24, 24, 3)).astype("float32"))
    labels = tf.constant([0, 1, 2, 3, 0, 1])
    plain = gradients(network, images, labels)

    with quick_layers(network):
        quick = gradients(network, images, labels)

    # Of some biases, which a normalisation takes off again, the gradient is nothing but rounding.
    rounding = 1e-6 * max(np.abs(one).max() for one in plain)
    for ours, keras_own in zip(quick, plain, strict=True):
        np.testing.assert_allclose(ours, keras_own, rtol=2e-3, atol=1e-4 * np.abs(keras_own).max() + rounding)


def test_products_of_bfloat16_leave_the_gradients_of_kernels_in_float32():
    keras.utils.set_random_seed(0)
    image = keras.Input((12, 12, 32))
    layer = keras.layers.Conv2D(32, 3, padding="same")
    network = keras.Model(image, layer(image))
    random = np.random.default_rng(0)
    images = tf.constant(random.normal(size=(8, 12, 12, 32)).astype("float32"))
    weights = tf.constant(random.normal(size=(8, 12, 12, 32)).astype("float32"))

    def step():
        with tf.GradientTape() as tape:
            tape.watch(images)
            given = network(images, training=True)
            loss = tf.reduce_sum(given * weights)
        return given, *tape.gradient(loss, [images, layer.kernel.value])

    given, to_images, to_kernel = step()
    with quick_layers(network, "bfloat16_products"):
        ours, ours_to_images, ours_to_kernel = step()

    assert ours.dtype == ours_to_images.dtype == ours_to_kernel.dtype == "float32"
    np.testing.assert_allclose(ours_to_kernel, to_kernel, rtol=1e-4, atol=1e-3)
    for rounded, exact in ((ours, given), (ours_to_images, to_images)):
        error = np.abs(rounded - exact).max() / np.abs(exact).max()
        assert 1e-4 < error < 0.02


@pytest.mark.parametrize(
    ("settings", "policy", "rounds"),
    [
        ({"filters": 32}, "float32", True),
        ({"filters": 2}, "float32", False),
        ({"filters": 32, "kernel_size": 1}, "float32", False),
        ({"filters": 32}, "mixed_bfloat16", False),
    ],
)
def test_only_convolutions_with_much_to_multiply_round(settings, policy, rounds):
    image = keras.Input((8, 8, 32))
    layer = keras.layers.Conv2D(**{"kernel_size": 3, "padding": "same", "dtype": policy} | settings)
    network = keras.Model(image, layer(image))

    with quick_layers(network, "bfloat16_products"):
        assert layer.convolution_op.keywords["bfloat16"] == rounds


@pytest.mark.parametrize(
    ("settings", "quick"),
    [
        ({}, True),
        ({"kernel_size": (1, 5)}, True),
        ({"strides": 2}, False),
        ({"padding": "valid"}, False),
        ({"dilation_rate": 2}, False),
        ({"groups": 2}, False),
        ({"kernel_size": 2}, False),
        ({"kernel_size": 1}, True),
        ({"kernel_size": 1, "padding": "valid"}, True),
    ],
)
def test_only_convolutions_that_it_is_right_for_are_changed(settings, quick):
    image = keras.Input((8, 8, 4))
    layer = keras.layers.Conv2D(6, **{"kernel_size": 3, "padding": "same"} | settings)
    network = keras.Model(image, layer(image))

    with quick_layers(network):
        assert ("convolution_op" in vars(layer)) == quick
    assert "convolution_op" not in vars(layer)


def normalization(**settings):
    image = keras.Input((5, 4, 3))
    layer = keras.layers.BatchNormalization(**settings)
    network = keras.Model(image, layer(image))
    random = np.random.default_rng(0)
    for variable in layer.variables:
        variable.assign(random.uniform(0.5, 2, variable.shape))
    return network


def one_step(network, images):
    """Return what a network gives in training, the gradients of the squares, and all it keeps afterwards."""
    images = tf.constant(images)
    with tf.GradientTape() as tape:
        tape.watch(images)
        given = network(images, training=True)
        loss = tf.reduce_sum(tf.cast(given, "float32") ** 2 * tf.range(1.0, 4.0))
    variables = [variable.value for variable in network.trainable_variables]
    return [given, *tape.gradient(loss, [images, *variables]), *[v.value for v in network.variables]]


@pytest.fixture
def at_once(monkeypatch):
    """Note the normalisations that are one operation."""
    seen, fused = [], tf.raw_ops.FusedBatchNormV3

    def note(**inputs):
        seen.append(inputs["x"].shape)
        return fused(**inputs)

    monkeypatch.setattr(tf.raw_ops, "FusedBatchNormV3", note)
    return seen


@pytest.mark.parametrize("pictures", [1, 8])
@pytest.mark.parametrize(
    "settings",
    [{}, {"scale": False}, {"center": False}, {"momentum": 0.6, "epsilon": 1e-5}, {"axis": 3}, {"trainable": False}],
)
def test_normalization_is_that_of_keras(settings, pictures, at_once):
    images = np.random.default_rng(1).normal(3, 2, (pictures, 5, 4, 3)).astype("float32")
    expected = one_step(normalization(**settings), images)
    network = normalization(**settings)

    with quick_layers(network):
        received = one_step(network, images)

    assert bool(at_once) == settings.get("trainable", True)
    assert len(received) == len(expected)
    for ours, keras_own in zip(received, expected, strict=True):
        np.testing.assert_allclose(ours, keras_own, rtol=1e-4, atol=1e-4)


def test_normalization_of_a_single_value_is_that_of_keras():
    networks = []
    for context in (contextlib.nullcontext, quick_layers):
        image = keras.Input((1, 1, 3))
        network = keras.Model(image, keras.layers.BatchNormalization()(image))
        with context(network):
            network(tf.constant([[[[1.0, 2.0, 4.0]]]]), training=True)
        networks.append(network)

    for ours, keras_own in zip(networks[1].variables, networks[0].variables, strict=True):
        np.testing.assert_allclose(ours, keras_own, rtol=1e-6)


def test_normalization_in_bfloat16_keeps_its_statistics_in_float32(at_once):
    images = np.random.default_rng(1).normal(3, 2, (8, 5, 4, 3)).astype("float32")
    expected = one_step(normalization(), images)
    network = normalization(dtype="mixed_bfloat16")

    with quick_layers(network):
        given, *_, mean, variance = one_step(network, images)

    assert at_once
    assert given.dtype == "bfloat16"
    assert mean.dtype == variance.dtype == "float32"
    np.testing.assert_allclose(mean, expected[-2], rtol=1e-3)
    np.testing.assert_allclose(variance, expected[-1], rtol=1e-2)


@pytest.mark.parametrize(
    ("settings", "quick"),
    [({}, True), ({"axis": 1}, False), ({"renorm": True}, False), ({"dtype": "float64"}, False)],
)
def test_only_normalizations_that_it_is_right_for_are_changed(settings, quick):
    network = normalization(**settings)

    with quick_layers(network):
        assert bool(changed(network)) == quick
    assert not changed(network)


def test_layers_of_inner_networks_are_changed_once_and_by_the_outermost_block():
    image = keras.Input((8, 8, 3))
    inner = keras.Sequential(
        [keras.Input((8, 8, 3)), keras.layers.Conv2D(3, 3, padding="same"), keras.layers.BatchNormalization()]
    )
    network = keras.Model(image, inner(inner(image)))

    with quick_layers(network):
        assert len(changed(inner)) == 2
        with quick_layers(network):
            pass
        assert len(changed(inner)) == 2
    assert not changed(inner)


def test_normalization_of_vectors_and_outside_training_is_that_of_keras():
    vectors = keras.Input((3,))
    network = keras.Model(vectors, keras.layers.BatchNormalization()(vectors))
    images = normalization()
    data, pictures = np.float32([[1, 2, 3], [3, 1, 5]]), np.ones((2, 5, 4, 3), "float32")
    expected = [network(data, training=False), images(pictures, training=False)]

    with quick_layers(network), quick_layers(images):
        received = [network(data, training=False), images(pictures, training=False)]
        assert np.abs(network(data, training=True)).max() < 1.1

    for ours, keras_own in zip(received, expected, strict=True):
        np.testing.assert_array_equal(ours, keras_own)


def test_a_gpu_keeps_its_own_gradients(monkeypatch):
    network = build_network("simple_cnn", (32, 32, 3), 2)
    small = build_network("cifar_cnn", (32, 32, 3), 2)
    monkeypatch.setattr(module, "gpu_count", lambda: 1)

    with quick_layers(small), quick_layers(network):
        assert not changed(network) + changed(small)


def test_a_network_is_left_as_it_was_after_an_error():
    network = build_network("cifar_cnn", (32, 32, 3), 2)

    with pytest.raises(RuntimeError), quick_layers(network):
        raise RuntimeError

    assert not changed(network)


@pytest.mark.parametrize("precision", ["float32", "bfloat16_products"])
@pytest.mark.parametrize("settings", [{"learning_rate": "find"}, {"budget": "1s"}])
def test_what_is_traced_before_the_first_epoch_has_quick_layers_too(colors, tmp_path, monkeypatch, settings, precision):
    """Keras keeps the step that was traced first."""
    traced = []

    def convolve(inputs, kernel, *, bfloat16):
        traced.append(bfloat16)
        return forward(inputs, kernel, bfloat16=bfloat16)

    forward = module._forward_both_ways
    monkeypatch.setattr(module, "_forward_both_ways", convolve)
    stop = RuntimeError("before the first epoch")

    def no_fit(*arguments, **named):
        raise stop

    monkeypatch.setattr("keras.Model.fit", no_fit)
    splits = colors.split(0.2, 0.2, seed=0)
    config = opsin.TrainConfig(architecture="cifar_cnn", epochs=1, batch_size=16, precision=precision, **settings)

    with pytest.raises(RuntimeError, match="before the first epoch"):
        opsin.train(splits.train, splits.val, config, out=RunFolder.create(tmp_path / "run"))

    assert traced
    assert any(traced) == (precision == "bfloat16_products")
