"""The page stands alone, shows what it says, and takes no name for HTML."""

import base64
import html.parser
import io
import os
import re
import shutil

import numpy as np
import pytest
from PIL import Image

from opsin.checks.finding import FOUND, Finding, Group, Outcome
from opsin.checks.page import GROUPS_SHOWN, PICTURES_SHOWN, check_page
from opsin.checks.run import CheckReport
from opsin.images.preprocess import Preprocess


class Reader(html.parser.HTMLParser):
    """What a browser would find: the tags that are open at the end, all attributes, all text."""

    def __init__(self, page: str):
        super().__init__()
        self.open, self.tags, self.attributes, self.text = [], [], [], ""
        self.feed(page)
        self.close()

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.attributes += attributes
        if tag not in ("meta", "img", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


@pytest.fixture
def found(clean_data, check):
    """A report that says one thing about the clean data: `found(Group(...), ...)`."""

    def report(*groups: Group, code: str = "blank", message: str = "A message.", **options) -> CheckReport:
        survey = check(clean_data, "blank", **options).survey
        finding = Finding(code, "warning", message, "An advice.", groups)
        return CheckReport(survey, (Outcome(code, FOUND, finding=finding),))

    return report


def images_of(page: str) -> list[Image.Image]:
    sources = re.findall(r'src="data:image/jpeg;base64,([^"]+)"', page)
    return [Image.open(io.BytesIO(base64.b64decode(source))) for source in sources]


def test_the_page_needs_no_other_file_no_script_and_no_network(clean_data, check):
    (clean_data / "train/cat/notes.txt").write_text("")
    shutil.copy(clean_data / "train/cat/0.png", clean_data / "test/dog/copy.png")

    page = check_page(check(clean_data, preprocess=Preprocess(64, 64)))

    reader = Reader(page)
    assert reader.open == []
    assert not {"script", "link", "iframe", "object", "base", "form"} & set(reader.tags)
    addresses = [value for name, value in reader.attributes if name in ("src", "href", "srcset", "action")]
    assert all(address.startswith(("data:image/jpeg;base64,", "#")) for address in addresses)
    assert not [name for name, _ in reader.attributes if name.startswith("on")]
    assert not re.search(r"https?:|@import|url\(", page)


def test_pictures_of_a_group_are_shown_side_by_side_as_they_are(found, clean_data):
    page = check_page(found(Group(("train/cat/0.png", "train/cat/1.png"), "a pair")))

    shown = images_of(page)
    assert len(shown) == 2
    for image, name in zip(shown, ("0", "1"), strict=True):
        original = Image.open(clean_data / f"train/cat/{name}.png").resize(image.size, Image.Resampling.NEAREST)
        assert np.abs(np.asarray(image, int) - np.asarray(original, int)).mean() < 12
    assert "a pair" in page


def test_what_training_sees_stands_beside_the_picture(found):
    report = found(Group(("train/cat/0.png",)), code="odd-aspect", preprocess=Preprocess(32, 48))

    page = check_page(report)

    assert [image.size for image in images_of(page)] == [(264, 264), (48, 32)]
    assert "as training sees it, 48 × 32" in page


def test_what_is_compared_with_is_set_apart(found):
    page = check_page(found(Group(("train/cat/0.png",), "", ("train/dog/1.png", "train/dog/2.png"))))

    before, after = page.split("To compare:")
    assert (len(images_of(before)), len(images_of(after))) == (1, 2)


NASTY = [
    "<img src=x onerror=alert(1)>.png",
    '"><script>alert(1)<_script>.png',
    "'&amp;.png",
    "new\nline.png",
    "right\u202eto left.png",
    "</style></title>.png",
]


@pytest.mark.skipif(os.name == "nt", reason="such names cannot be given there")
@pytest.mark.parametrize("name", NASTY)
def test_a_name_is_text_wherever_it_stands(name, clean_data, check):
    name = name.replace("/", "∕")
    folder = clean_data / "train" / name
    folder.mkdir()
    shutil.copy(clean_data / "train/cat/0.png", folder / name)

    page = check_page(check(clean_data))

    reader = Reader(page)
    assert reader.open == []
    assert "script" not in reader.tags
    assert not [attribute for attribute, _ in reader.attributes if attribute.startswith("on")]
    assert reader.tags.count("title") == 1
    shown = "".join(char if char.isprintable() else repr(char)[1:-1] for char in name)
    assert f"train/{shown}/{shown}" in reader.text


@pytest.mark.skipif(os.name == "nt", reason="names are text there")
def test_a_name_that_is_not_utf8_is_shown_and_the_page_can_be_saved(clean_data, check, tmp_path):
    os.rename(clean_data / "train/dog", os.fsencode(clean_data / "train") + b"/d\xf6g")  # noqa: PTH104 - bytes

    check(clean_data).save_html(tmp_path / "page.html")

    assert "d\\udcf6g" in (tmp_path / "page.html").read_text("utf-8")


def test_a_picture_that_cannot_be_read_or_is_gone_has_its_place(found, clean_data):
    report = found(Group(("train/cat/0.png", "train/cat/1.png", "train/cat/")))
    (clean_data / "train/cat/0.png").unlink()
    (clean_data / "train/cat/1.png").write_bytes(b"gone bad")

    page = check_page(report)

    assert page.count("no picture") == 3
    assert "train/cat/1.png" in page


def test_of_many_cases_the_first_are_shown_and_the_others_are_counted(found):
    groups = [Group(("train/cat/0.png",), f"case {number}") for number in range(GROUPS_SHOWN + 1006)]

    page = check_page(found(*groups))

    assert len(images_of(page)) == GROUPS_SHOWN
    assert "and 1,006 more; --json lists them all" in page


def test_of_a_large_case_the_first_pictures_are_shown_and_the_others_are_counted(found):
    page = check_page(found(Group(("train/cat/0.png",) * (PICTURES_SHOWN + 3))))

    assert len(images_of(page)) == PICTURES_SHOWN
    assert "and 3 more" in page


@pytest.mark.parametrize("size", [(1, 1), (1, 3000), (3000, 1), (400, 20)])
def test_pictures_of_any_shape_fit_their_place(size, clean_data, found):
    Image.new("RGB", size, "teal").save(clean_data / "train/cat/0.png")

    (image,) = images_of(check_page(found(Group(("train/cat/0.png",)))))

    assert max(image.size) == 264


def test_clean_data_says_so_and_lists_what_was_looked_for(clean_data, check):
    page = check_page(check(clean_data))

    assert "Nothing is the matter with it, as far as was looked." in page
    looked, not_looked = page.split("<h2>Looked for and not found</h2>")[1].split("<h2>Not looked for</h2>")
    assert "<code>duplicate</code>" in looked
    assert "give --model MODEL" in not_looked
    assert "Median size 128 × 128 pixels" in page


def test_one_picture_of_one_class_is_not_said_to_be_many(tmp_path, check, texture):
    (tmp_path / "photos/cat").mkdir(parents=True)
    texture(0).save(tmp_path / "photos/cat/0.png")

    assert "<h1>photos: 1 picture, 1 class</h1>" in check_page(check(tmp_path / "photos"))


def test_very_many_classes_do_not_make_the_page_endless(tmp_path, check, texture):
    for number in range(60):
        (tmp_path / f"photos/{number}").mkdir(parents=True)
        texture(number, 16, 16).save(tmp_path / f"photos/{number}/a.png")

    page = check_page(check(tmp_path / "photos"))

    assert "and 20 more classes" in page
