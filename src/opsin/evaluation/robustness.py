"""Robustness: what is left of a classifier's accuracy on pictures that were spoilt a little.

Pictures are spoilt after they were brought to the network's size. Blur of one pixel would be invisible in a photo of
4,000 pixels and all there is in one of 40: at the network's size it means the same for every picture, and the
published numbers, which are for such sizes, carry over.
"""

import dataclasses
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from opsin.catalog import choose, resolve
from opsin.classifier import Classifier
from opsin.errors import DataError, PictureError
from opsin.evaluation.corruptions import SEVERITIES
from opsin.evaluation.evidence import Corrupted, Robustness
from opsin.evaluation.intervals import Estimate, estimate
from opsin.evaluation.report import Report
from opsin.images.color import convert_color
from opsin.images.reading import read_images
from opsin.runtimes.ahead import run_ahead

CORRUPTIONS = {
    "blur": "opsin.evaluation.corruptions:blur",
    "noise": "opsin.evaluation.corruptions:noise",
    "jpeg": "opsin.evaluation.corruptions:jpeg",
    "brightness": "opsin.evaluation.corruptions:brightness",
    "rotation": "opsin.evaluation.corruptions:rotation",
}

MOST = 200
"""Pictures that are spoilt; each is run some 26 times."""

BATCH = 32

Progress = Callable[[int, int], None]


def measure_robustness(
    classifier: Classifier,
    report: Report,
    *,
    most: int = MOST,
    kinds: Sequence[str] | None = None,
    progress: Progress | None = None,
) -> Robustness:
    """Run a classifier on spoilt pictures. The same pictures are spoilt in the same way every time.

    Args:
        classifier: the classifier.
        report: what it says of pictures that lie where the report has them.
        most: how many of these are taken at most, of each class in proportion.
        kinds: names in `CORRUPTIONS`; None for all.
        progress: is called with the number of pictures run and the number of all.

    Raises:
        UsageError: there is no such kind.
        DataError: none of the pictures can be read any more.
    """
    kinds = list(CORRUPTIONS) if kinds is None else [choose("corruption", kind, CORRUPTIONS) for kind in kinds]
    variants = [None, *((kind, severity) for kind in kinds for severity in SEVERITIES)]
    rows = sample(report.labels, most)
    right: list[np.ndarray] = []
    labels: list[int] = []
    images = _spoilt(classifier, report, rows, variants, labels)
    for batch, outputs in run_ahead(classifier.run, images, BATCH):
        answers = classifier.probabilities(outputs.logits).argmax(axis=1)
        done = sum(map(len, right))
        right.append(answers == np.repeat(labels, len(variants))[done : done + len(batch)])
        if progress is not None:
            progress(done + len(batch), len(rows) * len(variants))
    if not labels:
        raise DataError(f"Expected pictures that can be read, under {str(report.root)!r}; none of them can any more.")
    shares = [_share(hits) for hits in np.concatenate(right).reshape(len(labels), len(variants)).T]
    return Robustness(
        shares[0], tuple(Corrupted(*variant, share) for variant, share in zip(variants[1:], shares[1:], strict=True))
    )


def sample(labels: np.ndarray, most: int) -> np.ndarray:
    """Return int (m,), sorted: rows of at most so many pictures, of each class in proportion, always the same.

    >>> labels = np.repeat([0, 1], [90, 10])
    >>> np.bincount(labels[sample(labels, 20)]).tolist()
    [18, 2]
    """
    shuffled = np.random.default_rng(0).permutation(len(labels))
    place = np.empty(len(labels))
    for label in np.unique(labels):
        of_class = shuffled[labels[shuffled] == label]
        place[of_class] = (np.arange(len(of_class)) + 0.5) / len(of_class)
    return np.sort(np.argsort(place, kind="stable")[:most])


def _spoilt(
    classifier: Classifier,
    report: Report,
    rows: np.ndarray,
    variants: Sequence[tuple[str, int] | None],
    labels: list[int],
) -> Iterator[np.ndarray]:
    """Yield each picture as it is and spoilt in every way; note its label."""
    preprocess = classifier.preprocess
    # Spoilt as a camera would, in its own colours; the network's come after.
    recipe = dataclasses.replace(preprocess, color="rgb")
    paths = [report.paths[row] if report.root is None else str(report.root / report.paths[row]) for row in rows]
    functions = {kind: resolve(CORRUPTIONS[kind]) for kind, _ in filter(None, variants)}
    for row, image in zip(rows.tolist(), read_images(paths, recipe, background=True), strict=True):
        if isinstance(image, PictureError):
            continue
        labels.append(int(report.labels[row]))
        for number, variant in enumerate(variants):
            spoilt = image
            if variant is not None:
                kind, severity = variant
                spoilt = functions[kind](image, severity, np.random.default_rng([row, number]))
            yield convert_color(spoilt, preprocess.color)


def _share(right: np.ndarray) -> Estimate:
    return estimate(int(right.sum()), len(right))
