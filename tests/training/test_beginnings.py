import keras
import numpy as np
import pytest
import tensorflow as tf

from opsin.architectures import build_network
from opsin.data.dataset import ImageDataset
from opsin.data.readers import Entry, Listing
from opsin.data.store import ArrayPixels, StoredImages
from opsin.errors import UsageError
from opsin.training.beginnings import (
    first_convolution,
    freeze_to_whiten,
    of_any_size,
    rebuilt,
    start_as_identity,
    whiten,
    whitening_filters,
    with_activation,
)
from opsin.training.config import TrainConfig


def stored(images: np.ndarray) -> StoredImages:
    entries = tuple(Entry(f"{number}.png", f"class{number % 2}") for number in range(len(images)))
    dataset = ImageDataset(Listing("", entries, ("class0", "class1"), ()))
    return StoredImages(dataset, ArrayPixels(images), np.arange(len(images)))


@pytest.fixture(scope="module")
def pictures() -> np.ndarray:
    """Pictures whose neighbouring pixels and colours go together, as those of photos do."""
    random = np.random.default_rng(0)
    rough = random.normal(0, 40, (300, 17, 17, 1)) + random.normal(0, 10, (300, 17, 17, 3))
    smooth = (rough[:, :-1, :-1] + rough[:, 1:, :-1] + rough[:, :-1, 1:] + rough[:, 1:, 1:]) / 2
    return (120 + smooth).clip(0, 255).astype(np.uint8)


def test_whitening_filters_are_the_components_of_a_covariance_on_paper():
    # Two pixels, equal but for noise: along (1, 1) they vary by 9, along (1, -1) by 1.
    along, across = np.array([1, 1]) / np.sqrt(2), np.array([1, -1]) / np.sqrt(2)
    patches = np.array([3 * along, -3 * along, across, -across]) * np.sqrt(2) + 5

    filters, mean = whitening_filters(patches.reshape(4, 1, 2, 1), 4)

    np.testing.assert_allclose(mean.ravel(), [5, 5], rtol=1e-6)
    columns = filters.reshape(2, 4)
    np.testing.assert_allclose(columns[:, 2:], -columns[:, :2], rtol=1e-6)
    np.testing.assert_allclose(columns[:, 0], along / 3, rtol=1e-3)
    np.testing.assert_allclose(np.abs(columns[:, 1]), np.abs(across), rtol=2e-3)


def test_what_no_two_patches_differ_in_gets_no_filter_and_its_bias_stays_where_it_is(pictures):
    gray = np.repeat(pictures[..., :1], 3, axis=-1)
    network = build_network("speed_cnn", (16, 16, 3), 2)
    freeze_to_whiten(network)

    whiten(network, stored(gray), seed=0)

    layer = first_convolution(network)
    of_nothing = ~np.any(layer.kernel, axis=(0, 1, 2))
    # Of 12 components of 2×2 pixels in colour, those of equal colours are 4.
    assert of_nothing.sum() == 2 * (12 - 4)
    with tf.GradientTape() as tape:
        answers = network(gray[:16].astype("float32"), training=True)
        loss = keras.ops.mean(keras.ops.square(answers - 1.0))
    gradient = np.asarray(tape.gradient(loss, layer.bias.value))
    assert not gradient[of_nothing].any()
    assert gradient[~of_nothing].any()


def test_a_whitened_layer_gives_maps_that_vary_by_one_and_do_not_go_together(pictures):
    network = build_network("speed_cnn", (16, 16, 3), 2)
    freeze_to_whiten(network)

    whiten(network, stored(pictures), seed=0)

    layer = first_convolution(network)
    assert [v.name for v in layer.trainable_variables] == ["bias"]
    maps = keras.Model(network.inputs[0], layer.output)(pictures.astype("float32"))
    # At the edges there is no whole patch.
    inside = keras.ops.convert_to_numpy(maps)[:, 2:-2, 2:-2]
    half = inside.shape[-1] // 2
    np.testing.assert_allclose(inside[..., half:], -inside[..., :half], atol=1e-4)
    covariance = np.cov(inside[..., :half].reshape(-1, half), rowvar=False)
    np.testing.assert_allclose(np.diag(covariance), 1, atol=0.1)
    assert np.abs(covariance - np.diag(np.diag(covariance))).max() < 0.1
    assert np.abs(inside.mean(axis=(0, 1, 2))).max() < 0.1


