"""Masks as polygons: outlines that run along the pixels' edges, and COCO's JSON of them.

COCO's polygons have no holes: several polygons of one annotation are united. A hole is therefore cut in: its outline is
joined to the outer one by a line that is walked there and back, which encloses nothing. Drawn by pycocotools, Pillow or
whoever counts crossings, and by the formula for the area, such a polygon is the mask again, pixel for pixel.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from opsin.atomic import write_text
from opsin.detection.connected import connect_runs, runs_of
from opsin.segmentation.classes import ClassTable
from opsin.segmentation.masks import require_classes

# East, south, west, north: the pixel that an edge belongs to lies to its right.
_STEPS = np.array([(0, 1), (1, 0), (0, -1), (-1, 0)])


@dataclass(frozen=True, eq=False)
class Area:
    """A connected area of one class; pixels that only touch by their corners are not connected.

    Args:
        class_index: of which class.
        pixels: how many it has.
        box: left, top, width, height, in pixels.
        polygon: int64 (m, 2), the corners x, y along the pixels' edges; closed by a line from the last to the first.
    """

    class_index: int
    pixels: int
    box: tuple[int, int, int, int]
    polygon: np.ndarray


def areas_of(
    classes: np.ndarray, table: ClassTable, *, leave_out: Sequence[str] = (), least_pixels: int = 1
) -> list[Area]:
    """Return the connected areas of a mask as polygons.

    Args:
        classes: uint8 (H, W), class indices; 255 is in no area.
        table: the classes.
        leave_out: names of classes that are not wanted, the background's say.
        least_pixels: smaller areas are left out.

    Returns:
        Class by class, from the top of the picture.

    Raises:
        UsageError: this is no such array, or a name is no class's.

    >>> ring = np.array([[1, 1, 1], [1, 0, 1], [1, 1, 1]], np.uint8)
    >>> inner, outer = areas_of(ring, ClassTable(("hole", "ring")))
    >>> inner.polygon.tolist(), outer.pixels, outer.box
    ([[1, 1], [2, 1], [2, 2], [1, 2]], 8, (0, 0, 3, 3))
    """
    require_classes(classes, table.k)
    unwanted = {table.index(name) for name in leave_out}
    wanted = [c for c in np.unique(classes).tolist() if c < table.k and c not in unwanted]
    return [area for c in wanted for area in _areas_of_class(classes == c, c) if area.pixels >= least_pixels]


def write_coco_areas(
    path: str | Path,
    masks: Iterable[tuple[str, np.ndarray]],
    table: ClassTable,
    *,
    leave_out: Sequence[str] = (),
    least_pixels: int = 1,
) -> int:
    """Write the areas of masks as COCO's JSON: an annotation with polygon, box and area for each.

    Args:
        path: where to.
        masks: file name and classes, uint8 (H, W), of each picture.
        table: the classes; their ids count from 1.
        leave_out: as for `areas_of`.
        least_pixels: the same.

    Returns:
        How many annotations there are.

    Raises:
        SavingError: it cannot be written.
    """
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for name, classes in masks:
        height, width = classes.shape
        images.append({"id": len(images) + 1, "file_name": name, "height": height, "width": width})
        for area in areas_of(classes, table, leave_out=leave_out, least_pixels=least_pixels):
            annotations.append(_annotation(len(annotations) + 1, len(images), area))
    categories = [{"id": c + 1, "name": name} for c, name in enumerate(table.names) if name not in leave_out]
    document = {"images": images, "categories": categories, "annotations": annotations}
    write_text(path, json.dumps(document, ensure_ascii=False) + "\n")
    return len(annotations)


def _annotation(number: int, image: int, area: Area) -> dict[str, Any]:
    return {
        "id": number,
        "image_id": image,
        "category_id": area.class_index + 1,
        "segmentation": [area.polygon.reshape(-1).tolist()],
        "area": area.pixels,
        "bbox": list(area.box),
        "iscrowd": 0,
    }


def _areas_of_class(pixels: np.ndarray, class_index: int) -> list[Area]:
    runs = runs_of(pixels)
    found, area_of = np.unique(connect_runs(runs), return_inverse=True)
    rings: list[list[np.ndarray]] = [[] for _ in found]
    starts = runs[:, 0] * pixels.shape[1] + runs[:, 1]
    for place, ring in _rings(pixels):
        rings[area_of[np.searchsorted(starts, place, side="right") - 1]].append(ring)
    sizes = np.bincount(area_of, weights=runs[:, 2] - runs[:, 1]).astype(np.int64)
    return [_area(class_index, int(size), some) for size, some in zip(sizes, rings, strict=True)]


def _area(class_index: int, size: int, rings: list[np.ndarray]) -> Area:
    outer = max(rings, key=_enclosed)
    low, high = outer.min(axis=0), outer.max(axis=0)
    polygon = outer
    for hole in rings:
        if hole is not outer:
            polygon = _cut_in(polygon, hole)
    return Area(class_index, size, (int(low[0]), int(low[1]), *map(int, high - low)), polygon)


def _enclosed(ring: np.ndarray) -> float:
    """Return what a ring encloses: more than 0 if clockwise, as outer ones are, less than 0 for holes."""
    x, y = ring.T
    return float(x @ np.roll(y, -1) - y @ np.roll(x, -1)) / 2


def _cut_in(polygon: np.ndarray, hole: np.ndarray) -> np.ndarray:
    apart = np.abs(polygon - hole[0]).sum(axis=1)
    place = int(apart.argmin())
    return np.concatenate([polygon[: place + 1], hole, hole[:1], polygon[place:]])


def _rings(pixels: np.ndarray) -> list[tuple[int, np.ndarray]]:
    """Return closed outlines: the number of a pixel inside beside each, and its corners, int64 (m, 2), x and y."""
    # Corners of pixels, one more than pixels each way, and four directions.
    shape = 4, pixels.shape[0] + 1, pixels.shape[1] + 1
    places = np.flatnonzero(_edges(pixels))
    directions, rows, columns = np.unravel_index(places, shape)
    down, across = _STEPS[directions].T
    following = np.full(len(rows), -1, dtype=np.int64)
    # The right turn first: it stays at the pixel, so that pixels that touch by a corner stay apart.
    for turn in (1, 0, 3):
        wanted = np.ravel_multi_index(((directions + turn) % 4, rows + down, columns + across), shape)
        # Looked up among the edges there are: a table of all places would take 32 bytes a pixel.
        number = np.minimum(np.searchsorted(places, wanted), len(places) - 1)
        following = np.where((following < 0) & (places[number] == wanted), number, following)
    is_corner = np.empty(len(rows), dtype=bool)
    is_corner[following] = directions[following] != directions
    inside = _beside(directions, rows, columns, pixels.shape[1])
    return _walked(following.tolist(), is_corner.tolist(), np.stack([columns, rows], axis=1), inside)


def _edges(pixels: np.ndarray) -> np.ndarray:
    """Return bool (4, H + 1, W + 1): whether an outline leaves a corner in each direction."""
    height, width = pixels.shape
    padded = np.pad(pixels, 1)
    inside, above, left = padded[1:, 1:], padded[:-1, 1:], padded[1:, :-1]
    edges = np.zeros((4, height + 1, width + 1), dtype=bool)
    edges[0] = inside & ~above
    edges[1] = left & ~inside
    edges[2, :, 1:] = (above & ~inside)[:, :-1]
    edges[3, 1:] = (inside & ~left)[:-1]
    return edges


def _beside(directions: np.ndarray, rows: np.ndarray, columns: np.ndarray, width: int) -> np.ndarray:
    """Return the number, row by row, of the pixel to the right of each edge."""
    down, across = np.array([(0, 0), (0, -1), (-1, -1), (-1, 0)])[directions].T
    return (rows + down) * width + columns + across


def _walked(
    following: list[int], is_corner: list[bool], places: np.ndarray, inside: np.ndarray
) -> list[tuple[int, np.ndarray]]:
    seen = bytearray(len(following))
    rings = []
    for first in range(len(following)):
        if seen[first]:
            continue
        corners, edge = [], first
        while not seen[edge]:
            seen[edge] = 1
            if is_corner[edge]:
                corners.append(edge)
            edge = following[edge]
        rings.append((int(inside[first]), places[corners]))
    return rings
