"""The head of DeepLabV3+ on a pretrained backbone (Chen et al. 2018, arXiv:1802.02611, figure 2)."""

import keras

from opsin.architectures.blocks import batch_norm, conv_norm_relu
from opsin.segmentation.backbones import ADDED, way_down
from opsin.segmentation.decoding import cut_back, enlarged_to, pixel_logits
from opsin.segmentation.networks import NetworkSettings, Say

RATES = (6, 12, 18)
"""Pixels, at stride 16, between those that a 3×3 kernel reads (arXiv:1706.05587, section 3.3)."""

POOLED_WIDTHS, DETAIL_WIDTHS = 4, 1


def deeplab(
    input_shape: tuple[int, int, int],
    class_count: int,
    settings: NetworkSettings,
    *,
    weights: str | None = None,
    say: Say = lambda line: None,
) -> keras.Model:
    """Build a network that looks at a backbone's map at several rates, then refines the answer once.

    The paper takes the stride out of the backbone's last stage and dilates its kernels. Here that stage stays as it was
    trained: its map is enlarged and joined with the one at stride 16, so that any graph of keras.applications will do.

    Args:
        input_shape: `(h, w, 3)`.
        class_count: k.
        settings: backbone, width (256 channels of the paper are 8 widths of 32; here they are 4), dropout.
        weights: of the backbone: None for random ones, `"imagenet"`, or a file.
        say: is called with a sentence on what of a file was left out.
    """
    down = way_down(input_shape, settings, weights=weights, say=say)
    coarse, fine = down.skips[max(down.skips)], down.skips[2 if 2 in down.skips else min(down.skips)]
    height, width = coarse.shape[1:3]
    x = keras.layers.Concatenate(name=f"{ADDED}stages")(
        [coarse, enlarged_to(down.last, height, width, name=f"{ADDED}last_stage_up")]
    )
    x = _pooled_at_rates(x, POOLED_WIDTHS * settings.width)
    if settings.dropout:
        x = keras.layers.SpatialDropout2D(settings.dropout, name=f"{ADDED}dropout")(x)
    x = enlarged_to(x, *fine.shape[1:3], name=f"{ADDED}to_detail")
    detail = conv_norm_relu(fine, DETAIL_WIDTHS * settings.width, name=f"{ADDED}detail", size=1)
    x = keras.layers.Concatenate(name=f"{ADDED}join")([detail, x])
    x = conv_norm_relu(x, 2 * settings.width, name=f"{ADDED}refine")
    x = pixel_logits(x, class_count)
    x = enlarged_to(x, down.height, down.width, dtype="float32", name=f"{ADDED}to_picture")
    return keras.Model(down.image, cut_back(x, down.sides), name=f"deeplab_{settings.backbone}")


def _pooled_at_rates(x: keras.KerasTensor, filters: int) -> keras.KerasTensor:
    """Atrous spatial pyramid pooling: 1×1, 3×3 at each rate, and the whole picture; joined by a 1×1 convolution."""
    x = conv_norm_relu(x, filters, name=f"{ADDED}narrow", size=1)
    height, width = x.shape[1:3]
    parts = [conv_norm_relu(x, filters, name=f"{ADDED}rate_1", size=1)]
    parts += [_dilated(x, filters, rate) for rate in RATES]
    whole = keras.layers.GlobalAveragePooling2D(keepdims=True, name=f"{ADDED}whole_pool")(x)
    whole = keras.layers.Conv2D(filters, 1, activation="relu", name=f"{ADDED}whole")(whole)
    parts.append(keras.layers.UpSampling2D((height, width), name=f"{ADDED}whole_up")(whole))
    x = keras.layers.Concatenate(name=f"{ADDED}rates")(parts)
    return conv_norm_relu(x, filters, name=f"{ADDED}rates_join", size=1)


def _dilated(x: keras.KerasTensor, filters: int, rate: int) -> keras.KerasTensor:
    """3×3 depthwise at a rate, then 1×1 (arXiv:1802.02611, section 3.1, atrous separable convolution)."""
    x = keras.layers.DepthwiseConv2D(
        3,
        dilation_rate=rate,
        padding="same",
        use_bias=False,
        depthwise_initializer="he_normal",
        name=f"{ADDED}rate_{rate}_depthwise",
    )(x)
    x = batch_norm(x, name=f"{ADDED}rate_{rate}_depthwise_norm")
    return conv_norm_relu(x, filters, name=f"{ADDED}rate_{rate}", size=1)
