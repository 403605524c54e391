"""`evaluate`: run a classifier over a data set and report what it is worth."""

from collections.abc import Callable, Container, Sequence
from typing import NamedTuple

import numpy as np

from opsin.catalog import require_installed
from opsin.classifier import Classifier
from opsin.data.cache import Cache
from opsin.data.dataset import ImageDataset
from opsin.data.store import StoredImages, find_decoded
from opsin.data.walk import Skipped
from opsin.errors import DataError, PictureError
from opsin.evaluation.report import Report
from opsin.runtimes.ahead import read_and_run
from opsin.runtimes.base import Outputs

BATCH = 32

Progress = Callable[[int, int], None]


def evaluate(
    classifier: Classifier,
    dataset: ImageDataset,
    *,
    split: str = "all",
    cache: Cache | None = None,
    progress: Progress | None = None,
) -> Report:
    """Measure a classifier on labelled pictures.

    Pictures that an earlier run has decoded by the same recipe are not decoded again; nothing is written.

    Args:
        classifier: the classifier.
        dataset: its class names must be among the classifier's; they are matched by name.
        split: what the report calls this part of the data: `"test"`, `"val"`, `"train"` or `"all"`.
        cache: where decoded pictures may be found.
        progress: is called with the number of pictures done and the number of all.

    Raises:
        DataError: a class is unknown to the classifier, or none of the pictures can be read.
    """
    return evaluate_each([classifier], dataset, split=split, cache=cache, progress=progress)[0]


def evaluate_each(
    classifiers: Sequence[Classifier],
    dataset: ImageDataset,
    *,
    split: str = "all",
    cache: Cache | None = None,
    progress: Progress | None = None,
) -> list[Report]:
    """Measure several classifiers on the same pictures, which are read once for all that take them alike.

    Args and errors are those of `evaluate`.

    Returns:
        A report of each, in their order.
    """
    require_installed(["sklearn"], "evaluation")
    labels = [match_labels(one, dataset) for one in classifiers]
    recipes = list(dict.fromkeys(one.preprocess for one in classifiers))
    reports: dict[int, Report] = {}
    for number, recipe in enumerate(recipes):
        chosen = [row for row, one in enumerate(classifiers) if one.preprocess == recipe]
        members = [classifiers[row] for row in chosen]
        answers = _answer(members, dataset, cache or Cache(), _shifted(progress, number, len(recipes)))
        for row, classifier, logits in zip(chosen, members, answers.logits, strict=True):
            reports[row] = _report(classifier, dataset, labels[row], logits, answers, split)
    return [reports[row] for row in range(len(classifiers))]


class _Answers(NamedTuple):
    """What classifiers say of a data set: the logits of each, which pictures could be read, and the others."""

    logits: list[np.ndarray]
    readable: np.ndarray
    unreadable: tuple[Skipped, ...]


def _answer(
    classifiers: Sequence[Classifier], dataset: ImageDataset, cache: Cache, progress: Progress | None
) -> _Answers:
    """Run classifiers of one recipe."""
    stored = find_decoded(dataset, classifiers[0].preprocess, cache)
    if stored is None:
        return _run_files(classifiers, dataset, progress)
    logits: list[list[np.ndarray]] = []
    for start in range(0, len(stored), BATCH):
        images = stored.read(slice(start, start + BATCH))
        logits.append([one.run(images).logits for one in classifiers])
        if progress is not None:
            progress(min(start + BATCH, len(stored)), len(stored))
    readable = ~np.isin(dataset.names, [skipped.path for skipped in stored.unreadable])
    return _Answers(_joined(logits), readable, stored.unreadable)


def _report(
    classifier: Classifier, dataset: ImageDataset, labels: np.ndarray, logits: np.ndarray, answers: _Answers, split: str
) -> Report:
    # Files that the data names and that do not exist are in no part: they are said whatever part is judged.
    unreadable = (*answers.unreadable, *(skipped for skipped in dataset.skipped if skipped.lost))
    return Report.from_predictions(
        labels[answers.readable],
        classifier.probabilities(logits),
        dataset.subset(answers.readable).names,
        classifier.class_names,
        split=split,
        skipped=[(skipped.path, skipped.reason) for skipped in unreadable],
        root=dataset.root,
        temperature=classifier.temperature,
    )


