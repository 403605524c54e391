"""How a report says its numbers and names, in the terminal and on the page."""

import unicodedata
from collections.abc import Callable

from opsin.evaluation.intervals import Estimate

# Control characters, halves of a surrogate pair (from file names that are not UTF-8), line separators.
_UNREADABLE = {"Cc", "Cs", "Zl", "Zp"}

# They turn the direction of writing: a name would look like another.
_TURNING = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def percent(fraction: float) -> str:
    """Return a fraction from 0 to 1 as a percentage; only all is 100.0 and only nothing is 0.0.

    >>> percent(0.932), percent(0.9999), percent(1.0)
    ('93.2 %', '99.9 %', '100.0 %')
    """
    shown = round(100 * fraction, 1)
    if 0 < fraction < 1:
        shown = min(max(shown, 0.1), 99.9)
    return f"{shown:.1f} %"


def interval(estimate: Estimate) -> str:
    """Return an estimate's 95 % interval in words.

    >>> interval(Estimate(value=0.9, low=0.596, high=0.982, n=10))
    '95 % interval 59.6 to 98.2 %'
    """
    return f"95 % interval {percent(estimate.low).removesuffix(' %')} to {percent(estimate.high)}"


def span(estimate: Estimate, worded: Callable[[float], str]) -> str:
    """Return an estimate's interval without saying of how many percent: beside one that does.

    >>> span(Estimate(value=0.9, low=0.596, high=0.982, n=10), score)
    '0.596 to 0.982'
    """
    return f"{worded(estimate.low).removesuffix(' %')} to {worded(estimate.high)}"


def value_of(estimate: Estimate | None) -> float | None:
    """Return an estimate's value, None of none."""
    return None if estimate is None else estimate.value


def score(value: float | None) -> str:
    """Return a score from 0 to 1 with three digits, or a hyphen where there is none.

    >>> score(0.92149), score(None)
    ('0.921', '-')
    """
    return "-" if value is None else f"{value:.3f}"


def readable(text: str) -> str:
    r"""Return a name with what cannot be printed on one line written out.

    >>> readable("café\n")
    'café\\n'
    """
    return "".join(
        character.encode("unicode_escape").decode("ascii")
        if unicodedata.category(character) in _UNREADABLE or character in _TURNING
        else character
        for character in text
    )


def shortened(text: str, length: int) -> str:
    """Return a readable name of at most `length` characters, cut in its middle if it must be.

    >>> shortened("a_very_long_class_name", 11)
    'a_ver…_name'
    """
    text = readable(text)
    if len(text) <= length:
        return text
    tail = (length - 1) // 2
    return f"{text[: length - 1 - tail]}…{text[-tail:]}"
