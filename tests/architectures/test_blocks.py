import keras
import numpy as np
import pytest

from opsin.architectures import blocks, build_network


def _apply(build, image: np.ndarray) -> np.ndarray:
    """Run a block, with its initial weights, on an image (h, w, c)."""
    x = keras.Input(image.shape)
    return keras.ops.convert_to_numpy(keras.Model(x, build(x))(image[None]))[0]


def test_a_separable_block_of_64_to_128_has_9536_parameters():
    x = keras.Input((56, 56, 64))

    network = keras.Model(x, blocks.separable(x, 128, name="block", stride=2))

    assert network.count_params() == 9_536
    assert network.output.shape == (None, 28, 28, 128)


def test_a_padded_shortcut_takes_every_second_pixel_and_adds_zero_channels():
    image = np.arange(16, dtype="float32").reshape(4, 4, 1)

    shortcut = _apply(lambda x: blocks.padded_shortcut(x, 3, name="block", stride=2), image)

    np.testing.assert_array_equal(shortcut[..., 1], [[0, 2], [8, 10]])
    np.testing.assert_array_equal(shortcut[..., [0, 2]], np.zeros((2, 2, 2)))


def test_a_projection_shortcut_of_equal_shapes_is_the_tensor_itself():
    x = keras.Input((4, 4, 8))

    assert blocks.projection_shortcut(x, 8, name="block", stride=1) is x


def test_a_residual_block_whose_convolutions_are_zero_is_the_relu_of_its_input():
    x = keras.Input((2, 2, 1))
    network = keras.Model(x, blocks.residual(x, 1, name="block"))
    network.set_weights([np.zeros_like(weight) for weight in network.get_weights()])
    image = np.array([[[[-1.0], [2.0]], [[3.0], [-4.0]]]], "float32")

    np.testing.assert_array_equal(network(image), np.maximum(image, 0))


def test_a_bottleneck_gives_four_times_its_filters():
    x = keras.Input((8, 8, 16))

    assert blocks.bottleneck(x, 4, name="block", stride=2).shape == (None, 4, 4, 16)


def test_squeeze_and_excite_weighs_whole_channels():
    image = np.random.default_rng(0).uniform(1, 2, (4, 4, 8)).astype("float32")

    gates = _apply(lambda x: blocks.squeeze_excite(x, name="gate"), image) / image

    np.testing.assert_allclose(gates, np.broadcast_to(gates[0, 0], gates.shape), rtol=1e-5)
    assert ((gates >= 0) & (gates <= 1)).all()


@pytest.mark.parametrize(("stride", "filters", "added"), [(1, 8, True), (2, 8, False), (1, 12, False)])
def test_an_inverted_residual_adds_its_input_only_where_shapes_agree(stride, filters, added):
    x = keras.Input((4, 4, 8))

    network = keras.Model(x, blocks.inverted_residual(x, filters, name="block", stride=stride))

    assert any(isinstance(layer, keras.layers.Add) for layer in network.layers) is added


def test_logits_stay_float32_under_mixed_precision():
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_float16")
    try:
        network = build_network("digit_cnn", (28, 28, 1), 10)
    finally:
        keras.config.set_dtype_policy(policy)

    assert network.get_layer("features").compute_dtype == "float16"
    assert network.output.dtype == "float32"


def test_l2_holds_every_convolution_and_the_hidden_layer_of_cifar_cnn_l2():
    network = build_network("cifar_cnn_l2", (32, 32, 3), 10)
    held = [layer for layer in network.layers if getattr(layer, "kernel_regularizer", None)]

    expected = sum(1e-4 * float(np.sum(np.square(layer.get_weights()[0]))) for layer in held)

    assert len(held) == 7
    assert float(sum(network.losses)) == pytest.approx(expected, rel=1e-5)
