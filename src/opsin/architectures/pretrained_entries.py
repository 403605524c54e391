"""The catalogue's networks whose graphs, and published weights, are those of keras.applications."""

from opsin.architectures.entry import Architecture

# Published accuracies are those of keras.io/api/applications and, for MobileNets of other widths, those of the papers
# as keras.applications quotes them.


def _entry(
    graph: str,
    description: str,
    *,
    pixels: str,
    image_size: int = 224,
    least_size: int = 32,
    head: str = "pooled",
    width: float = 1.0,
    top1: float,
) -> Architecture:
    return Architecture(
        "opsin.architectures.pretrained:pretrained",
        description,
        image_size=image_size,
        least_size=least_size,
        needs_rgb=True,
        options={"graph": graph, "pixels": pixels, "head": head, "width": width},
        top1=top1,
    )


PRETRAINED = {
    "mobilenet": _entry(
        "MobileNet", "MobileNet (Howard 2017): depthwise-separable blocks", pixels="minus_one_one", top1=0.704
    ),
    "mobilenet_0.75": _entry(
        "MobileNet", "MobileNet (Howard 2017), 0.75 of the width", pixels="minus_one_one", width=0.75, top1=0.684
    ),
    "mobilenet_0.5": _entry(
        "MobileNet", "MobileNet (Howard 2017), 0.5 of the width", pixels="minus_one_one", width=0.5, top1=0.637
    ),
    "mobilenet_0.25": _entry(
        "MobileNet", "MobileNet (Howard 2017), 0.25 of the width", pixels="minus_one_one", width=0.25, top1=0.506
    ),
    "mobilenet_v2": _entry(
        "MobileNetV2", "MobileNetV2 (Sandler 2018): inverted residuals", pixels="minus_one_one", top1=0.713
    ),
    "mobilenet_v2_1.4": _entry(
        "MobileNetV2", "MobileNetV2 (Sandler 2018), 1.4 of the width", pixels="minus_one_one", width=1.4, top1=0.75
    ),
    "mobilenet_v2_1.3": _entry(
        "MobileNetV2", "MobileNetV2 (Sandler 2018), 1.3 of the width", pixels="minus_one_one", width=1.3, top1=0.744
    ),
    "mobilenet_v2_0.75": _entry(
        "MobileNetV2", "MobileNetV2 (Sandler 2018), 0.75 of the width", pixels="minus_one_one", width=0.75, top1=0.698
    ),
    "mobilenet_v2_0.5": _entry(
        "MobileNetV2", "MobileNetV2 (Sandler 2018), 0.5 of the width", pixels="minus_one_one", width=0.5, top1=0.654
    ),
    "mobilenet_v2_0.35": _entry(
        "MobileNetV2", "MobileNetV2 (Sandler 2018), 0.35 of the width", pixels="minus_one_one", width=0.35, top1=0.603
    ),
    "mobilenet_v3_small": _entry(
        "MobileNetV3Small",
        "MobileNetV3 small (Howard 2019): inverted residuals with squeeze-and-excite",
        pixels="in_graph",
        top1=0.681,
    ),
    "mobilenet_v3_small_0.75": _entry(
        "MobileNetV3Small",
        "MobileNetV3 small (Howard 2019), 0.75 of the width",
        pixels="in_graph",
        width=0.75,
        top1=0.654,
    ),
    "mobilenet_v3_large": _entry(
        "MobileNetV3Large",
        "MobileNetV3 large (Howard 2019): inverted residuals with squeeze-and-excite",
        pixels="in_graph",
        top1=0.756,
    ),
    "mobilenet_v3_large_0.75": _entry(
        "MobileNetV3Large",
        "MobileNetV3 large (Howard 2019), 0.75 of the width",
        pixels="in_graph",
        width=0.75,
        top1=0.733,
    ),
    "efficientnet_b0": _entry(
        "EfficientNetB0",
        "EfficientNet-B0 (Tan 2019): depth, width and size scaled together",
        pixels="in_graph",
        image_size=224,
        top1=0.771,
    ),
    "efficientnet_b1": _entry(
        "EfficientNetB1",
        "EfficientNet-B1 (Tan 2019): depth, width and size scaled together",
        pixels="in_graph",
        image_size=240,
        top1=0.791,
    ),
    "efficientnet_b2": _entry(
        "EfficientNetB2",
        "EfficientNet-B2 (Tan 2019): depth, width and size scaled together",
        pixels="in_graph",
        image_size=260,
        top1=0.801,
    ),
    "efficientnet_b3": _entry(
        "EfficientNetB3",
        "EfficientNet-B3 (Tan 2019): depth, width and size scaled together",
        pixels="in_graph",
        image_size=300,
        top1=0.816,
    ),
    "efficientnet_b4": _entry(
        "EfficientNetB4",
        "EfficientNet-B4 (Tan 2019): depth, width and size scaled together",
        pixels="in_graph",
        image_size=380,
        top1=0.829,
    ),
    "efficientnet_b5": _entry(
        "EfficientNetB5",
        "EfficientNet-B5 (Tan 2019): depth, width and size scaled together",
        pixels="in_graph",
        image_size=456,
        top1=0.836,
    ),
    "efficientnet_b6": _entry(
        "EfficientNetB6",
        "EfficientNet-B6 (Tan 2019): depth, width and size scaled together",
        pixels="in_graph",
        image_size=528,
        top1=0.84,
    ),
    "efficientnet_b7": _entry(
        "EfficientNetB7",
        "EfficientNet-B7 (Tan 2019): depth, width and size scaled together",
        pixels="in_graph",
        image_size=600,
        top1=0.843,
    ),
    "efficientnet_v2_b0": _entry(
        "EfficientNetV2B0",
        "EfficientNetV2-B0 (Tan 2021): quicker to train than EfficientNet",
        pixels="in_graph",
        image_size=224,
        top1=0.787,
    ),
    "efficientnet_v2_b1": _entry(
        "EfficientNetV2B1",
        "EfficientNetV2-B1 (Tan 2021): quicker to train than EfficientNet",
        pixels="in_graph",
        image_size=240,
        top1=0.798,
    ),
    "efficientnet_v2_b2": _entry(
        "EfficientNetV2B2",
        "EfficientNetV2-B2 (Tan 2021): quicker to train than EfficientNet",
        pixels="in_graph",
        image_size=260,
        top1=0.805,
    ),
    "efficientnet_v2_b3": _entry(
        "EfficientNetV2B3",
        "EfficientNetV2-B3 (Tan 2021): quicker to train than EfficientNet",
        pixels="in_graph",
        image_size=300,
        top1=0.82,
    ),
    "efficientnet_v2_s": _entry(
        "EfficientNetV2S",
        "EfficientNetV2-S (Tan 2021): quicker to train than EfficientNet",
        pixels="in_graph",
        image_size=384,
        top1=0.839,
    ),
    "efficientnet_v2_m": _entry(
        "EfficientNetV2M",
        "EfficientNetV2-M (Tan 2021): quicker to train than EfficientNet",
        pixels="in_graph",
        image_size=480,
        top1=0.853,
    ),
    "efficientnet_v2_l": _entry(
        "EfficientNetV2L",
        "EfficientNetV2-L (Tan 2021): quicker to train than EfficientNet",
        pixels="in_graph",
        image_size=480,
        top1=0.857,
    ),
    "resnet50": _entry("ResNet50", "ResNet-50 (He 2015): bottlenecks", pixels="centered_bgr", top1=0.749),
    "resnet101": _entry("ResNet101", "ResNet-101 (He 2015): bottlenecks", pixels="centered_bgr", top1=0.764),
    "resnet152": _entry("ResNet152", "ResNet-152 (He 2015): bottlenecks", pixels="centered_bgr", top1=0.766),
    "resnet50_v2": _entry(
        "ResNet50V2", "ResNet-50 with normalisation first (He 2016)", pixels="minus_one_one", top1=0.76
    ),
    "resnet101_v2": _entry(
        "ResNet101V2", "ResNet-101 with normalisation first (He 2016)", pixels="minus_one_one", top1=0.772
    ),
    "resnet152_v2": _entry(
        "ResNet152V2", "ResNet-152 with normalisation first (He 2016)", pixels="minus_one_one", top1=0.78
    ),
    "densenet121": _entry(
        "DenseNet121", "DenseNet-121 (Huang 2016): each layer sees all before it", pixels="standardized", top1=0.75
    ),
    "densenet169": _entry(
        "DenseNet169", "DenseNet-169 (Huang 2016): each layer sees all before it", pixels="standardized", top1=0.762
    ),
    "densenet201": _entry(
        "DenseNet201", "DenseNet-201 (Huang 2016): each layer sees all before it", pixels="standardized", top1=0.773
    ),
    "vgg16": _entry(
        "VGG16",
        "VGG with 13 convolutions (Simonyan 2014, configuration D)",
        pixels="centered_bgr",
        head="wide",
        top1=0.713,
    ),
    "vgg19": _entry(
        "VGG19",
        "VGG with 16 convolutions (Simonyan 2014, configuration E)",
        pixels="centered_bgr",
        head="wide",
        top1=0.713,
    ),
    "inception_v3": _entry(
        "InceptionV3",
        "Inception-v3 (Szegedy 2015): filters of several sizes side by side",
        pixels="minus_one_one",
        image_size=299,
        least_size=75,
        top1=0.779,
    ),
    "inception_resnet_v2": _entry(
        "InceptionResNetV2",
        "Inception-ResNet-v2 (Szegedy 2016): Inception blocks with shortcuts",
        pixels="minus_one_one",
        image_size=299,
        least_size=75,
        top1=0.803,
    ),
    "xception": _entry(
        "Xception",
        "Xception (Chollet 2016): separable convolutions with shortcuts",
        pixels="minus_one_one",
        image_size=299,
        least_size=71,
        top1=0.79,
    ),
    "nasnet_mobile": _entry(
        "NASNetMobile", "NASNet-A mobile (Zoph 2017): cells found by search", pixels="minus_one_one", top1=0.744
    ),
    "nasnet_large": _entry(
        "NASNetLarge",
        "NASNet-A large (Zoph 2017): cells found by search",
        pixels="minus_one_one",
        image_size=331,
        top1=0.825,
    ),
    "convnext_tiny": _entry(
        "ConvNeXtTiny",
        "ConvNeXt tiny (Liu 2022): a convolutional network with a transformer's habits",
        pixels="in_graph",
        head="normalized",
        top1=0.813,
    ),
    "convnext_small": _entry(
        "ConvNeXtSmall",
        "ConvNeXt small (Liu 2022): a convolutional network with a transformer's habits",
        pixels="in_graph",
        head="normalized",
        top1=0.823,
    ),
    "convnext_base": _entry(
        "ConvNeXtBase",
        "ConvNeXt base (Liu 2022): a convolutional network with a transformer's habits",
        pixels="in_graph",
        head="normalized",
        top1=0.853,
    ),
    "convnext_large": _entry(
        "ConvNeXtLarge",
        "ConvNeXt large (Liu 2022): a convolutional network with a transformer's habits",
        pixels="in_graph",
        head="normalized",
        top1=0.863,
    ),
    "convnext_xlarge": _entry(
        "ConvNeXtXLarge",
        "ConvNeXt xlarge (Liu 2022): a convolutional network with a transformer's habits",
        pixels="in_graph",
        head="normalized",
        top1=0.867,
    ),
}
