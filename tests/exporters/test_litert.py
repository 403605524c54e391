import keras
import numpy as np
import pytest

from opsin.architectures import build_network
from opsin.errors import ModelError
from opsin.exporters.litert import convert, largest_difference, run_source
from opsin.runtimes.litert import LiteRTRuntime


def difference(network, other, pictures) -> float:
    """Return by how much the twin of one network differs from another network."""
    return largest_difference(run_source(network, pictures), convert(other), pictures)


def images(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).uniform(0, 255, shape).astype(np.float32)


def scaled(network: keras.Model, factor: float) -> keras.Model:
    """Return the network with other weights: its logits and features times `factor`, if it is linear."""
    other = keras.models.clone_model(network)
    other.set_weights([weight * factor for weight in network.get_weights()])
    return other


@pytest.fixture
def linear() -> keras.Model:
    """A network of one layer, with features that are its only weights times the mean colours."""
    image = keras.Input((4, 4, 3))
    means = keras.layers.GlobalAveragePooling2D()(image)
    features = keras.layers.Dense(2, use_bias=False)(means)
    return keras.Model(image, keras.layers.Dense(2, use_bias=False, kernel_initializer="ones")(features))


def test_logits_and_features_keep_their_places_when_they_have_the_same_size():
    network = keras.Sequential(
        [
            keras.Input((4, 4, 3)),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(3, kernel_initializer="ones"),
        ]
    )

    outputs = LiteRTRuntime(convert(network)).run(images(2, 4, 4, 3))

    assert np.allclose(outputs.features, images(2, 4, 4, 3).mean(axis=(1, 2)), rtol=1e-4)
    assert np.allclose(outputs.logits, outputs.features.sum(axis=1, keepdims=True).repeat(3, axis=1), rtol=1e-4)


def test_silu_is_converted_and_gives_what_its_formula_says():
    activated = [keras.layers.Activation("silu"), keras.layers.GlobalAveragePooling2D()]
    network = keras.Sequential([keras.Input((1, 1, 3)), keras.layers.Rescaling(1 / 64, -2), *activated])
    x = images(5, 1, 1, 3) / 64 - 2

    outputs = LiteRTRuntime(convert(network)).run(images(5, 1, 1, 3))

    assert np.allclose(outputs.logits, (x / (1 + np.exp(-x)))[:, 0, 0], atol=1e-5)


def test_a_twin_of_another_network_differs():
    network, other = (build_network("lenet5", (32, 32, 1), 3) for _ in range(2))

    assert difference(network, network, images(4, 32, 32, 1)) < 1e-5
    assert difference(network, other, images(4, 32, 32, 1)) > 0.1


@pytest.mark.parametrize("size", [1e-8, 1, 1e4])
def test_a_twin_that_gives_zeros_differs_by_one_however_small_the_outputs_are(linear, size):
    network, zeros = scaled(linear, size), scaled(linear, 0)

    assert difference(network, zeros, images(4, 4, 4, 3)) == 1


def test_a_network_that_gives_zeros_agrees_with_its_twin(linear):
    zeros = scaled(linear, 0)

    assert difference(zeros, zeros, images(4, 4, 4, 3)) == 0


def test_every_picture_counts_in_the_largest_difference(linear):
    pictures = np.zeros((19, 4, 4, 3), np.float32)
    pictures[18] = 255

    assert difference(linear, scaled(linear, 0), pictures) == 1


def test_a_twin_whose_features_are_no_numbers_never_agrees(linear, monkeypatch):
    twin = LiteRTRuntime.run

    def spoiled(self, images):
        outputs = twin(self, images)
        outputs.features[0, 0] = np.nan
        return outputs

    monkeypatch.setattr(LiteRTRuntime, "run", spoiled)

    assert np.isnan(difference(linear, linear, images(4, 4, 4, 3)))


def test_a_twin_that_fails_when_it_is_run_is_an_error(linear):
    wider = keras.Sequential([keras.Input((4, 4, 5)), keras.layers.Conv2D(2, 1), keras.layers.GlobalMaxPooling2D()])

    with pytest.raises(ModelError, match="running it failed"):
        difference(linear, wider, images(2, 4, 4, 3))


def test_the_source_is_run_on_the_cpu_where_no_digits_are_lost():
    from tensorflow.python.eager import context

    asked_for = []

    class Probe(keras.layers.Layer):
        def call(self, x):
            asked_for.append(context.context().device_name)
            return x

    image = keras.Input((4, 4, 3))
    network = keras.Model(image, keras.layers.GlobalAveragePooling2D()(Probe()(image)))
    asked_for.clear()

    run_source(network, images(2, 4, 4, 3))

    assert [name.rpartition("/device:")[2] for name in asked_for] == ["CPU:0"]


def test_an_operation_that_litert_has_not_is_an_error():
    image = keras.Input((4, 4, 3))
    roots = keras.ops.erfinv(keras.layers.GlobalAveragePooling2D()(image) / 512)
    network = keras.Model(image, keras.layers.Dense(2)(roots))

    with pytest.raises(ModelError, match="operations that LiteRT has"):
        convert(network)
