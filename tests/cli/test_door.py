"""The door itself: help, streams that are not there, what the system refuses, and how a command ends early."""

import errno
import os
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from opsin.cli import main as door
from opsin.cli import predict as predicting
from opsin.errors import ExitCode


def in_shell(line: str, *arguments: object) -> subprocess.CompletedProcess:
    """Run `line`, in which `opsin` is the command and `$1`, `$2` are the arguments."""
    command = f'opsin() {{ "{sys.executable}" -c "from opsin.cli.main import main; main()" "$@"; }}; {line}'
    return subprocess.run(
        ["bash", "-c", command, "bash", *map(str, arguments)],
        capture_output=True,
        encoding="utf-8",
        errors="surrogateescape",
    )


@pytest.mark.parametrize(
    ("command", "usage"),
    [
        ("embed", "embed [OPTIONS] MODEL_OR_BACKBONE DATA"),
        ("evaluate", "evaluate [OPTIONS] MODEL DATA"),
        ("predict", "predict [OPTIONS] MODEL [SOURCE...]"),
        ("similar", "similar [OPTIONS] INDEX PICTURE..."),
        ("summary", "summary [OPTIONS] NAME"),
        ("train", "train [OPTIONS] DATA"),
    ],
)
def test_usage_reads_as_the_command_is_typed(opsin, command, usage):
    assert f" {usage} " in opsin(command, "--help").out


def test_help_says_where_keras_comes_from_and_that_there_is_debug(opsin):
    assert "keras needs opsin[train]." in opsin("predict", "--help").out
    assert "keras needs opsin[train]." in opsin("evaluate", "--help").out
    assert "--debug" in opsin("--help").out


def test_debug_is_an_option_before_two_dashes_and_a_path_after():
    assert door._take_debug(["predict", "--debug", "RUN"]) == (True, ["predict", "RUN"])
    assert door._take_debug(["predict", "RUN", "--", "--debug"]) == (False, ["predict", "RUN", "--", "--debug"])


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (OSError(errno.ENAMETOOLONG, "File name too long", "x" * 300), ExitCode.USAGE, "File name too long"),
        (PermissionError(errno.EACCES, "Permission denied", "locked"), ExitCode.USAGE, "'locked'"),
        (OSError(errno.ENOSPC, "No space left on device", "out.html"), ExitCode.UNUSABLE, "'out.html'"),
        (OSError(errno.EIO, "Input/output error"), ExitCode.UNUSABLE, "Input/output error"),
    ],
)
def test_what_the_system_refuses_is_one_message(opsin, monkeypatch, error, code, words):
    def fail(sources, **options):
        raise error

    classifier = SimpleNamespace(class_names=("cat", "dog"), labels=("cat", "dog"))
    monkeypatch.setattr("opsin.classifier.Classifier.open", lambda model, runtime, **options: classifier)
    monkeypatch.setattr(predicting, "Search", fail)

    answer = opsin("predict", "RUN", "cat.jpg")

    assert (answer.code, answer.out) == (code, "")
    assert answer.err.startswith("Error: ")
    assert answer.err.count("\n") == 1
    assert words in answer.err


@pytest.mark.parametrize("command", [["predict", "RUN"], ["summary"], ["train"], ["evaluate", "RUN"]])
def test_a_path_that_is_too_long_is_wrong_usage(opsin, command, tiny_run):
    command = [tiny_run if word == "RUN" else word for word in command]

    answer = opsin(*command, "x" * 300)

    assert (answer.code, answer.out) == (ExitCode.USAGE, "")
    assert answer.err.startswith("Error: ")


def test_ctrl_c_says_that_it_stopped(opsin, monkeypatch):
    def interrupt(model, runtime, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr("opsin.classifier.Classifier.open", interrupt)

    answer = opsin("predict", "RUN", "cat.jpg")

    assert (answer.code, answer.out, answer.err) == (ExitCode.INTERRUPTED, "", "Stopped.\n")


@pytest.mark.skipif(os.name == "nt", reason="needs a shell")
class TestStreams:
    """Streams as a shell can hand them over."""

    def test_a_reader_that_has_enough_ends_the_command_quietly(self, tiny_run, tiny_data):
        done = in_shell(
            'opsin predict "$1" "$2" "$2" "$2" --format jsonl | head -n 1; exit "${PIPESTATUS[0]}"', tiny_run, tiny_data
        )

        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout.count("\n") == 1

    def test_a_command_without_stdin_has_no_paths_there(self, tiny_run):
        done = in_shell('opsin predict "$1" - <&-', tiny_run)

        assert done.returncode == ExitCode.UNUSABLE
        assert re.match("Error: .* found none in stdin", done.stderr)

    @pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&-", "<&- >&- 2>&-"])
    def test_a_command_without_streams_still_has_its_exit_code(self, tiny_run, tiny_data, closed):
        assert in_shell(f'opsin predict "$1" "$2" {closed}', tiny_run, tiny_data).returncode == 0
        assert in_shell(f'opsin predict "$1" nowhere.png {closed}', tiny_run).returncode == ExitCode.USAGE

    @pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no full disk at hand")
    def test_output_that_finds_no_room_is_an_error(self, tiny_run, tiny_data):
        done = in_shell('opsin predict "$1" "$2" > /dev/full', tiny_run, tiny_data)

        assert done.returncode == ExitCode.UNUSABLE
        assert re.fullmatch("Error: .*No space left on device.*\n", done.stderr)

    def test_names_that_are_not_utf_8_come_in_and_go_out_as_they_are(self, tiny_run):
        line = r"""printf 'no-\377.png\n' | PYTHONIOENCODING=utf-8:strict opsin predict "$1" - --format csv"""

        done = in_shell(line, tiny_run)

        assert done.returncode == ExitCode.UNUSABLE
        assert '"no-\udcff.png"' in done.stdout


def test_no_command_is_loaded_but_the_one_that_is_called():
    code = (
        "import contextlib, sys; from opsin.cli.main import COMMANDS, GROUPS, app\n"
        "with contextlib.suppress(SystemExit): app(sys.argv[1:])\n"
        "print('loaded', *(name for name in COMMANDS + GROUPS if f'opsin.cli.{name}' in sys.modules))"
    )

    def loaded_by(*arguments):
        done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True)
        return done.stdout.splitlines()[-1].split()[1:]

    assert loaded_by("archs", "--json") == ["archs"]
    assert loaded_by("detect", "--help") == ["detect"]
    assert len(loaded_by("--help")) > 15
