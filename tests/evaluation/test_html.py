"""The page of a report stands alone, says what the report holds, and takes no name for HTML."""

import base64
import hashlib
import io
import itertools
import os
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from opsin.evaluation.evidence import Advice, Corrupted, Explained, FeatureMap, Neighbour, Robustness, Slice
from opsin.evaluation.html import report_page
from opsin.evaluation.intervals import estimate
from opsin.evaluation.page.album import MOST, Album
from opsin.evaluation.page.confusion import TABLE_CLASSES, matrix_image, pictures_a_cell
from opsin.evaluation.page.frame import LIMIT
from opsin.evaluation.report import Report
from opsin.evaluation.selective import weigh

HOSTILE = [
    '<script>alert("x")</script>',
    "\"'><img src=x onerror=y>",
    "</style></title></svg>]]>-->",
    "a & b\nc",
    "向日葵",
    "right\u202eto left",
    "caf\udce9",
    "x" * 200,
]
ALONE = {"meta", "input", "img", "br", "link", "hr"}
HISTORY = [{"epoch": 1, "loss": 1.0, "accuracy": 0.5, "val_loss": None}, {"epoch": 2, "loss": 0.5, "val_loss": 0.7}]


class Page(HTMLParser):
    """The tags, the attributes and the text of a page, whose tags must be closed in their order."""

    def __init__(self, page):
        super().__init__()
        self.tags, self.attributes, self.words, self.open, self.source = [], [], [], [], page
        self.feed(page)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.handle_startendtag(tag, attrs)
        if tag not in ALONE:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)

    @property
    def text(self):
        return "".join(self.words)

    def all(self, name):
        return [value for key, value in self.attributes if key == name]


def report_on(labels, said, class_names, **kwargs):
    paths = kwargs.pop("paths", [f"photos/{class_names[label]}.png" for label in labels])
    probabilities = 0.8 * np.eye(len(class_names))[said] + 0.2 / len(class_names)
    return Report.from_predictions(labels, probabilities, paths, class_names, **kwargs)


def full(report):
    """Fill every kind of evidence, with the report's own names wherever a name stands."""
    names, wrong, k = report.class_names, report.paths[0], len(report.class_names)
    heat = np.eye(7, dtype=np.float32)
    third = estimate(1, 3)
    return report.with_evidence(
        slices=(Slice(names[0], names[1], third, estimate(2, 3), 0.04),),
        robustness=Robustness(estimate(2, 3), (Corrupted(names[0], 1, third), Corrupted(names[0], 5, third))),
        costs=weigh(report.labels, report.probabilities, 1.0 - np.eye(k)),
        explained={wrong: Explained(heat, 2.0, (Neighbour(report.paths[-1], names[1], 0.9),))},
        map=FeatureMap(np.random.default_rng(0).normal(size=(report.metrics.n, 2)), np.arange(report.metrics.n), "PCA"),
        advice=(Advice(f"Look at {names[0]}.", f"Half of {names[1]}.", 0.05, (wrong,)),),
    )


@pytest.fixture
def photos(tmp_path):
    """A folder of ten photos, `0.png` to `9.png`, each of one colour of its own."""
    for index in range(10):
        Image.new("RGB", (60, 40), (25 * index, 100, 200 - 20 * index)).save(tmp_path / f"{index}.png")
    return tmp_path


def test_hostile_names_stay_text_wherever_they_stand():
    k = len(HOSTILE)
    paths = [f"{name}/]]>{name}.png" for name in HOSTILE]
    report = report_on(
        np.arange(k),
        (np.arange(k) + 1) % k,
        HOSTILE,
        paths=paths,
        skipped=[(HOSTILE[0], HOSTILE[2])],
        root="/no/folder",
    )
    page = Page(report_page(full(report), history=HISTORY, settings={HOSTILE[0]: HOSTILE[1]}))

    assert {"script", "img", "iframe", "object", "base", "form"}.isdisjoint(page.tags)
    assert not any(name.startswith("on") or name == "style" for name, _ in page.attributes)
    assert (page.tags.count("title"), page.tags.count("style")) == (1, 1)
    shown = {HOSTILE[0], "a & b\\nc", "向日葵", "right\\u202eto left", "caf\\udce9", HOSTILE[2]}
    assert shown <= set(page.words)
    assert {HOSTILE[1], "x" * 200} <= set(page.all("title"))
    page.source.encode("utf-8")


