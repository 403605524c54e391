"""The table of classes: what it takes, what it refuses, and the file it is read from."""

import json

import pytest

from opsin.errors import DataError, ModelError, UsageError
from opsin.segmentation.classes import ClassTable, default_palette, read_colors


def test_a_table_comes_back_from_its_json():
    table = ClassTable(("cell", "wall"), ((1, 2, 3), (4, 5, 6)), (9,), (7, 8), "color", ((0, 0, 1),))

    assert ClassTable.from_dict(json.loads(json.dumps(table.to_dict()))) == table
    with pytest.raises(ModelError, match="class table"):
        ClassTable.from_dict({"names": ["cell"]})


def test_the_default_palette_has_a_colour_of_its_own_for_every_class():
    palette = default_palette(255)

    assert len(set(palette)) == 255
    assert palette[:20] == default_palette(20)
    assert ClassTable(("a", "b")).colors == palette[:2]


def test_the_palette_of_a_png_ends_in_white_for_what_is_ignored():
    palette = ClassTable(("a",), ((9, 8, 7),)).palette

    assert len(palette) == 768
    assert (palette[:3], palette[-3:]) == ([9, 8, 7], [255, 255, 255])


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"names": ()}, "1 to 255 classes"),
        ({"names": ("a", "a")}, "'a' twice"),
        ({"names": ("a", "")}, "a name for every class"),
        ({"names": ("a", "b"), "values": (1,)}, "a value for each of 2"),
        ({"names": ("a", "b"), "values": (1, 1)}, "1 twice"),
        ({"names": ("a",), "values": (70000,)}, "0 to 65535"),
        ({"names": ("a",), "colors": ((0, 0, 300),)}, "0 to 255"),
        ({"names": ("a", "b"), "colors": ((0, 0, 0), (0, 0, 0)), "code": "color"}, "twice"),
        ({"names": ("sea", "land"), "ignore": (1,)}, "1 is the value of 'land'"),
        ({"names": ("a",), "code": "colour"}, "Did you mean 'color'"),
    ],
)
def test_parts_that_do_not_fit_together_are_refused(settings, says):
    with pytest.raises(UsageError, match=says):
        ClassTable(**settings)


def test_a_table_of_colours_goes_by_colours_and_one_of_values_by_values(tmp_path):
    by_color, by_value = tmp_path / "colors.csv", tmp_path / "values.csv"
    by_color.write_text("name,r,g,b\nsea, 0, 0, 255\nland,0,255,0\nvoid,255,255,255\n")
    by_value.write_text("\ufeffname,value,r,g,b\nsea,10,0,0,255\nland,20,0,255,0\nignore,99,1,1,1\n", encoding="utf-8")

    sea = ("sea", "land"), ((0, 0, 255), (0, 255, 0))
    assert read_colors(by_color) == ClassTable(*sea, code="color", ignore_colors=((255, 255, 255),))
    assert read_colors(by_value, ignore=[3]) == ClassTable(*sea, values=(10, 20), ignore=(3, 99))


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("name,r,g\nsea,0,0\n", "missing: b"),
        ("name,r,g,b\n", "a line for each class"),
        ("name,r,g,b\nsea,0,0,blue\n", "whole numbers in line 2"),
        ("name,r,g,b\nsea,0,0,0\nland,0,0,0\n", "different colour"),
        ("name,r,g,b\nsea,0,0,999\n", "0 to 255"),
        ("name,r,g,b\nvoid,0,0,9\n", "1 to 255 classes"),
    ],
)
def test_a_table_that_cannot_be_used_says_why(tmp_path, content, says):
    file = tmp_path / "classes.csv"
    file.write_text(content)

    with pytest.raises(DataError, match=says):
        read_colors(file)


def test_a_table_that_is_not_there_is_wrong_usage(tmp_path):
    with pytest.raises(UsageError, match="there is none at"):
        read_colors(tmp_path / "classes.csv")
