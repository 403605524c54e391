"""Polygons that are masks again, pixel for pixel."""

import csv
import json
import tracemalloc

import numpy as np
import pytest

from opsin.detection.coco import read_coco
from opsin.errors import UsageError
from opsin.segmentation.areas import write_areas
from opsin.segmentation.classes import ClassTable
from opsin.segmentation.polygons import areas_of, write_coco_areas

TABLE = ClassTable(("ground", "cell", "wall"))


def inside(polygon: np.ndarray, height: int, width: int) -> np.ndarray:
    """Which pixels' centres a polygon encloses: an odd number of its sides lies to the right."""
    y, x = np.mgrid[:height, :width] + 0.5
    odd = np.zeros((height, width), bool)
    for (x0, y0), (x1, y1) in zip(polygon, np.roll(polygon, -1, axis=0), strict=True):
        if y0 != y1:
            crossing = x0 + (y - y0) * (x1 - x0) / (y1 - y0)
            odd ^= ((y0 <= y) != (y1 <= y)) & (crossing > x)
    return odd


def enclosed(polygon: np.ndarray) -> float:
    x, y = polygon.T
    return (x @ np.roll(y, -1) - y @ np.roll(x, -1)) / 2


def blobs(seed: int) -> np.ndarray:
    """A mask of three classes with holes, corners that touch and pixels of their own."""
    coarse = np.random.default_rng(seed).integers(0, 3, (9, 11), np.uint8)
    mask = coarse.repeat(3, axis=0).repeat(2, axis=1)
    mask[4:20, 5:15] = 1
    mask[8:12, 8:11] = 0
    mask[14, 9] = mask[15, 10] = 2
    mask[0, :3] = 255
    return mask


@pytest.mark.parametrize("seed", range(5))
def test_polygons_drawn_again_are_the_mask(seed):
    mask = blobs(seed)
    drawn = np.full(mask.shape, 255, np.uint8)

    for area in areas_of(mask, TABLE):
        pixels = inside(area.polygon, *mask.shape)
        assert (drawn[pixels] == 255).all()
        drawn[pixels] = area.class_index
        assert pixels.sum() == area.pixels == enclosed(area.polygon)
        rows, columns = np.nonzero(pixels)
        left, top, width, height = area.box
        assert (left, top) == (columns.min(), rows.min())
        assert (left + width, top + height) == (columns.max() + 1, rows.max() + 1)

    assert drawn.tolist() == mask.tolist()


def test_a_rectangle_has_four_corners():
    mask = np.zeros((5, 6), np.uint8)
    mask[1:3, 2:5] = 1

    (area,) = areas_of(mask, TABLE, leave_out=["ground"])

    assert area.polygon.tolist() == [[2, 1], [5, 1], [5, 3], [2, 3]]
    assert (area.pixels, area.box) == (6, (2, 1, 3, 2))


def test_areas_that_touch_by_a_corner_are_two():
    mask = np.array([[1, 0], [0, 1]], np.uint8)

    assert [area.pixels for area in areas_of(mask, TABLE, leave_out=["ground"])] == [1, 1]


def test_small_areas_are_left_out():
    mask = np.zeros((4, 4), np.uint8)
    mask[0, 0] = 1
    mask[2:, 2:] = 1

    assert [area.pixels for area in areas_of(mask, TABLE, leave_out=["ground"], least_pixels=2)] == [4]
    assert areas_of(np.full((2, 2), 255, np.uint8), TABLE) == []
    with pytest.raises(UsageError, match="Did you mean 'ground'"):
        areas_of(mask, TABLE, leave_out=["gruond"])


def test_coco_json_is_read_again(tmp_path):
    masks = {"a.png": blobs(0), "b.png": np.zeros((4, 4), np.uint8)}

    number = write_coco_areas(tmp_path / "areas.json", masks.items(), TABLE, leave_out=["ground"])

    truth = read_coco(tmp_path / "areas.json")
    assert len(truth) == number > 2
    assert truth.class_names == ("cell", "wall")
    assert [one.file_name for one in truth.pictures] == ["a.png", "b.png"]
    assert truth.areas[truth.class_indices == 0].sum() == (blobs(0) == 1).sum()
    first = json.loads((tmp_path / "areas.json").read_text())["annotations"][0]
    assert len(first["segmentation"]) == 1
    assert inside(np.array(first["segmentation"][0]).reshape(-1, 2), *blobs(0).shape).sum() == first["area"]


def test_areas_are_a_line_for_each_picture_and_class(tmp_path):
    mask = np.array([[0, 1, 1, 255]], np.uint8)

    write_areas(tmp_path / "areas.csv", [("a.png", mask)], TABLE)

    with (tmp_path / "areas.csv").open(newline="") as file:
        assert list(csv.reader(file)) == [
            ["picture", "class", "pixels", "share"],
            ["a.png", "ground", "1", "0.333333"],
            ["a.png", "cell", "2", "0.666667"],
            ["a.png", "wall", "0", "0.000000"],
        ]


def test_outlines_of_a_large_picture_take_no_table_of_all_its_places():
    classes = np.zeros((1000, 1000), np.uint8)
    classes[100:900, 200:800] = 1

    tracemalloc.start()
    ground, cell = areas_of(classes, ClassTable(("ground", "cell")))
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert (ground.pixels, cell.pixels) == (520_000, 480_000)
    assert cell.polygon.tolist() == [[200, 100], [800, 100], [800, 900], [200, 900]]
    assert most < 16 * classes.size
