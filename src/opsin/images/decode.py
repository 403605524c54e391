"""The only decoder: from a picture, in whatever way it is stored, to RGB pixels that stand upright."""

import contextlib
import functools
import io
import os
import re
import stat
import struct
import warnings
import zlib
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

import numpy as np
from PIL import ExifTags, Image

from opsin.catalog import resolve
from opsin.errors import PictureError, UsageError
from opsin.images import scans
from opsin.images.rgb import Colour, over, to_rgb

Source = str | os.PathLike | bytes
Region = tuple[float, float, float, float]

WHITE: Colour = (255, 255, 255)
MAX_PIXELS = 100_000_000
"""Pictures of more pixels are refused: decoded, this many are 400 MB."""


class Format(NamedTuple):
    """A file format that is read."""

    beginning: re.Pattern[bytes]
    """What the file's first bytes look like; its name plays no part."""
    reader: str
    suffixes: tuple[str, ...]


def _beginning(pattern: bytes) -> re.Pattern[bytes]:
    return re.compile(pattern, re.DOTALL)


# The readers are taken from Pillow one by one instead of through `Image.open`, which knows formats that start
# other programs (EPS) too, and warns of large pictures where here they are an error.
FORMATS = {
    "JPEG": Format(
        _beginning(rb"\xff\xd8\xff"), "PIL.JpegImagePlugin:JpegImageFile", (".jpg", ".jpeg", ".jpe", ".jfif")
    ),
    "PNG": Format(_beginning(rb"\x89PNG\r\n\x1a\n"), "PIL.PngImagePlugin:PngImageFile", (".png", ".apng")),
    "WebP": Format(_beginning(rb"RIFF....WEBP"), "PIL.WebPImagePlugin:WebPImageFile", (".webp",)),
    "GIF": Format(_beginning(rb"GIF8[79]a"), "PIL.GifImagePlugin:GifImageFile", (".gif",)),
    "BMP": Format(_beginning(rb"BM"), "PIL.BmpImagePlugin:BmpImageFile", (".bmp", ".dib")),
    "TIFF": Format(_beginning(rb"II[*+]\0|MM\0[*+]"), "PIL.TiffImagePlugin:TiffImageFile", (".tif", ".tiff")),
    "AVIF": Format(_beginning(rb"....ftyp(avif|avis|mif1|msf1)"), "PIL.AvifImagePlugin:AvifImageFile", (".avif",)),
    "PPM": Format(_beginning(rb"P[1-6]\s"), "PIL.PpmImagePlugin:PpmImageFile", (".ppm", ".pgm", ".pbm", ".pnm")),
}
SUFFIXES = frozenset(suffix for entry in FORMATS.values() for suffix in entry.suffixes)
"""How the files that may be pictures end, in lower case; used to tell them from other files in a folder."""

_HEIC = _beginning(rb"....ftyp(hei[cmsx]|hev[cmsx])")
_BEGINNING_LENGTH = 16
_AT_ONCE = getattr(os, "O_NONBLOCK", 0)  # Windows has none.

# What Pillow's readers raise on a damaged file; found by fuzzing and in its issue tracker.
_DAMAGE = (
    OSError,
    SyntaxError,
    ValueError,
    TypeError,
    LookupError,
    ArithmeticError,
    EOFError,
    AttributeError,
    AssertionError,
    RuntimeError,
    MemoryError,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
    Image.DecompressionBombWarning,
)

# EXIF orientation -> what puts the picture upright; 1 is upright already.
_TO_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_LYING = (5, 6, 7, 8)
# Orientations in which what is stored last, the right and the bottom edge, comes to the left and to the top.
_LAST_AT_LEFT = (2, 3, 6, 7)
_LAST_AT_TOP = (3, 4, 7, 8)


def decode_image(
    source: Source,
    *,
    least_size: tuple[int, int] | None = None,
    background: Colour = WHITE,
    max_pixels: int = MAX_PIXELS,
) -> np.ndarray:
    """Read a picture as RGB pixels, upright, whatever it is stored as.

    16-bit channels keep their high byte. Integers of 32 bits are taken to go from 0 to 65535 and floats from
    0 to 1; values outside are an error, because a guess would differ from picture to picture. Of an
    animation, the first frame is read. What is transparent shows the background.

    Args:
        source: the file's path, or its content. The format is told from the content.
        least_size: (height, width) in pixels of the upright picture. A JPEG is then decoded at 1/2, 1/4 or
            1/8 of its size, as small as it gets with both sides at least this long. None: full size.
        background: RGB, 0 to 255.
        max_pixels: a picture with more, going by its header, is refused before anything is decoded.

    Returns:
        uint8 (H, W, 3), RGB, 0 to 255; contiguous and writable.

    Raises:
        PictureError: the picture cannot be read to its end; the error says why.

    >>> decode_image(b"P2 2 1 255 0 255").tolist()
    [[[0, 0, 0], [255, 255, 255]]]
    """
    picture = open_picture(source, least_size=least_size, background=background, max_pixels=max_pixels)
    return np.array(picture.image)