def _shifted(progress: Progress | None, number: int, times: int) -> Progress | None:
    """Return what makes one bar of several runs over the same pictures."""
    if progress is None or times == 1:
        return progress
    return lambda done, total: progress(number * total + done, times * total)


def without(report: Report, paths: Container[str]) -> Report:
    """Return the report on the pictures that are not among some, without evidence.

    Raises:
        DataError: there are no others.
    """
    kept = np.array([path not in paths for path in report.paths], dtype=bool)
    if not kept.any():
        raise DataError(f"Expected pictures that the model has not learned from; all {len(kept):,} are among those.")
    return Report.from_predictions(
        report.labels[kept],
        report.probabilities[kept],
        [path for path, keep in zip(report.paths, kept, strict=True) if keep],
        report.class_names,
        split=report.split,
        skipped=report.skipped,
        root=report.root,
        temperature=report.calibration.temperature,
    )


def match_labels(classifier: Classifier, dataset: ImageDataset) -> np.ndarray:
    """Return int32 (n,), the data set's labels as indices into the classifier's class names.

    Raises:
        DataError: the data set is empty or has a class that the classifier does not know.
    """
    if not len(dataset):
        raise DataError(f"Expected pictures to evaluate on; this part of {str(dataset.root)!r} has none.")
    unknown = [name for name, count in dataset.counts.items() if count and name not in classifier.class_names]
    if unknown:
        raise DataError(
            f"Expected only classes that the model knows ({_some(classifier.class_names)}); "
            f"{str(dataset.root)!r} also has {_some(unknown)}. Rename those folders, or leave them out."
        )
    position = {name: i for i, name in enumerate(classifier.class_names)}
    to_model = np.array([position.get(name, -1) for name in dataset.class_names], dtype=np.int32)
    return to_model[dataset.labels]


def run_stored(classifier: Classifier, images: StoredImages, progress: Progress | None = None) -> Outputs:
    """Return the logits, float32 (n, k) or (n, 1), and features, float32 (n, d), of decoded pictures."""
    outputs = []
    for start in range(0, len(images), BATCH):
        outputs.append(classifier.run(images.read(slice(start, start + BATCH))))
        if progress is not None:
            progress(min(start + BATCH, len(images)), len(images))
    return Outputs(*(np.concatenate([getattr(one, name) for one in outputs]) for name in ("logits", "features")))


def _run_files(classifiers: Sequence[Classifier], dataset: ImageDataset, progress: Progress | None) -> _Answers:
    logits: list[list[np.ndarray]] = []
    readings: list[PictureError | None] = []

    lanes = min(one.lanes for one in classifiers)

    def run(images: np.ndarray) -> list[np.ndarray]:
        return [(one.run_beside if lanes > 1 else one.run)(images).logits for one in classifiers]

    for batch, outputs in read_and_run(run, dataset.paths, classifiers[0].preprocess, batch_size=BATCH, lanes=lanes):
        readings += [item if isinstance(item, PictureError) else None for item in batch]
        if outputs is not None:
            logits.append(outputs)
        if progress is not None:
            progress(len(readings), len(dataset))
    unreadable = tuple(
        Skipped(name, error.reason, lost=True)
        for name, error in zip(dataset.names, readings, strict=True)
        if error is not None
    )
    if not logits:
        raise DataError(
            f"Expected pictures that can be read; none of the {len(dataset)} under {str(dataset.root)!r} can. "
            f"The first, {unreadable[0].path!r}: {unreadable[0].reason}"
        )
    return _Answers(_joined(logits), np.array([error is None for error in readings]), unreadable)


def _joined(batches: list[list[np.ndarray]]) -> list[np.ndarray]:
    """Return the logits of each classifier from those of each batch."""
    return [np.concatenate(parts) for parts in zip(*batches, strict=True)]


def _some(names: tuple[str, ...] | list[str], most: int = 8) -> str:
    shown = ", ".join(repr(name) for name in names[:most])
    return shown + (f" and {len(names) - most} more" if len(names) > most else "")