def test_names_make_no_id_and_no_class():
    calm = full(report_on([0, 1, 0], [1, 0, 0], ["cat", "dog"], paths=["a", "b", "c"], root="/no/folder"))
    wild = full(report_on([0, 1, 0], [1, 0, 0], HOSTILE[:2], paths=HOSTILE[:3], root="/no/folder"))
    for name in ("id", "class", "href"):
        assert Page(report_page(calm)).all(name) == Page(report_page(wild)).all(name)


def test_the_page_needs_nothing_from_outside(photos):
    report = full(report_on([0, 1, 0], [1, 1, 0], ["cat", "dog"], paths=["0.png", "1.png", "2.png"], root=photos))
    page = Page(report_page(report, history=HISTORY))
    assert {"link", "script", "iframe"}.isdisjoint(page.tags)
    sources = [value for name, value in page.attributes if name in ("src", "href", "xlink:href", "srcset", "action")]
    assert all(re.match(r"#|data:image/(jpeg|png);base64,", value) for value in sources)
    assert not re.search(r"https?:|@import|url\(", page.source)


def test_the_page_forbids_all_but_its_own_style_and_its_own_pictures():
    page = Page(report_page(report_on([0, 1], [0, 1], ["cat", "dog"])))
    style = re.search(r"<style>(.*)</style>", page.source, re.DOTALL)[1]
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    policy = next(value for value in page.all("content") if "default-src" in value)
    assert policy.split("; ")[:4] == [
        "default-src 'none'",
        f"style-src 'sha256-{digest}'",
        "img-src data:",
        "script-src 'none'",
    ]


def test_every_link_leads_to_a_place_in_the_page(photos):
    report = full(report_on([0, 1, 0], [1, 0, 0], ["cat", "dog"], paths=["0.png", "1.png", "no.png"], root=photos))
    page = Page(report_page(report, history=HISTORY, settings={"seed": 0}))
    places = page.all("id")
    assert {value[1:] for value in page.all("href") if value.startswith("#")} <= set(places)
    assert len(places) == len(set(places))


def test_the_headline_says_the_accuracy_with_its_interval_and_pictures():
    labels = np.repeat([0, 1], 375)
    said = labels.copy()
    said[:51] = 1
    text = Page(report_page(report_on(labels, said, ["cat", "dog"]))).text
    assert "93.2 %\nof 750 pictures judged rightly (95 % interval 91.2 to 94.8 %)" in text


def test_the_page_is_called_after_the_folder_of_the_pictures_and_their_part(tmp_path):
    for split, name in (("test", "test pictures"), ("<odd>", "<odd>")):
        words = Page(report_page(report_on([0, 1], [0, 1], ["cat", "dog"], split=split, root=tmp_path / "<my>"))).words
        assert f"Report on {name}: <my>: 2 pictures, 2 classes" in words


def test_other_numbers_say_how_their_intervals_were_found():
    page = report_page(report_on([0, 1, 2, 3] * 5, [0, 1, 2, 0] * 5, ["a", "b", "c", "d"]))
    rows = {row[0]: row for row in re.findall(r'<tr><th scope="row" class="text">([^<]*)</th>(.*)</tr>', page)}
    assert "bootstrap" in rows["balanced accuracy"][1]
    assert "Wilson" in rows["top-3 accuracy"][1]
    assert "<b>75.0 %</b>" in rows["balanced accuracy"][1]


def test_warnings_stand_at_the_top():
    text = Page(report_page(report_on([0, 1], [0, 1], ["cat", "dog"]))).text
    assert text.index("Mind: cat has only 1 picture here") < text.index("Confusion matrix")


