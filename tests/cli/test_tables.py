"""The tables of `opsin archs` and `opsin summary`: an entry a line, numbers whole, on any width."""

import pytest

from opsin.architectures import ARCHITECTURES
from opsin.cli import archs, summary
from opsin.errors import ExitCode


def test_in_a_pipe_every_architecture_is_one_whole_line(opsin):
    lines = opsin("archs").out.splitlines()

    assert len(lines) == 1 + len(ARCHITECTURES) + 2
    for line, (name, entry) in zip(lines[1:], ARCHITECTURES.items(), strict=False):
        assert line.startswith(name)
        assert line.endswith(entry.description)


def test_on_a_narrow_terminal_the_description_is_shortened():
    rows = [("name", "input", "least", "what it is"), ("lenet5", "32×32×1", "16", "tanh and average pooling")]

    assert archs._lines(rows, 40) == ["name    input    least  what it is", "lenet5  32×32×1     16  tanh and averag…"]


ROWS = [
    ("layer", "kind", "output shape", "parameters", "multiply-adds", "field"),
    ("block1_convolution", "Conv2D", "224×224×64", "36,928", "1,849,688,064", "5"),
]


def test_in_a_pipe_a_layer_is_one_whole_line():
    heading, line = summary._lines(ROWS, None)

    assert heading == "layer               kind    output shape  parameters  multiply-adds  field"
    assert line == "block1_convolution  Conv2D    224×224×64      36,928  1,849,688,064      5"


@pytest.mark.parametrize(("width", "name"), [(75, "block1_convolution"), (70, "block1_convol…"), (40, "block1_…")])
def test_on_a_narrow_terminal_words_are_shortened_and_numbers_never(width, name):
    _, line = summary._lines(ROWS, width)

    assert line.split() == [name, "Conv2D", "224×224×64", "36,928", "1,849,688,064", "5"]


@pytest.mark.parametrize("option", [("--image-size", 99), ("--classes", 3)])
def test_a_finished_network_takes_no_size_and_no_classes(opsin, tiny_run, option):
    answer = opsin("summary", tiny_run, *option)

    assert (answer.code, answer.out) == (ExitCode.USAGE, "")
    assert " ".join(map(str, option)) in answer.err


def test_an_error_in_the_users_own_network_is_one_message(opsin, tmp_path):
    (tmp_path / "mine.py").write_text("def small(shape, k):\n    return shape[7]\n")

    answer = opsin("summary", f"{tmp_path / 'mine.py'}:small")

    assert (answer.code, answer.out) == (ExitCode.USAGE, "")
    assert f"IndexError: tuple index out of range ({tmp_path / 'mine.py'}, line 2)" in answer.err
