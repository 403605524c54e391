"""Pictures of a report's page, each with truth and answer laid over it and a slider between both, without a script."""

import itertools
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from PIL import Image

from opsin.counting import count
from opsin.evaluation.page.markup import escaped, place
from opsin.evaluation.wording import percent
from opsin.images.decode import as_image
from opsin.images.thumbnails import as_address
from opsin.segmentation.classes import ClassTable
from opsin.segmentation.overlay import mask_layer, mistake_layer

SIDE = 512
"""The longer side of a picture as it is kept, in pixels."""

MOST = 48
QUALITY = 75
OPACITY = 0.45

_SHOWN = (
    ("slider", "slider", " checked"),
    ("said", "answer", ""),
    ("truth", "truth", ""),
    ("wrong", "mistakes", ""),
    ("picture", "picture alone", ""),
)


@dataclass(frozen=True, eq=False)
class JudgedPicture:
    """A picture with its true mask and the one that was said.

    Args:
        name: its path, as the data set has it.
        iou: its mean IoU, a fraction from 0 to 1; not a number where no pixel is judged.
        image: uint8 (H, W, 3) RGB or (H, W, 1) grey, 0 to 255, upright.
        truth: uint8 (H, W), class indices; 255 is not judged.
        said: uint8 (H, W), class indices; 255 is no answer.
    """

    name: str
    iou: float
    image: np.ndarray
    truth: np.ndarray
    said: np.ndarray


def cards(pictures: Iterable[JudgedPicture], table: ClassTable, total: int, room: int) -> tuple[str, str]:
    """Return the cards and the SVG that holds their pictures; nothing of none.

    Args:
        pictures: in the order in which they are shown; one after the other is taken until there is no room.
        table: the classes.
        total: how many pictures were judged; those that are not shown are counted.
        room: bytes that both may take, about.
    """
    items, symbols, left = [], [], room
    for number, one in enumerate(itertools.islice(pictures, MOST)):
        symbol, item = _symbols(number, one, table), _card(number, one)
        left -= len(symbol) + len(item)
        if left < 0:
            break
        symbols.append(symbol)
        items.append(item)
    if not items:
        return "", ""
    rest = total - len(items)
    more = f'<p class="quiet">{count(rest, "more picture")} {"is" if rest == 1 else "are"} not shown.</p>\n'
    album = f'<svg class="album" aria-hidden="true" width="0" height="0">{"".join(symbols)}</svg>\n'
    return f'{_switch()}<ul class="cards pairs">{"".join(items)}</ul>\n{more if rest > 0 else ""}', album


def _switch() -> str:
    choices = "".join(
        f'<label><input type="radio" name="show" id="show-{name}"{checked}> {said}</label>'
        for name, said, checked in _SHOWN
    )
    return (
        f'<fieldset class="switch"><legend>Show</legend>{choices}</fieldset>\n'
        '<p class="quiet hint">Left of the line is the answer, right of it the truth. Drag the lower end of the '
        "line to move it.</p>\n"
    )


def _card(number: int, one: JudgedPicture) -> str:
    width, height = _kept_size(one)
    box = f'width="{width}" height="{height}"'

    def layers(name: str, *shown: tuple[str, str]) -> str:
        uses = "".join(f'<use class="{style}" href="#{kind}{number}" {box}/>' for kind, style in shown)
        return f'<svg role="img" aria-label="{escaped(name)}" viewBox="0 0 {width} {height}">{uses}</svg>'

    judged = (one.truth != 255).sum()
    wrong = ((one.truth != one.said) & (one.truth != 255)).sum() / max(1, judged)
    said = "no pixel judged" if np.isnan(one.iou) else f"mean IoU <b>{percent(one.iou)}</b>, {percent(wrong)} wrong"
    below = layers(f"{one.name}, truth", ("p", "under"), ("t", "truth-layer"), ("w", "wrong-layer"))
    above = layers(f"{one.name}, answer", ("p", "under"), ("a", "said-layer"))
    return (
        f'<li class="card"><div class="layers">{below}<div class="slider">{above}</div></div>\n'
        f"<p>{said}</p><p>{place(one.name)}</p></li>\n"
    )


def _symbols(number: int, one: JudgedPicture, table: ClassTable) -> str:
    size = _kept_size(one)
    picture = Image.fromarray(as_image(one.image)).resize(size, Image.Resampling.BILINEAR, reducing_gap=2.0)
    truth, said = (_fitted(mask, size) for mask in (one.truth, one.said))
    layers = {
        "t": mask_layer(truth, table, opacity=OPACITY),
        "a": mask_layer(said, table, opacity=OPACITY),
        "w": mistake_layer(truth, said),
    }
    return _symbol(f"p{number}", size, as_address(picture, quality=QUALITY)) + "".join(
        _symbol(f"{kind}{number}", size, as_address(layer, kind="PNG"), ' class="flat"')
        for kind, layer in layers.items()
    )


def _symbol(name: str, size: tuple[int, int], address: str, more: str = "") -> str:
    width, height = size
    box = f'width="{width}" height="{height}"'
    return f'<symbol id="{name}"{more} viewBox="0 0 {width} {height}"><image {box} href="{address}"/></symbol>\n'


def _kept_size(one: JudgedPicture) -> tuple[int, int]:
    height, width = one.truth.shape
    scale = min(1.0, SIDE / max(height, width))
    return max(1, round(width * scale)), max(1, round(height * scale))


def _fitted(mask: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    return np.asarray(Image.fromarray(mask).resize(size, Image.Resampling.NEAREST))
