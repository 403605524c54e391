"""Any Keras image network can be exported: what its file does not say is asked for, never guessed."""

import functools

import keras
import numpy as np
import pytest

from opsin.cli import export as command
from opsin.errors import ModelError, ParityError, UsageError
from opsin.exporters.foreign import RANGES, Description, adopt, read_class_names
from opsin.images.drawing import draw_picture, save_image

NAMES = ("a", "b", "c")


def network(*ends, scaled=True):
    keras.utils.set_random_seed(0)
    before = [keras.layers.Rescaling(1 / 255)] if scaled else []
    convolution = keras.layers.Conv2D(4, 3, strides=2, activation="relu")
    layers = [*before, convolution, keras.layers.Flatten(), *ends]
    image = keras.Input((24, 32, 3))
    if all(isinstance(layer, keras.layers.Layer) for layer in ends):
        return keras.Sequential([image, *layers])
    return keras.Model(image, functools.reduce(lambda x, step: step(x), layers, image))


def softmax_by_hand(x):
    powers = keras.ops.exp(x)
    return powers / keras.ops.sum(powers, axis=-1, keepdims=True)


@pytest.fixture
def picture(tmp_path):
    save_image(draw_picture(4, 24, 32), tmp_path / "picture.png")
    return tmp_path / "picture.png"


@pytest.mark.parametrize(
    "ends",
    [
        [keras.layers.Dense(3, activation="softmax")],
        [keras.layers.Dense(3), keras.layers.Softmax()],
        [keras.layers.Dense(3), keras.layers.Activation("softmax")],
        [keras.layers.Dense(3, activation="softmax"), keras.layers.Activation("linear", dtype="float32")],
        [keras.layers.Dense(3), keras.layers.Softmax(), keras.layers.Reshape((1, 3)), keras.layers.Flatten()],
        [keras.layers.Dense(3), keras.ops.softmax],
        [keras.layers.Dense(3, dtype="bfloat16"), keras.layers.Softmax(dtype="float32"), keras.layers.Identity()],
        [keras.layers.Dense(3, activation="softmax", dtype="bfloat16"), lambda x: keras.ops.cast(x, "float32")],
    ],
    ids=[
        "in the dense layer",
        "a layer",
        "an activation",
        "then linear",
        "then shapes",
        "an operation",
        "half",
        "cast",
    ],
)
def test_a_network_that_ends_in_a_softmax_gives_the_same_probabilities_as_in_keras(ends, picture, tmp_path):
    original = network(*ends)
    original.save(tmp_path / "my.keras")

    adopted = adopt(tmp_path / "my.keras", Description(NAMES), tmp_path / "model")

    expected = original.predict(draw_picture(4, 24, 32)[None].astype("float32"), verbose=0)[0]
    half = any(layer.compute_dtype == "bfloat16" for layer in original.layers)
    np.testing.assert_allclose(adopted.predict(picture).probabilities, expected, atol=5e-3 if half else 1e-5)
    assert adopted.preprocess.shape == (24, 32, 3)


@pytest.mark.parametrize(
    "ends",
    [
        [keras.layers.Dense(1, activation="sigmoid")],
        [keras.layers.Dense(1, activation="sigmoid"), keras.layers.Activation("linear", dtype="float32")],
        [keras.layers.Dense(1), keras.ops.sigmoid],
    ],
    ids=["in the dense layer", "then linear", "an operation"],
)
def test_one_sigmoid_unit_is_two_classes(ends, picture, tmp_path):
    original = network(*ends)
    original.save(tmp_path / "my.keras")

    adopted = adopt(tmp_path / "my.keras", Description(("no", "yes")), tmp_path / "model")

    (expected,) = original.predict(draw_picture(4, 24, 32)[None].astype("float32"), verbose=0)[0]
    assert dict(adopted.predict(picture).top(2))["yes"] == pytest.approx(expected, abs=1e-5)


def test_a_network_for_another_range_gets_its_scaling_put_in_front(picture, tmp_path):
    original = network(keras.layers.Dense(3, activation="softmax"), scaled=False)
    original.save(tmp_path / "my.keras")

    adopted = adopt(tmp_path / "my.keras", Description(NAMES, "minus_one_one"), tmp_path / "model")

    scaled = draw_picture(4, 24, 32)[None].astype("float32") / 127.5 - 1
    expected = original.predict(scaled, verbose=0)[0]
    np.testing.assert_allclose(adopted.predict(picture).probabilities, expected, atol=1e-5)


@pytest.mark.parametrize(
    ("ends", "scaled", "description", "error", "said"),
    [
        ([keras.layers.Dense(3)], False, Description(NAMES), UsageError, "Give --preprocess with one of"),
        ([keras.layers.Dense(3)], True, Description(("a", "b")), UsageError, "Expected 3 class names"),
        ([keras.layers.Dense(3)], True, Description(NAMES, "zero"), UsageError, "Did you mean 'zero_one'"),
        ([keras.layers.Dense(3, activation="relu")], True, Description(NAMES), ModelError, "ends in"),
        ([keras.layers.Dense(3, activation="sigmoid")], True, Description(NAMES), ModelError, "ends in a sigmoid of 3"),
        ([keras.layers.Dense(3), softmax_by_hand], True, Description(NAMES), ModelError, "softmax that is no"),
        (
            [keras.layers.Dense(6), keras.layers.Reshape((2, 3)), keras.layers.Softmax(), keras.layers.Flatten()],
            True,
            Description((*NAMES, "d", "e", "f")),
            ParityError,
            "a probability differs by",
        ),
    ],
    ids=["range", "names", "misspelt", "relu", "several sigmoids", "softmax by hand", "two softmaxes"],
)
def test_what_cannot_be_known_or_used_is_said(ends, scaled, description, error, said, tmp_path):
    network(*ends, scaled=scaled).save(tmp_path / "my.keras")

    with pytest.raises(error, match=said):
        adopt(tmp_path / "my.keras", description, tmp_path / "model")
    assert not (tmp_path / "model").exists()


def test_a_network_with_several_outputs_is_refused_with_their_names(tmp_path):
    one = network(keras.layers.Dense(3, activation="softmax"))
    side = keras.layers.Dense(2, name="side")(one.layers[-2].output)
    keras.Model(one.inputs, [one.outputs[0], side]).save(tmp_path / "my.keras")

    with pytest.raises(UsageError, match=r"with one output; .* has 2: "):
        adopt(tmp_path / "my.keras", Description(NAMES), tmp_path / "model")


def test_class_names_are_read_one_a_line(tmp_path):
    (tmp_path / "labels.txt").write_text("cat\n\n dog \n", encoding="utf-8")
    assert read_class_names(tmp_path / "labels.txt") == ("cat", "dog")

    (tmp_path / "labels.txt").write_text("\n")
    with pytest.raises(UsageError, match="is empty"):
        read_class_names(tmp_path / "labels.txt")
    with pytest.raises(UsageError, match="a class name a line"):
        read_class_names(tmp_path / "nothing.txt")


def test_the_command_names_the_ranges_that_there_are():
    assert command.RANGES == RANGES
