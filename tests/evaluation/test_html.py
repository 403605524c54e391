from html.parser import HTMLParser

import numpy as np

from opsin.evaluation.html import report_page
from opsin.evaluation.report import Report

HOSTILE = ['<script>alert("x")</script>', "\"'><img src=x onerror=y>", "a & b\nc", "向日葵"]


class Page(HTMLParser):
    """The tags, the attributes and the text of a page."""

    def __init__(self, page):
        super().__init__()
        self.tags, self.attributes, self.words = [], [], []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs

    def handle_data(self, data):
        self.words.append(data)


def report_on(labels, said, class_names, **kwargs):
    paths = [f"photos/{class_names[label]}.png" for label in labels]
    return Report.from_predictions(labels, np.eye(len(class_names))[said], paths, class_names, **kwargs)


def test_hostile_names_stay_text():
    report = report_on([0, 1, 2, 3], [1, 2, 3, 0], HOSTILE, skipped=[(HOSTILE[0], HOSTILE[1])])
    page = Page(report_page(report, settings={HOSTILE[0]: HOSTILE[1]}))

    assert {"script", "img"}.isdisjoint(page.tags)
    assert not any(name.startswith("on") for name, _ in page.attributes)
    assert {HOSTILE[0], HOSTILE[1], "a & b\\nc", "向日葵"} <= set(page.words)


def test_the_page_needs_nothing_from_outside():
    report = report_on([0, 1], [0, 0], ["cat", "dog"])
    page = Page(report_page(report, history=[{"epoch": 1, "loss": 1.0}]))
    assert {"link", "script", "iframe"}.isdisjoint(page.tags)
    sources = [value for name, value in page.attributes if name in ("src", "href", "xlink:href")]
    assert all(value.startswith(("#", "data:")) for value in sources)
    assert "url(http" not in "".join(page.words)


def test_the_headline_says_the_accuracy_with_its_interval_and_pictures():
    labels = np.repeat([0, 1], 375)
    said = labels.copy()
    said[:51] = 1
    words = "".join(Page(report_page(report_on(labels, said, ["cat", "dog"]))).words)
    assert "93.2 %\nof 750 pictures judged rightly (95 % interval 91.2 to 94.8 %)" in words


def test_sections_without_content_are_left_out():
    words = Page(report_page(report_on([0, 1], [0, 1], ["cat", "dog"]))).words
    assert {"Training", "Left out", "Settings", "Most confused"}.isdisjoint(words)
    assert "None: every picture was judged rightly." in words


def test_each_section_appears_with_its_content():
    report = report_on([0, 1], [1, 1], ["cat", "dog"], skipped=[("broken.png", "the file ends early")])
    history = [{"epoch": 1, "loss": 1.0, "accuracy": 0.5}]
    words = Page(report_page(report, history=history, settings={"seed": 0})).words
    headings = {"Classes", "Confusions", "Most confused", "Training", "Mistakes", "Left out", "Settings"}
    assert headings <= set(words)
    assert {"photos/cat.png", "broken.png", "the file ends early", "seed", "0"} <= set(words)


def test_a_class_without_pictures_is_explained():
    words = "".join(Page(report_page(report_on([0, 1], [0, 1], ["cat", "dog", "yeti"]))).words)
    assert "A class without pictures here has no scores" in words


def test_many_classes_are_folded_and_all_there():
    k = 120
    page = Page(report_page(report_on(range(k), range(k), [f"name {index}" for index in range(k)])))
    assert "95 more" in page.words
    assert {f"name {index}" for index in range(k)} <= set(page.words)
