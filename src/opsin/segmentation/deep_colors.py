"""Masks in colours of 16 bits a channel, of which Pillow keeps the high eight alone."""

import sys

import numpy as np
from PIL import Image

from opsin.errors import PictureError
from opsin.images.decode import Source, load_stored, open_header

# How Pillow is told to unpack 16 bits to the high eight, and how to the low eight: by the wrong order of bytes.
_OTHER = ";16B" if sys.byteorder == "little" else ";16L"
_SWAPPED = {";16B": ";16L", ";16L": ";16B", ";16N": _OTHER}
_GRAY_AND_OPACITY = "LA;16B"
_SCALE = 257
"""What 8 bits are multiplied by to fill 16: 255 becomes 65535."""


def has_deep_colors(image: Image.Image) -> bool:
    """Tell whether an opened picture, of which nothing is decoded yet, has colours (or grey and opacity) of 16 bits."""
    return image.mode.startswith("RGB") and _unpacking(image)[-4:] in _SWAPPED


def read_deep_colors(source: Source) -> np.ndarray:
    """Read all 16 bits of a picture of which `has_deep_colors` is true.

    Args:
        source: the file's path, or its content.

    Returns:
        uint16 (H, W, 3), RGB, as it lies in the file.

    Raises:
        PictureError: it cannot be read.
    """
    with open_header(source) as (name, image):
        how = _unpacking(image)
        load_stored(name, image)
        high = np.array(image)[:, :, :3].astype(np.uint16)
    with open_header(source) as (name, image):
        # Grey and opacity are four bytes a pixel: red is the high byte of grey then, green the low one.
        again = "RGBA" if how == _GRAY_AND_OPACITY else how[:-4] + _SWAPPED[how[-4:]]
        image.tile = [part._replace(args=_with_unpacking(part.args, again)) for part in image.tile]
        load_stored(name, image)
        low = np.array(image)
        low = low[:, :, 1:2] if how == _GRAY_AND_OPACITY else low[:, :, :3]
    return high << 8 | low


def told_by_eight_bits(deep: np.ndarray) -> tuple[np.ndarray | None, np.ndarray | None]:
    """Return numbers, uint16 (H, W), or colours, uint8 (H, W, 3), that stand in colours of 16 bits; None of the other.

    8 bits that were scaled, or shifted, to 16 are those 8 bits; channels that are all alike are numbers.

    Raises:
        PictureError: they are other colours, which no class table knows.
    """
    if not (deep % _SCALE).any():
        return None, (deep // _SCALE).astype(np.uint8)
    if (deep == deep[:, :, :1]).all():
        return deep[:, :, 0].copy(), None
    if not (deep & 255).any():
        return None, (deep >> 8).astype(np.uint8)
    raise PictureError(
        "its colours have 16 bits a channel, and classes have colours of 8; save it with 8 bits a channel"
    )


def _unpacking(image: Image.Image) -> str:
    args = image.tile[0].args if image.tile else ""
    return args[0] if isinstance(args, tuple) else str(args)


def _with_unpacking(args: tuple | str, unpacking: str) -> tuple | str:
    return (unpacking, *args[1:]) if isinstance(args, tuple) else unpacking
