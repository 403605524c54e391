import numpy as np

from opsin.runtimes.base import Outputs
from opsin.runtimes.views import moved, run_in_views


class Corner:
    """Says what is in the upper left pixel, and how often it was asked."""

    input_shape = (3, 3, 1)

    def __init__(self):
        self.asked = 0

    def run(self, images):
        self.asked += 1
        return Outputs(images[:, 0, 0], 10 * images[:, 0, 0])


PICTURE = np.arange(9, dtype=np.float32).reshape(1, 3, 3, 1)


def test_a_picture_moves_by_a_pixel_and_its_edges_are_reflected():
    assert moved(PICTURE, 1)[0, ..., 0].tolist() == [[4, 3, 4], [1, 0, 1], [4, 3, 4]]
    assert moved(PICTURE, -1)[0, ..., 0].tolist() == [[4, 5, 4], [7, 8, 7], [4, 5, 4]]


def test_large_pictures_move_by_a_32nd_and_single_pixels_stay():
    large = np.zeros((1, 64, 96, 1), np.float32)
    large[0, 10, 10] = 1

    assert np.argwhere(moved(large, 1)[0, ..., 0]).tolist() == [[12, 13]]
    assert moved(np.ones((1, 1, 1, 3), np.float32), 1).tolist() == [[[[1.0, 1.0, 1.0]]]]


def test_what_was_moved_counts_half_of_what_was_not():
    runtime = Corner()

    outputs = run_in_views(runtime.run, PICTURE, flips=False, shifts=True)

    # 0 in place; 4 and 4 when moved.
    assert outputs.logits.tolist() == [[2.0]]
    assert outputs.features.tolist() == [[20.0]]
    assert runtime.asked == 3


def test_flips_and_shifts_together_are_six_views():
    runtime = Corner()

    outputs = run_in_views(runtime.run, PICTURE, flips=True, shifts=True)

    # 0 and 2 in place; 4 and 4, 4 and 4 when moved.
    assert outputs.logits.tolist() == [[2.5]]
    assert runtime.asked == 6


def test_without_views_the_answer_is_the_networks_own():
    runtime = Corner()

    assert run_in_views(runtime.run, PICTURE + 7, flips=False, shifts=False).logits.tolist() == [[7.0]]
    assert runtime.asked == 1
