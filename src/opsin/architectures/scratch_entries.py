"""The catalogue's networks that Opsin builds itself, made to be trained from scratch."""

from opsin.architectures.entry import Architecture

_HERE = "opsin.architectures"

SCRATCH = {
    "digit_cnn": Architecture(
        f"{_HERE}.simple:digit_cnn",
        "Two convolutions, two poolings, one hidden layer: handwritten digits",
        image_size=28,
        least_size=10,
        color="gray",
    ),
    "simple_cnn": Architecture(
        f"{_HERE}.simple:simple_cnn",
        "Three convolutions, two poolings, one hidden layer: a first network for small pictures",
        image_size=32,
        least_size=18,
    ),
    "cats_dogs_cnn": Architecture(
        f"{_HERE}.simple:cats_dogs_cnn",
        "Three convolutions, a wide hidden layer, one sigmoid unit for two classes",
        image_size=150,
        least_size=22,
    ),
    "feature_ladder": Architecture(
        f"{_HERE}.simple:feature_ladder",
        "Four convolutions for edges, textures, parts and objects; no hidden layer",
        image_size=64,
        least_size=4,
    ),
    "cifar_cnn": Architecture(
        f"{_HERE}.cifar:cifar_cnn",
        "Five convolutions with batch normalisation and dropout, global average pooling",
        image_size=32,
        least_size=4,
    ),
    "cifar_cnn_l2": Architecture(
        f"{_HERE}.cifar:cifar_cnn_l2",
        "Six convolutions with batch normalisation, dropout and L2, one hidden layer",
        image_size=32,
        least_size=8,
    ),
    "speed_cnn": Architecture(
        f"{_HERE}.speed:speed_cnn",
        "Shallow, wide, few large maps: learns much in few epochs (--recipe fast)",
        image_size=32,
        least_size=4,
    ),
    "speed_cnn_narrow": Architecture(
        f"{_HERE}.speed:speed_cnn",
        "The same with three quarters of the filters: three fifths of the work",
        image_size=32,
        least_size=4,
        options={"filters": (48, 96, 192)},
    ),
    "speed_cnn_wide": Architecture(
        f"{_HERE}.speed:speed_cnn",
        "The same with more filters, as many as in the paper: nearly twice the work",
        image_size=32,
        least_size=4,
        options={"filters": (64, 256, 256)},
    ),
    "lenet5": Architecture(
        f"{_HERE}.lenet:lenet5",
        "LeNet-5 (LeCun 1998): tanh and average pooling",
        image_size=32,
        least_size=16,
        color="gray",
    ),
    "alexnet": Architecture(
        f"{_HERE}.alexnet:alexnet",
        "AlexNet (Krizhevsky 2012) in one column",
        image_size=227,
        least_size=67,
    ),
    "vgg11": Architecture(
        f"{_HERE}.vgg:vgg",
        "VGG with 8 convolutions (Simonyan 2014, configuration A)",
        image_size=224,
        least_size=32,
        options={"depth": 11},
    ),
    "vgg13": Architecture(
        f"{_HERE}.vgg:vgg",
        "VGG with 10 convolutions (Simonyan 2014, configuration B)",
        image_size=224,
        least_size=32,
        options={"depth": 13},
    ),
    "simple_resnet": Architecture(
        f"{_HERE}.resnet:simple_resnet",
        "Six residual blocks at 64, 128 and 256 filters: a small ResNet",
        image_size=224,
        least_size=16,
    ),
    "resnet18": Architecture(
        f"{_HERE}.resnet:resnet",
        "ResNet-18 (He 2015)",
        image_size=224,
        least_size=32,
        options={"depth": 18},
    ),
    "resnet34": Architecture(
        f"{_HERE}.resnet:resnet",
        "ResNet-34 (He 2015)",
        image_size=224,
        least_size=32,
        options={"depth": 34},
    ),
    "resnet20": Architecture(
        f"{_HERE}.cifar_resnet:cifar_resnet",
        "ResNet-20 for 32x32 pictures (He 2015, section 4.2)",
        image_size=32,
        least_size=4,
        options={"depth": 20},
    ),
    "resnet32": Architecture(
        f"{_HERE}.cifar_resnet:cifar_resnet",
        "ResNet-32 for 32x32 pictures (He 2015, section 4.2)",
        image_size=32,
        least_size=4,
        options={"depth": 32},
    ),
    "resnet44": Architecture(
        f"{_HERE}.cifar_resnet:cifar_resnet",
        "ResNet-44 for 32x32 pictures (He 2015, section 4.2)",
        image_size=32,
        least_size=4,
        options={"depth": 44},
    ),
    "resnet56": Architecture(
        f"{_HERE}.cifar_resnet:cifar_resnet",
        "ResNet-56 for 32x32 pictures (He 2015, section 4.2)",
        image_size=32,
        least_size=4,
        options={"depth": 56},
    ),
    "resnet164": Architecture(
        f"{_HERE}.cifar_resnet:resnet164",
        "ResNet-164 of bottlenecks for 32x32 pictures (He 2016)",
        image_size=32,
        least_size=4,
    ),
    "separable_cnn": Architecture(
        f"{_HERE}.separable:separable_cnn",
        "Five depthwise-separable blocks: a small MobileNet",
        image_size=64,
        least_size=4,
    ),
    "inverted_cnn": Architecture(
        f"{_HERE}.separable:inverted_cnn",
        "Six inverted residuals with squeeze-and-excite: a small MobileNetV3",
        image_size=64,
        least_size=8,
    ),
}
