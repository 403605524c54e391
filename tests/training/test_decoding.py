"""Decoding beside other work: nobody waits for it in vain, and it never goes on for nobody."""

import csv
import json
import threading
from pathlib import Path

import numpy as np
import pytest

from opsin.data import store
from opsin.data.dataset import ImageDataset
from opsin.errors import DataError
from opsin.images.preprocess import Preprocess
from opsin.training.config import TrainConfig
from opsin.training.decoding import Decoding
from opsin.training.plan import Plan
from opsin.training.run_folder import RunFolder

RECIPE = Preprocess(6, 8)


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("OPSIN_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def parts(pictures):
    split = ImageDataset.from_folder(pictures({"cat": 20, "dog": 20})).split(0.2, 0.2, seed=0)
    return {"train": split.train, "val": split.val, "test": split.test}


def decode(parts, folder, *listeners):
    return Decoding(parts, Plan(TrainConfig(), RECIPE), RunFolder.create(folder / "run", listeners))


def threads(name):
    return [thread for thread in threading.enumerate() if thread.name.startswith(name)]


def test_it_goes_on_while_other_work_is_done(parts, tmp_path):
    done = threading.Event()

    def listen(event):
        if event["event"] == "decoding" and event["done"] == event["total"] == 40:
            done.set()

    with decode(parts, tmp_path, listen) as decoding:
        assert done.wait(60), "nobody has asked for the result yet"
        stored = decoding.result()

    assert list(stored) == ["train", "val", "test"]
    for name, images in stored.items():
        expected = np.stack([RECIPE.read(path) for path in parts[name].paths])
        np.testing.assert_array_equal(images.read(slice(None)), expected)


class BlockError(Exception):
    pass


def test_a_block_that_raises_ends_decoding_at_once_and_nothing_is_kept(parts, tmp_path, own_cache, monkeypatch):
    begun, told = threading.Event(), threading.Event()
    decoded = []

    def slow(paths, preprocess, **options):
        for path in paths:
            if len(decoded) == 5:
                begun.set()
                assert told.wait(60)
            decoded.append(path)
            yield preprocess.read(path)

    monkeypatch.setattr(store, "read_images", slow)

    def build_a_network_that_cannot_be_built():
        with decode(parts, tmp_path) as decoding:
            shutdown = decoding._pool.shutdown
            decoding._pool.shutdown = lambda: (told.set(), shutdown())
            assert begun.wait(60)
            raise BlockError("it cannot be built")

    with pytest.raises(BlockError, match="it cannot be built"):
        build_a_network_that_cannot_be_built()

    assert len(decoded) == 6
    assert not threads("opsin-decode")
    assert not list(own_cache.glob("*"))


def test_no_thread_is_left_when_the_block_has_ended(parts, tmp_path):
    with decode(parts, tmp_path) as decoding:
        decoding.result()
    with pytest.raises(BlockError), decode(parts, tmp_path / "again"):
        raise BlockError

    assert not threads("opsin-decode")
    assert not threads("opsin-read")


def test_what_goes_wrong_in_decoding_is_raised_by_its_result(parts, tmp_path):
    for dataset in parts.values():
        for path in dataset.paths:
            Path(path).write_bytes(b"no picture")

    with decode(parts, tmp_path) as decoding, pytest.raises(DataError, match="none of the"):
        decoding.result()


def test_pictures_that_cannot_be_read_are_said_one_by_one_up_to_a_number_and_all_are_in_the_account(pictures, tmp_path):
    dataset = ImageDataset.from_folder(pictures({"cat": 30, "dog": 5}))
    for path in dataset.paths[:23]:
        Path(path).write_bytes(b"no picture")
    split = dataset.split(0.2, 0.2, seed=0)
    said = []

    with decode({"train": split.train, "val": split.val, "test": split.test}, tmp_path, said.append) as decoding:
        stored = decoding.result()

    notes = [event["text"] for event in said if event["event"] == "note"]
    assert len(notes) == 21
    assert notes[-1].startswith("Left out 3 pictures more")
    assert sum(len(images) for images in stored.values()) == 12
    with (tmp_path / "run" / "files.csv").open(newline="") as file:
        assert sum(row["status"] == "skipped" for row in csv.DictReader(file)) == 23


# Events come from the thread that decodes and from the one that trains


def test_events_of_several_threads_stay_whole_and_listeners_hear_them_one_at_a_time(tmp_path):
    busy, overlaps, heard = threading.Lock(), [], []

    def listen(event):
        if not busy.acquire(blocking=False):
            overlaps.append(event)
            return
        heard.append((event["thread"], event["number"]))
        busy.release()

    run = RunFolder.create(tmp_path / "run", [listen])
    together = threading.Barrier(4)

    def emit(thread):
        together.wait(30)
        for number in range(25):
            # Longer than what a file's buffer writes at once.
            run.emit("note", thread=thread, number=number, text=str(thread) * 50_000)

    workers = [threading.Thread(target=emit, args=(thread,)) for thread in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()

    written = [json.loads(line) for line in (tmp_path / "run" / "events.jsonl").read_text().splitlines()]
    assert not overlaps
    assert [(event["thread"], event["number"]) for event in written] == heard
    assert sorted(heard) == [(thread, number) for thread in range(4) for number in range(25)]
    assert all(event["text"] == str(event["thread"]) * 50_000 for event in written)


def test_a_listener_may_emit_itself(tmp_path):
    run = None

    def answer(event):
        if event["event"] == "question":
            run.emit("answer")

    run = RunFolder.create(tmp_path / "run", [answer])
    run.emit("question")

    lines = (tmp_path / "run" / "events.jsonl").read_text().splitlines()
    assert [json.loads(line)["event"] for line in lines] == ["question", "answer"]
