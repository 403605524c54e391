"""What every network of the catalogue must hold to; a new entry passes through all of it by being listed."""

from collections.abc import Set
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import SimpleNamespace

import keras
import numpy as np
import onnxruntime
import openvino
import pytest
import tensorflow as tf

from opsin.architectures import ARCHITECTURES, Architecture, build_network
from opsin.architectures.pretrained_entries import PRETRAINED
from opsin.architectures.scratch_entries import SCRATCH
from opsin.classifier import softmax
from opsin.errors import UsageError
from opsin.exporters import saved_model
from opsin.exporters.litert import convert
from opsin.exporters.onnx import convert_to_onnx
from opsin.exporters.openvino import convert_to_openvino
from opsin.exporters.written import Request, with_probabilities
from opsin.images.drawing import draw_picture
from opsin.images.preprocess import Preprocess
from opsin.runtimes.base import Outputs
from opsin.runtimes.keras import KerasRuntime
from opsin.runtimes.litert import LiteRTRuntime
from opsin.runtimes.saved_model import SavedModelRuntime

CLASS_COUNT = 3
PICTURE_COUNT = 8
TWIN_TOLERANCE = 1e-2
"""As a fraction of how far outputs differ from picture to picture: statistics of 8 pictures enlarge what is rounded to
up to 1e-3; what is lost in conversion shows as 0.1 and more."""
LEAST_SPREAD = 0.02
"""Of the largest output: below, rounding is a part of what differs."""
SLOW_SCRATCH = {"alexnet", "vgg11", "resnet164"}
DEEPER = {"vgg13", "resnet34", "resnet32", "resnet44", "resnet56", "speed_cnn_narrow", "speed_cnn_wide"}
"""Deeper networks, and those of other widths, of the same layers as one that is looked at for every change: by hand."""
SMALLEST_OF_FAMILY = {
    "mobilenet",
    "mobilenet_v2",
    "mobilenet_v3_small",
    "efficientnet_b0",
    "efficientnet_v2_b0",
    "resnet50",
    "resnet50_v2",
    "densenet121",
    "vgg16",
    "inception_v3",
    "xception",
    "nasnet_mobile",
    "convnext_tiny",
}


SLOW_TO_CONVERT = {"nasnet_mobile", "alexnet", "vgg11", "resnet50", "resnet164"}
"""Beside the first, networks whose layers others have: `cats_dogs_cnn`, `vgg16`, and `resnet20` with `resnet50_v2`."""
LIKE_OTHERS = {"resnet18", "densenet121", "mobilenet", "xception", "efficientnet_v2_b0", "vgg16"}
"""In this order: `resnet20`, `inception_v3`, `mobilenet_v2`, `separable_cnn`, `efficientnet_b0` and
`feature_ladder`."""
EXPORTED_BY_HAND = SLOW_TO_CONVERT | LIKE_OTHERS
SAVED_TOO = {"efficientnet_b0", "mobilenet_v3_small", "convnext_tiny"}
SAVED_BY_HAND = EXPORTED_BY_HAND - {"alexnet", "vgg11"} | SMALLEST_OF_FAMILY - SAVED_TOO
"""TensorFlow saves what it has run already: of the large ones, those with numbers outside their weights, with other
activations and with functions within."""


def _marks(name: str, exhaustive: Set[str]) -> list[pytest.MarkDecorator]:
    if name in exhaustive | DEEPER or not (name in SCRATCH or name in SMALLEST_OF_FAMILY):
        return [pytest.mark.exhaustive]
    return [pytest.mark.slow] if name in SLOW_SCRATCH | SMALLEST_OF_FAMILY else []


def _cases(exhaustive: Set[str] = frozenset()) -> list:
    """Return each case's (name, class count, logit count), marked by how long it takes."""
    return [
        *(
            pytest.param((name, CLASS_COUNT, CLASS_COUNT), id=name, marks=_marks(name, exhaustive))
            for name in ARCHITECTURES
        ),
        pytest.param(("cats_dogs_cnn", 2, 1), id="cats_dogs_cnn with one unit"),
    ]


