import keras
import numpy as np
import pytest

from opsin.architectures import build_network
from opsin.errors import ModelError
from opsin.exporters.litert import convert, largest_difference
from opsin.runtimes.keras import KerasRuntime
from opsin.runtimes.litert import LiteRTRuntime


def images(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).uniform(0, 255, shape).astype(np.float32)


@pytest.mark.parametrize("name", ["lenet5", "separable_cnn", "inverted_cnn", "resnet20", "mobilenet_v2"])
@pytest.mark.slow
def test_the_twin_gives_what_the_network_gives_for_any_batch_size(name):
    channels = 1 if name == "lenet5" else 3
    network = build_network(name, (32, 32, channels), 3)
    twin = LiteRTRuntime(convert(network))

    for count in (1, 5, 2):
        batch = images(count, 32, 32, channels)
        expected, received = KerasRuntime(network).run(batch), twin.run(batch)
        scale = max(1.0, np.abs(expected.logits).max())
        assert np.abs(expected.logits - received.logits).max() <= 1e-3 * scale
        assert expected.features.shape == received.features.shape


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


def test_a_twin_of_another_network_differs():
    network, other = (build_network("lenet5", (32, 32, 1), 3) for _ in range(2))

    assert largest_difference(network, convert(network), images(4, 32, 32, 1)) < 1e-3
    assert largest_difference(network, convert(other), images(4, 32, 32, 1)) > 1e-2


def test_an_operation_that_litert_has_not_is_an_error():
    image = keras.Input((4, 4, 3))
    roots = keras.ops.erfinv(keras.layers.GlobalAveragePooling2D()(image) / 512)
    network = keras.Model(image, keras.layers.Dense(2)(roots))

    with pytest.raises(ModelError, match="operations that LiteRT has"):
        convert(network)
