"""Drawing masks over pictures, which stay recognisable, with outlines and a legend."""

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont, features

from opsin.errors import UsageError
from opsin.images.decode import as_image
from opsin.images.drawing import drawable
from opsin.segmentation.boundaries import boundary, near
from opsin.segmentation.classes import IGNORED, ClassTable
from opsin.segmentation.masks import require_classes

OPACITY = 0.45
IGNORED_OPACITY = 0.35

WRONG: tuple[int, int, int] = (230, 30, 60)
"""What wrong pixels are drawn in."""

_PIXELS_AT_ONCE = 1 << 18
"""In floats they take 6 MB each time; those of a whole large picture would take gigabytes."""
_PIXELS_A_LINE = 400
_PIXELS_A_LETTER = 32
_LEAST_FONT = 11


def overlay(
    image: np.ndarray, classes: np.ndarray, table: ClassTable, *, opacity: float = OPACITY, outlines: bool = True
) -> np.ndarray:
    """Lay a mask over its picture: each class in its colour, black ones as nothing, what is ignored in pale white.

    Args:
        image: uint8 (H, W, 3) RGB or (H, W, 1) grey, 0 to 255.
        classes: uint8 (H, W), class indices; 255 is ignored.
        table: the classes.
        opacity: of the colours, a fraction from 0 to 1.
        outlines: draw the classes' outlines in full colour.

    Returns:
        uint8 (H, W, 3), RGB, 0 to 255.

    Raises:
        UsageError: picture and mask do not fit together.
    """
    image = as_image(image)
    require_classes(classes, table.k)
    if image.shape[:2] != classes.shape:
        raise UsageError(f"Expected a mask of the picture's size {image.shape[:2]}. Received {classes.shape}.")
    colors, opacities = _colors(table), _opacities(table, opacity)
    drawn = np.empty_like(image)
    step = max(1, _PIXELS_AT_ONCE // image.shape[1])
    for top in range(0, len(image), step):
        rows = slice(top, top + step)
        share = opacities[classes[rows]][:, :, None]
        drawn[rows] = np.rint((1 - share) * image[rows] + share * colors[classes[rows]])
    if outlines:
        edges = outline(classes) & (opacities[classes] > 0)
        drawn[edges] = colors[classes[edges]]
    return drawn


def outline(classes: np.ndarray) -> np.ndarray:
    """Return which pixels to draw in full: boundaries, as wide as can be seen in a picture of this size.

    Args:
        classes: uint8 (H, W), class indices.

    Returns:
        bool (H, W).
    """
    width = max(1, round(max(classes.shape) / _PIXELS_A_LINE))
    edges = boundary(classes)
    return edges if width == 1 else near(edges, width - 1) & (classes != IGNORED)


def with_legend(image: np.ndarray, table: ClassTable, shown: Sequence[int] | None = None) -> np.ndarray:
    """Return a picture with the classes' names and colours below it.

    Args:
        image: uint8 (H, W, 3), RGB, 0 to 255.
        table: the classes.
        shown: indices of those that are named; None: all.

    Returns:
        uint8 (H + h, W, 3); as wide as the picture.
    """
    width = image.shape[1]
    font = _font(max(_LEAST_FONT, round(max(image.shape[:2]) / _PIXELS_A_LETTER)))
    left, top, _, bottom = (int(value) for value in font.getbbox("Xy"))
    side = max(bottom - top, 7)
    row, gap = side + side // 2 + 2, side // 2 + 2
    indices = range(table.k) if shown is None else shown
    places = _places([_cut(table.names[c], font, width - side - 3 * gap) for c in indices], font, width, side, gap)
    height = (max((line for line, _, _ in places), default=-1) + 1) * row + gap
    strip = Image.new("RGB", (width, height), (255, 255, 255))
    draw = ImageDraw.Draw(strip)
    for c, (line, x, text) in zip(indices, places, strict=True):
        y = gap + line * row
        draw.rectangle((x, y, x + side - 1, y + side - 1), fill=table.colors[c], outline=(90, 90, 90))
        draw.text((x + side + gap // 2 - left, y - top), text, fill=(0, 0, 0), font=font)
    return np.concatenate([as_image(image), np.asarray(strip)])


def mask_layer(classes: np.ndarray, table: ClassTable, *, opacity: float = OPACITY) -> Image.Image:
    """Return a mask as a picture with transparency, to lie over another: indices, with a palette.

    Args:
        classes: uint8 (H, W), class indices; 255 is ignored.
        table: the classes.
        opacity: of the colours, a fraction from 0 to 1.
    """
    layer, palette, opacities = classes.copy(), _colors(table), _opacities(table, opacity)
    # Pixels on an outline have an index of their own, where there is room for that.
    if 2 * table.k <= IGNORED:
        edges = outline(classes) & (opacities[classes] > 0)
        layer[edges] += table.k
        palette[table.k : 2 * table.k] = palette[: table.k]
        opacities[table.k : 2 * table.k] = 1
    image = Image.fromarray(layer)
    image.putpalette(palette.reshape(-1).tolist())
    image.info["transparency"] = np.rint(255 * opacities).astype(np.uint8).tobytes()
    return image


def mistake_layer(truth: np.ndarray, said: np.ndarray, *, opacity: float = 0.75) -> Image.Image:
    """Return what is wrong as a picture with transparency, to lie over another.

    Args:
        truth: uint8 (H, W), class indices; 255 is not judged.
        said: the same; 255 is no answer, and wrong where the truth is judged.
        opacity: of the colour, a fraction from 0 to 1.
    """
    layer = Image.fromarray(((truth != said) & (truth != IGNORED)).astype(np.uint8))
    layer.putpalette([0, 0, 0, *WRONG])
    layer.info["transparency"] = bytes([0, round(255 * opacity)])
    return layer


def _colors(table: ClassTable) -> np.ndarray:
    """Return uint8 (256, 3): the colour of each class, white for what is ignored."""
    return np.array(table.palette, dtype=np.uint8).reshape(256, 3)


def _opacities(table: ClassTable, opacity: float) -> np.ndarray:
    """Return float64 (256,): how much of each class's colour is seen."""
    opacities = np.zeros(256)
    opacities[: table.k] = [opacity * (color != (0, 0, 0)) for color in table.colors]
    opacities[IGNORED] = min(opacity, IGNORED_OPACITY)
    return opacities


def _places(
    names: Sequence[str], font: ImageFont.ImageFont | ImageFont.FreeTypeFont, width: int, side: int, gap: int
) -> list[tuple[int, int, str]]:
    """Return the line, the place from the left, and the text of each entry of a legend."""
    places, line, x = [], 0, gap
    for text in names:
        needed = side + gap // 2 + round(font.getlength(text))
        if x > gap and x + needed > width - gap:
            line, x = line + 1, gap
        places.append((line, x, text))
        x += needed + 2 * gap
    return places


def _cut(name: str, font: ImageFont.ImageFont | ImageFont.FreeTypeFont, width: int) -> str:
    text = shown = drawable(name, font)
    while text and font.getlength(shown) > width:
        text = text[:-1]
        shown = f"{text}..." if text else ""
    return shown


def _font(size: int) -> ImageFont.ImageFont | ImageFont.FreeTypeFont:
    # Without FreeType, Pillow has one font of one size.
    return ImageFont.load_default(size if features.check("freetype2") else None)
