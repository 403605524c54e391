"""Drawing boxes with their names into a picture."""

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont, features

from opsin.catalog import choose
from opsin.detection.boxes import corners
from opsin.errors import UsageError
from opsin.images.decode import as_image
from opsin.images.drawing import drawable

# Okabe and Ito 2008: told apart by nearly everyone, also by those who do not see red and green.
COLORS = (
    *((230, 159, 0), (86, 180, 233), (0, 158, 115), (240, 228, 66)),
    *((0, 114, 178), (213, 94, 0), (204, 121, 167), (255, 255, 255)),
)
LINES = ("solid", "dashed")

_LEAST_FONT = 11
_DASH = 4


def draw_boxes(
    image: np.ndarray,
    boxes: np.ndarray,
    *,
    format: str,
    labels: Sequence[str] | None = None,
    class_indices: Sequence[int] | None = None,
    line: str = LINES[0],
) -> np.ndarray:
    """Draw boxes into a picture, the last over the others, each with its name on a field of its class's colour.

    What lies outside the picture is not seen; a box without area is a line or a point.

    Args:
        image: uint8 (H, W, 3) RGB or (H, W, 1) grey, 0 to 255.
        boxes: numbers (n, 4), pixels.
        format: one of `opsin.detection.boxes.FORMATS`.
        labels: what stands at each; None: nothing.
        class_indices: their colours, in turns; None: one colour.
        line: one of `LINES`: dashed for what is true and solid for what was found, say.

    Returns:
        uint8 (H, W, 3), RGB, 0 to 255; a new array.

    Raises:
        UsageError: there is another number of labels or classes, or the picture is none.
        DataError: a box is none.

    >>> draw_boxes(np.zeros((9, 9, 3), np.uint8), [[2, 2, 7, 7]], format="xyxy")[2, 2].tolist()
    [230, 159, 0]
    """
    found = corners(boxes, format=format)
    choose("line", line, LINES)
    for what, given in (("labels", labels), ("class indices", class_indices)):
        if given is not None and len(given) != len(found):
            raise UsageError(f"Expected {what} for each of {len(found)} boxes. Received {len(given)}.")
    picture = Image.fromarray(as_image(image).copy())
    draw = ImageDraw.Draw(picture)
    width = max(1, round(max(picture.size) / 400))
    font = _font(max(_LEAST_FONT, round(max(picture.size) / 55)))
    for row, box in enumerate(found):
        color = COLORS[0 if class_indices is None else int(class_indices[row]) % len(COLORS)]
        edges = _edges(box, picture.size)
        _outline(draw, edges, color, width, line)
        if labels is not None and labels[row]:
            _label(draw, edges, labels[row], color, font, picture.size)
    return np.array(picture)


Edges = tuple[int, int, int, int]


def _edges(box: np.ndarray, size: tuple[int, int]) -> Edges:
    """Return the outermost pixels of a box, not much farther out than the picture: Pillow counts in 32 bits."""
    limits = np.array([*size, *size])
    x0, y0, x1, y1 = np.rint(np.clip(box, -limits, 2 * limits)).astype(int).tolist()
    return x0, y0, max(x0, x1 - 1), max(y0, y1 - 1)


def _outline(draw: ImageDraw.ImageDraw, edges: Edges, color: tuple[int, ...], width: int, line: str) -> None:
    if line == "solid":
        draw.rectangle(edges, outline=color, width=width)
        return
    x0, y0, x1, y1 = edges
    step = 2 * _DASH * width
    for x in range(x0, x1 + 1, step):
        for y in (y0, y1 - width + 1):
            draw.rectangle((x, y, min(x + step // 2 - 1, x1), y + width - 1), fill=color)
    for y in range(y0, y1 + 1, step):
        for x in (x0, x1 - width + 1):
            draw.rectangle((x, y, x + width - 1, min(y + step // 2 - 1, y1)), fill=color)


def _label(
    draw: ImageDraw.ImageDraw,
    edges: Edges,
    label: str,
    color: tuple[int, ...],
    font: ImageFont.ImageFont | ImageFont.FreeTypeFont,
    size: tuple[int, int],
) -> None:
    text = drawable(label, font)
    left, top, right, bottom = draw.textbbox((0, 0), text, font=font)
    width, height = int(right - left) + 4, int(bottom - top) + 4
    # Above the box where there is room, within it otherwise; in the picture in any case.
    x = min(max(edges[0], 0), max(size[0] - width, 0))
    y = edges[1] - height if edges[1] >= height else edges[1]
    y = min(max(y, 0), max(size[1] - height, 0))
    draw.rectangle((x, y, x + width - 1, y + height - 1), fill=color)
    is_light = 0.299 * color[0] + 0.587 * color[1] + 0.114 * color[2] > 128  # ITU-R BT.601.
    draw.text((x + 2 - left, y + 2 - top), text, fill="black" if is_light else "white", font=font)


def _font(size: int) -> ImageFont.ImageFont | ImageFont.FreeTypeFont:
    # Without FreeType, Pillow has one font of one size.
    return ImageFont.load_default(size if features.check("freetype2") else None)
