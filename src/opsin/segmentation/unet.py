"""U-Net: down by poolings, up again beside what was there at each size (Ronneberger 2015, arXiv:1505.04597)."""

import keras

from opsin.architectures.blocks import conv_norm_relu, conv_relu
from opsin.architectures.scaling import SCALINGS
from opsin.segmentation.decoding import cut_back, pad_to_fit, pixel_logits, twice_as_large
from opsin.segmentation.networks import NetworkSettings, Say


def unet(
    input_shape: tuple[int, int, int],
    class_count: int,
    settings: NetworkSettings,
    *,
    weights: None = None,
    say: Say = lambda line: None,
) -> keras.Model:
    """Build a U-Net: at each size two 3×3 convolutions, concatenating skips, a 1×1 head.

    It differs from the paper (figure 1) in size, in convolutions that keep the size (`same`), so that nothing of the
    border is lost, and by default in bilinear up-sampling in the place of up-convolutions.

    Args:
        input_shape: `(h, w, c)`.
        class_count: k.
        settings: depth, width, normalisation, dropout, up-sampling.
        weights: none are published.
        say: nothing is left out here.
    """
    image = keras.Input(input_shape, name="image", dtype="float32")
    x, sides = pad_to_fit(image, settings.stride)
    x = SCALINGS["zero_one"](x)
    skips = []
    for level in range(settings.depth):
        x = _two_convolutions(x, settings.width * 2**level, settings, name=f"down_{level + 1}")
        skips.append(x)
        x = keras.layers.MaxPooling2D(2, name=f"down_{level + 1}_pool")(x)
    x = _two_convolutions(x, settings.width * 2**settings.depth, settings, name="bottom")
    if settings.dropout:
        x = keras.layers.Dropout(settings.dropout, name="bottom_dropout")(x)
    for level in reversed(range(settings.depth)):
        x = twice_as_large(x, upsample=settings.upsample, name=f"up_{level + 1}_sample")
        x = keras.layers.Concatenate(name=f"up_{level + 1}_skip")([skips[level], x])
        x = _two_convolutions(x, settings.width * 2**level, settings, name=f"up_{level + 1}")
    return keras.Model(image, cut_back(pixel_logits(x, class_count), sides), name="unet")


def _two_convolutions(x: keras.KerasTensor, filters: int, settings: NetworkSettings, *, name: str) -> keras.KerasTensor:
    convolve = conv_norm_relu if settings.normalize else conv_relu
    return convolve(convolve(x, filters, name=f"{name}_1"), filters, name=f"{name}_2")
