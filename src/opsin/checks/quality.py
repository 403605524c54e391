"""Quality: pictures in which there is little to see, with the thresholds that say so."""

from collections.abc import Callable

import numpy as np

from opsin.checks.facts import SIDE, Facts
from opsin.checks.finding import NOTE, WARNING, Finding, Group, NotApplicableError
from opsin.checks.survey import Survey
from opsin.counting import count

# Grey values go from 0 to 255.
BLANK_DEVIATION = 2.0
DARK_MEAN, BRIGHT_MEAN = 25.0, 235.0
LOW_CONTRAST_DEVIATION = 15.0
BLURRED_SHARPNESS = 0.08
"""Deviation of the Laplacian over that of the picture, at 128 pixels. Measured on 750 photos of flowers: the least
sharp has 0.09; blurred by a Gaussian of 2 % of their longer side, 96 % are below."""


def blank(survey: Survey) -> Finding | None:
    """Find pictures of one colour."""
    return _collect(
        survey,
        "blank",
        WARNING,
        f"of one colour (deviation of the grey values below {BLANK_DEVIATION:g} of 255)",
        "Leave them out unless empty pictures belong there.",
        _is_blank,
        lambda facts: f"deviation {facts.deviation:.1f}",
        leave_out=True,
    )


def dark(survey: Survey) -> Finding | None:
    """Find pictures that are nearly black."""
    return _collect(
        survey,
        "dark",
        NOTE,
        f"dark (mean grey value below {DARK_MEAN:g} of 255)",
        "Keep them if such pictures come later, too; leave them out if they are mishaps.",
        lambda facts: facts.mean < DARK_MEAN and not _is_blank(facts),
        lambda facts: f"mean {facts.mean:.1f}",
    )


def bright(survey: Survey) -> Finding | None:
    """Find pictures that are nearly white."""
    return _collect(
        survey,
        "bright",
        NOTE,
        f"bright (mean grey value above {BRIGHT_MEAN:g} of 255)",
        "Keep them if such pictures come later, too; leave them out if they are mishaps.",
        lambda facts: facts.mean > BRIGHT_MEAN and not _is_blank(facts),
        lambda facts: f"mean {facts.mean:.1f}",
    )


def low_contrast(survey: Survey) -> Finding | None:
    """Find pictures in which everything is about as bright."""
    return _collect(
        survey,
        "low-contrast",
        NOTE,
        f"of low contrast (deviation of the grey values below {LOW_CONTRAST_DEVIATION:g} of 255)",
        "Keep them if such pictures come later, too; leave them out if they are mishaps.",
        lambda facts: facts.deviation < LOW_CONTRAST_DEVIATION and not _is_blank(facts),
        lambda facts: f"deviation {facts.deviation:.1f}",
    )


def blurred(survey: Survey) -> Finding | None:
    """Find pictures without sharp edges."""
    if not any(_is_large_enough(survey.facts[row]) for row in survey.readable):
        raise NotApplicableError(f"pictures of less than {SIDE} pixels are too small to tell")
    return _collect(
        survey,
        "blurred",
        NOTE,
        f"blurred (sharpness below {BLURRED_SHARPNESS:g})",
        "Keep them if such pictures come later, too; leave them out if they are mishaps.",
        lambda facts: _is_large_enough(facts) and facts.sharpness < BLURRED_SHARPNESS and not _is_blank(facts),
        lambda facts: f"sharpness {facts.sharpness:.2f}",
    )


def _is_blank(facts: Facts) -> bool:
    return facts.deviation < BLANK_DEVIATION


def _is_large_enough(facts: Facts) -> bool:
    return max(facts.width, facts.height) >= SIDE


def _collect(
    survey: Survey,
    code: str,
    severity: str,
    what: str,
    advice: str,
    applies: Callable[[Facts], bool],
    note: Callable[[Facts], str],
    *,
    leave_out: bool = False,
) -> Finding | None:
    if not len(survey.readable):
        raise NotApplicableError("no picture can be read")
    rows = np.array([row for row in survey.readable if applies(survey.facts[row])], dtype=int)
    if not len(rows):
        return None
    names = survey.dataset.names
    groups = tuple(Group((names[row],), note(survey.facts[row])) for row in rows)
    are = "is" if len(rows) == 1 else "are"
    paths = tuple(names[row] for row in rows) if leave_out else ()
    return Finding(code, severity, f"{count(len(rows), 'picture')} {are} {what}.", advice, groups, paths)