def test_pictures_of_one_colour_whiten_to_numbers():
    network = build_network("speed_cnn", (16, 16, 3), 2)

    whiten(network, stored(np.full((5, 16, 16, 3), 200, np.uint8)), seed=0)

    assert np.isfinite(network(np.full((1, 16, 16, 3), 200.0)).numpy()).all()


def test_filters_beyond_the_components_stay_as_they_are_and_are_trained(pictures):
    network = build_network("cifar_cnn", (16, 16, 3), 2)
    before = first_convolution(network).kernel.numpy()
    wide = keras.layers.Conv2D(60, 3, padding="same")
    image = keras.Input((16, 16, 3))
    own = keras.Model(image, keras.layers.Dense(2)(keras.layers.GlobalAveragePooling2D()(wide(image))))
    untouched = wide.kernel.numpy()[..., 54:]
    for one in (network, own):
        freeze_to_whiten(one)
        whiten(one, stored(pictures), seed=0)

    assert not first_convolution(network).trainable_variables
    assert not np.array_equal(first_convolution(network).kernel.numpy(), before)
    assert wide.kernel.trainable
    np.testing.assert_array_equal(wide.kernel.numpy()[..., 54:], untouched)


def test_a_network_without_a_convolution_to_whiten_is_refused():
    image = keras.Input((8, 8, 3))
    network = keras.Model(image, keras.layers.Dense(2)(keras.layers.Flatten()(image)))

    with pytest.raises(UsageError, match=r"plain convolution as first layer.*Dense"):
        freeze_to_whiten(network)


def test_a_convolution_that_starts_as_the_identity_passes_its_input_on():
    image = keras.Input((6, 6, 3))
    first = keras.layers.Conv2D(4, 3, padding="same")
    second = keras.layers.Conv2D(6, 3, padding="same", use_bias=False)
    fewer = keras.layers.Conv2D(2, 3, padding="same", use_bias=False)
    pointwise = keras.layers.Conv2D(4, 1, use_bias=False)
    a, b, c = (layer(first(image)) for layer in (second, fewer, pointwise))
    network = keras.Model(image, [first.output, a, b, c])
    random_first, random_pointwise = first.kernel.numpy(), pointwise.kernel.numpy()

    start_as_identity(network)

    x, wider, narrower, _ = (t.numpy() for t in network(np.random.default_rng(0).random((2, 6, 6, 3), np.float32)))
    np.testing.assert_allclose(wider[..., :4], x, atol=1e-6)
    np.testing.assert_allclose(narrower, x[..., :2], atol=1e-6)
    assert np.abs(second.kernel.numpy()[..., 4:]).min() > 0
    np.testing.assert_array_equal(first.kernel.numpy(), random_first)
    np.testing.assert_array_equal(pointwise.kernel.numpy(), random_pointwise)


def test_another_activation_takes_the_place_of_every_relu():
    network = with_activation(build_network("cifar_cnn", (32, 32, 3), 4), "gelu")

    assert not [layer for layer in network.layers if isinstance(layer, keras.layers.ReLU)]
    assert network.get_layer("features").activation is keras.activations.gelu
    assert network.get_layer("logits").activation is keras.activations.linear
    assert network.count_params() == build_network("cifar_cnn", (32, 32, 3), 4).count_params()


def test_the_momentum_of_every_normalisation_is_what_the_settings_say():
    network = rebuilt(build_network("cifar_cnn", (16, 16, 3), 2), TrainConfig(norm_momentum=0.6, start_size=0))

    norms = [layer for layer in network.layers if isinstance(layer, keras.layers.BatchNormalization)]
    assert [layer.momentum for layer in norms] == [0.6] * 5


def test_a_network_for_any_size_has_the_same_weights_and_answers():
    network = build_network("speed_cnn", (32, 32, 3), 3)
    grown = of_any_size(network)
    grown.set_weights(network.get_weights())

    image = np.random.default_rng(0).uniform(0, 255, (2, 32, 32, 3)).astype("float32")
    np.testing.assert_allclose(grown(image), network(image), rtol=1e-4, atol=1e-5)
    assert grown(image[:, :20, :20]).shape == (2, 3)


def test_a_network_for_one_size_says_so():
    with pytest.raises(UsageError, match=r"start_size.*digit_cnn"):
        of_any_size(build_network("digit_cnn", (28, 28, 1), 10))


def test_a_network_that_cannot_be_whitened_names_the_way_out_that_leaves_the_rest_of_the_recipe():
    network = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Flatten(), keras.layers.Dense(2)])

    with pytest.raises(UsageError, match=r"received dense.*, Dense. Leave that out: --no-whiten."):
        first_convolution(network)
