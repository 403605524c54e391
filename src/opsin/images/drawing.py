"""Pictures that are drawn: test pictures, sheets of many pictures, and files of them."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from opsin.atomic import replacing
from opsin.catalog import choose
from opsin.errors import UsageError
from opsin.images.decode import as_image

SAVED_AS = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".webp": "WEBP"}
"""Suffix of a file -> Pillow's name of the format that `save_image` writes."""

_GAP = 6
_CAPTION_HEIGHT = 16
_LEAST_SIDE = 96


def draw_picture(index: int, height: int, width: int) -> np.ndarray:
    """Draw a test picture: the same on every machine, another for each index.

    The kinds of pictures take turns; their colours and places come from the index. All arithmetic is in whole
    numbers, so that no machine rounds differently.

    Args:
        index: which picture, from 0 on.
        height: in pixels.
        width: in pixels.

    Returns:
        uint8 (height, width, 3), RGB, 0 to 255.

    >>> draw_picture(0, 2, 3).shape
    (2, 3, 3)
    """
    # Raw 64-bit values: NumPy keeps a bit generator's stream for good, but not what `Generator` makes of it.
    random = np.random.PCG64(index)
    dark, light = (random.random_raw(3) % 256 for _ in range(2))
    place = random.random_raw(4) % 1000
    pattern = _PATTERNS[index % len(_PATTERNS)](height, width, place.astype(np.int64), random)
    dark, light = dark.astype(np.int64), light.astype(np.int64)
    return ((dark * (255 - pattern[:, :, None]) + light * pattern[:, :, None]) // 255).astype(np.uint8)


def contact_sheet(images: Sequence[np.ndarray], *, columns: int = 8, labels: Sequence[str] | None = None) -> np.ndarray:
    """Lay out pictures in rows, each with a caption under it.

    Tiny pictures are enlarged by a whole factor, so that each pixel stays a square. A caption that is wider
    than its column is shortened.

    Args:
        images: uint8 (h, w, 3) RGB or (h, w, 1) grey each, 0 to 255; sizes may differ.
        columns: pictures in a row, 1 or more.
        labels: a caption for each picture; None: no captions.

    Returns:
        uint8 (H, W, 3), RGB, 0 to 255.

    Raises:
        UsageError: there are no pictures, no columns, or another number of captions.

    >>> contact_sheet([np.zeros((48, 48, 1), np.uint8)], columns=1).shape
    (108, 108, 3)
    """
    if not images or columns < 1:
        raise UsageError(f"Expected pictures and 1 column or more. Received {len(images)} and {columns} columns.")
    if labels is not None and len(labels) != len(images):
        raise UsageError(f"Expected a caption for each of {len(images)} pictures. Received {len(labels)}.")
    tiles = [_enlarged(Image.fromarray(as_image(image))) for image in images]
    caption_height = _CAPTION_HEIGHT if labels else 0
    tile_width = max(tile.width for tile in tiles)
    tile_height = max(tile.height for tile in tiles) + caption_height
    columns = min(columns, len(tiles))
    rows = -(-len(tiles) // columns)
    size = _GAP + columns * (tile_width + _GAP), _GAP + rows * (tile_height + _GAP)
    sheet = Image.new("RGB", size, "white")
    for number, tile in enumerate(tiles):
        row, column = divmod(number, columns)
        left, top = _GAP + column * (tile_width + _GAP), _GAP + row * (tile_height + _GAP)
        sheet.paste(tile, (left, top))
        if labels:
            _write(sheet, labels[number], (left, top + tile.height), tile_width)
    return np.array(sheet)


def save_image(image: np.ndarray, path: str | Path) -> None:
    """Write a picture to a file, whose suffix says the format.

    Args:
        image: uint8 (H, W, 3) RGB or (H, W, 1) grey, 0 to 255.
        path: ends in one of `SAVED_AS`. Another file there is replaced.

    Raises:
        UsageError: the suffix is none of these.
        SavingError: the file cannot be written.
    """
    picture = Image.fromarray(as_image(image))
    name = SAVED_AS[choose("suffix of a picture's file", Path(path).suffix.lower(), SAVED_AS)]
    with replacing(path) as temporary:
        picture.save(temporary, name, quality=95)


Pattern = Callable[[int, int, np.ndarray, np.random.PCG64], np.ndarray]
"""From height, width, four numbers from 0 to 999 and a source of more: int64 (height, width), 0 to 255."""


def _grid(height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows (height, 1) and columns (1, width) in thousandths of the picture's sides."""
    return np.arange(height)[:, None] * 1000 // height, np.arange(width)[None, :] * 1000 // width


def _gradient(height: int, width: int, place: np.ndarray, _: np.random.PCG64) -> np.ndarray:
    y, x = _grid(height, width)
    weight_y, weight_x = place[0] + 1, place[1] + 1
    return (y * weight_y + x * weight_x) * 255 // (1000 * (weight_y + weight_x))


def _disc(height: int, width: int, place: np.ndarray, _: np.random.PCG64) -> np.ndarray:
    y, x = _grid(height, width)
    center_y, center_x, radius = 250 + place[0] // 2, 250 + place[1] // 2, 150 + place[2] // 4
    return 255 * ((y - center_y) ** 2 + (x - center_x) ** 2 <= radius**2)


def _stripes(height: int, width: int, place: np.ndarray, _: np.random.PCG64) -> np.ndarray:
    y, x = _grid(height, width)
    slope, period = place[0] % 5 - 2, 100 + place[1] // 4
    return 255 * ((slope * y + 2 * x + place[2]) // period % 2)


def _checks(height: int, width: int, place: np.ndarray, _: np.random.PCG64) -> np.ndarray:
    y, x = _grid(height, width)
    side = 80 + place[0] // 5
    return 255 * (((y + place[1]) // side + (x + place[2]) // side) % 2)


def _noise(height: int, width: int, _: np.ndarray, random: np.random.PCG64) -> np.ndarray:
    return (random.random_raw(height * width) % 256).astype(np.int64).reshape(height, width)


_PATTERNS: tuple[Pattern, ...] = (_gradient, _disc, _stripes, _checks, _noise)


def _enlarged(picture: Image.Image) -> Image.Image:
    factor = max(1, _LEAST_SIDE // max(picture.size))
    return picture.resize((picture.width * factor, picture.height * factor), Image.Resampling.NEAREST)


def _write(sheet: Image.Image, label: str, place: tuple[int, int], width: int) -> None:
    draw = ImageDraw.Draw(sheet)
    font = ImageFont.load_default()
    text = drawable(label, font)[:width]
    shown = text
    while shown and font.getlength(shown) > width:
        text = text[:-1]
        shown = f"{text}..." if text else ""
    draw.text(place, shown, fill="black", font=font)


def drawable(label: str, font: ImageFont.ImageFont | ImageFont.FreeTypeFont) -> str:
    """Return a text as one line that a font can write without raising."""
    line = " ".join(label.split())
    if isinstance(font, ImageFont.FreeTypeFont):
        return line.encode("utf-8", "replace").decode("utf-8")
    # Without FreeType, Pillow's font has Latin-1 only and raises at anything else.
    return line.encode("latin-1", "replace").decode("latin-1")
