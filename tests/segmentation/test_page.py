"""The report's page: complete, self-contained, and deaf to what names contain."""

import base64
import hashlib
import re

import numpy as np
import pytest

from opsin.segmentation.cards import JudgedPicture, cards
from opsin.segmentation.classes import ClassTable
from opsin.segmentation.metrics import PixelJudge
from opsin.segmentation.page import PageContent, segmentation_page

EVIL = '<img src=x onerror="alert(1)">'


def content(k: int = 2, n: int = 3, **settings) -> PageContent:
    random = np.random.default_rng(0)
    table = ClassTable((*(f"class {c}" for c in range(k - 1)), EVIL))
    truth = random.integers(0, k, (n, 12, 16), np.uint8)
    said = np.where(random.random(truth.shape) < 0.7, truth, np.uint8(k - 1))
    judge = PixelJudge(table.names)
    judge.add(truth, said)
    metrics = judge.finish()
    pictures = [
        JudgedPicture(f"images/{row}{EVIL}.png", float(metrics.picture_ious[row]), image(row), truth[row], said[row])
        for row in np.argsort(metrics.picture_ious)
    ]
    return PageContent(metrics, table, pictures, **settings)


def image(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (12, 16, 3), np.uint8)


def test_the_page_needs_nothing_else_and_runs_nothing():
    page = segmentation_page(content(history=[{"epoch": 1, "loss": 1.0}, {"epoch": 2, "loss": 0.5, "iou": 0.7}]))

    style = re.search(r"<style>(.*?)</style>", page, re.DOTALL)[1]
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert f"style-src &#x27;sha256-{digest}" in page or f"style-src 'sha256-{digest}'" in page
    assert "resize: horizontal" in style
    assert "<script" not in page
    assert " style=" not in page
    loaded = re.findall(r'(?:href|src)="([^"]*)"', page)
    assert {address[:5] for address in loaded if not address.startswith("#")} == {"data:"}


def test_names_are_text_and_never_markup():
    page = segmentation_page(content(title=EVIL, subtitle=EVIL, skipped=[(EVIL, EVIL)], settings={EVIL: EVIL}))

    assert "<img" not in page
    assert page.count("&lt;img src=x onerror=") >= 8


def test_the_numbers_are_those_of_the_metrics():
    shown = content()
    page = segmentation_page(shown)

    assert f"{100 * shown.metrics.mean_iou.value:.1f} %" in page
    assert f"{shown.metrics.per_class[0].dice.value:.3f}" in page
    assert f"{shown.metrics.confusion_matrix[0, 1]:,}" in page
    assert "3 pictures say little" in page


def test_every_picture_has_its_truth_its_answer_and_its_mistakes():
    page = segmentation_page(content(n=4))

    names = re.findall(r'<symbol id="(\w+)"', page)
    assert sorted(names) == sorted(f"{kind}{number}" for kind in "ptaw" for number in range(4))
    for name in names:
        assert f'href="#{name}"' in page
    assert page.count('class="slider"') == 4


def test_pictures_without_room_are_counted():
    pictures = content(n=5).pictures
    one = sum(map(len, cards(pictures[:1], content().classes, 1, 10**9)))

    shown, album = cards(iter(pictures), content().classes, 5, 2 * one + 500)

    assert shown.count("<li ") == 2
    assert album.count("<symbol") == 8
    assert "3 more pictures are not shown." in shown
    assert cards(pictures, content().classes, 5, 0) == cards((), content().classes, 0, 10**9) == ("", "")


def test_what_has_no_answer_and_what_is_nowhere_is_said():
    table = ClassTable(("ground", "cell", "rare"))
    judge = PixelJudge(table.names)
    judge.add(np.array([[0, 1, 1, 0]], np.uint8), np.array([[0, 1, 255, 0]], np.uint8))

    page = segmentation_page(PageContent(judge.finish(), table))

    assert "In no picture here: <bdi>rare</bdi>" in page
    assert "25.0 % of the pixels have no answer" in page
    assert "Worst pictures first" not in page


def test_boundaries_that_nobody_knows_are_said():
    table = ClassTable(("ground", "cell"))
    judge = PixelJudge(table.names)
    judge.add(np.array([[0, 255, 1, 255]], np.uint8), np.array([[0, 1, 1, 1]], np.uint8))

    page = segmentation_page(PageContent(judge.finish(), table))

    assert "Boundaries are not judged of: <bdi>ground</bdi>, <bdi>cell</bdi>. 100.0 % of the pixels" in page


@pytest.mark.parametrize(
    ("k", "says"), [(1, None), (25, 'class="matrix many"'), (30, "Confusion matrix of 30 classes")]
)
def test_the_matrix_is_a_table_of_few_classes_and_a_picture_of_many(k, says):
    page = segmentation_page(content(k=k))

    assert ("Confusion matrix" in page) == (says is not None)
    assert says is None or says in page
