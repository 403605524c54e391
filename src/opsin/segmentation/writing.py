"""Masks written beside each other: index PNGs, overlays, a table of areas, polygons."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from opsin.atomic import saying_why
from opsin.catalog import choose
from opsin.errors import PictureError, UsageError
from opsin.images.decode import decode_image
from opsin.images.drawing import save_image
from opsin.segmentation.areas import write_areas
from opsin.segmentation.classes import IGNORED, ClassTable
from opsin.segmentation.masks import read_mask, write_mask
from opsin.segmentation.overlay import overlay, with_legend
from opsin.segmentation.polygons import write_coco_areas
from opsin.segmentation.segmenter import Segmenter

UPRIGHT, AS_IN_FILE = "upright", "file"
ORIENTATIONS = (UPRIGHT, AS_IN_FILE)
"""How masks lie that are written: as their pictures are seen, or as their files have the pixels."""

MASKS, OVERLAYS, AREAS, POLYGONS = "masks", "overlays", "areas.csv", "polygons.json"


class MaskWriter:
    """Segments pictures one after the other and writes what is said of each.

    Args:
        folder: where to; it must be new or empty.
        segmenter: what says it.
        tiles: whether pictures are seen at their own scale, in tiles.
        overlays: whether masks are drawn over their pictures, too; those are to be looked at, and upright.
        orientation: one of `ORIENTATIONS`, for masks and polygons.

    Raises:
        UsageError: something is in the folder already, or there is no such orientation.
    """

    def __init__(
        self,
        folder: Path,
        segmenter: Segmenter,
        *,
        tiles: bool = False,
        overlays: bool = True,
        orientation: str = UPRIGHT,
    ):
        self.orientation = choose("orientation", orientation, ORIENTATIONS)
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise UsageError(
                f"Expected a new or an empty folder; {str(folder)!r} holds something, and nothing in it will be "
                "overwritten. Choose another --out."
            )
        self.folder = folder
        self.segmenter = segmenter
        self.tiles = tiles
        self.overlays = overlays
        self.areas: dict[str, dict[str, float]] = {}
        self.failed: list[tuple[str, str]] = []
        self._files: dict[str, Path] = {}
        self._taken: set[str] = set()
        with saying_why(folder):
            (folder / MASKS).mkdir(parents=True, exist_ok=True)
            if overlays:
                (folder / OVERLAYS).mkdir(exist_ok=True)

    @property
    def count(self) -> int:
        """How many pictures were taken."""
        return len(self.areas) + len(self.failed)

    def add(self, path: str) -> None:
        """Segment a picture and write its mask; one that cannot be read is noted in `failed`."""
        try:
            found = self.segmenter.segment(path, tiles=self.tiles)
        except PictureError as error:
            self.failed.append((path, error.reason))
            return
        name = self._name_for(path)
        file = self.folder / MASKS / name
        mask = found.mask if self.orientation == UPRIGHT else found.stored_mask
        write_mask(file, mask, found.classes)
        if self.overlays:
            drawn = overlay(decode_image(path), found.mask, found.classes)
            save_image(with_legend(drawn, found.classes), self.folder / OVERLAYS / name)
        self._files[path] = file
        self.areas[path] = found.areas

    def finish(self, *, leave_out: Sequence[str] = (), least_pixels: int = 1) -> int:
        """Write the table and the polygons of all pictures; return how many polygons there are.

        Args:
            leave_out: classes that get no polygons.
            least_pixels: smaller areas get none either.
        """
        classes = self.segmenter.classes
        write_areas(self.folder / AREAS, self._masks(), classes)
        return write_coco_areas(
            self.folder / POLYGONS, self._masks(), classes, leave_out=leave_out, least_pixels=least_pixels
        )

    def _masks(self) -> Iterator[tuple[str, np.ndarray]]:
        # From their files, so that not all of them are in memory.
        own = self.segmenter.classes
        # The files hold indices, whatever values the masks had that the network learned from.
        table = ClassTable(own.names, own.colors, ignore=(IGNORED,))
        for path, file in self._files.items():
            yield path, read_mask(file, table)

    def _name_for(self, path: str) -> str:
        number, name = 2, f"{Path(path).stem}.png"
        while name in self._taken:
            name = f"{Path(path).stem}-{number}.png"
            number += 1
        self._taken.add(name)
        return name
