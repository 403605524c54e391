"""Boxes around hot areas, against flooding pixel by pixel."""

import numpy as np
import pytest

from opsin.detection.heat_boxes import box_of_heat
from opsin.errors import UsageError


def flooded(heat_map, share):
    """The box of the largest area, by a flood that goes from pixel to pixel."""
    hot = {tuple(place) for place in np.argwhere(heat_map >= share * heat_map.max()).tolist()}
    best: list = []
    while hot:
        area, edge = [], [min(hot)]
        hot.remove(edge[0])
        while edge:
            row, column = edge.pop()
            area.append((row, column))
            for place in ((row - 1, column), (row + 1, column), (row, column - 1), (row, column + 1)):
                if place in hot:
                    hot.remove(place)
                    edge.append(place)
        best = max(best, area, key=len)
    rows, columns = zip(*best, strict=True)
    return [min(columns), min(rows), max(columns) + 1, max(rows) + 1]


@pytest.mark.parametrize("seed", range(20))
def test_the_box_is_that_of_a_flood(seed):
    heat_map = np.random.default_rng(seed).random((23, 31))

    for share in (0.3, 0.45, 0.6, 0.9):
        assert box_of_heat(heat_map, share=share).tolist() == flooded(heat_map, share)


def test_an_area_that_is_joined_only_at_its_bottom_is_one():
    heat_map = np.array([[1, 0, 1, 0, 0], [1, 0, 1, 0, 1], [1, 1, 1, 0, 1]])

    assert box_of_heat(heat_map).tolist() == [0, 0, 3, 3]


def test_all_hot_is_the_whole_and_no_evidence_is_no_box():
    assert box_of_heat(np.full((3, 4), 0.5)).tolist() == [0, 0, 4, 3]
    assert box_of_heat(np.zeros((3, 4))) is None


@pytest.mark.parametrize(
    ("heat_map", "share"), [(np.ones(3), 0.2), (-np.ones((2, 2)), 0.2), (np.ones((2, 2)), 0), (np.ones((2, 2)), 1.1)]
)
def test_what_is_no_heat_map_and_no_share_is_refused(heat_map, share):
    with pytest.raises(UsageError, match="Expected a"):
        box_of_heat(heat_map, share=share)
