import keras
import numpy as np
import pytest

from opsin.architectures.pretrained_entries import PRETRAINED
from opsin.architectures.scaling import scaled_image

# Part of a graph's name -> where keras.applications keeps its family's preprocess_input.
FAMILY_MODULES = {
    "MobileNetV3": keras.applications.mobilenet_v3,
    "MobileNetV2": keras.applications.mobilenet_v2,
    "MobileNet": keras.applications.mobilenet,
    "EfficientNetV2": keras.applications.efficientnet_v2,
    "EfficientNet": keras.applications.efficientnet,
    "ResNet50V2": keras.applications.resnet_v2,
    "ResNet101V2": keras.applications.resnet_v2,
    "ResNet152V2": keras.applications.resnet_v2,
    "InceptionResNetV2": keras.applications.inception_resnet_v2,
    "ResNet": keras.applications.resnet,
    "DenseNet": keras.applications.densenet,
    "VGG16": keras.applications.vgg16,
    "VGG19": keras.applications.vgg19,
    "InceptionV3": keras.applications.inception_v3,
    "Xception": keras.applications.xception,
    "NASNet": keras.applications.nasnet,
    "ConvNeXt": keras.applications.convnext,
}


def _scale(images: np.ndarray, pixels: str) -> np.ndarray:
    image, scaled = scaled_image(images.shape[1:], pixels)
    return keras.ops.convert_to_numpy(keras.Model(image, scaled)(images))


@pytest.mark.parametrize(
    ("pixels", "scaled"),
    [("zero_one", [0.0, 0.2, 1.0]), ("minus_one_one", [-1.0, -0.6, 1.0]), ("in_graph", [0, 51, 255])],
)
def test_black_and_white_land_on_the_ends_of_the_range(pixels, scaled):
    picture = np.array([[[[0], [51], [255]]]], "float32")

    np.testing.assert_allclose(_scale(picture, pixels).ravel(), scaled, atol=1e-6)


@pytest.mark.parametrize("name", PRETRAINED)
def test_pixels_reach_a_pretrained_graph_as_its_own_preprocessing_gives_them(name):
    options = PRETRAINED[name].options
    module = next(module for part, module in FAMILY_MODULES.items() if options["graph"].startswith(part))
    images = np.random.default_rng(0).uniform(0, 255, (2, 4, 5, 3)).astype("float32")

    expected = module.preprocess_input(images.copy())

    np.testing.assert_allclose(_scale(images, options["pixels"]), expected, rtol=1e-5, atol=1e-5)
