"""`check_dataset`: every check on one data set."""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from opsin.atomic import write_text
from opsin.catalog import choose, resolve
from opsin.checks import CHECKS
from opsin.checks.finding import (
    ERROR,
    FOUND,
    NOT_APPLICABLE,
    PASSED,
    SEVERITIES,
    SKIPPED,
    WARNING,
    Finding,
    NotApplicableError,
    Outcome,
    SkippedError,
)
from opsin.checks.survey import Progress, Survey, survey
from opsin.data.dataset import ImageDataset
from opsin.data.skip_list import write_skip_list
from opsin.errors import UsageError
from opsin.images.preprocess import Preprocess


@dataclass(frozen=True)
class CheckReport:
    """What was found in a data set.

    Args:
        survey: what was looked at.
        outcomes: of each check, in the order of the catalogue.
    """

    survey: Survey
    outcomes: tuple[Outcome, ...]

    @property
    def findings(self) -> tuple[Finding, ...]:
        """What was found, the most serious first."""
        found = [outcome.finding for outcome in self.outcomes if outcome.finding is not None]
        return tuple(sorted(found, key=lambda finding: SEVERITIES.index(finding.severity)))

    @property
    def is_clean(self) -> bool:
        """Whether there is neither an error nor a warning."""
        return not any(finding.severity in (ERROR, WARNING) for finding in self.findings)

    @property
    def summary(self) -> dict[str, Any]:
        """The data in numbers, and how each check ended."""
        dataset = self.survey.dataset
        return {
            "pictures": len(dataset),
            "readable": len(self.survey.readable),
            "classes": dataset.counts,
            "severities": {name: sum(one.severity == name for one in self.findings) for name in SEVERITIES},
            "outcomes": {
                outcome.code: outcome.status + (f": {outcome.reason}" if outcome.reason else "")
                for outcome in self.outcomes
            },
        }

    def to_dict(self) -> dict[str, Any]:
        """Give it as plain values for a JSON document."""
        return {"summary": self.summary, "findings": [finding.to_dict() for finding in self.findings]}

    def to_json(self) -> str:
        """Give it as a JSON document; names that are not valid UTF-8 are escaped."""
        return json.dumps(self.to_dict(), indent=2)

    def save_html(self, path: str | Path) -> None:
        """Write the page with the pictures, one file that needs no other.

        Raises:
            SavingError: it cannot be written.
        """
        from opsin.checks.page import check_page

        write_text(path, check_page(self))

    def write_list(self, path: str | Path, listed: Mapping[str, str] | None = None) -> int:
        """Write the list of pictures that training would better do without, for `opsin train --skip`.

        Args:
            path: the CSV to write.
            listed: what was left out already, and why: the list holds these first.

        Returns:
            How many there are.

        Raises:
            SavingError: it cannot be written.
        """
        reasons = dict(listed or {})
        for finding in self.findings:
            for name in finding.leave_out:
                reasons.setdefault(name, finding.code)
        write_skip_list(path, reasons)
        return len(reasons)


def check_dataset(
    dataset: ImageDataset,
    *,
    preprocess: Preprocess | None = None,
    features: np.ndarray | None = None,
    codes: Iterable[str] | None = None,
    cache: Path | None = None,
    processes: int = 1,
    progress: Progress = lambda done, total: None,
    say: Callable[[str], None] = lambda line: None,
) -> CheckReport:
    """Look for what is the matter with a data set. Nothing is changed; no TensorFlow is loaded.

    Args:
        dataset: the pictures; opened with `patient=True`, faults that would end the reading are findings, too.
        preprocess: the recipe that training will use, for what depends on sizes; None if it is not known.
        features: float (n, d), what a model sees in each picture, for what depends on it; None for none.
        codes: which checks, keys of `opsin.checks.CHECKS`; None for all.
        cache: the cache folder, where what was seen is remembered; None for the user's.
        processes: how many read at once, where there are many pictures; see `survey`.
        progress: is called with the number of pictures looked at and the number of all.
        say: is called with a line on each check.

    Raises:
        UsageError: there is no such check, or there are not features of each picture.

    Example:
        >>> check_dataset(ImageDataset.open("photos"))  # doctest: +SKIP
    """
    codes = [choose("check", code, CHECKS) for code in codes] if codes is not None else list(CHECKS)
    if features is not None and len(features) != len(dataset):
        raise UsageError(
            f"Expected features of {len(dataset):,} pictures, a row each. Received {len(features):,} rows."
        )
    found = survey(dataset, preprocess=preprocess, cache=cache, processes=processes, progress=progress)
    found = Survey(dataset, found.facts, preprocess, features, cache)
    outcomes = []
    for code in CHECKS:
        if code in codes:
            say(code)
            outcomes.append(_outcome(code, found))
    return CheckReport(found, tuple(outcomes))


def _outcome(code: str, found: Survey) -> Outcome:
    try:
        finding = resolve(CHECKS[code])(found)
    except NotApplicableError as error:
        return Outcome(code, NOT_APPLICABLE, str(error))
    except SkippedError as error:
        return Outcome(code, SKIPPED, str(error))
    return Outcome(code, PASSED) if finding is None else Outcome(code, FOUND, finding=finding)
