import warnings
import xml.etree.ElementTree as ElementTree

import matplotlib
import numpy as np
import pytest

from opsin.evaluation.charts import confusion_matrix_chart, history_chart, to_svg


def texts(figure):
    axes = figure.axes[0]
    return [text.get_text() for text in axes.texts], [label.get_text() for label in axes.get_yticklabels()]


def test_each_cell_of_a_small_matrix_has_its_count_and_each_row_its_name():
    figure = confusion_matrix_chart(np.array([[5, 1], [0, 2000]]), ["cat", "dog"])
    assert texts(figure) == (["5", "1", "2000"], ["cat", "dog"])


def test_colour_is_the_share_of_the_row_and_a_class_without_pictures_has_none():
    figure = confusion_matrix_chart(np.array([[3, 1], [0, 0]]), ["cat", "dog"])
    np.testing.assert_allclose(figure.axes[0].images[0].get_array(), [[0.75, 0.25], [0, 0]])


@pytest.mark.parametrize(("k", "counted", "named"), [(20, True, True), (21, False, True), (120, False, False)])
def test_many_classes_lose_their_counts_first_and_then_their_names(k, counted, named):
    counts, labels = texts(confusion_matrix_chart(np.eye(k, dtype=int), [f"name {i}" for i in range(k)]))
    assert (bool(counts), "name 0" in labels) == (counted, named)


def test_class_names_are_no_formulas_no_markup_and_in_any_script():
    names = ["a$b$c", "<script>x</script>", "向日葵", "$\\frac{"]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        svg = to_svg(confusion_matrix_chart(np.eye(4, dtype=int), names), "Confusion matrix")

    root = ElementTree.fromstring(svg)
    written = ["".join(element.itertext()).strip() for element in root.iter("{http://www.w3.org/2000/svg}text")]
    assert set(names) <= set(written)


def test_two_charts_can_stand_in_one_page():
    svg = to_svg(history_chart([{"epoch": 1, "loss": 1.0}]), "Curves")
    assert "<style" not in svg
    assert 'id="axes_1"' not in svg
    assert svg.startswith('<svg role="img" aria-label="Curves"')
    assert "currentColor" in svg


def test_equal_data_gives_equal_text_and_the_callers_settings_stay():
    before = dict(matplotlib.rcParams)
    first, second = (to_svg(confusion_matrix_chart(np.eye(3, dtype=int), list("abc")), "m") for _ in range(2))
    assert first == second
    assert dict(matplotlib.rcParams) == before


def test_curves_leave_out_what_was_not_measured():
    history = [
        {"epoch": 1, "loss": 2.0, "accuracy": 0.3, "val_loss": None},
        {"epoch": 2, "loss": 1.0, "accuracy": 0.6, "val_loss": 1.5},
    ]
    figure = history_chart(history)
    curves = {
        (panel.get_title(loc="left"), line.get_label()): line.get_xydata().tolist()
        for panel in figure.axes
        for line in panel.get_lines()
    }
    assert curves == {
        ("loss", "training"): [[1, 2.0], [2, 1.0]],
        ("loss", "validation"): [[2, 1.5]],
        ("accuracy", "training"): [[1, 0.3], [2, 0.6]],
    }


def test_one_epoch_is_drawn_without_a_warning():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        svg = to_svg(history_chart([{"epoch": 1, "accuracy": 0.5}]), "Curves")
    assert "training" in svg
    assert "loss" not in svg
