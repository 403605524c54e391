"""Pictures laid out on a plane so that what the network sees as similar lies close."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from opsin.catalog import choose, require
from opsin.classifier import Classifier
from opsin.deciding import unit
from opsin.errors import PictureError
from opsin.evaluation.evidence import FeatureMap
from opsin.evaluation.report import Report
from opsin.runtimes.ahead import read_and_run

METHODS = ("pca", "umap")

MOST = 2000
"""Points that can be told apart on a page; of more pictures, so many are drawn by lot."""

_FEW = 3
BATCH = 32

Progress = Callable[[int, int], None]


def map_pictures(
    report: Report, classifier: Classifier, *, method: str = "pca", progress: Progress | None = None
) -> Report:
    """Return the report with its pictures, or `MOST` of them, laid out by what the network sees in them.

    They are read and run once more. An export gives no features, and its report no map.

    Args:
        report: on pictures that are still there.
        classifier: the one that was judged.
        method: one of `METHODS`.
        progress: is called with the number of pictures done and the number of all.

    Raises:
        UsageError: there is no such method.
        MissingPackageError: umap-learn is not installed.
    """
    choose("method", method, METHODS)
    rows = _drawn(report.metrics.n)
    paths = [(report.root or Path()) / report.paths[row] for row in rows]
    found, features, done = [], [], 0
    recipe, lanes = classifier.preprocess, classifier.lanes
    for batch, outputs in read_and_run(classifier.run_beside, paths, recipe, batch_size=BATCH, lanes=lanes):
        found += [rows[done + i] for i, image in enumerate(batch) if not isinstance(image, PictureError)]
        done += len(batch)
        if outputs is not None:
            features.append(outputs.features)
        if progress is not None:
            progress(done, len(rows))
    laid = lay_out(np.concatenate(features), method=method) if features else None
    return report if laid is None else report.with_evidence(map=replace(laid, rows=np.array(found)[laid.rows]))


def lay_out(features: np.ndarray, *, method: str = "pca", seed: int = 0) -> FeatureMap | None:
    """Lay pictures out by what the network sees in them.

    Args:
        features: float (n, d), finite.
        method: `"pca"`, a projection, in which distances can be believed as far as two axes show them; `"umap"`
            (McInnes et al. 2018, arXiv 1802.03426), which keeps neighbours together and nothing else; it needs
            `opsin[map]`.
        seed: of the lot, and of UMAP.

    Returns:
        None of fewer than three pictures, or of features that are all the same: there is nothing to lay out.

    Raises:
        UsageError: there is no such method.
        MissingPackageError: umap-learn or scikit-learn is not installed.
    """
    choose("method", method, METHODS)
    rows = _drawn(len(features), seed)
    # Directions tell what is similar, as in `opsin similar`.
    chosen = unit(features[rows])
    if len(rows) < _FEW or chosen.shape[1] < 2 or np.ptp(chosen, axis=0).max() == 0:
        return None
    return FeatureMap(_project(chosen, method, seed), rows, method.upper())


def _drawn(n: int, seed: int = 0) -> np.ndarray:
    return np.arange(n) if n <= MOST else np.sort(np.random.default_rng(seed).choice(n, MOST, replace=False))


def _project(vectors: np.ndarray, method: str, seed: int) -> np.ndarray:
    if method == "pca":
        points = require("sklearn.decomposition", "a map of features").PCA(2, random_state=seed).fit_transform(vectors)
    else:
        umap = require("umap", "a map by UMAP")
        neighbours = min(15, len(vectors) - 1)
        # Its usual start takes more eigenvectors than three pictures have.
        start = "random" if len(vectors) == _FEW else "spectral"
        settings = {"metric": "cosine", "n_neighbors": neighbours, "init": start, "random_state": seed, "n_jobs": 1}
        points = umap.UMAP(**settings).fit_transform(vectors)
    return np.asarray(points, dtype=np.float32)
