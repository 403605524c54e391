"""`opsin predict --watch`: pictures are classified as they come, once each, when they are whole."""

import contextlib
import json
import os

import pytest

from opsin.cli import watching
from opsin.cli.watching import Watch
from opsin.errors import ExitCode, UsageError


def happening(*events):
    """Return a `wait` in which one thing happens after the other, and Ctrl-C at the end."""
    remaining = iter(events)

    def wait(seconds):
        try:
            event = next(remaining)
        except StopIteration:
            raise KeyboardInterrupt from None
        if event is not None:
            event()

    return wait


def arrivals(folder, *events, done=None):
    found = []
    with contextlib.suppress(KeyboardInterrupt):
        for paths in Watch(folder, done=done, wait=happening(*events)).arrivals():
            found += [os.path.relpath(path, folder) for path in paths]
    return found


def write(path, content=b"x", time=None):
    def event():
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)
        if time is not None:
            os.utime(path, (time, time))

    return event


def test_what_comes_is_found_once_and_what_was_there_is_not(tmp_path):
    write(tmp_path / "old.png")()

    found = arrivals(tmp_path, write(tmp_path / "a.png"), write(tmp_path / "deeper" / "b.jpg"), None, None, None)

    assert found == ["a.png", "deeper/b.jpg"]


def test_a_file_that_is_still_being_written_is_waited_for(tmp_path):
    grow = [write(tmp_path / "a.png", b"x" * size, time=1) for size in (1, 2, 3)]

    assert arrivals(tmp_path, *grow) == []
    assert arrivals(tmp_path, *(event for event in grow), None, None) == []  # It was there at the start, as large.
    (tmp_path / "a.png").unlink()
    assert arrivals(tmp_path, *grow, None, None) == ["a.png"]


def test_a_picture_that_is_replaced_is_new(tmp_path):
    events = [write(tmp_path / "a.png", time=1), None, None, write(tmp_path / "a.png", time=2), None, None]

    assert arrivals(tmp_path, *events) == ["a.png", "a.png"]


def test_one_that_goes_and_comes_back_is_new_and_other_files_are_none(tmp_path):
    come, go = write(tmp_path / "a.png", time=1), (tmp_path / "a.png").unlink

    assert arrivals(tmp_path, write(tmp_path / "a.txt"), come, None, go, come, None, None) == ["a.png", "a.png"]


def test_going_on_with_a_run_takes_what_came_since(tmp_path):
    write(tmp_path / "a.png")()
    write(tmp_path / "b.png")()

    assert arrivals(tmp_path, None, None, done={str(tmp_path / "a.png")}) == ["b.png"]


def test_what_is_no_folder_cannot_be_watched(tmp_path):
    with pytest.raises(UsageError, match="Expected a folder to watch"):
        Watch(tmp_path / "nowhere")


def test_the_command_answers_what_comes_until_ctrl_c(opsin, tiny_run, tiny_data, tmp_path, monkeypatch):
    content = (tiny_data / "discs" / "0.png").read_bytes()
    (tmp_path / "inbox").mkdir()
    wait = happening(write(tmp_path / "inbox" / "a.png", content), write(tmp_path / "inbox" / "b.png", b"broken"), None)
    monkeypatch.setattr(watching.Watch.__init__, "__kwdefaults__", {"done": None, "wait": wait})

    done = opsin(
        *("predict", tiny_run, tiny_data / "checks" / "0.png", "--watch", tmp_path / "inbox", "--format", "jsonl")
    )

    answers = [json.loads(line) for line in done.out.splitlines()]
    assert done.code == ExitCode.INTERRUPTED
    assert [answer["path"] for answer in answers] == [
        *map(str, (tiny_data / "checks" / "0.png", tmp_path / "inbox" / "a.png", tmp_path / "inbox" / "b.png")),
    ]
    assert [answer.get("label") for answer in answers] == ["checks", "discs", None]


def test_nothing_to_predict_and_nothing_to_watch_is_wrong_usage(opsin, tiny_run):
    done = opsin("predict", tiny_run)

    assert done.code == ExitCode.USAGE
    assert "--watch DIR" in done.err
