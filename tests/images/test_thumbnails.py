import base64
import io

import numpy as np
import pytest
from PIL import Image

from opsin.errors import PictureError
from opsin.images.thumbnails import as_address, thumbnail


@pytest.mark.parametrize(
    ("size", "small"), [((400, 200), (100, 50)), ((200, 400), (50, 100)), ((1, 3000), (1, 100)), ((2, 1), (100, 50))]
)
def test_the_longer_side_has_the_length_that_was_asked_for(tmp_path, size, small):
    Image.new("RGB", size, "teal").save(tmp_path / "a.png")
    assert thumbnail(tmp_path / "a.png", 100).size == small


def test_a_rotated_photo_is_upright(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (400, 200), "teal").save(tmp_path / "a.jpg", exif=exif)
    assert thumbnail(tmp_path / "a.jpg", 100).size == (50, 100)


def test_pixels_of_a_tiny_picture_stay_squares(tmp_path):
    Image.fromarray(np.array([[[0, 0, 0], [255, 255, 255]]], np.uint8)).save(tmp_path / "a.png")
    enlarged = np.asarray(thumbnail(tmp_path / "a.png", 4))
    assert enlarged[:, :, 0].tolist() == [[0, 0, 255, 255]] * 2


def test_what_is_no_picture_is_an_error_with_its_path(tmp_path):
    with pytest.raises(PictureError, match="no such file"):
        thumbnail(tmp_path / "none.png", 100)


@pytest.mark.parametrize(("kind", "error"), [("PNG", 0), ("JPEG", 3)])
def test_an_address_holds_the_picture(kind, error):
    image = Image.new("RGB", (8, 4), (10, 120, 250))
    start, data = as_address(image, kind=kind).split(",")
    assert start == f"data:image/{kind.lower()};base64"
    back = np.asarray(Image.open(io.BytesIO(base64.b64decode(data))), dtype=int)
    assert np.abs(back - np.asarray(image, dtype=int)).max() <= error
