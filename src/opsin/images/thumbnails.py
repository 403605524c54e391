"""Small pictures to stand in a page: a picture's file, scaled down, and as text."""

import base64
import io
from pathlib import Path

from PIL import Image

from opsin.images.decode import open_picture


def thumbnail(path: str | Path, side: int) -> Image.Image:
    """Read a picture so that its longer side has a length in pixels; a small one is enlarged point by point.

    Args:
        path: the picture's file.
        side: of the result.

    Returns:
        Of mode `RGB`, upright, each side at least 1 pixel.

    Raises:
        PictureError: it cannot be read.
    """
    image, region = open_picture(path, least_size=(side, side))
    left, top, right, bottom = region
    scale = side / max(right - left, bottom - top)
    size = max(1, round((right - left) * scale)), max(1, round((bottom - top) * scale))
    # `reducing_gap` takes a coarse first step, many times faster on a large picture.
    how = Image.Resampling.NEAREST if scale > 1 else Image.Resampling.BILINEAR
    return image.resize(size, how, box=region, reducing_gap=2.0)


def as_address(image: Image.Image, *, kind: str = "JPEG", quality: int = 80) -> str:
    """Return a picture as a `data:` address, which holds all of it.

    Args:
        image: of mode `RGB`; for PNG, of any that it has.
        kind: `"JPEG"` or `"PNG"`.
        quality: of a JPEG, 1 to 95.
    """
    buffer = io.BytesIO()
    options = {"quality": quality} if kind == "JPEG" else {}
    image.save(buffer, kind, optimize=True, **options)
    return f"data:image/{kind.lower()};base64,{base64.b64encode(buffer.getvalue()).decode('ascii')}"
