"""Many pictures, read in threads: in order, with errors in their place, without end."""

import itertools
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from opsin.errors import PictureError
from opsin.images.preprocess import Preprocess
from opsin.images.reading import read_images, usable_cores

RECIPE = Preprocess(1, 1, color="gray")


def grey(value):
    return f"P2 1 1 255 {value}".encode()


def reading_threads():
    return [thread for thread in threading.enumerate() if thread.name.startswith("opsin-read")]


@pytest.mark.parametrize("threads", [None, 1, 3])
@pytest.mark.parametrize("window", [1, 2, 7, 64, 1000])
def test_pictures_come_in_their_order(threads, window):
    images = read_images([grey(value) for value in range(200)], RECIPE, threads=threads, window=window)
    assert [int(image[0, 0, 0]) for image in images] == list(range(200))


def test_files_and_contents_can_be_mixed(tmp_path):
    (tmp_path / "a.pgm").write_bytes(grey(5))
    assert [image.tolist() for image in read_images([tmp_path / "a.pgm", grey(6)], RECIPE)] == [
        [[[5]]],
        [[[6]]],
    ]


def test_no_pictures_give_nothing():
    assert list(read_images([], RECIPE)) == []


def test_an_unreadable_picture_gives_its_error_in_its_place(tmp_path):
    missing = tmp_path / "missing.png"
    first, second, third, fourth = read_images([grey(1), missing, b"", grey(2)], RECIPE)
    assert (first.tolist(), fourth.tolist()) == ([[[1]]], [[[2]]])
    assert isinstance(second, PictureError)
    assert second.path == str(missing)
    assert isinstance(third, PictureError)
    assert third.reason == "the file is empty"


@pytest.mark.parametrize("window", [1, 10, 64])
def test_endless_sources_are_read_a_bounded_number_ahead(window):
    drawn = itertools.count()
    images = read_images((grey(next(drawn) % 256) for _ in itertools.count()), RECIPE, window=window, threads=2)
    for expected in range(300):
        assert next(images)[0, 0, 0] == expected % 256
    images.close()
    assert next(drawn) <= 300 + window


def test_closing_early_stops_the_threads():
    images = read_images((grey(0) for _ in itertools.count()), RECIPE, threads=2)
    next(images)
    assert reading_threads()
    images.close()
    assert not reading_threads()


class Waiting:
    """Reads sixteen pictures, then waits."""

    def __init__(self):
        self.started, self.waiting, self.released = [], threading.Event(), threading.Event()

    def read(self, source):
        self.started.append(source)
        if len(self.started) > 16:
            self.waiting.set()
            self.released.wait(timeout=60)
        return source


def test_closing_early_does_not_read_on_to_the_end_of_what_was_handed_out(monkeypatch):
    recipe, shutdown = Waiting(), ThreadPoolExecutor.shutdown

    def release_and_shut_down(pool, **options):
        recipe.released.set()
        shutdown(pool, **options)

    monkeypatch.setattr(ThreadPoolExecutor, "shutdown", release_and_shut_down)
    images = read_images(range(1000), recipe, threads=1)
    next(images)
    assert recipe.waiting.wait(timeout=60)
    images.close()
    assert len(recipe.started) == 17


class Broken:
    def read(self, source):
        raise ZeroDivisionError(source)


def test_a_bug_is_not_taken_for_a_bad_picture():
    with pytest.raises(ZeroDivisionError):
        list(read_images([grey(0)] * 100, Broken()))
    assert not reading_threads()


def test_an_error_of_the_sources_reaches_the_caller():
    def sources():
        yield grey(0)
        raise LookupError("no more")

    with pytest.raises(LookupError, match="no more"):
        list(read_images(sources(), RECIPE))
    assert not reading_threads()


def test_threads_and_one_road_give_the_same_values():
    recipe = Preprocess(5, 5)
    sources = [b"P6 3 2 255 " + np.random.default_rng(seed).bytes(18) for seed in range(30)]
    assert all(map(np.array_equal, read_images(sources, recipe, threads=4), map(recipe.read, sources)))


def test_there_is_a_core_to_use():
    assert usable_cores() >= 1
