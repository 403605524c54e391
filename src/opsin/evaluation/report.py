"""The report on a classifier: data that is computed once, saved, and drawn later."""

import dataclasses
import functools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from opsin.atomic import write_text
from opsin.counting import count
from opsin.errors import DataError
from opsin.evaluation.calibration import Calibration, measure_calibration
from opsin.evaluation.evidence import Evidence
from opsin.evaluation.intervals import Estimate
from opsin.evaluation.metrics import Metrics, check_predictions, measure
from opsin.evaluation.selective import Cautious, RiskCoverage, risk_coverage, threshold_table
from opsin.evaluation.wording import percent, readable

FORMAT = 2

FEW = 10
"""Pictures of a class, below which its recall says little: its interval is some 50 points wide."""

WARNED = 3
"""Classes that are named for having few pictures; the others are counted."""


@dataclass(frozen=True, eq=False)
class Report:
    """What a classifier is worth on one set of pictures.

    Attributes:
        metrics: the numbers.
        calibration: how far the probabilities can be believed, before and after the temperature.
        labels: int `(N,)`, the true class indices.
        probabilities: float `(N, k)`, from 0 to 1.
        paths: the N pictures' files, in the order of the labels, relative to `root`.
        split: which part of the data this is: `"test"`, `"val"`, `"train"`, `"all"`.
        skipped: path and reason of each picture that could not be read.
        root: the folder that paths are relative to; None if they are relative to nothing.
        evidence: where it fails, why, and what to do next, as far as that was looked for.
    """

    metrics: Metrics
    calibration: Calibration
    labels: np.ndarray
    probabilities: np.ndarray
    paths: list[str]
    split: str
    skipped: list[tuple[str, str]]
    root: Path | None = None
    evidence: Evidence = field(default_factory=Evidence)

    @classmethod
    def from_predictions(
        cls,
        labels: np.ndarray,
        probabilities: np.ndarray,
        paths: Sequence[str | Path],
        class_names: Sequence[str],
        *,
        split: str = "test",
        skipped: Sequence[tuple[str | Path, str]] = (),
        root: str | Path | None = None,
        temperature: float = 1.0,
    ) -> "Report":
        """Measure predictions that have been made.

        Args:
            labels: int `(N,)`, the true class indices, 0 to k - 1.
            probabilities: float `(N, k)`, each row adds up to 1.
            paths: the N pictures' files.
            class_names: k names.
            split: which part of the data this is.
            skipped: path and reason of each picture that could not be read; they are not among the N.
            root: the folder that paths are relative to.
            temperature: what the logits were divided by to get these probabilities.

        Raises:
            DataError: the arrays do not fit together, or do not hold labels and probabilities.

        >>> report = Report.from_predictions([0, 1], [[0.9, 0.1], [0.6, 0.4]], ["a", "b"], ["cat", "dog"])
        >>> report.accuracy.value
        0.5
        """
        labels, probabilities = check_predictions(labels, probabilities, len(class_names))
        metrics = measure(labels, probabilities, class_names)
        if len(paths) != metrics.n:
            raise DataError(f"Expected a path for each of {metrics.n} pictures. Received {len(paths)} paths.")
        return cls(
            metrics=metrics,
            calibration=measure_calibration(labels, probabilities, temperature),
            labels=labels,
            probabilities=probabilities,
            paths=[str(path) for path in paths],
            split=split,
            skipped=[(str(path), reason) for path, reason in skipped],
            root=None if root is None else Path(root),
        )

    @property
    def accuracy(self) -> Estimate:
        """The share of pictures judged rightly, with its 95 % interval."""
        return self.metrics.accuracy

    @property
    def class_names(self) -> list[str]:
        """The k names, in the order of the class indices."""
        return self.metrics.class_names

    @functools.cached_property
    def thresholds(self) -> list[Cautious]:
        """What it gains and costs to answer only where sure."""
        return threshold_table(self.labels, self.probabilities)

    @functools.cached_property
    def risk_coverage(self) -> RiskCoverage:
        """The share of mistakes over the share of pictures that are answered, surest first."""
        return risk_coverage(self.labels, self.probabilities)

    @property
    def warnings(self) -> list[str]:
        """What makes the numbers say less than they seem to, a sentence each."""
        return [*self._few_pictures(), *self._one_class()]

    def _few_pictures(self) -> list[str]:
        few = sorted((one for one in self.metrics.per_class if 0 < one.support < FEW), key=lambda one: one.support)
        sentences = [
            f"{readable(one.name)} has only {count(one.support, 'picture')} here: its true recall may be anything from "
            f"{percent(one.recall.low)} to {percent(one.recall.high)}."
            for one in few[:WARNED]
        ]
        if more := len(few) - len(sentences):
            sentences.append(
                f"{count(more, 'more class', 'more classes')} with fewer than {FEW} pictures say as little."
            )
        empty = [readable(one.name) for one in self.metrics.per_class if not one.support]
        if empty:
            named = ", ".join(empty[:WARNED]) + (f" and {len(empty) - WARNED:,} more" if len(empty) > WARNED else "")
            sentences.append(f"Without pictures here, so nothing is known of: {named}.")
        return sentences

    def _one_class(self) -> list[str]:
        if len(np.unique(self.labels)) > 1:
            return []
        name = readable(self.class_names[int(self.labels[0])])
        return [f"All pictures are of one class, {name}: how often others are taken for it cannot be seen."]

    def with_evidence(self, **found: Any) -> "Report":
        """Return the same report with more evidence, by the names of `Evidence`."""
        return dataclasses.replace(self, evidence=dataclasses.replace(self.evidence, **found))

    def to_dict(self) -> dict[str, Any]:
        """Return what `report.json` holds: every number, no array of the size of the data."""
        return {
            "format": FORMAT,
            "split": self.split,
            **dataclasses.asdict(self.metrics),
            "confusion_matrix": self.metrics.confusion_matrix.tolist(),
            "calibration": self.calibration.to_dict(),
            "thresholds": [dataclasses.asdict(row) for row in self.thresholds],
            "risk_coverage": {
                "coverage": self.risk_coverage.coverage.tolist(),
                "risk": self.risk_coverage.risk.tolist(),
                "area": self.risk_coverage.area,
                "best_area": self.risk_coverage.best_area,
            },
            "warnings": self.warnings,
            **self.evidence.to_dict(),
            "skipped": [{"path": path, "reason": reason} for path, reason in self.skipped],
        }

    def save_json(self, path: str | Path) -> None:
        """Write the numbers as strict JSON (no NaN, no Infinity), one line a key."""
        lines = [f"{json.dumps(key)}: {json.dumps(value, allow_nan=False)}" for key, value in self.to_dict().items()]
        write_text(path, "{\n" + ",\n".join(lines) + "\n}\n")

    def save_html(
        self,
        path: str | Path,
        history: Sequence[Mapping[str, Any]] | None = None,
        *,
        settings: Mapping[str, Any] | None = None,
    ) -> None:
        """Write the report as one page that needs no other file and no network, with the pictures that it shows.

        Args:
            path: where to write it.
            history: the training's epochs, as `page/training.py` takes them; their curves are drawn.
            settings: name -> value, shown as a list at the end.

        Raises:
            SavingError: it cannot be written.
        """
        from opsin.evaluation.html import report_page

        write_text(path, report_page(self, history=history or (), settings=settings or {}))

    def __str__(self) -> str:
        from opsin.evaluation.summary import summarize

        return summarize(self)
