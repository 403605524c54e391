"""Pascal VOC's XML: its pixels become edges, and come back."""

import numpy as np
import pytest

from opsin.detection.voc import read_voc, write_voc
from opsin.errors import DataError, UsageError

ONE = """<annotation>
  <filename>photo.jpg</filename>
  <size><width>50</width><height>40</height><depth>3</depth></size>
  <object><name>dog</name><difficult>0</difficult>
    <bndbox><xmin>1</xmin><ymin>3</ymin><xmax>10</xmax><ymax>3</ymax></bndbox></object>
  <object><name>cat</name><difficult>1</difficult>
    <bndbox><xmin>11</xmin><ymin>12</ymin><xmax>50</xmax><ymax>40</ymax></bndbox></object>
</annotation>"""


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "one.xml").write_text(ONE)
    (tmp_path / "none.xml").write_text("<annotation><filename>none.jpg</filename></annotation>")
    return tmp_path


def test_pixels_from_1_become_edges_from_0(folder):
    truth = read_voc(folder)

    assert [(one.id, one.file_name, one.height, one.width) for one in truth.pictures] == [
        ("none", "none.jpg", None, None),
        ("one", "photo.jpg", 40, 50),
    ]
    assert truth.class_names == ("cat", "dog")
    assert truth.class_indices.tolist() == [1, 0]
    assert truth.boxes.tolist() == [[0, 2, 10, 1], [10, 11, 40, 29]]
    assert truth.areas.tolist() == [10, 1160]
    assert truth.is_difficult.tolist() == [False, True]
    assert truth.counts.tolist() == [True, False]


def test_edges_are_taken_as_they_are_if_so_said(folder):
    assert read_voc(folder, convention="edges").boxes.tolist() == [[1, 3, 9, 0], [11, 12, 39, 28]]


@pytest.mark.parametrize("convention", ["pixels", "edges"])
def test_what_was_written_is_read_again(convention, folder, tmp_path):
    truth = read_voc(folder)

    write_voc(truth, tmp_path / "again", convention=convention)
    again = read_voc(tmp_path / "again", convention=convention)

    assert sorted(path.name for path in (tmp_path / "again").iterdir()) == ["none.xml", "photo.xml"]
    for name in ("class_names", "class_indices", "boxes", "is_difficult", "picture_indices"):
        np.testing.assert_array_equal(getattr(truth, name), getattr(again, name))


def test_classes_can_be_given_in_their_order(folder):
    assert read_voc(folder, class_names=["dog", "bird", "cat"]).class_indices.tolist() == [0, 2]
    with pytest.raises(UsageError, match="Received 'cat'"):
        read_voc(folder, class_names=["dog", "bird"])


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("<annotation>\n", "<html>", "Expected XML"),
        ("<xmax>10</xmax>", "<xmax>ten</xmax>", "a number as <bndbox/xmax>.*'ten'"),
        ("<xmax>10</xmax>", "", "received None"),
        ("<xmax>10</xmax>", "<xmax>-5</xmax>", "xmin <= xmax.*xmax -5"),
        ("<name>dog</name>", "", "a <name>"),
        ("<annotation>\n", '<!DOCTYPE a [<!ENTITY b "c">]><annotation>', "DOCTYPE"),
    ],
)
def test_what_is_no_annotation_is_refused(old, new, said, folder):
    (folder / "one.xml").write_text(ONE.replace(old, new))

    with pytest.raises(DataError, match=said):
        read_voc(folder)


def test_a_folder_without_xml_and_an_unknown_convention_are_refused(tmp_path, folder):
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match="found none"):
        read_voc(tmp_path / "empty")
    with pytest.raises(UsageError, match="Did you mean 'pixels'"):
        read_voc(folder, convention="pixel")