def test_sections_without_content_are_left_out():
    words = Page(report_page(report_on([0, 1], [0, 1], ["cat", "dog"]))).words
    optional = {
        "What to do next",
        "Most confused pairs",
        "Worst mistakes",
        "What mistakes cost",
        "Under which conditions",
    }
    optional |= {"How the network sees the pictures", "Training", "Left out", "Settings"}
    assert optional.isdisjoint(words)
    assert "None: every picture was judged rightly." in words


def test_each_section_appears_with_its_content():
    report = full(report_on([0, 1], [1, 1], ["cat", "dog"], skipped=[("broken.png", "the file ends early")]))
    words = Page(report_page(report, history=HISTORY, settings={"seed": 0})).words
    headings = [
        *("How good it is", "What to do next", "Where it fails", "Confusion matrix", "Most confused pairs"),
        *("Worst mistakes", "Classes", "Curves of each class", "How sure it is", "Answering only where sure"),
        *("What mistakes cost", "Under which conditions", "Pictures that have something in common"),
        *(
            "Pictures that were spoilt a little",
            "How the network sees the pictures",
            "Training",
            "Left out",
            "Settings",
        ),
    ]
    after_contents = words[words.index("Colours") :]
    places = [after_contents.index(heading) for heading in headings]
    assert places == sorted(places)
    assert {"photos/cat.png", "broken.png", "the file ends early", "seed", "0"} <= set(words)


def test_a_cell_shows_its_count_its_share_and_its_pictures(photos):
    paths = [f"{index}.png" for index in range(4)]
    page = report_page(report_on([0, 0, 0, 1], [1, 1, 0, 1], ["cat", "dog"], paths=paths, root=photos))
    cell = re.search(r'<a href="#cell-0-1">(.*?)</a>', page)[1]
    assert cell == '<span class="counts">2</span><span class="shares">66.7</span>'
    panel = re.search(r'id="cell-0-1".*?</div>', page, re.DOTALL)[0]
    assert re.findall(r'aria-label="(\d\.png)"', panel) == ["0.png", "1.png"]


def test_many_cells_share_the_room_for_pictures():
    assert [pictures_a_cell(sizes) for sizes in ([5, 2], [12] * 40, [3] * 600)] == [12, 7, 1]


def test_of_many_classes_the_matrix_is_a_picture_and_each_pair_unfolds():
    k = TABLE_CLASSES + 1
    labels = np.arange(k).repeat(2)
    said = labels.copy()
    said[0] = 1
    page = Page(report_page(report_on(labels, said, [f"name {index}" for index in range(k)])))
    assert f"Confusion matrix of {k} classes" in page.all("aria-label")
    assert "matrix few" not in page.all("class")
    assert "name 0 taken for name 1: 1 of 2 pictures" in page.text


def test_the_picture_of_a_matrix_has_right_on_its_diagonal_and_rare_mistakes_stay_seen():
    matrix = 9 * np.eye(1000, dtype=int)
    matrix[3, 900] = 1
    image = np.asarray(matrix_image(matrix))
    assert image.shape == (250, 250, 4)
    right, wrong = image[100, 100], image[0, 225]
    assert (int(right[3]), int(wrong[3])) == (255, round(255 * 0.1**0.5))
    assert right[2] > right[0]
    assert wrong[0] > wrong[2]
    assert np.count_nonzero(image[..., 3]) == 251


def test_a_mistake_shows_its_picture_its_heat_and_its_neighbours(photos):
    report = full(report_on([0, 1], [1, 1], ["cat", "dog"], paths=["9.png", "1.png"], root=photos))
    page = report_page(report)
    card = re.search(r'<li class="card">.*?</li>\n', page, re.DOTALL)[0]
    number = re.search(r'href="#h(\d+)"', card)[1]
    address = re.search(rf'<symbol id="p{number}".*?href="data:image/jpeg;base64,(.*?)"', page)[1]
    shown = np.asarray(Image.open(io.BytesIO(base64.b64decode(address))), dtype=int)
    assert shown.shape == (213, 320, 3)
    assert np.abs(shown - (225, 100, 20)).max() < 8
    assert 'aria-label="1.png, of class dog"' in card
    assert "heat-shown" in page


