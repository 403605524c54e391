import numpy as np
from rich.cells import cell_len

from opsin.evaluation.report import Report


def summary_of(labels, said, class_names, **kwargs):
    probabilities = np.eye(len(class_names))[said]
    paths = [f"{index}.png" for index in range(len(labels))]
    return str(Report.from_predictions(labels, probabilities, paths, class_names, **kwargs))


def test_the_summary_of_four_pictures_is_this_text():
    text = summary_of([0, 0, 1, 1], [0, 0, 1, 0], ["cat", "dog"], skipped=[("x.png", "the file is empty")])
    assert (
        text
        == """\
4 pictures, 2 classes (split: test)
  accuracy           75.0 % (95 % interval 30.1 to 95.4 %)
  balanced accuracy  75.0 % (28.9 to 95.7 %)
  macro F1           0.733 (0.272 to 0.953)
  log-loss           9.011 (0.000 to 36.044)
  calibration error  25.0 % (more than chance gives: up to 0.0 %)

  class  precision     recall         F1   pictures
  cat        0.667      1.000      0.800          2
  dog        1.000      0.500      0.667          2

most confused
  dog taken for cat: 1 of 2 pictures

Mind: cat has only 2 pictures here: its true recall may be anything from 34.2 % to 100.0 %.
Mind: dog has only 2 pictures here: its true recall may be anything from 9.5 % to 90.5 %.

1 picture could not be read and took no part
  x.png: the file is empty"""
    )


def test_a_thousand_classes_show_the_ten_worst_and_how_many_more():
    labels = np.arange(1000)
    said = np.where(labels < 7, labels + 500, labels)
    lines = summary_of(labels, said, [f"n{index:04d}" for index in labels]).splitlines()

    table = lines[lines.index(next(line for line in lines if "precision" in line)) :]
    assert [line.split()[0] for line in table[1:8]] == [f"n{index:04d}" for index in range(7)]
    assert table[11] == "  … and 990 more classes; these have the lowest F1"
    assert len(lines) < 35


def test_columns_stay_aligned_beside_names_in_any_script():
    lines = summary_of([0, 1, 2], [0, 1, 2], ["向日葵", "a" * 90, "two\nlines"]).splitlines()
    start = lines.index(next(line for line in lines if "precision" in line))
    table = lines[start : start + 4]
    assert len({cell_len(line) for line in table}) == 1
    assert "two\\nlines" in table[3]


def test_no_picture_left_out_and_none_confused_leave_no_empty_headings():
    text = summary_of([0, 1], [0, 1], ["cat", "dog"])
    assert "confused" not in text
    assert "could not be read" not in text


def test_many_unreadable_pictures_are_counted_and_not_all_listed():
    text = summary_of([0, 1], [0, 1], ["cat", "dog"], skipped=[(f"{i}.png", "empty") for i in range(50)])
    assert "50 pictures could not be read" in text
    assert text.endswith("… and 40 more")
