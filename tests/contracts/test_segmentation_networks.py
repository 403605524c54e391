"""What every network of the segmentation catalogue must hold to; a new entry passes through it by being listed."""

from dataclasses import dataclass

import keras
import numpy as np
import pytest

from opsin.architectures.summary import summarize
from opsin.errors import UsageError
from opsin.exporters.litert import convert_outputs
from opsin.runtimes.litert import LiteRTNetwork
from opsin.segmentation.losses import PixelLoss
from opsin.segmentation.networks import NETWORKS, NetworkSettings, build_segmentation_network

K = 3
BACKBONE = "mobilenet_v2_0.35"
FITTING, OTHER = (64, 96), (61, 70)

CASES = {
    **{name: (name, {"backbone": BACKBONE, "width": 8}) for name in NETWORKS},
    "unet, all settings": (
        "unet",
        {"depth": 3, "width": 4, "normalize": True, "dropout": 0.3, "upsample": "transposed"},
    ),
    "pretrained_unet, transposed": (
        "pretrained_unet",
        {"backbone": BACKBONE, "width": 8, "dropout": 0.3, "upsample": "transposed"},
    ),
}
OTHER_BACKBONES = ("efficientnet_b0", "resnet50", "vgg16", "densenet121", "inception_v3", "convnext_tiny")


@dataclass
class Case:
    """One network, built once for all tests, and pictures that it takes."""

    name: str
    network: keras.Model
    images: np.ndarray


def _case(name, settings, size):
    keras.utils.set_random_seed(0)
    channels = 3 if NETWORKS[name].on_backbone else 1
    network = build_segmentation_network(name, (*size, channels), K, NetworkSettings(**settings))
    images = np.random.default_rng(0).integers(0, 256, (2, *size, channels)).astype("float32")
    return Case(name, network, images)


BY_HAND = {"pretrained_unet, transposed"}
_PARAMETERS = [pytest.param(name, marks=[pytest.mark.exhaustive] * (name in BY_HAND)) for name in CASES]


@pytest.fixture(scope="module", params=_PARAMETERS)
def case(request):
    keras.utils.clear_session()
    return _case(*CASES[request.param], OTHER)


def _logits(network, images):
    return keras.ops.convert_to_numpy(network(images, training=False))


def test_every_pixel_gets_finite_logits_at_a_size_that_no_stride_divides(case):
    logits = _logits(case.network, case.images)

    assert logits.shape == (2, *OTHER, K)
    assert logits.dtype == np.float32
    assert np.isfinite(logits).all()
    assert logits.std() > 0


@pytest.mark.parametrize("name", NETWORKS)
def test_sizes_that_its_strides_divide_are_taken_as_they_are(name):
    case = _case(name, CASES[name][1], FITTING)

    assert _logits(case.network, case.images).shape == (2, *FITTING, K)
    assert "cut_back" not in [layer.name for layer in case.network.layers]


def test_it_is_flat_and_its_summary_knows_every_layer(case):
    assert not any(isinstance(layer, keras.Model) for layer in case.network.layers)
    summary = summarize(case.network)
    assert summary.parameters == case.network.count_params()
    assert summary.multiply_adds is not None


def test_gradients_reach_every_weight(case):
    import tensorflow as tf

    classes = np.random.default_rng(1).integers(0, K, (2, *OTHER)).astype("uint8")
    with tf.GradientTape() as tape:
        loss = PixelLoss("ce+dice", (1.0,) * K)(classes, case.network(case.images, training=True))
    gradients = tape.gradient(loss, [variable.value for variable in case.network.trainable_variables])

    assert all(gradient is not None and np.isfinite(gradient).all() for gradient in gradients)


def test_it_is_saved_and_opened_in_plain_keras_identically(case, tmp_path):
    case.network.save(tmp_path / "network.keras")
    opened = keras.saving.load_model(tmp_path / "network.keras")

    np.testing.assert_array_equal(_logits(opened, case.images), _logits(case.network, case.images))


def test_called_without_saying_so_it_does_not_train(case):
    plain = keras.ops.convert_to_numpy(case.network(case.images))

    np.testing.assert_array_equal(plain, _logits(case.network, case.images))


def test_its_twin_in_litert_gives_the_same_logits(case):
    expected = _logits(case.network, case.images)
    (logits,) = LiteRTNetwork(convert_outputs(case.network)).run(case.images)

    assert np.abs(logits - expected).max() <= 1e-4 * np.abs(expected).max()


def test_the_same_seed_gives_the_same_weights():
    # What is put on a backbone is initialised alike, and backbones have a contract of their own.
    weights = [_case("unet", CASES["unet"][1], FITTING).network.get_weights() for _ in range(2)]

    for first, second in zip(*weights, strict=True):
        np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize("name", NETWORKS)
def test_bad_requests_are_refused_with_what_to_do(name):
    for shape, class_count in (((8, 2, 3), K), ((64, 64, 0), K), ((64, 64, 3), 1)):
        with pytest.raises(UsageError, match="Expected"):
            build_segmentation_network(name, shape, class_count, NetworkSettings(depth=4))


def test_a_name_that_is_none_is_answered_with_the_closest():
    with pytest.raises(UsageError, match="unet"):
        build_segmentation_network("u-net", (64, 64, 3), K)


@pytest.mark.exhaustive
@pytest.mark.parametrize("backbone", OTHER_BACKBONES)
def test_other_backbones_have_their_skips_found(backbone):
    case = _case("pretrained_unet", {"backbone": backbone, "width": 8}, (101, 96))
    expected = _logits(case.network, case.images)
    (logits,) = LiteRTNetwork(convert_outputs(case.network)).run(case.images)

    assert expected.shape == (2, 101, 96, K)
    assert len([layer for layer in case.network.layers if layer.name.endswith("_join")]) >= 3
    assert np.abs(logits - expected).max() <= 1e-3 * np.abs(expected).max()