def test_no_evidence_is_said_instead_of_drawn(photos):
    report = report_on([0, 1], [1, 1], ["cat", "dog"], paths=["9.png", "1.png"], root=photos)
    page = report_page(report.with_evidence(explained={"9.png": Explained(np.zeros((7, 7), np.float32), 0.0)}))
    assert "No evidence: nothing in the picture speaks for this answer." in page
    assert 'class="heat"' not in page


def test_pictures_that_are_gone_or_broken_have_an_empty_frame(photos):
    (photos / "1.png").write_bytes(b"not a picture")
    paths = ["no.png", "1.png", "2.png"]
    page = report_page(report_on([0, 0, 1], [1, 1, 0], ["cat", "dog"], paths=paths, root=photos))
    assert page.count("no picture") == 2
    assert page.count("data:image/jpeg") == 1


def test_without_a_folder_no_picture_is_looked_for():
    page = report_page(full(report_on([0, 1], [1, 0], ["cat", "dog"])))
    assert "<use" not in page
    assert "no picture" not in page


@pytest.mark.skipif(os.name == "nt", reason="names are text there")
def test_a_name_that_is_not_utf8_is_shown_with_its_picture(photos):
    os.rename(photos / "0.png", os.fsencode(photos) + b"/caf\xe9.png")  # noqa: PTH104 - bytes
    page = report_page(report_on([0, 1], [1, 1], ["cat", "dog"], paths=["caf\udce9.png", "1.png"], root=photos))
    assert "caf\\udce9.png" in page
    assert page.count("data:image/jpeg") == 1


def test_a_picture_stands_in_the_page_once_however_often_it_is_shown(photos):
    album = Album(photos)
    shown = album.show("3.png") + album.show_large("3.png") + album.show("3.png")
    assert shown.count('href="#p0"') == 3
    assert album.symbols(10**6).count("data:image") == 1


def test_pictures_that_there_is_no_room_for_are_said_to_be_left_out(photos):
    alone, album = Album(photos), Album(photos)
    alone.show("6.png")
    for rank, name in ((2, "5.png"), (1, "6.png")):
        album.show(name, rank=rank)
    held = album.symbols(len(alone.symbols(10**6)))
    assert "no room" in re.search(r'<symbol id="p0".*?</symbol>', held)[0]
    assert "data:image/jpeg" in re.search(r'<symbol id="p1".*?</symbol>', held)[0]


def test_of_very_many_pictures_no_more_are_read_than_a_page_has_room_for(photos):
    album = Album(photos)
    for index in range(MOST + 5):
        (photos / f"copy {index}.png").hardlink_to(photos / "1.png")
        album.show(f"copy {index}.png")
    held = album.symbols(10**9)
    assert (held.count("data:image"), held.count("no room")) == (MOST, 5)


@pytest.mark.parametrize("k", [10, 1000])
def test_ten_thousand_pictures_with_noise_in_them_make_less_than_five_megabytes(tmp_path, k):
    random = np.random.default_rng(0)
    Image.fromarray(random.integers(0, 256, (400, 400, 3), dtype=np.uint8)).save(tmp_path / "noise.jpg", quality=60)
    for index in range(10_000):
        (tmp_path / f"{index}.jpg").hardlink_to(tmp_path / "noise.jpg")
    labels = np.arange(10_000) % k
    paths = [f"{index}.jpg" for index in range(10_000)]
    names = [f"{index} " + "long name " * 19 for index in range(k)]
    report = report_on(labels, random.integers(0, k, 10_000), names, paths=paths, root=tmp_path)
    with_map = report.with_evidence(map=FeatureMap(random.normal(size=(10_000, 2)), np.arange(10_000), "PCA"))

    page = report_page(with_map).encode("utf-8")

    assert 1_000_000 < len(page) <= LIMIT + 100_000 <= 5_000_000


