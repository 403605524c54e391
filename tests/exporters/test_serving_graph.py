"""The road from a picture file to the tensor within TensorFlow, beside the one that all else takes."""

import io

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from opsin.exporters.serving_graph import limits_of, reads_files, tensor_from_bytes
from opsin.images.drawing import draw_picture
from opsin.images.preprocess import Preprocess

TOLERANCE = 1
"""Steps of 255: Pillow rounds between the two passes of its resizer, and once more where pictures are blended. Filters
that go beyond the range differ by up to 12 at hard edges, where Pillow cuts off between its passes as well."""


def _file(image: Image.Image, format: str) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format, **({"quality": 90} if format == "JPEG" else {}))
    return buffer.getvalue()


def _smooth(height: int, width: int, channels: int) -> np.ndarray:
    """Return uint8 (h, w, c) that rises and falls, as photos do."""
    y, x = np.mgrid[:height, :width]
    waves = [np.sin(x / (5 + c) + c) + np.cos(y / (7 - c) - c) for c in range(channels)]
    return ((np.stack(waves, -1) + 2) * 63.75).astype(np.uint8)


def _with_alpha() -> Image.Image:
    image = _smooth(37, 50, 4)
    image[:12, :, 3], image[-9:, :, 3] = 0, 255
    return Image.fromarray(image)


FILES = {
    "PNG": _file(Image.fromarray(_smooth(37, 50, 3)), "PNG"),
    "upright PNG": _file(Image.fromarray(_smooth(61, 23, 3)), "PNG"),
    "tiny PNG": _file(Image.fromarray(_smooth(5, 4, 3)), "PNG"),
    "PNG with alpha": _file(_with_alpha(), "PNG"),
    "grey PNG": _file(Image.fromarray(_smooth(37, 50, 1)[:, :, 0]), "PNG"),
    "grey PNG with alpha": _file(_with_alpha().convert("LA"), "PNG"),
    "PNG of two colours": _file(Image.fromarray(_smooth(37, 50, 1)[:, :, 0] > 127), "PNG"),
    "PNG with a palette": _file(Image.fromarray(draw_picture(2, 37, 50)).quantize(16), "PNG"),
    "JPEG": _file(Image.fromarray(_smooth(37, 50, 3)), "JPEG"),
    "grey JPEG": _file(Image.fromarray(_smooth(37, 50, 1)[:, :, 0]), "JPEG"),
    "BMP": _file(Image.fromarray(_smooth(37, 50, 3)), "BMP"),
    "GIF": _file(Image.fromarray(draw_picture(2, 37, 50)).quantize(16), "GIF"),
}


def _received(recipe: Preprocess, files: list[bytes]) -> np.ndarray:
    read = tf.function(lambda given: tensor_from_bytes(given, recipe), autograph=False)
    return read(tf.constant(files)).numpy()


def _check(recipe: Preprocess, files: dict[str, bytes]):
    expected = np.stack([recipe.read(content) for content in files.values()]).astype(np.float32)
    received = _received(recipe, list(files.values()))

    assert (received.shape, received.dtype) == (expected.shape, np.float32)
    differences = np.abs(expected - received).max(axis=(1, 2, 3))
    assert dict(zip(files, (differences <= TOLERANCE).tolist(), strict=True)) == dict.fromkeys(files, True), differences
    assert np.abs(expected - received).mean() < 0.5


@pytest.mark.parametrize("color", ["rgb", "gray"])
@pytest.mark.parametrize("fit", ["stretch", "crop", "pad"])
def test_files_become_what_opsin_makes_of_them(fit, color):
    # At their full size: what a quicker decoding of JPEG changes is said in `limits_of`.
    _check(Preprocess(16, 21, fit=fit, color=color, background=(250, 130, 10), draft=0), FILES)


@pytest.mark.parametrize("resample", ["bicubic", "lanczos"])
@pytest.mark.parametrize("fit", ["stretch", "crop", "pad"])
def test_each_filter_that_tensorflow_has_is_the_same_filter(fit, resample):
    names = ("PNG", "upright PNG", "tiny PNG", "PNG with alpha")

    _check(Preprocess(16, 21, fit=fit, resample=resample), {name: FILES[name] for name in names})


def test_a_picture_of_the_right_size_keeps_every_value():
    recipe = Preprocess(37, 50)

    assert np.array_equal(_received(recipe, [FILES["PNG"]])[0], recipe.read(FILES["PNG"]))


def test_padding_rounds_sides_as_python_does():
    # The first three come to a whole number and a half, which single precision misses.
    recipe, files = Preprocess(24, 24, fit="pad", background=(0, 0, 0)), {}
    for height, width in ((55, 176), (95, 304), (304, 95), (1, 500)):
        files[f"{height}x{width}"] = _file(Image.fromarray(_smooth(height, width, 3) // 2 + 100), "PNG")

    expected = np.stack([recipe.read(content) for content in files.values()]) > 0
    assert np.array_equal(_received(recipe, list(files.values())) > 0, expected)


@pytest.mark.parametrize(
    ("recipe", "possible"),
    [
        (Preprocess(8, 8), True),
        (Preprocess(8, 8, color="gray", resample="lanczos"), True),
        (Preprocess(8, 8, color="lab"), False),
        (Preprocess(8, 8, resample="box"), False),
    ],
)
def test_recipes_that_tensorflow_cannot_follow_are_known_and_said(recipe, possible):
    assert reads_files(recipe) is possible
    assert ("preprocessed pictures only" in " ".join(limits_of(recipe))) is not possible
