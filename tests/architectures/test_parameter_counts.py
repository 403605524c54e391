"""Known answers: FACTS.md, and for the rest what the papers and other libraries publish."""

import math

import keras
import pytest

from opsin.architectures import ARCHITECTURES, build_network


@pytest.fixture(autouse=True)
def _fresh_session():
    yield
    keras.utils.clear_session()


def _trainable(network: keras.Model) -> int:
    return sum(math.prod(weight.shape) for weight in network.trainable_weights)


def _build_at_natural_size(name: str, class_count: int) -> keras.Model:
    # Shapes are all that is looked at: no weight is drawn.
    with keras.StatelessScope(initialize_variables=False):
        return build_network(name, ARCHITECTURES[name].input_shape, class_count)


@pytest.mark.parametrize(
    ("name", "class_count", "parameters"),
    [
        ("digit_cnn", 10, 121_930),
        ("simple_cnn", 10, 122_570),
        ("cats_dogs_cnn", 2, 19_034_177),
        ("lenet5", 10, 61_706),
        ("simple_resnet", 10, 2_792_074),
        ("resnet18", 1000, 11_699_112),
        ("resnet34", 1000, 21_814_696),
        ("resnet50", 1000, 25_636_712),
        ("cifar_cnn", 10, 175_978),
        ("cifar_cnn_l2", 10, 816_938),
        ("feature_ladder", 10, 390_986),
        pytest.param("alexnet", 1000, 62_378_344, marks=pytest.mark.slow),
        pytest.param("vgg16", 1000, 138_357_544, marks=pytest.mark.slow),
    ],
)
def test_a_network_has_the_parameters_on_record(name, class_count, parameters):
    assert _build_at_natural_size(name, class_count).count_params() == parameters


@pytest.mark.parametrize(
    ("name", "class_count", "parameters"),
    [
        ("resnet18", 1000, 11_689_512),
        ("resnet34", 1000, 21_797_672),
        # arXiv:1512.03385, table 6: 0.27, 0.46, 0.66 and 0.85 million.
        ("resnet20", 10, 269_722),
        ("resnet32", 10, 464_154),
        ("resnet44", 10, 658_586),
        ("resnet56", 10, 853_018),
        # torchvision's vgg11 and vgg13.
        pytest.param("vgg11", 1000, 132_863_336, marks=pytest.mark.slow),
        pytest.param("vgg13", 1000, 133_047_848, marks=pytest.mark.slow),
    ],
)
def test_a_network_has_the_trainable_parameters_that_others_publish(name, class_count, parameters):
    assert _trainable(_build_at_natural_size(name, class_count)) == parameters


def test_resnet164_has_the_1_7_million_parameters_of_its_paper():
    # arXiv:1603.05027, table 5.
    assert round(_trainable(_build_at_natural_size("resnet164", 10)) / 1e6, 1) == 1.7


@pytest.mark.parametrize(
    ("name", "layers", "sizes"),
    [
        ("simple_cnn", ("conv1", "pool1", "conv2", "pool2", "conv3"), (30, 15, 13, 6, 4)),
        ("lenet5", ("conv1", "pool1", "conv2", "pool2"), (28, 14, 10, 5)),
        ("feature_ladder", ("edges", "textures", "parts", "objects"), (64, 64, 32, 16)),
        (
            "resnet18",
            ("stem_relu", "stem_pool", "stage2_block1_relu", "stage4_block2_relu"),
            (112, 56, 28, 7),
        ),
        (
            "resnet20",
            ("stem_relu", "stage1_block3_relu", "stage2_block3_relu", "stage3_block3_relu"),
            (32, 32, 16, 8),
        ),
    ],
)
def test_its_maps_have_the_sizes_on_record(name, layers, sizes):
    network = _build_at_natural_size(name, 10)

    maps = [network.get_layer(layer).output.shape for layer in layers]

    assert [shape[1:3] for shape in maps] == [(size, size) for size in sizes]


def test_alexnets_first_maps_are_55_and_27_pixels():
    # Conv 11x11/4, then pooling 3x3/2 (section 3.5 of the paper; 227 pixels, not the 224 it states).
    from opsin.architectures.alexnet import alexnet

    network = alexnet((227, 227, 3), 2)

    shapes = [network.get_layer(name).output.shape[1] for name in ("conv1", "pool1", "pool2", "pool5")]
    assert shapes == [55, 27, 13, 6]
