"""Average precision and recall: COCO's twelve numbers, and Pascal VOC's by eleven points and by all."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from opsin.catalog import choose
from opsin.detection.annotations import FoundBoxes, TrueBoxes
from opsin.detection.matching import Matches, match_boxes, overlapping_pairs

THRESHOLDS = np.linspace(0.5, 0.95, 10)
RECALLS = np.linspace(0, 1, 101)
# As pycocotools has them: what lies exactly on an edge is of both sizes.
SIZES = {"all": (0, 1e10), "small": (0, 32**2), "medium": (32**2, 96**2), "large": (96**2, 1e10)}
MOST = (1, 10, 100)
VOC_METHODS = ("all_points", "eleven_points")


@dataclass(frozen=True)
class ClassPrecision:
    """How one class did; fractions from 0 to 1, None where there was nothing to find.

    Args:
        name: what it is called.
        ap: average precision, mean over IoU from 0.5 to 0.95.
        ap50: at IoU 0.5.
        ap75: at IoU 0.75.
        ar_100: the share of its boxes that are found, mean over the same IoU, among 100 a picture.
        boxes: how many true boxes have to be found.
        found: how many boxes were found, right or wrong.
    """

    name: str
    ap: float | None
    ap50: float | None
    ap75: float | None
    ar_100: float | None
    boxes: int
    found: int


@dataclass(frozen=True)
class CocoMeasures:
    """COCO's twelve numbers; fractions from 0 to 1, None where there was nothing to find (pycocotools: -1).

    Args:
        ap: average precision, mean over classes and over IoU from 0.5 to 0.95 by 0.05.
        ap50: at IoU 0.5.
        ap75: at IoU 0.75.
        ap_small: of boxes of up to 32² square pixels.
        ap_medium: between those.
        ap_large: of boxes from 96² square pixels on.
        ar_1: average recall with one box for each class in each picture.
        ar_10: with ten.
        ar_100: with a hundred.
        ar_small: with a hundred, of small boxes.
        ar_medium: of medium ones.
        ar_large: of large ones.
        per_class: one entry a class.
    """

    ap: float | None
    ap50: float | None
    ap75: float | None
    ap_small: float | None
    ap_medium: float | None
    ap_large: float | None
    ar_1: float | None
    ar_10: float | None
    ar_100: float | None
    ar_small: float | None
    ar_medium: float | None
    ar_large: float | None
    per_class: tuple[ClassPrecision, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return all of it, fit for JSON."""
        return asdict(self)


def coco_measures(truth: TrueBoxes, found: FoundBoxes) -> CocoMeasures:
    """Measure as COCO does; equal to pycocotools (`COCOeval`, `bbox`).

    Args:
        truth: true boxes.
        found: boxes found in their pictures, with scores. None at all is fine: every measure is 0.
    """
    matches = match_boxes(truth, found, THRESHOLDS, sizes=tuple(SIZES.values()), most=MOST[-1])
    classes = range(len(truth.class_names))
    columns = [matches.rows[:0]] * len(classes)
    if len(classes):
        of = found.class_indices[matches.rows]
        columns = np.split(np.arange(len(of)), np.searchsorted(of, np.arange(1, len(classes))))
    # (k, a, t, r), (k, m, a, t); NaN where there is nothing to find.
    precision = np.array([_precision(matches, columns[k], truth.class_indices == k) for k in classes])
    recall = np.array(
        [[_recall(matches, columns[k], truth.class_indices == k, most) for most in MOST] for k in classes]
    )
    precision = precision.reshape(-1, len(SIZES), len(THRESHOLDS), len(RECALLS))
    recall = recall.reshape(-1, len(MOST), len(SIZES), len(THRESHOLDS))
    ap = [precision[:, 0], precision[:, 0, _at(0.5)], precision[:, 0, _at(0.75)], *(precision[:, a] for a in (1, 2, 3))]
    ar = [*(recall[:, m, 0] for m in range(3)), *(recall[:, 2, a] for a in (1, 2, 3))]
    per_class = tuple(_of_class(truth, found, precision[k, 0], recall[k, 2, 0], k) for k in classes)
    return CocoMeasures(*map(_mean, ap), *map(_mean, ar), per_class)


def _at(threshold: float) -> int:
    return int(np.abs(THRESHOLDS - threshold).argmin())


def _mean(values: np.ndarray) -> float | None:
    known = values[~np.isnan(values)]
    return float(known.mean()) if known.size else None


def _of_class(truth: TrueBoxes, found: FoundBoxes, precision: np.ndarray, recall: np.ndarray, k: int) -> ClassPrecision:
    parts = (precision, precision[_at(0.5)], precision[_at(0.75)], recall)
    own, others = truth.class_indices == k, found.class_indices == k
    return ClassPrecision(truth.class_names[k], *map(_mean, parts), int((own & truth.counts).sum()), int(others.sum()))


