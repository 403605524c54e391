"""Colours of pictures as they are stored, brought to RGB with 8 bits a channel."""

from collections.abc import Mapping

import numpy as np
from PIL import ExifTags, Image

from opsin.errors import PictureError

Colour = tuple[int, int, int]


def to_rgb(image: Image.Image, background: Colour) -> Image.Image:
    """Return a loaded picture in mode `RGB`, whatever mode it has.

    Raises:
        PictureError: its values say nothing of brightness.
    """
    if image.mode == "RGB" and not image.has_transparency_data:
        return image
    if image.mode.startswith("I;16"):
        return _from_16_bit(image, background)
    if image.mode in ("I", "F"):
        return _from_numbers(image)
    if image.mode == "LAB":
        return _from_lab(image)
    if image.has_transparency_data:
        return over(image.convert("RGBA"), background)
    return image.convert("RGB")


def over(image: Image.Image, background: Colour) -> Image.Image:
    """Return a picture with an alpha channel as it looks in front of a colour."""
    canvas = Image.new("RGB", image.size, background)
    canvas.paste(image, mask=image)
    return canvas


def _from_16_bit(image: Image.Image, background: Colour) -> Image.Image:
    values = np.asarray(image)
    # TIFF has 12-bit pictures, which Pillow does not widen.
    bits = 12 if _tiff_tags(image).get(ExifTags.Base.BitsPerSample) == (12,) else 16
    picture = _from_gray(image, values >> (bits - 8))
    if "transparency" in image.info:
        clear = Image.fromarray(values == image.info["transparency"])
        picture.paste(background, mask=clear)
    return picture


def _from_numbers(image: Image.Image) -> Image.Image:
    values = np.asarray(image)
    top = 65535 if image.mode == "I" else 1
    low, high = values.min(), values.max()
    if not (low >= 0 and high <= top):  # Not a number compares false, so it ends here too.
        raise PictureError(f"its {values.dtype} values go from {low} to {high}; expected are values from 0 to {top}")
    scaled = values >> 8 if image.mode == "I" else np.rint(values * 255)
    return _from_gray(image, scaled)


def _from_gray(image: Image.Image, gray: np.ndarray) -> Image.Image:
    # TIFF can store white as zero, which Pillow minds only in pictures of 8 bits.
    if _tiff_tags(image).get(ExifTags.Base.PhotometricInterpretation) == 0:
        gray = 255 - gray
    return Image.fromarray(gray.astype(np.uint8)).convert("RGB")


def _tiff_tags(image: Image.Image) -> Mapping[int, object]:
    return getattr(image, "tag_v2", {})


def _from_lab(image: Image.Image) -> Image.Image:
    from PIL import ImageCms

    lab, srgb = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
    return ImageCms.profileToProfile(image, lab, srgb, outputMode="RGB")
