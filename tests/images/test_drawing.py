"""Pictures that are drawn are the same everywhere; sheets and files show what they were given."""

import zlib

import numpy as np
import pytest
from PIL import Image, ImageFont

from opsin.errors import SavingError, UsageError
from opsin.images.decode import decode_image
from opsin.images.drawing import SAVED_AS, contact_sheet, draw_picture, save_image

BLACK = np.zeros((48, 48, 3), np.uint8)


def test_drawn_pictures_never_change():
    checksums = [zlib.crc32(draw_picture(index, 5, 7).tobytes()) for index in range(6)]
    assert checksums == [3650787283, 1249942991, 2709108055, 586289201, 135095807, 2100528229]


@pytest.mark.parametrize("size", [(1, 1), (1, 40), (33, 20)])
def test_every_drawn_picture_differs_from_the_others(size):
    pictures = [draw_picture(index, *size) for index in range(40)]
    assert {picture.shape for picture in pictures} == {(*size, 3)}
    assert {picture.dtype for picture in pictures} == {np.dtype(np.uint8)}
    assert len({picture.tobytes() for picture in pictures}) == 40


def test_drawing_leaves_the_global_random_state_alone():
    before = np.random.get_state()[1].copy()
    draw_picture(4, 8, 8)
    assert np.array_equal(np.random.get_state()[1], before)


def test_a_sheet_has_its_pictures_in_rows():
    red, green, blue = (np.full((96, 96, 3), colour, np.uint8) for colour in np.eye(3, dtype=np.uint8) * 255)
    sheet = contact_sheet([red, green, blue], columns=2)
    assert sheet.shape == (6 + 2 * 102, 6 + 2 * 102, 3)
    places = [(50, 50), (50, 150), (150, 50), (150, 150)]
    assert [sheet[place].tolist() for place in places] == [
        [255, 0, 0],
        [0, 255, 0],
        [0, 0, 255],
        [255, 255, 255],
    ]


def test_tiny_pictures_are_enlarged_pixel_by_pixel():
    image = draw_picture(4, 28, 28)
    sheet = contact_sheet([image])
    assert np.array_equal(sheet[6:-6, 6:-6], image.repeat(3, axis=0).repeat(3, axis=1))


def test_grey_pictures_are_shown_grey():
    sheet = contact_sheet([np.full((96, 96, 1), 90, np.uint8)])
    assert (sheet[6:-6, 6:-6] == 90).all()


CAPTIONS = ["a", "", "čeština, 猫, 🐱", "two\nlines\ttab", "\x00\x1b", "lone \ud800 surrogate", "long " * 200]


@pytest.mark.parametrize("font", [ImageFont.load_default, ImageFont.load_default_imagefont])
@pytest.mark.parametrize("caption", CAPTIONS)
def test_any_caption_can_be_drawn_and_stays_in_its_column(caption, font, monkeypatch):
    default = font()
    monkeypatch.setattr(ImageFont, "load_default", lambda: default)
    sheet = contact_sheet([BLACK, BLACK], columns=2, labels=[caption, ""])
    assert sheet.shape == (6 + 96 + 16 + 6, 6 + 2 * 102, 3)
    assert (sheet[6 + 96 :, 6 + 96 + 6 :] == 255).all()


def test_a_caption_is_visible():
    plain, named = contact_sheet([BLACK], labels=[""]), contact_sheet([BLACK], labels=["cat"])
    assert (plain[102:] == 255).all()
    assert named[102:].min() < 100


@pytest.mark.parametrize(
    ("images", "options"), [([], {}), ([BLACK], {"columns": 0}), ([BLACK], {"labels": ["a", "b"]})]
)
def test_a_sheet_that_cannot_be_laid_out_is_refused(images, options):
    with pytest.raises(UsageError, match="Expected"):
        contact_sheet(images, **options)


@pytest.mark.parametrize("suffix", [*SAVED_AS, ".PNG"])
def test_a_saved_picture_can_be_read_again(tmp_path, suffix):
    image = np.full((16, 24, 3), (200, 100, 50), np.uint8)
    file = tmp_path / f"new folder/picture{suffix}"
    save_image(image, file)
    assert np.abs(decode_image(file).astype(int) - image).max() <= 6
    assert Image.open(file).format == SAVED_AS[suffix.lower()]
    assert list(file.parent.iterdir()) == [file]


def test_png_keeps_every_value(tmp_path):
    image = draw_picture(4, 9, 11)
    save_image(image, tmp_path / "a.png")
    assert np.array_equal(decode_image(tmp_path / "a.png"), image)


def test_an_unknown_suffix_lists_the_known_ones(tmp_path):
    with pytest.raises(UsageError, match=r"\.png, \.jpg, \.jpeg, \.webp.*'\.pngg'"):
        save_image(BLACK, tmp_path / "a.pngg")
    assert not list(tmp_path.iterdir())


def test_a_place_that_cannot_be_written_is_an_error(tmp_path):
    (tmp_path / "a.png").mkdir()
    with pytest.raises(SavingError, match=r"Could not write '.*a\.png'"):
        save_image(BLACK, tmp_path / "a.png")