@dataclass
class Case:
    """One network, built once for all tests, for oblong pictures of the least height it takes."""

    name: str
    class_count: int
    logit_count: int
    network: keras.Model
    images: np.ndarray

    @property
    def architecture(self) -> Architecture:
        return ARCHITECTURES[self.name]

    @property
    def input_shape(self) -> tuple[int, int, int]:
        return self.images.shape[1:]

    @cached_property
    def logits(self) -> np.ndarray:
        return _logits(self.network, self.images)

    @cached_property
    def again(self) -> keras.Model:
        return _build(self.name, self.class_count)

    @cached_property
    def drawn(self) -> np.ndarray:
        height, width, channels = self.input_shape
        return np.stack([draw_picture(i, height, width) for i in range(PICTURE_COUNT)])[..., :channels].astype(
            "float32"
        )

    @cached_property
    def lively(self) -> keras.Model:
        # The second one, once it was compared with the first.
        return _lively(self.again, self.drawn)

    @cached_property
    def expected(self) -> Outputs:
        return KerasRuntime(self.lively).run(self.drawn)

    @cached_property
    def classifier(self) -> tuple[keras.Model, np.ndarray]:
        """The network with probabilities, and those: by its temperature neither all alike nor all 0 and 1."""
        temperature = float(np.abs(self.expected.logits).max()) / 4
        return with_probabilities(self.lively, temperature), softmax(self.expected.logits, temperature)


def _small_shape(name: str) -> tuple[int, int, int]:
    architecture = ARCHITECTURES[name]
    return (architecture.least_size, architecture.least_size + 9, architecture.input_shape[2])


def _build(name: str, class_count: int) -> keras.Model:
    keras.utils.set_random_seed(0)
    return build_network(name, _small_shape(name), class_count)


def _draw(shape: tuple[int, ...]) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, shape).astype("float32")


def _logits(network: keras.Model, images: np.ndarray) -> np.ndarray:
    return keras.ops.convert_to_numpy(network(images, training=False))


@pytest.fixture(scope="module", params=_cases())
def case(request):
    keras.utils.clear_session()
    name, class_count, logit_count = request.param
    images = _draw((PICTURE_COUNT, *_small_shape(name)))
    yield Case(name, class_count, logit_count, _build(name, class_count), images)
    keras.utils.clear_session()


def test_it_turns_pictures_into_finite_logits(case):
    assert case.logits.shape == (PICTURE_COUNT, case.logit_count)
    assert case.logits.dtype == np.float32
    assert np.isfinite(case.logits).all()


def test_its_ends_carry_the_names_that_others_look_for(case):
    (image,) = case.network.inputs
    logits = case.network.get_layer("logits")

    assert (image.name, image.dtype, image.shape) == ("image", "float32", (None, *case.input_shape))
    assert logits.dtype_policy.name == "float32"
    assert logits.activation is keras.activations.linear
    assert case.network.output is logits.output


def test_what_enters_its_last_layer_is_named_features(case):
    features = keras.Model(case.network.input, case.network.get_layer("features").output)(case.images)
    kernel, bias = case.network.get_layer("logits").get_weights()

    np.testing.assert_allclose(
        keras.ops.convert_to_numpy(features) @ kernel + bias,
        case.logits,
        rtol=1e-4,
        atol=1e-4,
    )


def test_it_scales_pixels_before_its_first_convolution(case):
    operations = case.network.operations
    first_convolution = next(i for i, step in enumerate(operations) if isinstance(step, keras.layers.Conv2D))
    scalings = (keras.layers.Rescaling, keras.layers.Normalization)

    assert any(isinstance(step, scalings) for step in operations[:first_convolution])


def test_it_is_flat_and_made_of_stock_keras_only(case):
    assert not [layer.name for layer in case.network.layers if isinstance(layer, keras.Model)]
    assert {type(step).__module__.split(".")[0] for step in case.network.operations} == {"keras"}


def test_it_saves_and_opens_identically(case, tmp_path):
    case.network.save(tmp_path / "model.keras")

    opened = keras.models.load_model(tmp_path / "model.keras")

    np.testing.assert_array_equal(_logits(opened, case.images), case.logits)


def test_a_gradient_reaches_every_weight(case):
    targets = np.random.default_rng(0).normal(size=(PICTURE_COUNT, case.logit_count))
    loss = keras.losses.MeanSquaredError()
    weights = case.network.trainable_variables

    with tf.GradientTape() as tape:
        value = loss(targets, case.network(case.images, training=True))
    gradients = tape.gradient(value, [weight.value for weight in weights])

    # A bias before batch normalisation is subtracted with the mean: its gradient is zero, and rightly so.
    unreached = [
        weight.path
        for weight, gradient in zip(weights, gradients, strict=True)
        if gradient is None or (weight.name != "bias" and not np.any(gradient))
    ]
    assert unreached == []


def test_the_same_seed_gives_the_same_weights(case):
    # Statistics of batch normalisation moved in the gradient test; what is drawn at the start did not.
    for first, second in zip(case.network.trainable_weights, case.again.trainable_weights, strict=True):
        assert keras.ops.all(keras.ops.equal(first, second)), first.path


@pytest.mark.parametrize("case", _cases(exhaustive=SLOW_TO_CONVERT), indirect=True, scope="module")
def test_its_twin_agrees_with_it_for_any_batch_size(case):
    twin = LiteRTRuntime(convert(case.lively))

    for count in (1, 3):
        received = twin.run(case.drawn[:count])
        _check_agreement(case.expected.logits, received.logits)
        _check_agreement(case.expected.features, received.features)


