"""Pictures laid out on a plane so that what the network sees as similar lies close."""

import numpy as np

from opsin.catalog import choose, require
from opsin.evaluation.evidence import FeatureMap

METHODS = ("pca", "umap")

MOST = 2000
"""Points that can be told apart on a page; of more pictures, so many are drawn by lot."""

_FEW = 3


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
    rows = np.arange(len(features))
    if len(rows) > MOST:
        rows = np.sort(np.random.default_rng(seed).choice(len(features), MOST, replace=False))
    chosen = features[rows].astype(np.float32)
    # Directions tell what is similar, as in `opsin similar`.
    chosen = chosen / np.maximum(np.linalg.norm(chosen, axis=1, keepdims=True), np.finfo(np.float32).tiny)
    if len(rows) < _FEW or chosen.shape[1] < 2 or np.ptp(chosen, axis=0).max() == 0:
        return None
    return FeatureMap(_project(chosen, method, seed), rows, method.upper())


def _project(vectors: np.ndarray, method: str, seed: int) -> np.ndarray:
    if method == "pca":
        points = require("sklearn.decomposition", "a map of features").PCA(2, random_state=seed).fit_transform(vectors)
    else:
        umap = require("umap", "a map by UMAP")
        neighbours = min(15, len(vectors) - 1)
        points = umap.UMAP(metric="cosine", n_neighbors=neighbours, random_state=seed, n_jobs=1).fit_transform(vectors)
    return np.asarray(points, dtype=np.float32)
