"""Files: what cannot be read, and what is stored in a way that may surprise."""

import os
from collections.abc import Callable

from opsin.checks.facts import Facts
from opsin.checks.finding import ERROR, NOTE, WARNING, Finding, Group, NotApplicableError, one_each
from opsin.checks.survey import Survey
from opsin.counting import count
from opsin.data.walk import count_reasons
from opsin.images.decode import FORMATS

_PLAIN_MODES = ("RGB", "L", "P", "YCbCr")


def unreadable(survey: Survey) -> Finding | None:
    """Find pictures that cannot be read, and files that a CSV names and that are not there."""
    broken = [
        (name, facts.error) for name, facts in zip(survey.dataset.names, survey.facts, strict=True) if facts.error
    ]
    missing = [(skipped.path, skipped.reason) for skipped in survey.dataset.skipped if skipped.lost]
    found = [*broken, *missing]
    if not found:
        return None
    return Finding(
        "unreadable",
        ERROR,
        f"{count(len(found), 'picture')} cannot be read.",
        "Save or copy them again from where they come from, or leave them out; training goes on without them.",
        one_each(*zip(*found, strict=True)),
        leave_out=tuple(path for path, _ in broken),
    )


def wrong_suffix(survey: Survey) -> Finding | None:
    """Find files whose content is of another format than their name says."""

    def note(facts: Facts, path: str) -> str | None:
        suffix = os.path.splitext(path)[1].lower()  # noqa: PTH122 - of every picture
        said = suffix or "no suffix"
        return None if suffix in FORMATS[facts.format].suffixes else f"{said} in name, {facts.format} in content"

    return _collect(
        survey,
        "wrong-suffix",
        NOTE,
        "{} of another format than the name says.",
        "Opsin goes by the content; other programs may not. Rename them if other programs use them.",
        note,
    )


def odd_mode(survey: Survey) -> Finding | None:
    """Find pictures that are not stored as 8-bit RGB or grey, and say how they are read."""

    def note(facts: Facts, path: str) -> str | None:
        if facts.transparent:
            said = facts.mode.partition(";")[0]
            return f"{said} with transparency: what is transparent is read as white"
        if facts.mode in _PLAIN_MODES:
            return None
        mode, _, bits = facts.mode.partition(";")
        if bits and mode != "I":
            return f"{bits} bits a channel: the high byte is kept"
        return _HOW_READ.get(mode, f"{mode}: turned into 8-bit RGB")

    return _collect(
        survey,
        "odd-mode",
        NOTE,
        "{} not stored as plain 8-bit RGB or grey.",
        "Nothing has to be done; look at some of them in the page to see whether they are read as they are meant.",
        note,
    )


def animated(survey: Survey) -> Finding | None:
    """Find pictures of more than one frame."""
    return _collect(
        survey,
        "animated",
        WARNING,
        "{} with more than one frame; only the first is used.",
        "If other frames matter, save them as pictures of their own.",
        lambda facts, path: f"{facts.frames:,} frames" if facts.frames > 1 else None,
    )


def rotated(survey: Survey) -> Finding | None:
    """Find pictures that EXIF says lie on their side."""
    return _collect(
        survey,
        "rotated",
        NOTE,
        "{} rotated or mirrored by an EXIF entry. Opsin turns them upright.",
        "Other programs may not: a server that ignores EXIF sees them lying.",
        lambda facts, path: f"orientation {facts.orientation}" if facts.orientation != 1 else None,
    )


def ignored_file(survey: Survey) -> Finding | None:
    """Name everything in the folder that is not used."""
    skipped = [one for one in survey.dataset.skipped if not one.lost]
    if not skipped:
        return None
    return Finding(
        "ignored-file",
        NOTE,
        f"{len(skipped):,} files or folders beside the pictures are not used: {count_reasons(skipped)}."
        if len(skipped) > 1
        else f"A file or folder beside the pictures is not used: {skipped[0].reason}.",
        "If there are pictures among them, put them into a class folder, under a suffix that pictures have.",
        one_each([one.path for one in skipped], [one.reason for one in skipped]),
    )


_HOW_READ = {
    "CMYK": "CMYK: turned into RGB without a colour profile, colours may differ a little",
    "1": "1 bit: black and white become 0 and 255",
    "I": "16 or 32 bits: the high byte is kept",
    "F": "floats: 0 to 1 become 0 to 255",
    "LAB": "L*a*b*: turned into sRGB",
}


def _collect(
    survey: Survey, code: str, severity: str, message: str, advice: str, note: Callable[[Facts, str], str | None]
) -> Finding | None:
    """Return a finding of all pictures that there is a note on."""
    if not len(survey.readable):
        raise NotApplicableError("no picture can be read")
    names = survey.dataset.names
    noted = [(names[row], note(survey.facts[row], names[row])) for row in survey.readable]
    groups = tuple(Group((path,), said) for path, said in noted if said is not None)
    if not groups:
        return None
    are = "is" if len(groups) == 1 else "are"
    subject = f"{count(len(groups), 'picture')} {are}"
    return Finding(code, severity, message.format(subject), advice, groups)