@pytest.mark.parametrize("case", _cases(exhaustive=EXPORTED_BY_HAND), indirect=True, scope="module")
def test_onnx_runtime_and_openvino_give_its_probabilities_for_any_batch_size(case, tmp_path):
    network, expected = case.classifier

    # In a file: a large network's content cannot be handed over.
    path = tmp_path / "model.onnx"
    path.write_bytes(convert_to_onnx(network).SerializeToString())

    # One after the other: of the largest network, both do not fit into 24 GiB.
    for answers_of in (_answers_of_onnx_runtime, _answers_of_openvino):
        for count, received in zip((1, 3), answers_of(path, [case.drawn[:1], case.drawn[:3]]), strict=True):
            assert received.shape == (count, expected.shape[1])
            _check_agreement(expected, received)


def _answers_of_onnx_runtime(path: Path, batches: list[np.ndarray]) -> list[np.ndarray]:
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    assert [len(session.get_inputs()), len(session.get_outputs())] == [1, 1]
    return [session.run(["probabilities"], {"image": images})[0] for images in batches]


def _answers_of_openvino(path: Path, batches: list[np.ndarray]) -> list[np.ndarray]:
    precision = {"INFERENCE_PRECISION_HINT": "f32"}
    compiled = openvino.compile_model(convert_to_openvino(path.read_bytes()), "CPU", precision)
    assert [len(compiled.inputs), len(compiled.outputs)] == [1, 1]
    return [compiled({"image": images})["probabilities"] for images in batches]


@pytest.mark.parametrize("case", _cases(exhaustive=SAVED_BY_HAND), indirect=True, scope="module")
def test_its_saved_model_gives_its_probabilities_for_any_batch_size(case, tmp_path):
    network, expected = case.classifier
    height, width, channels = case.input_shape
    # With this filter there is one signature and not three, in a third of the time.
    recipe = Preprocess(height, width, color={1: "gray", 3: "rgb"}[channels], resample="nearest")

    written = saved_model.write(tmp_path, network, Request(tuple("abc"[: case.class_count]), recipe, case.name))
    runtime = SavedModelRuntime(tmp_path, SimpleNamespace(**vars(written), features=None))

    for count in (1, 3):
        _check_agreement(expected, np.exp(runtime.run(case.drawn[:count]).logits))


def _lively(network: keras.Model, images: np.ndarray) -> keras.Model:
    """Make a network as after training: its bias and scale weights differ, its statistics are those of the images.

    As drawn, many networks give next to nothing for any picture, and a twin of zeros would agree with them.
    """
    random = np.random.default_rng(0)
    for weight in network.trainable_weights:
        if len(weight.shape) == 1:
            weight.assign_add(random.normal(0, 0.1, weight.shape))
    for layer in network.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = 0
        elif isinstance(layer, keras.layers.Dropout):
            # Else whole blocks are left out, and statistics are those of another network.
            layer.rate = 0
    network(images, training=True)
    return network


def _check_agreement(expected: np.ndarray, received: np.ndarray):
    spread = np.abs(expected - expected.mean(axis=0)).max()
    assert spread > LEAST_SPREAD * np.abs(expected).max(), "all pictures look the same to this network"
    np.testing.assert_allclose(received, expected[: len(received)], rtol=0, atol=TWIN_TOLERANCE * spread)


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_pictures_below_its_least_size_are_refused_with_that_size(name):
    least = ARCHITECTURES[name].least_size

    with pytest.raises(UsageError, match=rf"at least {least}x{least} .* received {least}x{least - 1}\. Use"):
        build_network(name, (least, least - 1, 3), CLASS_COUNT)


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_a_single_class_is_refused(name):
    with pytest.raises(UsageError, match=r"at least 2 classes .* received 1"):
        build_network(name, ARCHITECTURES[name].input_shape, 1)


@pytest.mark.parametrize("name", PRETRAINED)
def test_a_graph_of_keras_applications_refuses_gray_pictures(name):
    with pytest.raises(UsageError, match=r"3 channels \(RGB\) .* received 1"):
        build_network(name, (331, 331, 1), CLASS_COUNT)


@pytest.mark.parametrize("name", sorted(set(SCRATCH) - SLOW_SCRATCH))
def test_our_own_networks_take_any_number_of_channels(name):
    size = ARCHITECTURES[name].least_size

    # Shapes are all that is looked at: no weight is drawn.
    with keras.StatelessScope(initialize_variables=False):
        network = build_network(name, (size, size, 5), CLASS_COUNT)
    keras.utils.clear_session()

    assert network.input.shape == (None, size, size, 5)
