import pytest

from opsin.evaluation.wording import percent, readable, shortened


@pytest.mark.parametrize(
    ("fraction", "text"),
    [(0.0, "0.0 %"), (0.0001, "0.1 %"), (0.5, "50.0 %"), (0.99951, "99.9 %"), (1.0, "100.0 %")],
)
def test_only_all_is_100_percent_and_only_nothing_is_0(fraction, text):
    assert percent(fraction) == text


def test_control_characters_cannot_reach_the_terminal():
    assert readable("red\x1b[31m\r\u2028") == "red\\x1b[31m\\r\\u2028"


def test_marks_that_turn_the_direction_of_writing_are_written_out_and_letters_of_any_script_stay():
    assert readable("photo\u202egnp.exe \u2067") == "photo\\u202egnp.exe \\u2067"
    assert readable("زهرة 向日葵 👩\u200d🌾") == "زهرة 向日葵 👩\u200d🌾"


@pytest.mark.parametrize("length", [5, 10, 13])
def test_a_shortened_name_keeps_both_ends_and_its_length(length):
    short = shortened("beginning_and_end", length)
    assert (len(short), short[0], short[-1]) == (length, "b", "d")
