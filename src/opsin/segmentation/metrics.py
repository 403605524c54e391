"""What true and predicted masks say about a segmenter, as numbers."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from opsin.errors import DataError, UsageError
from opsin.evaluation.intervals import Estimate
from opsin.segmentation.boundaries import BoundaryCounts, Tolerance, count_boundaries
from opsin.segmentation.counting import PixelCounts, count_pixels
from opsin.segmentation.margins import estimate_ratio


@dataclass(frozen=True)
class ClassPixels:
    """How one class did; None where there is nothing to say.

    Args:
        name: what it is called.
        iou: intersection over union of true and predicted pixels; None where it neither is nor was said.
        dice: twice the intersection over the sum of both; what F1 is to pixels.
        precision: the share of right pixels among those said to be of it; None where it never was.
        recall: the share of its pixels that were found; None where it has none.
        boundary_f1: the harmonic mean of the shares of true and predicted boundary pixels that have a partner within
            the tolerance; None where it has no true boundary, or most of it may lie in what is ignored.
        share: of all judged pixels, those that are of it, from 0 to 1.
        pixels: how many are of it.
        pictures: in how many pictures it is.
    """

    name: str
    iou: Estimate | None
    dice: Estimate | None
    precision: Estimate | None
    recall: Estimate | None
    boundary_f1: Estimate | None
    share: float
    pixels: int
    pictures: int


@dataclass(frozen=True, eq=False)
class SegmentationMetrics:
    """The numbers of a report. Pixels are summed over pictures; intervals are over pictures (`margins.py`).

    Attributes:
        n: how many pictures were judged.
        pixels: how many pixels were judged.
        mean_iou: the mean IoU of the classes that have pixels.
        mean_dice: their mean Dice.
        pixel_accuracy: the share of pixels judged rightly.
        boundary_f1: the mean boundary F1 of the classes that have a boundary that can be judged; None where none has.
        boundary_hidden: of all pixels at which a class ends, the share at which it is not known what comes next, since
            that is ignored; a fraction from 0 to 1.
        tolerance: how far apart partners on boundaries may be.
        per_class: one entry a class, in the order of the class indices.
        confusion_matrix: int64 (k, k), pixels of class [row] taken for class [column].
        unanswered: judged pixels without an answer, where a recipe cuts pictures off; they count as wrong.
        picture_ious: float64 (n,), of each picture, the mean IoU of the classes that it has or was said to have; not a
            number of a picture without a judged pixel.
    """

    n: int
    pixels: int
    mean_iou: Estimate
    mean_dice: Estimate
    pixel_accuracy: Estimate
    boundary_f1: Estimate | None
    boundary_hidden: float
    tolerance: Tolerance
    per_class: tuple[ClassPixels, ...]
    confusion_matrix: np.ndarray
    unanswered: int
    picture_ious: np.ndarray

    @property
    def class_names(self) -> tuple[str, ...]:
        """The classes' names, in the order of their indices."""
        return tuple(one.name for one in self.per_class)

    def to_dict(self) -> dict[str, Any]:
        """Give the numbers as plain values for a JSON document."""
        ious = [None if np.isnan(value) else float(value) for value in self.picture_ious]
        return {
            "n": self.n,
            "pixels": self.pixels,
            "mean_iou": asdict(self.mean_iou),
            "mean_dice": asdict(self.mean_dice),
            "pixel_accuracy": asdict(self.pixel_accuracy),
            "boundary_f1": asdict(self.boundary_f1) if self.boundary_f1 else None,
            "boundary_tolerance": str(self.tolerance),
            "boundary_hidden": self.boundary_hidden,
            "per_class": [asdict(one) for one in self.per_class],
            "confusion_matrix": self.confusion_matrix.tolist(),
            "unanswered": self.unanswered,
            "picture_ious": ious,
        }


class PixelJudge:
    """Takes true and predicted masks one after the other, and says what they come to; keeps counts, no masks.

    Args:
        class_names: the k names, in the order of the class indices.
        tolerance: how far apart partners on boundaries may be.

    >>> judge = PixelJudge(["sea", "land"])
    >>> judge.add(np.array([[0, 0, 1, 1]], np.uint8), np.array([[0, 1, 1, 1]], np.uint8))
    >>> metrics = judge.finish()
    >>> round(metrics.mean_iou.value, 4), metrics.pixel_accuracy.value
    (0.5833, 0.75)
    """

    def __init__(self, class_names: Sequence[str], tolerance: Tolerance | None = None):
        if not class_names:
            raise UsageError("Expected the names of one class or more. Received none.")
        self.class_names = tuple(class_names)
        self.tolerance = tolerance or Tolerance()
        self._pixels: list[PixelCounts] = []
        self._boundaries: list[BoundaryCounts] = []

    def add(self, truth: np.ndarray, said: np.ndarray) -> None:
        """Take a picture, or a stack of pictures of one size.

        Args:
            truth: uint8 (h, w) or (n, h, w), class indices; 255 is not judged.
            said: the same; 255 is no answer, and wrong where the truth is judged.

        Raises:
            UsageError: the arrays do not fit together, or hold other classes.
        """
        k = len(self.class_names)
        self._pixels.append(count_pixels(truth, said, k))
        for one, other in zip(truth.reshape(-1, *truth.shape[-2:]), said.reshape(-1, *said.shape[-2:]), strict=True):
            self._boundaries.append(count_boundaries(one, other, k, self.tolerance))

    def finish(self) -> SegmentationMetrics:
        """Return the measures of all pictures.

        Raises:
            DataError: no pixel was judged.
        """
        if not sum(int(one.truths.sum()) for one in self._pixels):
            raise DataError(
                "Expected pixels to judge by; every pixel of the masks is ignored, or there are no masks. Check the "
                "classes and what is ignored."
            )
        pixels = PixelCounts(
            *(np.concatenate([getattr(one, name) for one in self._pixels]) for name in ("truths", "said", "hits")),
            sum(one.confusion_matrix for one in self._pixels),
        )
        edges = [
            np.concatenate([getattr(one, name) for one in self._boundaries])
            for name in ("truths", "found", "said", "right", "hidden")
        ]
        return _measured(self.class_names, pixels, BoundaryCounts(*edges), self.tolerance)


