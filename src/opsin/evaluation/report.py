"""The report on a classifier: data that is computed once, saved, and drawn later."""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from opsin.atomic import write_text
from opsin.errors import DataError
from opsin.evaluation.intervals import Estimate
from opsin.evaluation.metrics import Metrics, measure

FORMAT = 1


@dataclass(frozen=True, eq=False)
class Report:
    """What a classifier is worth on one set of pictures.

    Attributes:
        metrics: the numbers.
        labels: int `(N,)`, the true class indices.
        probabilities: float `(N, k)`, from 0 to 1.
        paths: the N pictures' files, in the order of the labels.
        split: which part of the data this is: `"test"`, `"val"`, `"train"`, `"all"`.
        skipped: path and reason of each picture that could not be read.
    """

    metrics: Metrics
    labels: np.ndarray
    probabilities: np.ndarray
    paths: list[str]
    split: str
    skipped: list[tuple[str, str]]

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
    ) -> "Report":
        """Measure predictions that have been made.

        Args:
            labels: int `(N,)`, the true class indices, 0 to k - 1.
            probabilities: float `(N, k)`, each row adds up to 1.
            paths: the N pictures' files.
            class_names: k names.
            split: which part of the data this is.
            skipped: path and reason of each picture that could not be read; they are not among the N.

        Raises:
            DataError: the arrays do not fit together, or do not hold labels and probabilities.

        >>> report = Report.from_predictions([0, 1], [[0.9, 0.1], [0.6, 0.4]], ["a", "b"], ["cat", "dog"])
        >>> report.accuracy.value
        0.5
        """
        metrics = measure(labels, probabilities, class_names)
        if len(paths) != metrics.n:
            raise DataError(f"Expected a path for each of {metrics.n} pictures. Received {len(paths)} paths.")
        return cls(
            metrics=metrics,
            labels=np.asarray(labels),
            probabilities=np.asarray(probabilities),
            paths=[str(path) for path in paths],
            split=split,
            skipped=[(str(path), reason) for path, reason in skipped],
        )

    @property
    def accuracy(self) -> Estimate:
        """The share of pictures judged rightly, with its 95 % interval."""
        return self.metrics.accuracy

    @property
    def class_names(self) -> list[str]:
        """The k names, in the order of the class indices."""
        return self.metrics.class_names

    def to_dict(self) -> dict[str, Any]:
        """Return what `report.json` holds: every number, no array of the size of the data."""
        return {
            "format": FORMAT,
            "split": self.split,
            **dataclasses.asdict(self.metrics),
            "confusion_matrix": self.metrics.confusion_matrix.tolist(),
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
        """Write the report as one page that needs no other file and no network.

        Args:
            path: where to write it.
            history: the training's epochs, as `history_chart` takes them; their curves are drawn.
            settings: name -> value, shown as a list at the end.

        Raises:
            MissingPackageError: matplotlib is not installed.
        """
        from opsin.evaluation.html import report_page

        write_text(path, report_page(self, history=history or (), settings=settings or {}))

    def __str__(self) -> str:
        from opsin.evaluation.summary import summarize

        return summarize(self)
