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
