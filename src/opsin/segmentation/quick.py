"""The look that `opsin segment train` takes before it begins: what would spoil the result, what must stay together."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from opsin.checks.quick import MOST_UNSEEN, said_briefly
from opsin.checks.survey import count_unseen
from opsin.segmentation.checks import PairCheckReport, check_pairs
from opsin.segmentation.dataset import SegmentationDataset


@dataclass(frozen=True, eq=False)
class PairQuickLook:
    """What was found.

    Args:
        dataset: the pairs.
        report: None where the data is too large to be looked at here.
    """

    dataset: SegmentationDataset
    report: PairCheckReport | None

    @property
    def together(self) -> np.ndarray:
        """int (n,), the same number for pictures that are copies of each other: for `SegmentationDataset.split`."""
        return np.arange(len(self.dataset)) if self.report is None else self.report.together

    def lines(self, data: Path) -> Iterator[str]:
        """Yield at most five lines on what was found.

        Args:
            data: what the user called the data.
        """
        if self.report is None:
            yield (
                f"More than {MOST_UNSEEN:,} pictures were not looked at, for copies in two parts and the like. "
                f"Do so once: opsin segment check {data}"
            )
        elif self.report.findings:
            yield from said_briefly(self.report.findings)
            yield f"Look at them: opsin segment check {data} --html findings.html"


def quick_pairs(dataset: SegmentationDataset) -> PairQuickLook:
    """Look for what would spoil the result; pictures that a check has looked at before are not looked at again."""
    if count_unseen(dataset.pictures) > MOST_UNSEEN:
        return PairQuickLook(dataset, None)
    return PairQuickLook(dataset, check_pairs(dataset))
