"""Pictures read and run in batches: in order, bounded, with one lane and with several."""

import itertools
import threading

import numpy as np
import pytest

from opsin.errors import PictureError
from opsin.images.preprocess import Preprocess
from opsin.runtimes.ahead import read_and_run

ONE_PIXEL = Preprocess(1, 1)


def picture(value):
    return f"P2 1 1 255 {value}".encode()


def means(images):
    return images.mean(axis=(1, 2, 3))


def flat(results):
    """Return what each picture gave, in order; None for those that gave nothing."""
    found = []
    for batch, outputs in results:
        answers = iter([] if outputs is None else outputs.tolist())
        found += [None if isinstance(image, PictureError) else next(answers) for image in batch]
    return found


@pytest.mark.parametrize("lanes", [1, 2, 5])
@pytest.mark.parametrize("batch_size", [1, 4, 16])
def test_answers_come_in_order_and_errors_in_their_places(lanes, batch_size):
    sources = [b"no picture" if n % 7 == 3 else picture(n) for n in range(100)]

    found = flat(read_and_run(means, sources, ONE_PIXEL, batch_size=batch_size, lanes=lanes))

    assert found == [None if n % 7 == 3 else n for n in range(100)]


@pytest.mark.parametrize("lanes", [1, 3])
def test_nothing_comes_of_nothing_and_errors_alone_are_not_run(lanes):
    assert list(read_and_run(means, [], ONE_PIXEL, batch_size=4, lanes=lanes)) == []
    results = list(read_and_run(means, [b"", b""], ONE_PIXEL, batch_size=4, lanes=lanes))
    assert [outputs for _, outputs in results] == [None] * len(results)
    assert sum(len(batch) for batch, _ in results) == 2


@pytest.mark.parametrize("lanes", [1, 3])
def test_pictures_without_end_are_drawn_a_bounded_number_ahead(lanes):
    drawn = itertools.count()
    results = read_and_run(
        means, (picture(next(drawn) % 256) for _ in itertools.repeat(0)), ONE_PIXEL, batch_size=6, lanes=lanes
    )

    taken = sum(len(batch) for batch, _ in itertools.islice(results, 40))
    results.close()

    assert next(drawn) - taken <= 4 * 6


def test_batches_run_side_by_side_and_a_few_pictures_are_shared_out():
    together = threading.Barrier(2)
    sizes = []

    def wait(images):
        together.wait(30)
        sizes.append(len(images))
        return means(images)

    assert flat(read_and_run(wait, [picture(1), picture(2)], ONE_PIXEL, batch_size=16, lanes=2)) == [1, 2]
    assert sizes == [1, 1]


def test_as_many_pictures_as_were_asked_for_are_under_way_in_all_lanes_together():
    sizes = []

    def note(images):
        sizes.append(len(images))
        return means(images)

    list(read_and_run(note, [picture(1)] * 64, ONE_PIXEL, batch_size=16, lanes=2))

    assert sorted(sizes) == [1, 1, 2, 2, 2, *[4] * 14]


@pytest.mark.parametrize("lanes", [1, 2])
def test_what_goes_wrong_in_the_network_is_raised(lanes):
    def fail(images):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        list(read_and_run(fail, [picture(1)] * 9, ONE_PIXEL, batch_size=2, lanes=lanes))


def test_a_frame_that_is_drawn_into_again_is_read_as_it_was():
    frame = np.zeros((1, 1, 3), np.uint8)

    def frames():
        for value in range(20):
            frame[:] = value
            yield frame

    assert flat(read_and_run(means, frames(), ONE_PIXEL, batch_size=8, lanes=2)) == list(range(20))
