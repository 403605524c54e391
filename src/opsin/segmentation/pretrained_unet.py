"""U-Net on a pretrained backbone: its last map goes up again beside the map that the backbone had at each size."""

import keras

from opsin.architectures.blocks import conv_norm_relu
from opsin.segmentation.backbones import ADDED, way_down
from opsin.segmentation.decoding import cut_back, enlarged_to, pixel_logits, twice_as_large
from opsin.segmentation.networks import NetworkSettings, Say

MOST_WIDTHS = 4


def pretrained_unet(
    input_shape: tuple[int, int, int],
    class_count: int,
    settings: NetworkSettings,
    *,
    weights: str | None = None,
    say: Say = lambda line: None,
) -> keras.Model:
    """Build a U-Net whose way down is a graph of keras.applications.

    At each stride the enlarged map and the backbone's own, both brought to as many channels by 1×1 convolutions, are
    joined by one 3×3 convolution. The classes are told at the backbone's finest map and enlarged from there.

    Args:
        input_shape: `(h, w, 3)`.
        class_count: k.
        settings: backbone, width, dropout, up-sampling.
        weights: of the backbone: None for random ones, `"imagenet"`, or a file.
        say: is called with a sentence on what of a file was left out.
    """
    down = way_down(input_shape, settings, weights=weights, say=say)
    x = down.last
    if settings.dropout:
        x = keras.layers.SpatialDropout2D(settings.dropout, name=f"{ADDED}dropout")(x)
    for level in sorted(down.skips, reverse=True):
        x = _joined(x, down.skips[level], settings, level=level)
    x = pixel_logits(x, class_count)
    x = enlarged_to(x, down.height, down.width, dtype="float32", name=f"{ADDED}to_picture")
    return keras.Model(down.image, cut_back(x, down.sides), name=f"unet_{settings.backbone}")


def _joined(
    x: keras.KerasTensor, skip: keras.KerasTensor, settings: NetworkSettings, *, level: int
) -> keras.KerasTensor:
    filters = settings.width * min(2 ** (level - 1), MOST_WIDTHS)
    name = f"{ADDED}{2**level}"
    x = conv_norm_relu(x, filters, name=f"{name}_narrow", size=1)
    height, width = skip.shape[1:3]
    if settings.upsample == "transposed" and (2 * x.shape[1], 2 * x.shape[2]) == (height, width):
        x = twice_as_large(x, upsample="transposed", name=f"{name}_up")
    else:
        x = enlarged_to(x, height, width, name=f"{name}_up")
    skip = conv_norm_relu(skip, filters, name=f"{name}_skip", size=1)
    x = keras.layers.Concatenate(name=f"{name}_join")([skip, x])
    return conv_norm_relu(x, filters, name=name)
