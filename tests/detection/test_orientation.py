"""Boxes of lying pictures, against Pillow turning the picture itself."""

import numpy as np
import pytest
from PIL import Image

from opsin.detection.orientation import drawn_on_stored, stored_boxes, upright_boxes
from opsin.detection.overlap import overlap_matrix
from opsin.errors import DataError, UsageError
from opsin.images.decode import decode_image, picture_orientation

# Left 3, top 5, right 11, bottom 9, in a file 20 high and 30 wide.
BOX = [[3, 5, 11, 9]]


def lying_picture(path, orientation):
    image = np.zeros((20, 30, 3), np.uint8)
    image[5:9, 3:11] = 255
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(image).save(path, exif=exif)
    return path


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("format", ["xyxy", "cxcywh"])
def test_a_box_stays_around_its_thing_when_the_picture_is_turned(orientation, format, tmp_path):
    file = lying_picture(tmp_path / "phone.png", orientation)
    seen = decode_image(file)[:, :, 0] > 0
    rows, columns = np.flatnonzero(seen.any(axis=1)), np.flatnonzero(seen.any(axis=0))
    around = [[columns[0], rows[0], columns[-1] + 1, rows[-1] + 1]]
    given = BOX if format == "xyxy" else [[7, 7, 8, 4]]

    upright = upright_boxes(given, orientation, format=format, stored_height=20, stored_width=30)

    assert picture_orientation(file) == orientation
    if format == "xyxy":
        assert upright.tolist() == around
        assert overlap_matrix(upright, around, format="xyxy").tolist() == [[1]]
    back = stored_boxes(upright, orientation, format=format, stored_height=20, stored_width=30)
    assert back.tolist() == np.array(given, float).tolist()


def test_relative_boxes_turn_in_a_picture_of_one_by_one():
    upright = upright_boxes([[0, 0, 0.1, 0.5]], 6, format="xyxy", stored_height=1, stored_width=1)

    np.testing.assert_allclose(upright, [[0.5, 0, 1, 0.1]])


def test_the_stated_size_tells_on_which_picture_boxes_were_drawn():
    assert not drawn_on_stored((30, 20), (30, 20), 6)
    assert drawn_on_stored((20, 30), (30, 20), 6)
    with pytest.raises(DataError, match=r"30 x 20 pixels.*states 20 x 30"):
        drawn_on_stored((20, 30), (30, 20), 1)
    with pytest.raises(DataError, match="states 40 x 30"):
        drawn_on_stored((40, 30), (30, 20), 6)


def test_an_orientation_that_there_is_not_is_refused():
    with pytest.raises(UsageError, match="from 1 to 8; received 9"):
        upright_boxes(BOX, 9, format="xyxy", stored_height=20, stored_width=30)