def _measured(
    names: tuple[str, ...], pixels: PixelCounts, edges: BoundaryCounts, tolerance: Tolerance
) -> SegmentationMetrics:
    counts, total = (pixels.truths, pixels.said, pixels.hits), int(pixels.truths.sum())
    present = pixels.truths.any(axis=0)
    boundaries = (edges.truths, edges.found, edges.said, edges.right)
    ends = np.array([edges.truths.sum(), edges.hidden.sum()])
    return SegmentationMetrics(
        n=len(pixels),
        pixels=total,
        mean_iou=estimate_ratio(_mean_of(iou, present), *counts),
        mean_dice=estimate_ratio(_mean_of(dice, present), *counts),
        pixel_accuracy=estimate_ratio(_accuracy, pixels.truths, pixels.hits),
        boundary_f1=estimate_ratio(_mean_of(boundary_f1, _shown(edges)), *boundaries),
        boundary_hidden=float(ends[1] / max(1, ends.sum())),
        tolerance=tolerance,
        per_class=tuple(_class(name, c, pixels, edges, total) for c, name in enumerate(names)),
        confusion_matrix=pixels.confusion_matrix,
        unanswered=total - int(pixels.confusion_matrix.sum()),
        picture_ious=_mean(iou(*counts)),
    )


def _class(name: str, c: int, pixels: PixelCounts, edges: BoundaryCounts, total: int) -> ClassPixels:
    truths, said, hits = (array[:, c : c + 1] for array in (pixels.truths, pixels.said, pixels.hits))
    boundaries = [array[:, c : c + 1] for array in (edges.truths, edges.found, edges.said, edges.right)]
    return ClassPixels(
        name=name,
        iou=estimate_ratio(_only(iou), truths, said, hits),
        dice=estimate_ratio(_only(dice), truths, said, hits),
        precision=estimate_ratio(_only(_share), said, hits),
        recall=estimate_ratio(_only(_share), truths, hits),
        boundary_f1=estimate_ratio(_only(boundary_f1), *boundaries) if _shown(edges)[c] else None,
        share=float(truths.sum() / total),
        pixels=int(truths.sum()),
        pictures=int(np.count_nonzero(truths)),
    )


def _shown(edges: BoundaryCounts) -> np.ndarray:
    """Return bool (k,): the classes whose boundary is seen at half of the pixels or more at which they end."""
    seen, hidden = edges.truths.sum(axis=0), edges.hidden.sum(axis=0)
    return (seen > 0) & (seen >= hidden)


def iou(truths: np.ndarray, said: np.ndarray, hits: np.ndarray) -> np.ndarray:
    """Return intersection over union of counts (..., k); not a number where a class neither is nor was said."""
    return _ratio(hits, truths + said - hits)


def dice(truths: np.ndarray, said: np.ndarray, hits: np.ndarray) -> np.ndarray:
    """Return Dice's coefficient of counts (..., k); not a number where a class neither is nor was said."""
    return _ratio(2 * hits, truths + said)


def boundary_f1(truths: np.ndarray, found: np.ndarray, said: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Return boundary F1 of counts (..., k); 0 where nothing was found; not a number where there is none."""
    recall, precision = _ratio(found, truths), _ratio(right, said)
    some = np.nan_to_num(recall), np.nan_to_num(precision)
    harmonic = 2 * some[0] * some[1] / np.maximum(some[0] + some[1], 1e-300)
    return np.where(truths > 0, harmonic, np.nan)


def _accuracy(truths: np.ndarray, hits: np.ndarray) -> np.ndarray:
    return _ratio(hits.sum(axis=-1), truths.sum(axis=-1))


def _share(total: np.ndarray, part: np.ndarray) -> np.ndarray:
    return _ratio(part, total)


def _ratio(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    above, below = np.asarray(above, dtype=np.float64), np.asarray(below)
    return np.divide(above, below, out=np.full(above.shape, np.nan), where=below > 0)


def _mean_of(score, chosen: np.ndarray):
    """Return a statistic: the mean of a score over the chosen classes."""
    return lambda *sums: _mean(score(*sums)[..., chosen])


def _only(score):
    """Return a statistic: the score of the one class that there is."""
    return lambda *sums: score(*sums)[..., 0]


def _mean(values: np.ndarray) -> np.ndarray:
    """Return the mean over the last axis of what is a number; not a number where nothing is."""
    known = ~np.isnan(values)
    return _ratio(np.where(known, values, 0).sum(axis=-1), known.sum(axis=-1))
