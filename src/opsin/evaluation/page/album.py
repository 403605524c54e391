"""The pictures of a page: each stands in it once, however often it is shown, and all of them within a limit."""

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from opsin.errors import PictureError
from opsin.evaluation.page.markup import escaped
from opsin.images.thumbnails import as_address, thumbnail

SIDE, LARGE = 136, 320
"""The longer side of a picture as it is kept, in pixels."""

QUALITY = 72
"""Of the JPEG that a picture is kept as."""

AT_ONCE = 64
"""How many pictures are read before the room that is left is looked at again."""

MOST = 8 * AT_ONCE
"""Pictures of a page: reading a large screenshot takes 20 to 60 ms."""

OPACITY = (0.4, 0.7)
"""Of a heat map over its picture: where there is no evidence, and where there is most."""

HEAT_SIDE = 56
HEAT_LEVELS = 32

INFERNO = (
    (0, 0, 4), (12, 8, 38), (36, 12, 79), (66, 10, 104), (93, 18, 110), (120, 28, 109), (147, 38, 103), (174, 48, 92),
    (199, 62, 76), (221, 81, 58), (237, 105, 37), (248, 133, 15), (252, 165, 10), (250, 198, 45), (242, 230, 97),
    (252, 255, 164),
)  # fmt: skip
"""Matplotlib's colour map of that name, perceptually uniform, at 16 places: RGB, 0 to 255."""


@dataclass
class _Entry:
    path: str
    rank: int
    number: int
    large: bool = False
    heat: np.ndarray | None = None


class Album:
    """Pictures that a page shows.

    What is shown is noted first; then all is read at once, the pictures of the lowest rank first, until the page is
    full. A picture that is gone, or that there is no room for, is drawn as an empty frame.

    Args:
        root: the folder that paths are relative to; without one, only pictures with a whole path are shown.
    """

    def __init__(self, root: Path | None):
        self.root = root
        self.entries: dict[str, _Entry] = {}

    def show(self, path: str, *, rank: int = 1, alt: str | None = None) -> str:
        """Return the HTML that shows a picture.

        Args:
            path: its file.
            rank: of pictures of a higher rank there may be none where there is little room.
            alt: what is read aloud; its file's name if None.
        """
        return self._frame(self._note(path, rank), alt or Path(path).name, "thumb") if self.finds(path) else ""

    def show_large(self, path: str, *, heat: np.ndarray | None = None, rank: int = 0, alt: str | None = None) -> str:
        """Return the HTML that shows a picture larger, under its heat map if there is one.

        Args:
            path: its file.
            heat: float (h, w), 0 to 1, over the whole upright picture.
            rank: as `show` takes it.
            alt: what is read aloud; its file's name if None.
        """
        if not self.finds(path):
            return ""
        entry = self._note(path, rank)
        entry.large, entry.heat = True, heat
        return self._frame(entry, alt or Path(path).name, "thumb large" if heat is None else "thumb large heated")

    def inside(self, path: str, place: str, *, rank: int = 1) -> str:
        """Return what shows a picture inside of an SVG; `place` is its `x`, `y`, `width` and `height`."""
        return f'<use href="#p{self._note(path, rank).number}" {place}/>' if self.finds(path) else ""

    def finds(self, path: str) -> bool:
        """Whether it is known where a picture is."""
        return self.root is not None or Path(path).is_absolute()

    def symbols(self, room: int) -> str:
        """Return the SVG that holds the pictures themselves, of at most about so many bytes."""
        held, left = [], room
        entries = sorted(self.entries.values(), key=lambda one: (one.rank, one.number))
        with ThreadPoolExecutor(2) as readers:
            for start in range(0, len(entries), AT_ONCE):
                some = entries[start : start + AT_ONCE]
                full = left <= 0 or start >= MOST
                read = (None for _ in some) if full else readers.map(self._symbol, some)
                for entry, symbol in zip(some, read, strict=True):
                    fits = symbol is not None and len(symbol) <= left
                    held.append(symbol if fits else _empty(entry, "no room"))
                    left -= len(held[-1])
        return f'<svg class="album" aria-hidden="true" width="0" height="0">{"".join(held)}</svg>\n' if held else ""

    def _note(self, path: str, rank: int) -> _Entry:
        entry = self.entries.setdefault(path, _Entry(path, rank, len(self.entries)))
        entry.rank = min(entry.rank, rank)
        return entry

    @staticmethod
    def _frame(entry: _Entry, alt: str, style: str) -> str:
        width, height = (120, 90) if "large" in style else (100, 100)
        box = f'width="{width}" height="{height}"'
        heat = f'<use class="heat" href="#h{entry.number}" {box}/>' if "heated" in style else ""
        return (
            f'<svg class="{style}" role="img" aria-label="{escaped(alt)}" viewBox="0 0 {width} {height}">'
            f'<use class="under" href="#p{entry.number}" {box}/>{heat}</svg>'
        )

    def _symbol(self, entry: _Entry) -> str:
        try:
            image = thumbnail((self.root or Path()) / entry.path, LARGE if entry.large else SIDE)
        except PictureError:
            return _empty(entry, "no picture")
        shown = _image(f"p{entry.number}", image.size, as_address(image, quality=QUALITY))
        if entry.heat is not None:
            # "none": a coarse map has not exactly the picture's proportions, and covers all of it.
            heat = as_address(heat_layer(entry.heat), kind="PNG")
            shown += _image(f"h{entry.number}", image.size, heat, ' preserveAspectRatio="none"')
        return shown


def heat_layer(heat: np.ndarray) -> Image.Image:
    """Return a heat map as a small picture of few colours.

    Args:
        heat: float (h, w), 0 to 1.
    """
    small = Image.fromarray(np.nan_to_num(np.asarray(heat, dtype=np.float32)))
    small.thumbnail((HEAT_SIDE, HEAT_SIDE), Image.Resampling.BILINEAR)
    levels = np.rint(np.clip(np.asarray(small), 0, 1) * (HEAT_LEVELS - 1)).astype(np.uint8)
    layer = Image.fromarray(levels)
    layer.putpalette(np.rint(heat_colors(HEAT_LEVELS)).astype(np.uint8).tobytes())
    layer.info["transparency"] = np.rint(255 * np.linspace(*OPACITY, HEAT_LEVELS)).astype(np.uint8).tobytes()
    return layer


def heat_colors(n: int) -> np.ndarray:
    """Return float (n, 3): the colours of heat maps from none to all, RGB, 0 to 255."""
    anchors, at = np.array(INFERNO, dtype=float), np.linspace(0, len(INFERNO) - 1, n)
    return np.stack([np.interp(at, np.arange(len(INFERNO)), anchors[:, channel]) for channel in range(3)], axis=1)


def gallery(figures: Iterable[str]) -> str:
    """Return pictures with their captions in rows, nothing of none."""
    items = "".join(f"<li>{one}</li>" for one in figures)
    return f'<ul class="gallery">{items}</ul>\n' if items else ""


def _image(name: str, size: tuple[int, int], address: str, more: str = "") -> str:
    width, height = size
    box = f'width="{width}" height="{height}"'
    return f'<symbol id="{name}" viewBox="0 0 {width} {height}"><image {box} href="{address}"{more}/></symbol>\n'


def _empty(entry: _Entry, why: str) -> str:
    empty = (
        f'<symbol id="p{entry.number}" viewBox="0 0 100 100"><rect class="frame" x="1" y="1" width="98" height="98"/>'
        f'<text class="middle" x="50" y="54">{why}</text></symbol>\n'
    )
    return empty if entry.heat is None else f'{empty}<symbol id="h{entry.number}"></symbol>\n'
