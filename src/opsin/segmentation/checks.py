"""Looking at pictures and masks before anything is learned from them. Needs no TensorFlow, and changes nothing."""

import functools
import hashlib
import json
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from opsin.atomic import write_text
from opsin.catalog import resolve
from opsin.checks.finding import ERROR, SEVERITIES, WARNING, Finding
from opsin.checks.run import CheckReport, check_dataset
from opsin.checks.survey import Progress
from opsin.errors import PictureError
from opsin.images.reading import usable_cores
from opsin.segmentation.classes import IGNORED, ClassTable
from opsin.segmentation.dataset import SegmentationDataset
from opsin.segmentation.masks import classes_of, read_stored

PAIR_CHECKS = {
    "missing-pair": "opsin.segmentation.mask_findings:missing_pair",
    "unreadable-mask": "opsin.segmentation.mask_findings:unreadable_mask",
    "strange-value": "opsin.segmentation.mask_findings:strange_value",
    "mask-size": "opsin.segmentation.mask_findings:mask_size",
    "single-class": "opsin.segmentation.mask_findings:single_class",
    "absent-class": "opsin.segmentation.mask_findings:absent_class",
    "near-empty-class": "opsin.segmentation.mask_findings:near_empty_class",
    "all-ignored": "opsin.segmentation.mask_findings:all_ignored",
    "blurred-mask": "opsin.segmentation.mask_findings:blurred_mask",
    "turned-mask": "opsin.segmentation.mask_findings:turned_mask",
    "conflicting-mask": "opsin.segmentation.mask_findings:conflicting_mask",
    "one-class-mask": "opsin.segmentation.mask_findings:one_class_mask",
}
"""Code of a finding → what looks for it: a function of a `PairSurvey` that gives a `Finding` or None."""

PICTURE_CHECKS = ("unreadable", "leakage", "duplicate", "near-duplicate", "blank")
"""Checks of `opsin.checks` that say something of pictures without a label."""


@dataclass(frozen=True, eq=False)
class MaskLook:
    """What was seen of one mask.

    Args:
        error: why it cannot be read; empty if it can.
        strange: what it holds that is neither a class nor ignored; empty if nothing.
        format: a name in `opsin.images.decode.FORMATS`.
        size: height and width, in pixels.
        counts: int64 (256,), pixels of each class; the last are ignored.
        moved: pixels that were brought to the nearest class.
        digest: the same for masks of the same classes at every pixel.
    """

    error: str = ""
    strange: str = ""
    format: str = ""
    size: tuple[int, int] = (0, 0)
    counts: np.ndarray | None = None
    moved: int = 0
    digest: str = ""


@dataclass(frozen=True, eq=False)
class PairSurvey:
    """A data set, what was seen of its masks, and of its pictures.

    Args:
        dataset: n pairs.
        masks: n, in its order.
        pictures: the checks of the pictures alone.
    """

    dataset: SegmentationDataset
    masks: tuple[MaskLook, ...]
    pictures: CheckReport

    @functools.cached_property
    def told(self) -> np.ndarray:
        """int64 (m,), the rows of masks that were read as classes."""
        return np.array([row for row, mask in enumerate(self.masks) if mask.counts is not None], dtype=np.int64)

    @functools.cached_property
    def counts(self) -> np.ndarray:
        """int64 (m, k), pixels of each class in the masks of `told`."""
        k = self.dataset.classes.k
        return np.array([self.masks[row].counts[:k] for row in self.told], dtype=np.int64).reshape(-1, k)

    @functools.cached_property
    def ignored(self) -> np.ndarray:
        """int64 (m,), ignored pixels in the masks of `told`."""
        return np.array([self.masks[row].counts[IGNORED] for row in self.told], dtype=np.int64)


