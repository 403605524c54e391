"""Which boxes can overlap at all: boxes in small tiles, and for each tile only what reaches into it."""

from collections.abc import Iterator

import numpy as np

from opsin.detection.overlap import Sides

TILE = 64
"""Boxes in a tile."""


def tiles(boxes: Sides) -> Iterator[np.ndarray]:
    """Yield rows of boxes that lie near each other, `TILE` or fewer at a time, each row once."""
    n = len(boxes.area)
    columns = max(1, round((n / TILE) ** 0.5))
    by_x = np.argsort(boxes.x0 + boxes.x1, kind="stable")
    for column in np.array_split(by_x, columns):
        by_y = column[np.argsort((boxes.y0 + boxes.y1)[column], kind="stable")]
        for start in range(0, len(by_y), TILE):
            yield by_y[start : start + TILE]


def reaching_into(boxes: Sides, tile: Sides) -> np.ndarray:
    """Return the rows of boxes that overlap the smallest box around a tile, in their order."""
    touching = boxes.x1 > tile.x0.min()
    touching &= boxes.x0 < tile.x1.max()
    touching &= boxes.y1 > tile.y0.min()
    touching &= boxes.y0 < tile.y1.max()
    return np.flatnonzero(touching)
