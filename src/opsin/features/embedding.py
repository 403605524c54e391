"""`embed`: from pictures to the feature vectors that a finished model, or a pretrained backbone, has for them."""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np

from opsin.classifier import Classifier
from opsin.data.dataset import ImageDataset
from opsin.data.pictures import PictureList, find_pictures
from opsin.errors import DataError, ModelError, PictureError
from opsin.features.embedders import Embedder, open_embedder
from opsin.features.index import FeatureIndex, Origin
from opsin.runtimes.ahead import read_and_run

Progress = Callable[[int, int], None]
Pictures = str | Path | ImageDataset | PictureList | Iterable[str | Path]


def embed(
    source: str | Path | Classifier | Embedder,
    pictures: Pictures,
    *,
    weights: str | None = None,
    progress: Progress | None = None,
) -> FeatureIndex:
    """Return the feature vectors of pictures, in their order, from a finished model or a pretrained backbone.

    Pictures are decoded in threads while the network runs. One that cannot be read is named in the index's `skipped`,
    and the rest go on. A finished model needs no TensorFlow.

    Args:
        source: a run or a model folder, a classifier, or the name of an architecture (needs `opsin[train]`).
        pictures: a folder, with class folders or without; a CSV; a data set; or files.
        weights: of an architecture, as `open_embedder` takes them.
        progress: is called with the number of pictures done and the number of all.

    Raises:
        UsageError: there is no such model, architecture or folder.
        DataError: there are no pictures, or none of them can be read.
        ModelError: the model cannot be used, or its weights cannot be had.
    """
    found = pictures if isinstance(pictures, PictureList) else find_pictures(pictures)
    embedder = source if isinstance(source, Embedder) else open_embedder(source, weights)
    vectors, errors = _run(embedder, found.paths, progress)
    if vectors is None:
        raise DataError(_none_readable(found.paths, errors))
    if not np.isfinite(vectors.sum(axis=1, dtype=np.float64)).all():
        raise ModelError(
            f"Expected numbers from {embedder.origin.source!r}; its features are NaN or infinite. Train it again."
        )
    return _index(vectors, found, embedder.origin, errors)


def _run(
    embedder: Embedder, paths: Sequence[str], progress: Progress | None
) -> tuple[np.ndarray | None, dict[int, str]]:
    """Return the vectors of the readable pictures (None if there are none), and by position why others are not."""
    vectors: np.ndarray | None = None
    errors: dict[int, str] = {}
    done = filled = 0
    for batch, outputs in read_and_run(
        embedder.run, paths, embedder.origin.preprocess, batch_size=embedder.batch_size, lanes=embedder.lanes
    ):
        errors.update((done + i, item.reason) for i, item in enumerate(batch) if isinstance(item, PictureError))
        done += len(batch)
        if outputs is not None:
            if vectors is None:
                vectors = np.empty((len(paths), outputs.shape[1]), dtype=np.float32)
            vectors[filled : filled + len(outputs)] = outputs
            filled += len(outputs)
        if progress is not None:
            progress(done, len(paths))
    return (None if vectors is None else vectors[:filled]), errors


def _index(vectors: np.ndarray, found: PictureList, origin: Origin, errors: dict[int, str]) -> FeatureIndex:
    rows = [row for row in range(len(found)) if row not in errors]
    return FeatureIndex(
        vectors,
        tuple(found.paths[row] for row in rows),
        origin,
        tuple(found.labels[row] for row in rows) if found.labels else (),
        skipped=(*found.lost, *((found.paths[row], reason) for row, reason in errors.items())),
    )


def _none_readable(paths: Sequence[str], errors: dict[int, str]) -> str:
    if not errors:
        return "Expected pictures; received none. Name some files, or a folder of them."
    return f"Expected pictures that can be read; none of the {len(errors)} can. The first, {paths[0]!r}: {errors[0]}"
