"""Clusters: obvious groups are found, numbered by size, and told from their middle outwards."""

import sys

import numpy as np
import pytest

from opsin.errors import MissingPackageError, UsageError
from opsin.features import clusters as clustering
from opsin.features.clusters import find_clusters, list_clusters, with_clusters
from opsin.features.index import FeatureIndex, Origin
from opsin.images.preprocess import Preprocess


def bundles(*sizes: int, scale: bool = False) -> np.ndarray:
    """So many vectors close to each axis, the axes one after the other; of any length if they are scaled."""
    random = np.random.default_rng(0)
    vectors = np.concatenate(
        [np.eye(len(sizes))[axis] + 0.05 * random.normal(size=(n, len(sizes))) for axis, n in enumerate(sizes)]
    )
    lengths = random.uniform(0.1, 100, size=(len(vectors), 1)) if scale else 1
    return (vectors * lengths).astype(np.float32)


def index_of(vectors, labels=()) -> FeatureIndex:
    return FeatureIndex(
        np.asarray(vectors, np.float32),
        tuple(f"{i}.png" for i in range(len(vectors))),
        Origin("tiny", "0", Preprocess(1, 1), "RUN"),
        labels,
    )


@pytest.mark.parametrize("many", [10, 20_000])
def test_groups_are_found_and_the_largest_comes_first(monkeypatch, many):
    monkeypatch.setattr(clustering, "MANY", many)

    assert find_clusters(bundles(5, 20, 10), 3).tolist() == [3] * 5 + [1] * 20 + [2] * 10


def test_of_equally_large_groups_the_first_comes_first():
    assert find_clusters(bundles(4, 4, 4), 3).tolist() == [1] * 4 + [2] * 4 + [3] * 4


def test_directions_are_grouped_and_not_lengths():
    index = with_clusters(index_of(bundles(5, 20, 10, scale=True)), 3)

    assert index.clusters.dtype == np.int32
    assert index.clusters.tolist() == [3] * 5 + [1] * 20 + [2] * 10


def test_the_same_seed_gives_the_same_groups():
    vectors = np.random.default_rng(0).normal(size=(200, 5)).astype(np.float32)
    once, again, other = (find_clusters(vectors, 7, seed).tolist() for seed in (1, 1, 2))

    assert once == again != other


def test_equal_vectors_make_one_group_however_many_are_asked_for():
    assert find_clusters(np.ones((6, 2), np.float32), 3).tolist() == [1] * 6
    assert set(find_clusters(np.eye(2, dtype=np.float32)[[0, 1, 0, 0]], 3).tolist()) == {1, 2}


@pytest.mark.parametrize("count", [0, 1, 4])
def test_more_clusters_than_pictures_are_wrong_usage(count):
    with pytest.raises(UsageError, match=f"as many as there are pictures, 3; received {count}"):
        find_clusters(np.eye(3, dtype=np.float32), count)


def test_as_many_clusters_as_pictures_leave_each_alone():
    assert find_clusters(np.eye(3, dtype=np.float32), 3).tolist() == [1, 2, 3]


def test_a_cluster_goes_from_its_middle_outwards_and_counts_its_labels():
    vectors = [[1, 0.9], [1, 0.2], [1, 0], [1, -0.2], [-1, 0], [-9, 0]]
    index = with_clusters(index_of(vectors, ("a", "a", "b", "a", "b", "")), 2)

    first, second = list_clusters(index)

    assert (first.number, second.number, len(first), len(second)) == (1, 2, 4, 2)
    assert first.rows.tolist()[-1] == 0
    assert set(first.rows.tolist()) == {0, 1, 2, 3}
    assert list(first.similarities) == sorted(first.similarities, reverse=True)
    assert list(first.labels.items()) == [("a", 3), ("b", 1)]
    assert np.allclose(second.similarities, 1)


def test_vectors_of_zero_have_a_middle_too():
    first, second = list_clusters(with_clusters(index_of([[0, 0], [0, 0], [1, 0]]), 2))

    assert first.similarities.tolist() == [0, 0]
    assert second.rows.tolist() == [2]


def test_without_scikit_learn_the_way_to_get_it_is_said(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn", None)
    monkeypatch.delitem(sys.modules, "sklearn.cluster", raising=False)

    with pytest.raises(MissingPackageError, match=r"opsin\[analysis\]"):
        find_clusters(np.eye(3, dtype=np.float32), 2)
