"""U-Net and what stands on a backbone: parameters by hand, skips, settings."""

import numpy as np
import pytest

from opsin.errors import UsageError
from opsin.segmentation.backbones import is_of_backbone
from opsin.segmentation.decoding import padding_for
from opsin.segmentation.networks import NetworkSettings, build_segmentation_network


@pytest.mark.parametrize(("classes", "parameters"), [(4, 471_652), (2, 471_586)])
def test_unet_at_its_defaults_has_the_parameters_that_are_known_of_it(classes, parameters):
    network = build_segmentation_network("unet", (128, 128, 3), classes)

    assert network.count_params() == parameters
    # 32-64-128-64-32, two 3×3 each, a 1×1 head.
    kernels = [tuple(layer.kernel.shape) for layer in network.layers if hasattr(layer, "kernel")]
    assert [shape[-1] for shape in kernels] == [32, 32, 64, 64, 128, 128, 64, 64, 32, 32, classes]
    assert [shape[:2] for shape in kernels] == [(3, 3)] * 10 + [(1, 1)]


def parameters_by_hand(depth: int, width: int, normalize: bool, upsample: str, channels: int, classes: int) -> int:
    """Sum up K·K·C_in·C_out + C_out of every convolution; batch normalisation has 4 a channel in place of the bias."""

    def convolution(c_in: int, c_out: int) -> int:
        return 9 * c_in * c_out + (4 if normalize else 1) * c_out

    total, widths = 0, [width * 2**level for level in range(depth + 1)]
    for c_in, c_out in zip([channels, *widths], widths, strict=False):
        total += convolution(c_in, c_out) + convolution(c_out, c_out)
    for coarse, fine in zip(widths[:0:-1], widths[-2::-1], strict=True):
        up = coarse if upsample == "bilinear" else coarse // 2
        total += 0 if upsample == "bilinear" else 4 * coarse * up + up
        total += convolution(fine + up, fine) + convolution(fine, fine)
    return total + width * classes + classes


@pytest.mark.parametrize("upsample", ["bilinear", "transposed"])
@pytest.mark.parametrize("normalize", [False, True])
@pytest.mark.parametrize(("depth", "width"), [(1, 4), (2, 32), (4, 8)])
def test_each_setting_of_unet_builds_the_network_that_it_names(depth, width, normalize, upsample):
    settings = NetworkSettings(depth=depth, width=width, normalize=normalize, upsample=upsample)
    network = build_segmentation_network("unet", (32, 32, 1), 3, settings)

    assert network.count_params() == parameters_by_hand(depth, width, normalize, upsample, 1, 3)
    assert min(tensor.output.shape[1] for tensor in network.layers) == 32 // 2**depth


def test_dropout_drops_at_the_coarsest_map_and_in_training_only():
    network = build_segmentation_network("unet", (16, 16, 1), 2, NetworkSettings(width=4, dropout=0.5))
    dropout = network.get_layer("bottom_dropout")
    image = np.random.default_rng(0).integers(0, 256, (1, 16, 16, 1)).astype("float32")
    first, second, plain = (np.asarray(network(image, training=on)) for on in (True, True, False))

    assert dropout.rate == 0.5
    assert dropout.output.shape == (None, 4, 4, 16)
    assert not np.array_equal(first, second)
    np.testing.assert_array_equal(np.asarray(network(image, training=False)), plain)


def test_mobilenet_skips_are_what_enters_its_strided_convolutions():
    settings = NetworkSettings(backbone="mobilenet_v2_0.35", width=8)
    network = build_segmentation_network("pretrained_unet", (64, 64, 3), 2, settings)

    found = [network.get_layer(f"decoder_{stride}_skip_conv").input._keras_history.operation.name for stride in (2, 16)]
    assert found == ["block_1_expand_relu", "block_13_expand_relu"]


def test_what_is_put_on_a_backbone_is_told_from_it():
    settings = NetworkSettings(backbone="mobilenet_v2_0.35", width=8)
    network = build_segmentation_network("pretrained_unet", (70, 64, 3), 2, settings)

    added = [layer for layer in network.layers if not is_of_backbone(layer)]
    backbone = [layer for layer in network.layers if is_of_backbone(layer)]
    assert sum(layer.count_params() for layer in backbone) == 410_208  # MobileNetV2 of width 0.35 without its head
    assert sum(layer.count_params() for layer in added) == network.count_params() - 410_208


def test_borders_are_shared_between_both_sides():
    assert padding_for(61, 64, 32) == ((1, 2), (0, 0))


@pytest.mark.parametrize(
    "wrong", [{"depth": 0}, {"width": 0}, {"dropout": 1.0}, {"upsample": "nearest"}, {"backbone": "resnet18"}]
)
def test_settings_that_are_none_are_refused(wrong):
    with pytest.raises(UsageError, match="xpected"):
        NetworkSettings(**wrong)
