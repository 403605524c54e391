"""Pictures in groups: k-means on the directions of their feature vectors."""

import dataclasses
import warnings
from collections import Counter
from dataclasses import dataclass

import numpy as np

from opsin.catalog import require
from opsin.errors import UsageError
from opsin.features.index import FeatureIndex

MANY = 20_000
"""From so many pictures on, each step of k-means looks at a sample of them."""

BATCH = 4096
STARTS = 4
LEAST = 2


@dataclass(frozen=True)
class Cluster:
    """A group of pictures of an index.

    Args:
        number: what it is called, from 1 on.
        rows: int (m,), where its pictures stand in the index, the most typical one first.
        similarities: float32 (m,), cosine of each to the group's middle, from -1 to 1.
        labels: class name -> how many of the pictures have it, the most frequent one first.
    """

    number: int
    rows: np.ndarray
    similarities: np.ndarray
    labels: dict[str, int]

    def __len__(self) -> int:
        return len(self.rows)


def with_clusters(index: FeatureIndex, count: int, seed: int = 0) -> FeatureIndex:
    """Return the index with each picture's group; see `find_clusters`."""
    return dataclasses.replace(index, clusters=find_clusters(index.unit_vectors(), count, seed))


def find_clusters(vectors: np.ndarray, count: int, seed: int = 0) -> np.ndarray:
    """Group vectors by k-means.

    Args:
        vectors: float32 (n, d), of length 1 where directions are what matters.
        count: how many groups, at least 2; there are fewer where fewer vectors differ.
        seed: the same seed gives the same groups.

    Returns:
        int32 (n,), the number of each vector's group: 1 is the largest, and of equally large ones the first.

    Raises:
        UsageError: fewer than 2 groups, or more than vectors.
        MissingPackageError: scikit-learn is not installed.
    """
    require_count(count, len(vectors))
    cluster = require("sklearn.cluster", "finding clusters")
    options = {"n_clusters": count, "random_state": seed, "n_init": STARTS}
    many = len(vectors) >= MANY
    method = cluster.MiniBatchKMeans(batch_size=BATCH, **options) if many else cluster.KMeans(**options)
    with warnings.catch_warnings():
        # That there are fewer different vectors than groups; the numbers show it.
        warnings.simplefilter("ignore", require("sklearn.exceptions", "finding clusters").ConvergenceWarning)
        return _by_size(method.fit_predict(vectors))


def require_count(count: int, pictures: int) -> None:
    """Raise `UsageError` unless so many pictures can be put into so many groups."""
    if not LEAST <= count <= pictures:
        raise UsageError(
            f"Expected from {LEAST} clusters to as many as there are pictures, {pictures}; received {count}."
        )


def list_clusters(index: FeatureIndex) -> tuple[Cluster, ...]:
    """Return the groups of an index that has them, the largest first."""
    return tuple(_describe(index, number) for number in np.unique(index.clusters).tolist())


def _describe(index: FeatureIndex, number: int) -> Cluster:
    rows = np.flatnonzero(index.clusters == number)
    vectors = index.unit_vectors(rows)
    middle = vectors.mean(axis=0)
    similarities = vectors @ (middle / (np.linalg.norm(middle) or 1))
    order = np.argsort(-similarities, kind="stable")
    labels = Counter(index.labels[row] for row in rows) if index.labels else Counter()
    return Cluster(number, rows[order], similarities[order], dict(labels.most_common()))


def _by_size(found: np.ndarray) -> np.ndarray:
    """Number groups by size, from 1 on."""
    _, first, group, sizes = np.unique(found, return_index=True, return_inverse=True, return_counts=True)
    numbers = np.empty(len(sizes), dtype=np.int32)
    numbers[np.lexsort((first, -sizes))] = np.arange(1, len(sizes) + 1)
    return numbers[group]