@dataclass(frozen=True, eq=False)
class PairCheckReport:
    """What was found in a data set of pictures and masks."""

    survey: PairSurvey
    findings: tuple[Finding, ...]
    """The most serious first."""

    @property
    def is_clean(self) -> bool:
        """Whether there is neither an error nor a warning."""
        return not any(finding.severity in (ERROR, WARNING) for finding in self.findings)

    @property
    def together(self) -> np.ndarray:
        """int (n,), the same number for pictures that are copies of each other: for `SegmentationDataset.split`."""
        return self.survey.pictures.survey.groups

    @property
    def shares(self) -> dict[str, float]:
        """Of all pixels that are not ignored, the share of each class, from 0 to 1."""
        totals = self.survey.counts.sum(axis=0)
        return dict(zip(self.survey.dataset.class_names, (totals / max(1, totals.sum())).tolist(), strict=True))

    @property
    def summary(self) -> dict[str, Any]:
        """The data in numbers."""
        survey, counts = self.survey, self.survey.counts
        names = survey.dataset.class_names
        return {
            "pictures": len(survey.dataset),
            "masks_read": len(survey.told),
            "classes": self.shares,
            "pictures_with": dict(zip(names, (counts > 0).sum(axis=0).tolist(), strict=True)),
            "ignored": float(survey.ignored.sum() / max(1, counts.sum() + survey.ignored.sum())),
            "note": survey.dataset.note,
            "severities": {name: sum(one.severity == name for one in self.findings) for name in SEVERITIES},
        }

    def to_dict(self) -> dict[str, Any]:
        """Give it as plain values for a JSON document."""
        return {"summary": self.summary, "findings": [finding.to_dict() for finding in self.findings]}

    def to_json(self) -> str:
        """Give it as a JSON document; names that are not valid UTF-8 are escaped."""
        return json.dumps(self.to_dict(), indent=2)

    def save_html(self, path: str | Path) -> None:
        """Write the page with the pictures under their masks, one file that needs no other.

        Raises:
            SavingError: it cannot be written.
        """
        from opsin.segmentation.check_page import pair_check_page

        write_text(path, pair_check_page(self))


def check_pairs(
    dataset: SegmentationDataset,
    *,
    cache: Path | None = None,
    progress: Progress = lambda done, total: None,
) -> PairCheckReport:
    """Look for what is the matter with pictures and masks. Nothing is changed; no TensorFlow is loaded.

    Args:
        dataset: the pairs; opened with `patient=True`, faults that would end the reading are findings, too.
        cache: the cache folder, where what was seen of pictures is remembered; None for the user's.
        progress: is called with the number of pictures looked at and the number of all; then of masks.
    """
    pictures = check_dataset(dataset.pictures, codes=PICTURE_CHECKS, cache=cache, progress=progress)
    survey = PairSurvey(dataset, _looks(dataset.mask_paths, dataset.classes, progress), pictures)
    found = [resolve(code)(survey) for code in PAIR_CHECKS.values()]
    # Files without a partner are said by the check of pairs, which knows what each lacks.
    alone = {skipped.path for skipped in dataset.skipped if skipped.lost}
    found += [one for one in pictures.findings if not (one.code == "unreadable" and set(one.paths) <= alone)]
    findings = sorted((one for one in found if one is not None), key=lambda one: SEVERITIES.index(one.severity))
    return PairCheckReport(survey, tuple(findings))


def look_at_classes(path: str, table: ClassTable) -> MaskLook:
    """Read one mask and count its classes."""
    try:
        stored = read_stored(path)
    except PictureError as error:
        return MaskLook(error=error.reason)
    try:
        found = classes_of(stored, table)
    except PictureError as error:
        return MaskLook(strange=error.reason, format=stored.format, size=stored.size)
    counts = np.bincount(found.classes.reshape(-1), minlength=256)
    digest = hashlib.sha256(np.ascontiguousarray(found.classes)).hexdigest()
    return MaskLook("", "", stored.format, stored.size, counts, found.moved, digest)


def _looks(paths: Sequence[str], table: ClassTable, progress: Callable[[int, int], None]) -> tuple[MaskLook, ...]:
    looks = []
    with ThreadPoolExecutor(usable_cores(), thread_name_prefix="opsin-check") as pool:
        for look in pool.map(functools.partial(look_at_classes, table=table), paths):
            looks.append(look)
            progress(len(looks), len(paths))
    return tuple(looks)