class Picture(NamedTuple):
    """A decoded picture that Pillow can go on with."""

    image: Image.Image
    """Of mode `RGB`, upright, in memory."""
    region: Region
    """Left, top, right, bottom of what the picture covers of it, in its pixels.

    A JPEG decoded at half its size is 188 pixels wide if it was 375, and covers 187.5 of them: scaling all
    188 would shift the picture, by up to half a pixel.
    """


def open_picture(
    source: Source,
    *,
    least_size: tuple[int, int] | None = None,
    background: Colour = WHITE,
    max_pixels: int = MAX_PIXELS,
) -> Picture:
    """Do what `decode_image` does, for code that goes on to scale the picture."""
    with _naming(source), _open(source) as stream:
        return take_opened(*_open_header(stream, max_pixels), least_size=least_size, background=background)


def take_pillow(image: Image.Image, *, background: Colour = WHITE, max_pixels: int = MAX_PIXELS) -> Picture:
    """Take an image that Pillow has opened, or made, as the picture that its file would be; raises as reading does."""
    if 0 in image.size:
        raise PictureError(f"it has {image.width} x {image.height} pixels; expected is at least one")
    _require_at_most(image, max_pixels)
    with _saying_why(image.format or image.mode, max_pixels):
        return _stand_up(image, image.size, background)


def picture_size(source: Source, *, max_pixels: int = MAX_PIXELS) -> tuple[int, int]:
    """Return the upright picture's (height, width) in pixels, from its header; nothing is decoded.

    Raises:
        PictureError: the header cannot be read.
    """
    with _naming(source), _open(source) as stream:
        _, image = _open_header(stream, max_pixels)
        size = image.height, image.width
        return size[::-1] if _orientation(image) in _LYING else size


def picture_orientation(source: Source) -> int:
    """Return EXIF's orientation, 1 to 8, from the picture's header; 1, upright, where it says nothing.

    Raises:
        PictureError: the header cannot be read.
    """
    with open_header(source) as (_, image):
        return _orientation(image)


def read_content(path: str | os.PathLike) -> bytes:
    """Return the whole of a picture's file.

    Raises:
        PictureError: it cannot be read, or is no regular file.
    """
    with _naming(path), _open(path) as stream:
        try:
            return stream.read()
        except OSError as error:
            raise PictureError(f"it cannot be read: {error.strerror}") from error


@contextlib.contextmanager
def open_header(source: Source, *, max_pixels: int = MAX_PIXELS) -> Iterator[tuple[str, Image.Image]]:
    """Open a picture for what its header says; nothing is decoded.

    Yields:
        The format's name in `FORMATS`, and the picture as Pillow has it, as it lies in the file.

    Raises:
        PictureError: the header cannot be read.
    """
    with _naming(source), _open(source) as stream:
        yield _open_header(stream, max_pixels)


@contextlib.contextmanager
def _naming(source: Source) -> Iterator[None]:
    """Let a `PictureError` say which file it is about."""
    try:
        yield
    except PictureError as error:
        path = None if isinstance(source, bytes) else os.fspath(source)
        raise PictureError(error.reason, path) from error.__cause__


def as_image(array: np.ndarray, *, background: Colour = WHITE) -> np.ndarray:
    """Take a user's array as a picture, if it is one.

    Args:
        array: uint8 (H, W) or (H, W, 1) grey, (H, W, 3) RGB or (H, W, 4) RGB and opacity, 0 to 255.
        background: RGB, 0 to 255; what transparent pixels show.

    Returns:
        uint8 (H, W, 3), RGB, 0 to 255. An RGB picture is returned as it is, not copied.

    Raises:
        UsageError: it has another type or shape.

    >>> as_image(np.array([[7, 9]], np.uint8)).tolist()
    [[[7, 7, 7], [9, 9, 9]]]
    """
    expected = "Expected a picture as a uint8 array (H, W, 3) of 0 to 255 in RGB order"
    if not isinstance(array, np.ndarray):
        raise UsageError(f"{expected}. Received {type(array).__name__}. Use np.asarray, or pass the file's path.")
    if array.dtype != np.uint8:
        advice = "Convert it with array.astype('uint8')."
        if np.issubdtype(array.dtype, np.floating):
            advice = (
                "Floats from 0 to 1 become a picture with (array * 255).round().astype('uint8'); "
                "the scaling that the network wants is inside the network."
            )
        raise UsageError(f"{expected}. Received {array.dtype}. {advice}")
    if array.ndim == 2:
        array = array[:, :, None]
    if array.ndim != 3 or array.shape[2] not in (1, 3, 4) or 0 in array.shape:
        raise UsageError(
            f"{expected}, or one with 1 or 4 channels. Received the shape {array.shape}. Pass one picture."
        )
    if array.shape[2] == 1:
        return np.repeat(array, 3, axis=2)
    if array.shape[2] == 4:
        return np.array(over(Image.fromarray(array), background))
    return array