def _precision(matches: Matches, columns: np.ndarray, own: np.ndarray) -> np.ndarray:
    """Return float64 (a, t, r): the precision that one class can have at each recall, NaN with nothing to find."""
    wanted = np.count_nonzero(matches.truth_counts & own, axis=1)
    answer = np.zeros((*matches.hits.shape[:2], len(RECALLS)))
    answer[wanted == 0] = np.nan
    hits, wrong = (_running(matches, columns, right=right) for right in (True, False))
    # pycocotools adds 2e-16 below, so that all that is right comes to a little less than 1 there.
    precision = hits / np.maximum(hits + wrong, 1)
    highest = np.maximum.accumulate(precision[..., ::-1], axis=2)[..., ::-1]
    for a, t in np.ndindex(answer.shape[:2]):
        if wanted[a] and len(columns):
            places = np.searchsorted(hits[a, t] / wanted[a], RECALLS)
            reached = places < len(columns)
            answer[a, t, reached] = highest[a, t, places[reached]]
    return answer


def _running(matches: Matches, columns: np.ndarray, *, right: bool) -> np.ndarray:
    counted = ~matches.ignored[..., columns] & (matches.hits[..., columns] == right)
    return counted.cumsum(axis=2, dtype=np.float64)


def _recall(matches: Matches, columns: np.ndarray, own: np.ndarray, most: int) -> np.ndarray:
    """Return float64 (a, t): the share of one class's boxes that are found, NaN with nothing to find."""
    wanted = np.count_nonzero(matches.truth_counts & own, axis=1)
    few = columns[matches.ranks[columns] < most]
    hits = (matches.hits[..., few] & ~matches.ignored[..., few]).sum(axis=2)
    return np.where(wanted[:, None] > 0, hits / np.maximum(wanted, 1)[:, None], np.nan)


def voc_average_precision(
    truth: TrueBoxes, found: FoundBoxes, *, method: str = VOC_METHODS[0], iou: float = 0.5
) -> dict[str, float | None]:
    """Measure as Pascal VOC's development kit does.

    Each found box goes to the true box of its class that it overlaps most, found already or not: a second one is wrong.
    Difficult boxes, and crowds, count neither for nor against.

    Args:
        truth: true boxes.
        found: boxes found in their pictures, with scores.
        method: `all_points`, the area under the curve (from 2010 on), or `eleven_points`, the mean at recall 0, 0.1,
            to 1 (2007).
        iou: from which on a box is found.

    Returns:
        Average precision by the name of the class, from 0 to 1; None where there was nothing to find.
    """
    choose("method of Pascal VOC", method, VOC_METHODS)
    area = _eleven_points if method == "eleven_points" else _all_points
    hits, ignored, rows = _voc_hits(truth, found, iou)
    answers: dict[str, float | None] = {}
    for k, name in enumerate(truth.class_names):
        wanted = int((truth.counts & (truth.class_indices == k)).sum())
        own = hits[(found.class_indices[rows] == k) & ~ignored]
        recall, right = own.cumsum() / max(wanted, 1), own.cumsum() / np.arange(1, len(own) + 1)
        answers[name] = area(recall, right) if wanted else None
    return answers


def mean_of(values: Sequence[float | None]) -> float | None:
    """Return the mean of those that there are, None of none."""
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None


def _voc_hits(truth: TrueBoxes, found: FoundBoxes, iou: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return which found boxes are right, which do not count, and their rows, by falling score."""
    pairs = overlapping_pairs(truth, found, iou)
    best = np.full(len(found), -1)
    # Written from the least to the most, of equal ones the first last: what stays is the best.
    order = np.lexsort((-pairs.true, pairs.iou))
    best[pairs.found[order]] = pairs.true[order]
    rows = np.argsort(-found.scores, kind="stable")
    aims = best[rows]
    hits = np.zeros(len(rows), bool)
    aimed, first = np.unique(aims, return_index=True)
    hits[first[aimed >= 0]] = True
    ignored = (aims >= 0) & ~truth.counts[aims] if len(truth) else np.zeros(len(rows), bool)
    return hits & ~ignored, ignored, rows


def _all_points(recall: np.ndarray, precision: np.ndarray) -> float:
    highest = np.maximum.accumulate(precision[::-1])[::-1]
    return float((np.diff(recall, prepend=0) * highest).sum())


def _eleven_points(recall: np.ndarray, precision: np.ndarray) -> float:
    # Tenths, which are none in binary, as the development kit has them: 0:0.1:1.
    return float(np.mean([precision[recall >= at].max(initial=0) for at in np.arange(11) * 0.1]))
