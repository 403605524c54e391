"""`evaluate`: run a classifier over a data set and report what it is worth."""

from collections.abc import Callable

import numpy as np

from opsin.catalog import require_installed
from opsin.classifier import Classifier, run_ahead
from opsin.data.cache import Cache
from opsin.data.dataset import ImageDataset
from opsin.data.store import StoredImages, find_decoded
from opsin.data.walk import Skipped
from opsin.errors import DataError, PictureError
from opsin.evaluation.report import Report
from opsin.images.reading import read_images
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
    require_installed(["sklearn"], "evaluation")
    labels = match_labels(classifier, dataset)
    stored = find_decoded(dataset, classifier.preprocess, cache or Cache())
    if stored is None:
        logits, readable, unreadable = _run_files(classifier, dataset, progress)
    else:
        logits, unreadable = run_stored(classifier, stored, progress).logits, stored.unreadable
        readable = ~np.isin(dataset.names, [skipped.path for skipped in unreadable])
    # Files that the data names and that do not exist are in no part: they are said whatever part is judged.
    unreadable = (*unreadable, *(skipped for skipped in dataset.skipped if skipped.lost))
    return Report.from_predictions(
        labels[readable],
        classifier.probabilities(logits),
        dataset.subset(readable).names,
        classifier.class_names,
        split=split,
        skipped=[(skipped.path, skipped.reason) for skipped in unreadable],
        root=dataset.root,
        temperature=classifier.card.temperature,
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


def _run_files(
    classifier: Classifier, dataset: ImageDataset, progress: Progress | None
) -> tuple[np.ndarray, np.ndarray, tuple[Skipped, ...]]:
    """Return logits of the readable pictures, which these are, bool (n,), and the others."""
    logits: list[np.ndarray] = []
    readings: list[PictureError | None] = []
    for batch, outputs in run_ahead(
        classifier.run, read_images(dataset.paths, classifier.preprocess, background=True), BATCH
    ):
        readings += [item if isinstance(item, PictureError) else None for item in batch]
        if outputs is not None:
            logits.append(outputs.logits)
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
    return np.concatenate(logits), np.array([error is None for error in readings]), unreadable


def _some(names: tuple[str, ...] | list[str], most: int = 8) -> str:
    shown = ", ".join(repr(name) for name in names[:most])
    return shown + (f" and {len(names) - most} more" if len(names) > most else "")
