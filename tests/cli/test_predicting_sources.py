"""What `opsin predict` takes for pictures, and that it leaves nothing out without saying so."""

import io
import json
import os
import sys
from pathlib import Path

import pytest

from opsin.cli.evaluate import PARTS
from opsin.data.splits import SPLITS
from opsin.errors import ExitCode
from opsin.evaluation.choose_part import ALL, AUTO


@pytest.fixture
def picture(tiny_data) -> Path:
    return next(tiny_data.rglob("*.png"))


@pytest.fixture
def stdin(monkeypatch):
    def hold(content: bytes) -> None:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content), encoding="utf-8", newline="\n"))

    return hold


def paths(answer) -> list[str]:
    return [json.loads(line)["path"] for line in answer.out.splitlines()]


def test_what_a_folder_holds_besides_pictures_is_counted_by_reason(opsin, tiny_run, pictures):
    folder = pictures({"photos": ["a.png"], "photos/__MACOSX": ["b.png"], "photos/deeper": ["c.png"]}) / "photos"
    for name in ("one.txt", "two.txt", "three.heic", "noname", ".hidden.png"):
        (folder / name).touch()

    answer = opsin("predict", tiny_run, folder, "--format", "jsonl")

    assert answer.code == ExitCode.DONE
    assert paths(answer) == [str(folder / "a.png"), str(folder / "deeper" / "c.png")]
    assert answer.err == (
        f"Left out of {folder}: 2 × hidden or system file, 2 × not a picture's suffix (.txt), "
        "1 × not a picture's suffix (none), 1 × not a picture's suffix (.heic).\n"
    )


def test_a_linked_folder_is_entered_and_a_broken_link_is_an_error(opsin, tiny_run, pictures):
    root = pictures({"elsewhere": ["a.png"], "photos": ["b.png"]})
    (root / "photos" / "linked").symlink_to(root / "elsewhere")
    (root / "photos" / "round").symlink_to(root / "photos")
    (root / "photos" / "gone.png").symlink_to(root / "nowhere.png")

    answer = opsin("predict", tiny_run, root / "photos", "--format", "jsonl")

    assert answer.code == ExitCode.UNUSABLE
    assert paths(answer) == [str(root / "photos" / "b.png"), str(root / "photos" / "linked" / "a.png")]
    assert f"{root / 'photos' / 'gone.png'}  error: not a regular file" in answer.err
    assert "1 × a link to a folder that it is in" in answer.err


def test_a_folder_that_cannot_be_listed_is_an_error_and_the_rest_go_on(opsin, tiny_run, pictures, monkeypatch):
    folder = pictures({"a": ["1.png"], "locked": ["2.png"], "z": ["3.png"]})
    scandir = os.scandir

    def refuse(path):
        if Path(path).name == "locked":
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)

    answer = opsin("predict", tiny_run, folder, "--format", "jsonl")

    assert answer.code == ExitCode.UNUSABLE
    assert paths(answer) == [str(folder / "a" / "1.png"), str(folder / "z" / "3.png")]
    assert answer.err == f"{folder / 'locked'}  error: the folder cannot be listed (Permission denied).\n"


@pytest.mark.parametrize("format", ["table", "csv", "jsonl"])
def test_a_folder_without_pictures_is_one_error(opsin, tiny_run, tmp_path, format):
    (tmp_path / "notes.txt").touch()

    answer = opsin("predict", tiny_run, tmp_path, "--format", format)

    assert (answer.code, answer.out) == (ExitCode.UNUSABLE, "")
    assert answer.err == (
        f"Error: Expected pictures to predict; found none in {str(tmp_path)!r}. "
        f"Left out of {tmp_path}: 1 × not a picture's suffix (.txt).\n"
    )


def test_no_paths_on_stdin_is_an_error(opsin, tiny_run, stdin):
    stdin(b"\n")

    answer = opsin("predict", tiny_run, "-")

    assert (answer.code, answer.out) == (ExitCode.UNUSABLE, "")
    assert "found none in stdin" in answer.err


def test_lines_on_stdin_may_end_as_on_windows_and_hold_any_bytes(opsin, tiny_run, picture, stdin):
    stdin(os.fsencode(picture) + b"\r\n" + b"not-utf-8-\xff.png\n" + b" leading and trailing .png ")

    answer = opsin("predict", tiny_run, "-", "--format", "jsonl")

    assert answer.code == ExitCode.UNUSABLE
    assert paths(answer) == [str(picture), "not-utf-8-\udcff.png", " leading and trailing .png "]


def test_a_name_with_a_line_break_stays_on_one_line_among_the_errors_too(opsin, tiny_run, tmp_path, picture):
    (tmp_path / "two\nlines.png").write_bytes(b"")
    (tmp_path / "good\none.png").write_bytes(picture.read_bytes())

    answer = opsin("predict", tiny_run, tmp_path)

    assert answer.out.startswith(f"{tmp_path}/good\\none.png  ")
    assert answer.err.splitlines() == [
        f"{tmp_path}/two\\nlines.png  error: the file is empty",
        "1 of 2 pictures could not be read.",
    ]


def test_formats_and_parts_name_the_closest_one(opsin, tiny_run, tiny_data):
    answer = opsin("predict", tiny_run, tiny_data, "--format", "jsnol")
    assert (answer.code, answer.out) == (ExitCode.USAGE, "")
    assert "Did you mean 'jsonl'?" in answer.err

    answer = opsin("evaluate", tiny_run, tiny_data, "--split", "tset")
    assert (answer.code, answer.out) == (ExitCode.USAGE, "")
    assert "Did you mean 'test'?" in answer.err


def test_the_parts_that_help_lists_are_those_that_are_taken():
    assert sorted(PARTS) == sorted([AUTO, ALL, *SPLITS])


def test_json_and_a_format_are_one_too_many(opsin, tiny_run, picture):
    answer = opsin("predict", tiny_run, picture, "--json", "--format", "csv")

    assert (answer.code, answer.out) == (ExitCode.USAGE, "")
    assert "received both" in answer.err
