"""The road from a picture file to the tensor as a TensorFlow graph, for servers that have nothing but TensorFlow.

It follows `images/preprocess.py` as far as TensorFlow's operations go; `limits_of` says where they do not.
"""

from collections.abc import Callable, Iterator
from typing import Any

from opsin.catalog import require
from opsin.images.preprocess import Preprocess

# TensorFlow's filters that average over what they shrink, as Pillow's do.
_METHODS = {"bilinear": "bilinear", "bicubic": "bicubic", "lanczos": "lanczos3"}
_COLORS = ("rgb", "gray")

# ITU-R BT.601, as in Pillow's conversion to `L`.
_LUMA = (0.299, 0.587, 0.114)


def reads_files(preprocess: Preprocess) -> bool:
    """Tell whether the recipe can be followed in a TensorFlow graph."""
    return preprocess.resample in _METHODS and preprocess.color in _COLORS


def limits_of(preprocess: Preprocess) -> Iterator[str]:
    """Yield what differs when the graph reads picture files itself, a sentence each."""
    if not reads_files(preprocess):
        yield (
            f"It takes preprocessed pictures only: TensorFlow has no operation for color {preprocess.color!r} with the "
            f"filter {preprocess.resample!r}."
        )
        return
    yield (
        "serve_bytes and classify read what the server's TensorFlow reads: JPEG, PNG, GIF and BMP, in newer versions "
        "WebP; not TIFF, AVIF and others."
    )
    yield "They do not turn pictures upright that EXIF says are rotated."
    yield "16-bit and CMYK files they read in a way of their own."
    yield "Of large JPEG files they decode every pixel, where Opsin decodes what the size needs."


def tensor_from_bytes(files: Any, preprocess: Preprocess) -> Any:
    """Return float32 (N, h, w, c), 0 to 255, for picture files.

    Args:
        files: a string tensor (N), each a whole file.
        preprocess: the recipe; `reads_files` must hold.
    """
    tensorflow = require("tensorflow", "writing a SavedModel")

    def read(content: Any) -> Any:
        image = _over(tensorflow, _decoded(tensorflow, content), preprocess.background)
        image = _FITS[preprocess.fit](tensorflow, image, preprocess)
        image = tensorflow.round(tensorflow.clip_by_value(image, 0.0, 255.0))
        if preprocess.color == "gray":
            image = tensorflow.round(tensorflow.reduce_sum(image * tensorflow.constant(_LUMA), -1, keepdims=True))
        return tensorflow.ensure_shape(image, preprocess.shape)

    return tensorflow.map_fn(read, files, fn_output_signature=tensorflow.float32)


def _decoded(tensorflow: Any, content: Any) -> Any:
    """Return float32 (H, W, 1 to 4), 0 to 255."""
    # TensorFlow's quick way of decoding JPEG is off by 1 of 255 on average, several times what the rest adds up to.
    image = tensorflow.cond(
        tensorflow.io.is_jpeg(content),
        lambda: tensorflow.io.decode_jpeg(content, channels=0, dct_method="INTEGER_ACCURATE"),
        lambda: tensorflow.io.decode_image(content, channels=0, expand_animations=False),
    )
    return tensorflow.cast(tensorflow.ensure_shape(image, (None, None, None)), tensorflow.float32)


def _over(tensorflow: Any, image: Any, background: tuple[int, int, int]) -> Any:
    """Return float32 (H, W, 3): grey becomes RGB, what is transparent lets the background through."""
    channels = tensorflow.shape(image)[-1]
    colors = tensorflow.where(channels < 3, 1, 3)
    color = tensorflow.broadcast_to(image[:, :, :colors], tensorflow.concat([tensorflow.shape(image)[:2], [3]], axis=0))
    opaque = tensorflow.equal(channels % 2, 1)
    # With an even number of channels the last one is the opacity.
    alpha = tensorflow.where(opaque, 1.0, image[:, :, -1:] / 255.0)
    behind = tensorflow.constant(background, dtype=tensorflow.float32)
    return tensorflow.ensure_shape(color * alpha + behind * (1 - alpha), (None, None, 3))


def _resized(tensorflow: Any, image: Any, size: Any, preprocess: Preprocess) -> Any:
    return tensorflow.image.resize(image, size, method=_METHODS[preprocess.resample], antialias=True)


def _stretch(tensorflow: Any, image: Any, preprocess: Preprocess) -> Any:
    return _resized(tensorflow, image, (preprocess.height, preprocess.width), preprocess)


def _crop(tensorflow: Any, image: Any, preprocess: Preprocess) -> Any:
    height, width = tensorflow.unstack(tensorflow.cast(tensorflow.shape(image)[:2], tensorflow.float32))
    kept_height = tensorflow.minimum(height, width * preprocess.height / preprocess.width)
    kept_width = tensorflow.minimum(width, height * preprocess.width / preprocess.height)
    top, left = (height - kept_height) / 2, (width - kept_width) / 2
    # ScaleAndTranslate cuts between pixels as well, as Pillow's `box` does.
    scale = tensorflow.stack([preprocess.height / kept_height, preprocess.width / kept_width])
    kernel = {"bilinear": "triangle", "bicubic": "keyscubic", "lanczos": "lanczos3"}[preprocess.resample]
    return tensorflow.raw_ops.ScaleAndTranslate(
        images=image[None],
        size=[preprocess.height, preprocess.width],
        scale=scale,
        translation=-scale * tensorflow.stack([top, left]),
        kernel_type=kernel,
        antialias=True,
    )[0]


def _pad(tensorflow: Any, image: Any, preprocess: Preprocess) -> Any:
    # In Python's precision: a side that is half a pixel too long is rounded to the same one.
    sides = tensorflow.cast(tensorflow.shape(image)[:2], tensorflow.float64)
    scale = tensorflow.reduce_min(
        tensorflow.constant([preprocess.height, preprocess.width], tensorflow.float64) / sides
    )
    size = tensorflow.maximum(1, tensorflow.cast(tensorflow.round(sides * scale), tensorflow.int32))
    fitted = _resized(tensorflow, image, size, preprocess)
    before = (tensorflow.constant([preprocess.height, preprocess.width]) - size) // 2
    after = tensorflow.constant([preprocess.height, preprocess.width]) - size - before
    margins = tensorflow.concat([tensorflow.stack([before, after], axis=1), [[0, 0]]], axis=0)
    behind = tensorflow.constant(preprocess.background, dtype=tensorflow.float32)
    return tensorflow.pad(fitted - behind, margins) + behind


_FITS: dict[str, Callable[[Any, Any, Preprocess], Any]] = {"stretch": _stretch, "crop": _crop, "pad": _pad}
