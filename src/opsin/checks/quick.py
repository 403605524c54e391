"""The look that `opsin train` takes before it begins: what would spoil the result, and what must stay together."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from opsin.checks import QUICK
from opsin.checks.finding import Finding
from opsin.checks.run import CheckReport, check_dataset
from opsin.checks.survey import count_unseen
from opsin.data.dataset import ImageDataset

MOST_UNSEEN = 10_000
"""Pictures that are looked at here if they were not before: about 5 ms each for a photo."""

LINES = 5


@dataclass(frozen=True)
class QuickLook:
    """What was found.

    Args:
        report: None where the data is too large to be looked at here.
        together: int (n,), the same number for pictures that are copies of each other.
    """

    report: CheckReport | None
    together: np.ndarray

    @property
    def is_clean(self) -> bool:
        """Whether there is neither an error nor a warning."""
        return self.report is None or self.report.is_clean

    def lines(self, data: Path) -> Iterator[str]:
        """Yield at most five lines on it.

        Args:
            data: what the user called the data.
        """
        if self.report is None:
            yield (
                f"More than {MOST_UNSEEN:,} pictures were not looked at, for copies in two parts and the like. "
                f"Do so once: opsin check {data}"
            )
            return
        findings = self.report.findings
        yield from said_briefly(findings)
        if findings:
            yield f"Look at them: opsin check {data} --html findings.html"


def quick_check(dataset: ImageDataset) -> QuickLook:
    """Look for what would spoil the result; what `opsin check` has looked at before is not looked at again."""
    if count_unseen(dataset) > MOST_UNSEEN:
        return QuickLook(None, np.arange(len(dataset)))
    report = check_dataset(dataset, codes=QUICK)
    return QuickLook(report, report.survey.groups)


def said_briefly(findings: Iterable[Finding]) -> list[str]:
    """Return a line for each finding; of many, the first ones and how many more there are."""
    lines = [f"Data {finding.severity}: {finding.message}" for finding in findings]
    room = LINES - 1
    return lines if len(lines) <= room else [*lines[: room - 1], f"And {len(lines) - room + 1} more."]
