import keras
import numpy as np
import pytest

from opsin.errors import ModelError
from opsin.runtimes.keras import KerasRuntime, load_keras

IMAGES = np.random.default_rng(0).uniform(0, 255, (3, 6, 5, 2)).astype(np.float32)


def run(*layers: keras.Layer) -> tuple[keras.Sequential, np.ndarray, np.ndarray]:
    network = keras.Sequential([keras.Input((6, 5, 2)), *layers])
    outputs = KerasRuntime(network).run(IMAGES)
    return network, outputs.logits, outputs.features


def test_features_are_what_enters_the_last_dense_layer():
    pool, dense = keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(4)

    network, logits, features = run(pool, dense)

    assert np.allclose(features, IMAGES.mean(axis=(1, 2)), rtol=1e-5)
    assert np.allclose(logits, np.asarray(network(IMAGES)), rtol=1e-5)


def test_dropout_before_the_last_layer_is_passed_over():
    _, _, features = run(keras.layers.GlobalAveragePooling2D(), keras.layers.Dropout(0.9), keras.layers.Dense(4))

    assert np.allclose(features, IMAGES.mean(axis=(1, 2)), rtol=1e-5)


def test_a_network_without_a_dense_layer_at_its_end_has_its_logits_for_features():
    _, logits, features = run(keras.layers.Conv2D(4, 1), keras.layers.GlobalAveragePooling2D())

    assert np.array_equal(logits, features)


def test_a_file_that_is_no_network_is_an_error(tmp_path):
    (tmp_path / "model.keras").write_bytes(b"PK nothing")

    with pytest.raises(ModelError, match="plain Keras can open"):
        load_keras(tmp_path / "model.keras")


def test_code_in_a_file_is_not_run(tmp_path):
    keras.Sequential([keras.Input((2, 2, 1)), keras.layers.Lambda(lambda x: x)]).save(tmp_path / "model.keras")

    with pytest.raises(ModelError):
        load_keras(tmp_path / "model.keras")
