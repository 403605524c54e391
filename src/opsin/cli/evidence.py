"""What `opsin evaluate` adds to a report: costs and precisions that are asked for, slices, robustness, advice."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from opsin.catalog import choose
from opsin.errors import DataError, MissingPackageError, ModelError, UsageError

if TYPE_CHECKING:
    import numpy as np

    from opsin.classifier import Classifier
    from opsin.data.dataset import ImageDataset
    from opsin.evaluation.report import Report


@dataclass(frozen=True, eq=False)
class Wanted:
    """What is asked for.

    Args:
        precisions: class index and wanted share, each.
        costs: float (k, k), as `read_costs` gives it; None for none.
    """

    precisions: tuple[tuple[int, float], ...] = ()
    costs: "np.ndarray | None" = None


def read_wanted(precisions: Sequence[str] | None, costs: Path | None, class_names: Sequence[str]) -> Wanted:
    """Read what is asked for, before anything is measured.

    Raises:
        UsageError: a class or a share is none, or the file is not there.
        DataError: the file says something else.
    """
    from opsin.evaluation.costs_file import read_costs

    return Wanted(
        tuple(_precision(one, class_names) for one in precisions or ()),
        None if costs is None else read_costs(costs, class_names),
    )


def add_evidence(
    report: "Report",
    classifier: "Classifier",
    dataset: "ImageDataset",
    wanted: Wanted,
    *,
    leaked: Sequence[str],
    robustness: bool,
    pictured: str | None,
) -> "Report":
    """Return the report with all that is asked for, with slices, and with advice; bars show what takes long.

    Heat maps, nearest training pictures and the pictures laid out by the method `pictured` are for a page; None: there
    is none.
    """
    from opsin.cli.bars import progress_bar
    from opsin.evaluation.evidence import WantedPrecision
    from opsin.evaluation.feature_map import map_pictures
    from opsin.evaluation.gathering import gather_evidence
    from opsin.evaluation.robustness import measure_robustness
    from opsin.evaluation.selective import weigh
    from opsin.evaluation.thresholds import threshold_for_precision

    labels, probabilities = report.labels, report.probabilities
    if wanted.costs is not None:
        report = report.with_evidence(costs=weigh(labels, probabilities, wanted.costs))
    if wanted.precisions:
        found = [
            WantedPrecision(report.class_names[i], share, *threshold_for_precision(labels, probabilities, i, share))
            for i, share in wanted.precisions
        ]
        report = report.with_evidence(precisions=tuple(found))
    if robustness:
        with progress_bar("spoiling pictures") as advance:
            report = report.with_evidence(robustness=measure_robustness(classifier, report, progress=advance))
    if pictured is not None:
        with progress_bar("laying out pictures") as advance:
            report = map_pictures(report, classifier, method=pictured, progress=advance)
        report = _explained(report, classifier)
    with progress_bar("looking at pictures") as advance:
        return gather_evidence(report, classifier, dataset, leaked=tuple(leaked), progress=advance)


def _explained(report: "Report", classifier: "Classifier") -> "Report":
    from opsin.evaluation.why import compare_worst, explain_worst

    for look, shown in ((compare_worst, "nearest training pictures"), (explain_worst, "heat maps")):
        try:
            report = look(report, classifier)
        except (DataError, MissingPackageError, ModelError, UsageError) as error:
            print(f"The page has no {shown}: {error}", file=sys.stderr)
    return report


def _precision(text: str, class_names: Sequence[str]) -> tuple[int, float]:
    # A class's name may hold `=`; a number does not.
    name, equals, share = text.rpartition("=")
    try:
        wanted = float(share)
    except ValueError:
        equals = ""
    if not equals:
        raise UsageError(f"Expected --precision CLASS=SHARE, daisy=0.99 say; received {text!r}.")
    if not 0 < wanted <= 1:
        raise UsageError(f"Expected a precision above 0 and at most 1 for {name!r}; received {share}. 99 % is 0.99.")
    return list(class_names).index(choose("class", name, class_names)), wanted