def _open(source: Source) -> BinaryIO:
    if isinstance(source, bytes):
        return io.BytesIO(source)
    try:
        stream = io.FileIO(os.fspath(source), opener=_open_at_once)
    except FileNotFoundError as error:
        raise PictureError("there is no such file") from error
    except IsADirectoryError as error:
        raise PictureError("it is a folder, not a picture's file") from error
    except PermissionError as error:
        raise PictureError("there is no permission to read it") from error
    except OSError as error:
        raise PictureError(f"it cannot be opened: {error.strerror}") from error
    except ValueError as error:
        raise PictureError(f"it is not a path: {error}") from error
    if not stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
        stream.close()
        raise PictureError("it is not a regular file (a named pipe or a device, say)")
    return io.BufferedReader(stream)


def _open_at_once(path: str, flags: int) -> int:
    # A named pipe that nobody writes to would hold the reader up for ever.
    return os.open(path, flags | _AT_ONCE)


def take_opened(
    name: str,
    image: Image.Image,
    *,
    least_size: tuple[int, int] | None = None,
    background: Colour = WHITE,
    max_pixels: int = MAX_PIXELS,
) -> Picture:
    """Decode what `open_header` has opened, of which no other frame was looked at; raises as reading does."""
    with _saying_why(name, max_pixels):
        covered = _shrink(image, least_size) if least_size and name == "JPEG" else None
        return _stand_up(image, covered, background)


def load_stored(name: str, image: Image.Image) -> int:
    """Decode what `open_header` has opened, in its own mode and lying as it does; raises as reading does.

    Returns:
        EXIF's orientation, 1 to 8, that is still to be applied.
    """
    with _saying_why(name, MAX_PIXELS):
        scans.load(image)
    return _orientation(image)


def _stand_up(image: Image.Image, covered: tuple[float, float] | None, background: Colour) -> Picture:
    scans.load(image)
    width, height = covered or image.size
    orientation = _orientation(image)
    image = to_rgb(image, background)
    if orientation not in _TO_UPRIGHT:
        return Picture(image, (0, 0, width, height))
    image = image.transpose(_TO_UPRIGHT[orientation])
    if orientation in _LYING:
        width, height = height, width
    left = image.width - width if orientation in _LAST_AT_LEFT else 0
    top = image.height - height if orientation in _LAST_AT_TOP else 0
    return Picture(image, (left, top, left + width, top + height))


def _open_header(stream: BinaryIO, max_pixels: int) -> tuple[str, Image.Image]:
    """Return the format's name and the picture, of which no pixel is decoded yet."""
    _silence_pillow()
    name = _format_of(stream)
    with _saying_why(name, max_pixels):
        image = resolve(FORMATS[name].reader)(stream)
    _require_at_most(image, max_pixels)
    return name, image


def _require_at_most(image: Image.Image, max_pixels: int) -> None:
    if image.width * image.height > max_pixels:
        size = f"{image.width} x {image.height}"
        raise PictureError(f"it has {size} pixels; at most {max_pixels:,} are read. Save it smaller")


def _shrink(image: Image.Image, least_size: tuple[int, int]) -> tuple[float, float]:
    """Set a JPEG to decode at a reduced size; give the width and height that it covers then, in pixels."""
    height, width = least_size if _orientation(image) not in _LYING else reversed(least_size)
    _, (_, _, covered_width, covered_height) = image.draft(None, (width, height))
    return covered_width, covered_height


def _format_of(stream: BinaryIO) -> str:
    try:
        beginning = stream.read(_BEGINNING_LENGTH)
    except OSError as error:
        raise PictureError(f"it cannot be read: {error.strerror}") from error
    if not beginning:
        raise PictureError("the file is empty")
    stream.seek(0)
    for name, entry in FORMATS.items():
        if entry.beginning.match(beginning):
            return name
    if _HEIC.match(beginning):
        raise PictureError("it is a HEIC picture, which is not read; save it as JPEG")
    raise PictureError(f"its content is none of the formats that are read ({', '.join(FORMATS)})")


@contextlib.contextmanager
def _saying_why(name: str, max_pixels: int) -> Iterator[None]:
    try:
        yield
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise PictureError(f"it has too many pixels; at most {max_pixels:,} are read. Save it smaller") from error
    except MemoryError as error:
        raise PictureError(f"there is not enough memory for this {name} picture") from error
    except _DAMAGE as error:
        raise PictureError(f"its {name} content is damaged or cut off ({error})") from error


@functools.cache
def _silence_pillow() -> None:
    # What Pillow warns of here (a damaged EXIF block, say) leaves the pixels whole. `warnings.catch_warnings`
    # swaps the filters of all threads and would lose other threads' changes, so one narrow filter is added
    # for good, by the first picture read rather than by the import.
    warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.(Tiff|Png)ImagePlugin")


def _orientation(image: Image.Image) -> int:
    if image.info.keys().isdisjoint(("exif", "xmp", "XML:com.adobe.xmp", "Raw profile type exif")):
        return 1
    try:
        return found if (found := image.getexif().get(ExifTags.Base.Orientation)) in _TO_UPRIGHT else 1
    except _DAMAGE:
        return 1  # A damaged EXIF block says nothing of how the picture stands; the pixels are whole.
