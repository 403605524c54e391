import keras
import numpy as np
import pytest
import tensorflow as tf

import opsin
from opsin.architectures import build_network
from opsin.training import convolving
from opsin.training.convolving import quick_gradients
from opsin.training.run_folder import RunFolder


def gradients(network, images, labels):
    with tf.GradientTape() as tape:
        tape.watch(images)
        logits = network(images, training=True)
        loss = tf.reduce_mean(keras.losses.sparse_categorical_crossentropy(labels, logits, from_logits=True))
    variables = [variable.value for variable in network.trainable_variables]
    return [np.asarray(one) for one in tape.gradient(loss, [images, *variables])]


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

    with quick_gradients(network):
        quick = gradients(network, images, labels)

    # Of some biases, which a normalisation takes off again, the gradient is nothing but rounding.
    rounding = 1e-6 * max(np.abs(one).max() for one in plain)
    for ours, keras_own in zip(quick, plain, strict=True):
        np.testing.assert_allclose(ours, keras_own, rtol=2e-3, atol=1e-4 * np.abs(keras_own).max() + rounding)


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

    with quick_gradients(network):
        assert ("convolution_op" in vars(layer)) == quick
    assert "convolution_op" not in vars(layer)


def test_a_gpu_keeps_its_own_gradients(monkeypatch):
    network = build_network("simple_cnn", (32, 32, 3), 2)
    small = build_network("cifar_cnn", (32, 32, 3), 2)
    monkeypatch.setattr(convolving, "gpu_count", lambda: 1)

    with quick_gradients(small):
        assert not [layer for layer in (*network.layers, *small.layers) if "convolution_op" in vars(layer)]


def test_a_network_is_left_as_it_was_after_an_error():
    network = build_network("cifar_cnn", (32, 32, 3), 2)

    with pytest.raises(RuntimeError), quick_gradients(network):
        raise RuntimeError

    assert not [layer for layer in network.layers if "convolution_op" in vars(layer)]


@pytest.mark.parametrize("settings", [{"learning_rate": "find"}, {"budget": "1s"}])
def test_what_is_traced_before_the_first_epoch_has_quick_gradients_too(colors, tmp_path, monkeypatch, settings):
    """Keras keeps the step that was traced first."""
    traced = []

    def convolve(inputs, kernel):
        traced.append(kernel.path)
        return forward(inputs, kernel)

    forward = convolving._forward_both_ways
    monkeypatch.setattr(convolving, "_forward_both_ways", convolve)
    stop = RuntimeError("before the first epoch")

    def no_fit(*arguments, **named):
        raise stop

    monkeypatch.setattr("keras.Model.fit", no_fit)
    splits = colors.split(0.2, 0.2, seed=0)
    config = opsin.TrainConfig(architecture="cifar_cnn", epochs=1, batch_size=16, **settings)

    with pytest.raises(RuntimeError, match="before the first epoch"):
        opsin.train(splits.train, splits.val, config, out=RunFolder.create(tmp_path / "run"))

    assert traced
