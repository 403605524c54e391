"""The catalogue's networks whose graphs, and published weights, are those of keras.applications."""

from opsin.architectures.entry import Architecture


def _entry(
    graph: str,
    description: str,
    *,
    pixels: str,
    image_size: int = 224,
    least_size: int = 32,
    head: str = "pooled",
) -> Architecture:
    return Architecture(
        "opsin.architectures.pretrained:pretrained",
        description,
        image_size=image_size,
        least_size=least_size,
        needs_rgb=True,
        options={"graph": graph, "pixels": pixels, "head": head},
    )


PRETRAINED = {
    "mobilenet": _entry("MobileNet", "MobileNet (Howard 2017): depthwise-separable blocks", pixels="minus_one_one"),
    "mobilenet_v2": _entry("MobileNetV2", "MobileNetV2 (Sandler 2018): inverted residuals", pixels="minus_one_one"),
    "mobilenet_v3_small": _entry(
        "MobileNetV3Small",
        "MobileNetV3 small (Howard 2019): inverted residuals with squeeze-and-excite",
        pixels="in_graph",
    ),
    "mobilenet_v3_large": _entry(
        "MobileNetV3Large",
        "MobileNetV3 large (Howard 2019): inverted residuals with squeeze-and-excite",
        pixels="in_graph",
    ),
    "efficientnet_b0": _entry(
        "EfficientNetB0",
        "EfficientNet-B0 (Tan 2019): depth, width and size scaled together",
        pixels="in_graph",
        image_size=224,
    ),
    "efficientnet_b1": _entry(
        "EfficientNetB1",
        "EfficientNet-B1 (Tan 2019): depth, width and size scaled together",
        pixels="in_graph",
        image_size=240,
    ),
    "efficientnet_b2": _entry(
        "EfficientNetB2",
        "EfficientNet-B2 (Tan 2019): depth, width and size scaled together",
        pixels="in_graph",
        image_size=260,
    ),
    "efficientnet_b3": _entry(
        "EfficientNetB3",
        "EfficientNet-B3 (Tan 2019): depth, width and size scaled together",
        pixels="in_graph",
        image_size=300,
    ),
    "efficientnet_b4": _entry(
        "EfficientNetB4",
        "EfficientNet-B4 (Tan 2019): depth, width and size scaled together",
        pixels="in_graph",
        image_size=380,
    ),
    "efficientnet_b5": _entry(
        "EfficientNetB5",
        "EfficientNet-B5 (Tan 2019): depth, width and size scaled together",
        pixels="in_graph",
        image_size=456,
    ),
    "efficientnet_b6": _entry(
        "EfficientNetB6",
        "EfficientNet-B6 (Tan 2019): depth, width and size scaled together",
        pixels="in_graph",
        image_size=528,
    ),
    "efficientnet_b7": _entry(
        "EfficientNetB7",
        "EfficientNet-B7 (Tan 2019): depth, width and size scaled together",
        pixels="in_graph",
        image_size=600,
    ),
    "efficientnet_v2_b0": _entry(
        "EfficientNetV2B0",
        "EfficientNetV2-B0 (Tan 2021): quicker to train than EfficientNet",
        pixels="in_graph",
        image_size=224,
    ),
    "efficientnet_v2_b1": _entry(
        "EfficientNetV2B1",
        "EfficientNetV2-B1 (Tan 2021): quicker to train than EfficientNet",
        pixels="in_graph",
        image_size=240,
    ),
    "efficientnet_v2_b2": _entry(
        "EfficientNetV2B2",
        "EfficientNetV2-B2 (Tan 2021): quicker to train than EfficientNet",
        pixels="in_graph",
        image_size=260,
    ),
    "efficientnet_v2_b3": _entry(
        "EfficientNetV2B3",
        "EfficientNetV2-B3 (Tan 2021): quicker to train than EfficientNet",
        pixels="in_graph",
        image_size=300,
    ),
    "efficientnet_v2_s": _entry(
        "EfficientNetV2S",
        "EfficientNetV2-S (Tan 2021): quicker to train than EfficientNet",
        pixels="in_graph",
        image_size=384,
    ),
    "efficientnet_v2_m": _entry(
        "EfficientNetV2M",
        "EfficientNetV2-M (Tan 2021): quicker to train than EfficientNet",
        pixels="in_graph",
        image_size=480,
    ),
    "efficientnet_v2_l": _entry(
        "EfficientNetV2L",
        "EfficientNetV2-L (Tan 2021): quicker to train than EfficientNet",
        pixels="in_graph",
        image_size=480,
    ),
    "resnet50": _entry("ResNet50", "ResNet-50 (He 2015): bottlenecks", pixels="centered_bgr"),
    "resnet101": _entry("ResNet101", "ResNet-101 (He 2015): bottlenecks", pixels="centered_bgr"),
    "resnet152": _entry("ResNet152", "ResNet-152 (He 2015): bottlenecks", pixels="centered_bgr"),
    "resnet50_v2": _entry("ResNet50V2", "ResNet-50 with normalisation first (He 2016)", pixels="minus_one_one"),
    "resnet101_v2": _entry("ResNet101V2", "ResNet-101 with normalisation first (He 2016)", pixels="minus_one_one"),
    "resnet152_v2": _entry("ResNet152V2", "ResNet-152 with normalisation first (He 2016)", pixels="minus_one_one"),
    "densenet121": _entry(
        "DenseNet121", "DenseNet-121 (Huang 2016): each layer sees all before it", pixels="standardized"
    ),
    "densenet169": _entry(
        "DenseNet169", "DenseNet-169 (Huang 2016): each layer sees all before it", pixels="standardized"
    ),
    "densenet201": _entry(
        "DenseNet201", "DenseNet-201 (Huang 2016): each layer sees all before it", pixels="standardized"
    ),
    "vgg16": _entry(
        "VGG16",
        "VGG with 13 convolutions (Simonyan 2014, configuration D)",
        pixels="centered_bgr",
        head="wide",
    ),
    "vgg19": _entry(
        "VGG19",
        "VGG with 16 convolutions (Simonyan 2014, configuration E)",
        pixels="centered_bgr",
        head="wide",
    ),
    "inception_v3": _entry(
        "InceptionV3",
        "Inception-v3 (Szegedy 2015): filters of several sizes side by side",
        pixels="minus_one_one",
        image_size=299,
        least_size=75,
    ),
    "inception_resnet_v2": _entry(
        "InceptionResNetV2",
        "Inception-ResNet-v2 (Szegedy 2016): Inception blocks with shortcuts",
        pixels="minus_one_one",
        image_size=299,
        least_size=75,
    ),
    "xception": _entry(
        "Xception",
        "Xception (Chollet 2016): separable convolutions with shortcuts",
        pixels="minus_one_one",
        image_size=299,
        least_size=71,
    ),
    "nasnet_mobile": _entry(
        "NASNetMobile", "NASNet-A mobile (Zoph 2017): cells found by search", pixels="minus_one_one"
    ),
    "nasnet_large": _entry(
        "NASNetLarge",
        "NASNet-A large (Zoph 2017): cells found by search",
        pixels="minus_one_one",
        image_size=331,
    ),
    "convnext_tiny": _entry(
        "ConvNeXtTiny",
        "ConvNeXt tiny (Liu 2022): a convolutional network with a transformer's habits",
        pixels="in_graph",
        head="normalized",
    ),
    "convnext_small": _entry(
        "ConvNeXtSmall",
        "ConvNeXt small (Liu 2022): a convolutional network with a transformer's habits",
        pixels="in_graph",
        head="normalized",
    ),
    "convnext_base": _entry(
        "ConvNeXtBase",
        "ConvNeXt base (Liu 2022): a convolutional network with a transformer's habits",
        pixels="in_graph",
        head="normalized",
    ),
    "convnext_large": _entry(
        "ConvNeXtLarge",
        "ConvNeXt large (Liu 2022): a convolutional network with a transformer's habits",
        pixels="in_graph",
        head="normalized",
    ),
    "convnext_xlarge": _entry(
        "ConvNeXtXLarge",
        "ConvNeXt xlarge (Liu 2022): a convolutional network with a transformer's habits",
        pixels="in_graph",
        head="normalized",
    ),
}