def test_a_class_without_pictures_is_explained():
    text = Page(report_page(report_on([0, 1], [0, 1], ["cat", "dog", "yeti"]))).text
    assert "A class without pictures here has no scores" in text


def test_many_classes_are_folded_and_all_there():
    k = 120
    page = Page(report_page(report_on(range(k), range(k), [f"name {index}" for index in range(k)])))
    assert "95 more" in page.words
    assert {f"name {index}" for index in range(k)} <= set(page.words)


def test_one_picture_makes_a_page():
    page = Page(report_page(full(report_on([0], [1], ["cat", "dog"]))))
    assert "0.0 %" in page.words
    assert "of 1 picture judged rightly " in page.words


def test_a_slice_is_called_worse_only_where_chance_hardly_makes_it():
    bad, good = estimate(10, 40), estimate(90, 100)
    slices = (Slice("size", "small", bad, good, 0.001), Slice("size", "wide", bad, good, 0.2))
    rows = re.findall(
        r'<th scope="row" class="text"><bdi>size</bdi>.*</tr>',
        report_page(report_on([0, 1], [1, 0], ["cat", "dog"]).with_evidence(slices=slices)),
    )
    assert ["worse</b> −65.0" in row for row in rows] == [True, False]
    assert ["−65.0" in row for row in rows] == [True, True]


def test_calibration_is_shown_before_and_after():
    labels = np.arange(200) % 2
    said = np.where(np.arange(200) < 40, 1 - labels, labels)
    probabilities = 0.8 * np.eye(2)[said] + 0.1
    paths = [f"{index}.png" for index in range(200)]
    page = report_page(Report.from_predictions(labels, probabilities, paths, ["cat", "dog"], temperature=1.5))
    row = re.search(r"calibration error \(ECE\)</th><td>(.*?)</td><td>(.*?)</td>", page)
    assert row[2] == "10.0 %"
    assert row[1] != row[2]
    assert "divided by the temperature 1.5" in page
    assert "Hollow squares: before calibration." in page


def test_tables_have_captions_pictures_have_words_and_headings_do_not_jump():
    page = Page(report_page(full(report_on([0, 1], [1, 0], ["cat", "dog"], root="/no")), history=HISTORY))
    assert page.tags.count("table") == page.tags.count("caption")
    assert not re.search(r"<svg(?![^>]*(aria-label|aria-hidden))", page.source)
    levels = [int(tag[1]) for tag in page.tags if re.fullmatch(r"h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in itertools.pairwise(levels))


def test_colours_of_words_are_read_on_what_they_stand_on():
    style = (Path(report_page.__code__.co_filename).parent / "report.css").read_text("utf-8")
    themes = dict(re.findall(r"--(\w+): light-dark\((#\w+, #\w+)\)", style))
    for theme in (0, 1):
        colors = {name: pair.split(", ")[theme] for name, pair in themes.items()}
        for words in ("ink", "quiet", "accent", "bad"):
            for below in ("page", "card"):
                assert contrast(colors[words], colors[below]) >= 4.5, (words, below, theme)
        for below in ("right", "wrong"):
            assert contrast(colors["ink"], colors[below]) >= 4.5, (below, theme)
        for mark in range(8):
            assert contrast(colors[f"c{mark}"], colors["card"]) >= 3, (mark, theme)


def contrast(first, second):
    """Return how far two colours lie apart: WCAG 2.2, "contrast ratio" and "relative luminance"."""

    def luminance(color):
        parts = np.array([int(color[i : i + 2], 16) for i in (1, 3, 5)]) / 255
        return np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4) @ (0.2126, 0.7152, 0.0722)

    low, high = sorted((luminance(first), luminance(second)))
    return (high + 0.05) / (low + 0.05)
