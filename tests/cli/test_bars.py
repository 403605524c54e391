"""A progress bar is for a terminal's stderr, and leaves stdout alone."""

import io
import sys

import pytest

from opsin.cli.bars import progress_bar


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def terminal(monkeypatch):
    def show() -> Terminal:
        # In the test itself: pytest puts its own streams back before each.
        monkeypatch.setenv("TERM", "xterm")
        monkeypatch.setattr("sys.stderr", Terminal())
        return sys.stderr

    return show


def test_what_is_printed_while_a_bar_is_shown_goes_where_it_belongs(capsys, terminal):
    screen = terminal()
    with progress_bar("predicting") as advance:
        print("row")
        advance(3, None)

    assert capsys.readouterr().out == "row\n"
    assert "predicting" in screen.getvalue()
    assert "3/?" in screen.getvalue()
    assert "row" not in screen.getvalue()


def test_there_is_no_bar_where_none_is_wanted_and_where_nobody_looks(terminal, monkeypatch):
    screen = terminal()
    with progress_bar("predicting", wanted=False) as advance:
        advance(3, None)
    monkeypatch.setattr("sys.stderr", io.StringIO())
    with progress_bar("predicting") as advance:
        advance(3, None)
        assert sys.stderr.getvalue() == screen.getvalue() == ""
