"""`evaluate`: what a segmenter is worth on pictures and masks, pixel by pixel, at the pictures' own size."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from opsin.atomic import write_text
from opsin.catalog import choose
from opsin.errors import DataError, PictureError, UsageError
from opsin.segmentation.dataset import SegmentationDataset
from opsin.segmentation.metrics import PixelJudge, SegmentationMetrics
from opsin.segmentation.road import read_upright_mask
from opsin.segmentation.segmenter import Segmenter

SHOWN = 5

OF_ALL = ("mean_iou", "mean_dice", "pixel_accuracy", "boundary_f1")
OF_CLASS = ("iou", "dice", "precision", "recall", "boundary_f1")

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class SegmentationReport:
    """What a segmenter is worth.

    Args:
        metrics: the numbers.
        names: n pictures that were judged, by their paths relative to the data.
        split: which part of the data they are; empty where it has no parts.
        skipped: pictures that could not be judged, and why.
    """

    metrics: SegmentationMetrics
    names: tuple[str, ...]
    split: str = ""
    skipped: tuple[tuple[str, str], ...] = ()

    @property
    def worst(self) -> list[tuple[str, float]]:
        """The pictures with their mean IoU, the worst first; those without a judged pixel are left out."""
        order = np.argsort(self.metrics.picture_ious, kind="stable")
        ious = self.metrics.picture_ious
        return [(self.names[i], float(ious[i])) for i in order if not np.isnan(ious[i])]

    def value_of(self, name: str) -> float | None:
        """Return a number by the name that a gate has for it; None where there is nothing to measure it on."""
        measure, _, class_name = name.partition(".")
        of = self.metrics
        if class_name:
            of = of.per_class[of.class_names.index(class_name)]
        found = getattr(of, measure)
        return None if found is None else found.value

    def to_dict(self) -> dict[str, Any]:
        """Give the report as plain values for a JSON document."""
        return {
            "task": "segmentation",
            "split": self.split,
            "pictures": list(self.names),
            "skipped": [{"path": path, "reason": reason} for path, reason in self.skipped],
            **self.metrics.to_dict(),
        }

    def save_json(self, path: str | Path) -> None:
        """Write the report as JSON."""
        write_text(path, json.dumps(self.to_dict(), indent=2) + "\n")

    def __str__(self) -> str:
        metrics = self.metrics
        lines = [
            f"{metrics.n:,} pictures{f' ({self.split})' if self.split else ''}, {metrics.pixels:,} pixels judged",
            "",
            f"{'mean IoU':<16}{_told(metrics.mean_iou)}",
            f"{'mean Dice':<16}{_told(metrics.mean_dice)}",
            f"{'pixel accuracy':<16}{_told(metrics.pixel_accuracy)}",
            f"{'boundary F1':<16}{_told(metrics.boundary_f1)}  ({_boundaries(metrics)})",
            "",
        ]
        width = max([len("class"), *(len(one.name) for one in metrics.per_class)]) + 2
        lines.append(f"{'class':<{width}}{'IoU':<26}{'Dice':>8}{'precision':>11}{'recall':>9}{'share':>9}")
        lines += [
            f"{one.name:<{width}}{_told(one.iou):<26}{_value(one.dice):>8}{_value(one.precision):>11}"
            f"{_value(one.recall):>9}{one.share:>9.1%}"
            for one in metrics.per_class
        ]
        worst = ", ".join(f"{name} {iou:.1%}" for name, iou in self.worst[:SHOWN])
        return "\n".join([*lines, "", f"Lowest mean IoU: {worst}"])


def read_least(given: Sequence[str], class_names: Sequence[str]) -> list[tuple[str, float]]:
    """Return what was asked for as `NAME=NUMBER`, the number a fraction from 0 to 1.

    Raises:
        UsageError: a name is none of those that can be measured, or a number is none.

    >>> read_least(["iou.cell=0.7"], ["ground", "cell"])
    [('iou.cell', 0.7)]
    """
    known = [*OF_ALL, *(f"{measure}.{name}" for measure in OF_CLASS for name in class_names)]
    gates = []
    for one in given:
        # A class's name may hold `=`; a number does not.
        name, equals, number = one.rpartition("=")
        try:
            wanted = float(number)
        except ValueError:
            wanted = -1.0
        if not equals or not 0 <= wanted <= 1:
            raise UsageError(f"Expected --min as NAME=NUMBER, mean_iou=0.7 say, from 0 to 1; received {one!r}.")
        gates.append((choose("measure", name, known), wanted))
    return gates


def _boundaries(metrics: SegmentationMetrics) -> str:
    if metrics.boundary_f1 is None and metrics.boundary_hidden:
        return f"not judged: {metrics.boundary_hidden:.0%} of where classes end lies along ignored pixels"
    return f"within {metrics.tolerance}"


def _value(estimate: Any) -> str:
    return "-" if estimate is None else f"{estimate.value:.1%}"


def _told(estimate: Any) -> str:
    if estimate is None:
        return "-"
    return f"{estimate.value:.1%} ({estimate.low:.1%} to {estimate.high:.1%})"


def evaluate(
    segmenter: Segmenter,
    dataset: SegmentationDataset,
    *,
    split: str = "",
    tiles: bool = False,
    progress: Progress | None = None,
) -> SegmentationReport:
    """Compare a segmenter's masks with true ones, at the size of each picture.

    Args:
        segmenter: whose answers are judged.
        dataset: pictures and true masks; its classes must be the segmenter's.
        split: which part of the data this is.
        tiles: whether pictures are segmented at their own scale, tile by tile.
        progress: is called with the number of pictures done and the number of all.

    Raises:
        DataError: the classes differ, or no picture can be judged.
    """
    if dataset.class_names != segmenter.class_names:
        raise DataError(
            f"Expected masks of the classes {', '.join(segmenter.class_names)}; received "
            f"{', '.join(dataset.class_names)}. Say what the masks hold with --names or --colors, in that order."
        )
    judge = PixelJudge(dataset.class_names)
    names, skipped = [], [(one.path, one.reason) for one in dataset.skipped if one.lost]
    pairs = zip(dataset.names, dataset.paths, dataset.mask_paths, strict=True)
    for number, (name, path, mask) in enumerate(pairs, start=1):
        try:
            truth = read_upright_mask(path, mask, dataset.classes)
            said = segmenter.segment(path, tiles=tiles)
        except PictureError as error:
            skipped.append((name, error.reason))
        else:
            judge.add(truth, said.mask)
            names.append(name)
        if progress is not None:
            progress(number, len(dataset))
    if not names:
        raise DataError(f"Expected pictures that can be judged; none of {len(dataset)} can. The first: {skipped[0]}")
    return SegmentationReport(judge.finish(), tuple(names), split, tuple(skipped))
