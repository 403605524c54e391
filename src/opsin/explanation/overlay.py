"""Drawing heat maps over pictures, which stay recognisable, in even colours and with a legend."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from opsin.catalog import choose, require
from opsin.detection.drawing import COLORS as DRAWN_IN
from opsin.detection.drawing import draw_boxes
from opsin.explanation import COLORS

if TYPE_CHECKING:
    from opsin.explanation.explain import Explanation

OPACITY = 0.55
TITLES = {
    "grad_cam": "Grad-CAM",
    "grad_cam_plus_plus": "Grad-CAM++",
    "layer_cam": "LayerCAM",
    "score_cam": "Score-CAM",
    "hires_cam": "HiResCAM",
    "integrated_gradients": "integrated gradients",
    "smooth_grad": "SmoothGrad",
    "occlusion": "occlusion",
}
# Of single pixels, the few highest would leave all others in the dark (Smilkov et al. 2017, "capping outlying values").
CAPPED = {"integrated_gradients": 99.0, "smooth_grad": 99.0}

_INK, _SOFT, _PAPER = (28, 30, 34), (110, 114, 122), (255, 255, 255)
_BOX_COLOR = DRAWN_IN.index((255, 255, 255))
_MARGIN, _GAP = 28, 20
_HEAD = 50
_SIDE = {1: 520, 2: 420, 3: 360}
_LEAST_SIDE = 280
_COLUMNS = 4


def overlay(picture: np.ndarray, heat_map: np.ndarray, *, colors: str = COLORS[0]) -> np.ndarray:
    """Lay a heat map over a picture.

    Args:
        picture: uint8 (H, W, 3), RGB, 0 to 255.
        heat_map: float (H, W), 0 to 1.
        colors: one of `COLORS`.

    Returns:
        uint8 (H, W, 3), RGB, 0 to 255. Of the picture its brightness is kept, and a little of its colours.
    """
    table = color_table(colors)
    hue = table[np.rint(np.clip(heat_map, 0, 1) * 255).astype(np.uint8)]
    gray = picture @ np.array([0.299, 0.587, 0.114])  # ITU-R BT.601.
    base = 0.25 * picture + 0.75 * gray[:, :, None]
    return np.rint((1 - OPACITY) * base + OPACITY * hue).astype(np.uint8)


def draw_sheet(
    explanations: "Sequence[Explanation]",
    *,
    colors: str = COLORS[0],
    below: Sequence[np.ndarray] = (),
    boxes: bool = False,
) -> np.ndarray:
    """Draw a picture, and beside it each explanation's heat map over it, with a legend.

    Args:
        explanations: of one picture, for several classes or by several methods.
        colors: one of `COLORS`.
        below: pictures to stand under it, charts say, uint8 (h, w, 3) each.
        boxes: draw a box around the largest hot area, too.

    Returns:
        uint8 (H, W, 3), RGB, 0 to 255.
    """
    picture = explanations[0].picture
    side = _SIDE.get(len(explanations), _LEAST_SIDE)
    panels = [_Panel(_fitted(picture, side), "the picture", f"{picture.shape[1]} × {picture.shape[0]} pixels")]
    panels += [_panel(one, side, colors, boxes) for one in explanations]
    beside = [np.pad(one, ((0, _GAP), (_MARGIN, _MARGIN), (0, 0)), constant_values=255) for one in below]
    return _stacked([np.array(_laid_out(panels, colors)), *beside])


def _stacked(images: Sequence[np.ndarray]) -> np.ndarray:
    """Return images of different widths under each other, on white, from the left."""
    width = max(image.shape[1] for image in images)
    return np.concatenate(
        [np.pad(one, ((0, 0), (0, width - one.shape[1]), (0, 0)), constant_values=255) for one in images]
    )


class _Panel:
    """A picture with two lines above it, and one in it where there is nothing to show."""

    def __init__(self, image: Image.Image, title: str, remark: str, notice: str = ""):
        self.image, self.title, self.remark, self.notice = image, title, remark, notice


def _panel(explanation: "Explanation", side: int, colors: str, boxes: bool) -> _Panel:
    title = f"{explanation.class_name}  {explanation.probability:.1%}"
    remark = " · ".join(filter(None, (TITLES[explanation.method], explanation.layer)))
    picture = _fitted(explanation.picture, side)
    if explanation.peak <= 0:
        pale = np.array(picture.convert("L").convert("RGB")) // 2 + 110
        return _Panel(Image.fromarray(pale.astype(np.uint8)), title, remark, "no evidence for this class")
    heat = _shown(explanation, picture.size)
    remark += f" · peak {explanation.peak:.3g}"
    drawn = overlay(np.array(picture), heat, colors=colors)
    box = explanation.box if boxes else None
    if box is not None:
        scale = np.tile(np.array(picture.size) / explanation.picture.shape[1::-1], 2)
        drawn = draw_boxes(drawn, [box * scale], format="xyxy", class_indices=[_BOX_COLOR])
    return _Panel(Image.fromarray(drawn), title, remark)


def _shown(explanation: "Explanation", size: tuple[int, int]) -> np.ndarray:
    """Return a heat map at the size at which it is drawn; of pixels, capped and smoothed so that it can be seen."""
    heat = Image.fromarray(explanation.heat_map).resize(size, Image.Resampling.BILINEAR)
    if explanation.method not in CAPPED:
        return np.array(heat)
    values = np.array(heat)
    cap = max(float(np.percentile(values, CAPPED[explanation.method])), 1e-3 * float(values.max()))
    # Pillow blurs 8-bit pictures only.
    capped = Image.fromarray(np.rint(255 * np.clip(values / cap, 0, 1)).astype(np.uint8))
    blurred = np.array(capped.filter(ImageFilter.GaussianBlur(max(size) / 100)), dtype=np.float32)
    return blurred / max(float(blurred.max()), 1)


def _fitted(picture: np.ndarray, side: int) -> Image.Image:
    image = Image.fromarray(picture)
    scale = side / max(image.size)
    size = max(1, round(image.width * scale)), max(1, round(image.height * scale))
    # Pixels of tiny pictures stay squares.
    return image.resize(size, Image.Resampling.NEAREST if scale > 4 else Image.Resampling.LANCZOS)


def _laid_out(panels: Sequence[_Panel], colors: str) -> Image.Image:
    columns = min(len(panels), _COLUMNS)
    rows = -(-len(panels) // columns)
    width = max(max(panel.image.width for panel in panels), 220)
    height = max(panel.image.height for panel in panels)
    sheet = Image.new(
        "RGB",
        (2 * _MARGIN + columns * width + (columns - 1) * _GAP, 2 * _MARGIN + rows * (_HEAD + height + _GAP) + 34),
        _PAPER,
    )
    draw = ImageDraw.Draw(sheet)
    for number, panel in enumerate(panels):
        row, column = divmod(number, columns)
        left, top = _MARGIN + column * (width + _GAP), _MARGIN + row * (_HEAD + height + _GAP)
        write(draw, (left, top), panel.title, 17, _INK, width, bold=True)
        write(draw, (left, top + 25), panel.remark, 12, _SOFT, width)
        sheet.paste(panel.image, (left, top + _HEAD))
        if panel.notice:
            _write_notice(draw, panel, (left, top + _HEAD))
    _draw_legend(sheet, draw, colors)
    return sheet


def _draw_legend(sheet: Image.Image, draw: ImageDraw.ImageDraw, colors: str) -> None:
    top, bar = sheet.height - _MARGIN - 26, 220
    left = _MARGIN
    ramp = np.repeat(color_table(colors)[np.linspace(0, 255, bar).astype(int)][None], 12, axis=0)
    sheet.paste(Image.fromarray(ramp), (left, top))
    draw.text((left, top + 15), "no evidence", fill=_SOFT, font=font(11))
    draw.text((left + bar, top + 15), "its peak", fill=_SOFT, font=font(11), anchor="ra")
    told = "What speaks for the class. Colours are scaled to each map's own peak."
    write(draw, (left + bar + 18, top - 2), told, 12, _SOFT, sheet.width - left - bar - 18 - _MARGIN)


def _write_notice(draw: ImageDraw.ImageDraw, panel: _Panel, place: tuple[int, int]) -> None:
    x, y = place[0] + panel.image.width / 2, place[1] + panel.image.height / 2
    box = draw.textbbox((x, y), panel.notice, font=font(15), anchor="mm")
    draw.rounded_rectangle((box[0] - 10, box[1] - 7, box[2] + 10, box[3] + 7), 6, fill=_PAPER)
    draw.text((x, y), panel.notice, fill=_INK, font=font(15), anchor="mm")


def write(
    draw: ImageDraw.ImageDraw,
    place: tuple[float, float],
    text: str,
    size: int,
    color: tuple[int, int, int],
    width: float,
    *,
    bold: bool = False,
) -> None:
    """Write one line, shortened to a width in pixels."""
    text = " ".join(text.split()).encode("utf-8", "replace").decode("utf-8")
    letters = font(size, bold=bold)
    shown = text
    while shown and letters.getlength(shown) > width:
        text = text[:-1]
        shown = f"{text.rstrip()}…" if text else ""
    draw.text(place, shown, fill=color, font=letters)


def font(size: int, *, bold: bool = False) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """Return matplotlib's own font, which has the letters of many scripts, at a size in pixels."""
    folder = Path(require("matplotlib", "drawing").get_data_path()) / "fonts" / "ttf"
    return ImageFont.truetype(folder / ("DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"), size)


def color_table(colors: str) -> np.ndarray:
    """Return a colour map as uint8 (256, 3)."""
    maps = require("matplotlib", "drawing").colormaps
    return np.rint(maps[choose("colours", colors, COLORS)](np.arange(256))[:, :3] * 255).astype(np.uint8)
