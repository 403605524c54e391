"""What the page of a report draws, as numbers: places on a chart, whiskers, heat maps."""

import re
import xml.etree.ElementTree as ElementTree

import matplotlib
import numpy as np
import pytest

from opsin.evaluation.intervals import Estimate
from opsin.evaluation.page.album import HEAT_SIDE, OPACITY, heat_colors, heat_layer
from opsin.evaluation.page.svg import BOTTOM, LEFT, RIGHT, TOP, Axis, Chart, axis_for, measured, whisker
from opsin.evaluation.page.training import training_curves


def test_the_corners_of_a_chart_are_the_ends_of_its_axes():
    chart = Chart(Axis("x", 2, 4, (2, 4)), Axis("y", 10, 20, (10, 20)), "A line", width=200, height=100)
    chart.line([2, 4], [10, 20], "a")
    line = ElementTree.fromstring(str(chart)).find("polyline")
    corners = [[float(x) for x in point.split(",")] for point in line.get("points").split()]
    assert corners == [[LEFT, 100 - BOTTOM], [200 - RIGHT, TOP]]


def test_words_of_a_chart_are_text_and_are_read_aloud():
    chart = Chart(Axis("<b>"), Axis("a & b"), '"quoted" <svg>')
    chart.word(0.5, 0.5, "</svg>")
    root = ElementTree.fromstring(str(chart))
    assert root.get("aria-label") == '"quoted" <svg>'
    assert {"<b>", "a & b", "</svg>", "50 %"} <= {element.text for element in root.iter("text")}


@pytest.mark.parametrize(
    ("values", "options", "ticks"),
    [
        ([0.12, 0.87], {}, (0, 0.2, 0.4, 0.6, 0.8, 1)),
        ([0, 1, 2, 11], {"whole": True}, (0, 5, 10)),
        ([1], {"whole": True}, (1,)),
        ([0.4, 0.4], {}, (0.4, 0.5)),
        ([-3, 1000], {}, (-250, 0, 250, 500, 750, 1000)),
    ],
)
def test_an_axis_has_few_round_numbers_and_holds_all_values(values, options, ticks):
    axis = axis_for(values, "title", **options)
    assert axis.ticks == pytest.approx(ticks)
    assert (axis.low <= min(values), axis.high >= max(values)) == (True, True)


def test_a_whisker_lies_where_its_interval_does():
    drawn = whisker(Estimate(value=0.5, low=0.25, high=0.75, n=10))
    assert 'd="M25.0 6H75.0' in drawn
    assert 'cx="50.0"' in drawn
    assert whisker(Estimate(5, 4, 6, 1), low=4, high=6).count("50.0") == 1


def test_a_number_that_is_not_known_is_a_hyphen():
    assert measured(None) == "-"
    assert "40.0 to 60.0 %" in measured(Estimate(0.5, 0.4, 0.6, 10))


def test_heat_maps_have_the_colours_of_inferno():
    expected = 255 * matplotlib.colormaps["inferno"](np.linspace(0, 1, 256))[:, :3]
    assert np.abs(heat_colors(256) - expected).max() < 7


def test_a_heat_map_is_small_keeps_its_place_and_covers_most_where_it_is_highest():
    heat = np.zeros((300, 600), np.float32)
    heat[:150, :300] = 1
    layer = heat_layer(heat)
    colors = np.asarray(layer.convert("RGBA"), dtype=int)
    assert layer.size == (HEAT_SIDE, HEAT_SIDE // 2)
    highest, lowest = colors[5, 5], colors[-5, -5]
    assert highest.tolist() == [252, 255, 164, round(255 * OPACITY[1])]
    assert lowest.tolist() == [0, 0, 4, round(255 * OPACITY[0])]


def test_heat_that_is_no_number_is_no_evidence():
    colors = np.asarray(heat_layer(np.array([[np.nan, 1.0]])).convert("RGB"))
    assert colors.tolist() == [[[0, 0, 4], [252, 255, 164]]]


def test_curves_leave_out_what_was_not_measured():
    history = [
        {"epoch": 1, "loss": 2.0, "accuracy": 0.3, "val_loss": None},
        {"epoch": 2, "loss": 1.0, "accuracy": 0.6, "val_loss": 1.5},
    ]
    drawn = training_curves(history)
    assert [line.count(",") for line in re.findall(r'class="line \w" points="(.*?)"', drawn)] == [2, 1, 2]
    assert "loss over the epochs. training: from 2.000 to 1.000; validation: from 1.500 to 1.500" in drawn


@pytest.mark.parametrize("history", [[], [{"epoch": 1, "phase": "head"}], [{"epoch": 1, "loss": None}]])
def test_without_curves_there_is_no_section(history):
    assert training_curves(history) == ""
