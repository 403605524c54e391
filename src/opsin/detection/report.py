"""All that is measured of found boxes, in one place, and the gates that it must pass."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

import numpy as np

from opsin.catalog import choose
from opsin.detection.annotations import FoundBoxes, TrueBoxes
from opsin.detection.average_precision import CocoMeasures, coco_measures, mean_of, voc_average_precision
from opsin.detection.curves import BACKGROUND, PrecisionRecall, confusion_matrix, precision_recall
from opsin.errors import UsageError

OF_A_CLASS = ("ap", "ap50", "ap75", "ar_100", "voc_ap")
POINTS = 101
"""How many points of a curve are kept in JSON."""


@dataclass(frozen=True, eq=False)
class DetectionReport:
    """What found boxes are worth.

    Attributes:
        pictures: how many there are.
        boxes: how many have to be found.
        found: how many were found, right or wrong.
        coco: COCO's numbers.
        voc: Pascal VOC's average precision (all points) by the name of the class.
        voc_11: the same by eleven points.
        curves: precision against recall, one entry a class.
        confusion: int64 (k + 1, k + 1), boxes of the class [row] taken for the class [column]; the last is background.
        iou: from which on a box counts as found in the curves, the matrix and Pascal VOC's numbers.
        score: found boxes with less are not in the matrix.
    """

    APS: ClassVar = ("ap", "ap50", "ap75", "ap_small", "ap_medium", "ap_large")
    ARS: ClassVar = ("ar_1", "ar_10", "ar_100", "ar_small", "ar_medium", "ar_large")

    pictures: int
    boxes: int
    found: int
    coco: CocoMeasures
    voc: dict[str, float | None]
    voc_11: dict[str, float | None]
    curves: tuple[PrecisionRecall, ...]
    confusion: np.ndarray
    iou: float
    score: float

    @property
    def voc_ap(self) -> float | None:
        """Pascal VOC's mean average precision by all points, from 0 to 1."""
        return mean_of(list(self.voc.values()))

    @property
    def voc_ap_11(self) -> float | None:
        """The same by eleven points."""
        return mean_of(list(self.voc_11.values()))

    def value_of(self, name: str) -> float | None:
        """Return a measure by its name: `ap50`, or `ap50.CLASS` of one class."""
        measure, dot, class_name = name.partition(".")
        if not dot:
            return getattr(self, name) if name.startswith("voc") else getattr(self.coco, name)
        if measure == "voc_ap":
            return self.voc[class_name]
        return getattr(next(one for one in self.coco.per_class if one.name == class_name), measure)

    def to_dict(self) -> dict[str, Any]:
        """Return all of it, fit for JSON."""
        measures = asdict(self.coco)
        per_class = measures.pop("per_class")
        for one, curve in zip(per_class, self.curves, strict=True):
            best = curve.best()
            one |= {"voc_ap": self.voc[one["name"]], "voc_ap_11": self.voc_11[one["name"]]}
            one |= {"best_f1": best and {"f1": best[0], "score": best[1]}, "curve": _points(curve)}
        names = [*(one["name"] for one in per_class), BACKGROUND]
        return {
            "pictures": self.pictures,
            "boxes": self.boxes,
            "found": self.found,
            **measures,
            "voc_ap": self.voc_ap,
            "voc_ap_11": self.voc_ap_11,
            "per_class": per_class,
            "confusion": {"names": names, "iou": self.iou, "score": self.score, "matrix": self.confusion.tolist()},
        }


_OF_ALL = (*DetectionReport.APS, *DetectionReport.ARS, "voc_ap", "voc_ap_11")


def judge(truth: TrueBoxes, found: FoundBoxes, *, iou: float = 0.5, score: float = 0.25) -> DetectionReport:
    """Measure all there is to measure.

    Args:
        truth: true boxes.
        found: boxes found in their pictures, with scores.
        iou: from which on a box is found, where COCO does not say.
        score: found boxes with less are not in the confusion matrix.
    """
    return DetectionReport(
        pictures=len(truth.pictures),
        boxes=int(truth.counts.sum()),
        found=len(found),
        coco=coco_measures(truth, found),
        voc=voc_average_precision(truth, found, iou=iou),
        voc_11=voc_average_precision(truth, found, method="eleven_points", iou=iou),
        curves=precision_recall(truth, found, iou=iou),
        confusion=confusion_matrix(truth, found, iou=iou, score=score),
        iou=iou,
        score=score,
    )


def read_least(texts: Iterable[str], class_names: Sequence[str]) -> list[tuple[str, float]]:
    """Read gates as a command line has them, before anything is measured.

    Raises:
        UsageError: there is no such measure, no number, or one that is no fraction.

    >>> read_least(["ap50=0.8", "ap.cat=0.5"], ["cat"])
    [('ap50', 0.8), ('ap.cat', 0.5)]
    """
    gates = []
    for text in texts:
        # A class's name may hold `=`; a number does not.
        name, equals, number = text.rpartition("=")
        try:
            wanted = float(number)
        except ValueError:
            wanted = -1.0
        if not (equals and 0 <= wanted <= 1):
            raise UsageError(f"Expected --min NAME=NUMBER with a number from 0 to 1, ap50=0.8 say; received {text!r}.")
        measure, dot, class_name = name.partition(".")
        choose("measure of a class" if dot else "measure", measure, OF_A_CLASS if dot else _OF_ALL)
        if dot:
            choose("class", class_name, class_names)
        gates.append((name, wanted))
    return gates


def shown(value: float | None) -> str:
    """Return a measure with three digits, or a hyphen where there is none.

    >>> shown(0.73159), shown(None)
    ('0.732', '-')
    """
    return "-" if value is None else f"{value:.3f}"


def _points(curve: PrecisionRecall) -> dict[str, list[float | None]]:
    m = len(curve.scores)
    kept = np.unique(np.linspace(0, m - 1, min(POINTS, m)).round().astype(int))
    columns = {"score": curve.scores, "precision": curve.precision, "recall": curve.recall}
    # JSON has no NaN.
    return {name: [None if np.isnan(x) else float(x) for x in values[kept]] for name, values in columns.items()}
