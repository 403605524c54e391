import numpy as np

from opsin.augmentation.draws import Draws
from opsin.augmentation.erasing import erase, erasing

MANY = Draws(0, 0, np.arange(5_000))


def test_boxes_have_the_papers_areas_and_lie_in_the_picture():
    top, left, bottom, right = erasing(1.0, MANY, 100, 160).T

    areas = (bottom - top) * (right - left) / 16_000
    # Rounding sides down takes at most one row and one column of the smallest boxes.
    assert areas.min() > 0.015
    assert 0.38 < areas.max() <= 0.4
    assert min(top.min(), left.min()) == 0
    assert (bottom.max(), right.max()) == (100, 160)


def test_boxes_come_as_often_as_asked():
    boxes = erasing(0.25, MANY, 32, 32)

    erased = (boxes[:, 2] > boxes[:, 0]).mean()
    assert abs(erased - 0.25) < 5 * np.sqrt(0.25 * 0.75 / 5_000)


def test_a_box_is_overwritten_with_noise_and_nothing_else_is():
    images = np.full((2, 6, 8, 3), -1, dtype=np.float32)
    boxes = np.array([[1, 2, 4, 7], [3, 3, 3, 3]])

    erase(images, boxes, Draws(0, 0, np.array([5, 6])))

    untouched = images == -1
    assert untouched.sum() == images.size - 3 * 5 * 3
    assert not untouched[0, 1:4, 2:7].any()
    assert images.max() <= 255


def test_a_single_pixel_is_never_erased():
    boxes = erasing(1.0, MANY, 1, 1)

    assert (boxes[:, :2] == boxes[:, 2:]).any(axis=1).all()
