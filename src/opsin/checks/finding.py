"""What a check found, in words and with the pictures that show it."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

ERROR, WARNING, NOTE = "error", "warning", "note"
SEVERITIES = (ERROR, WARNING, NOTE)
"""From what makes a result wrong to what is good to know."""

FOUND, PASSED, NOT_APPLICABLE, SKIPPED = "found", "passed", "not applicable", "skipped"


class NotApplicableError(Exception):
    """A check has nothing to look at; its words say why."""


class SkippedError(Exception):
    """A check could not be made; its words say why, and what would make it possible."""


@dataclass(frozen=True)
class Group:
    """Pictures that belong to one case, shown side by side.

    Args:
        paths: as the data set names them; one or more.
        note: what there is to say of them.
        beside: others, to compare them with; nothing is the matter with these.
    """

    paths: tuple[str, ...]
    note: str = ""
    beside: tuple[str, ...] = ()


@dataclass(frozen=True)
class Finding:
    """What is the matter.

    Args:
        code: a key of `opsin.checks.CHECKS`.
        severity: one of `SEVERITIES`.
        message: a sentence.
        advice: what to do.
        groups: the cases.
        leave_out: paths that training would better do without; a part of those in the groups, or none.
    """

    code: str
    severity: str
    message: str
    advice: str
    groups: tuple[Group, ...] = ()
    leave_out: tuple[str, ...] = ()

    @property
    def paths(self) -> tuple[str, ...]:
        """Every picture of every case."""
        return tuple(path for group in self.groups for path in group.paths)

    def to_dict(self) -> dict[str, Any]:
        """Give it as plain values for a JSON document."""
        return {
            "code": self.code,
            "severity": self.severity,
            "message": self.message,
            "paths": list(self.paths),
            "advice": self.advice,
            "groups": [
                {"paths": list(group.paths), "note": group.note, "beside": list(group.beside)} for group in self.groups
            ],
        }


@dataclass(frozen=True)
class Outcome:
    """How a check ended.

    Args:
        code: a key of `opsin.checks.CHECKS`.
        status: `"found"`, `"passed"`, `"not applicable"` or `"skipped"`.
        reason: why it was not applicable, or skipped.
        finding: what was found.
    """

    code: str
    status: str
    reason: str = ""
    finding: Finding | None = None


def one_each(paths: Iterable[str], notes: Iterable[str] = ()) -> tuple[Group, ...]:
    """Return a group for each picture, with its note if there are any."""
    paths = list(paths)
    notes = list(notes) or [""] * len(paths)
    return tuple(Group((path,), note) for path, note in zip(paths, notes, strict=True))
