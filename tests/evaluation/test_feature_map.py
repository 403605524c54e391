import numpy as np
import pytest

from opsin.errors import UsageError
from opsin.evaluation.feature_map import MOST, lay_out


def test_two_kinds_of_pictures_lie_apart():
    random = np.random.default_rng(0)
    kinds = np.repeat([0, 1], 40)
    centres = random.normal(size=(2, 16))
    found = lay_out(centres[kinds] + 0.1 * random.normal(size=(80, 16)))
    assert (found.points.shape, found.points.dtype, found.method) == ((80, 2), np.float32, "PCA")
    first, second = (found.points[kinds == kind] for kind in (0, 1))
    apart = np.linalg.norm(first.mean(axis=0) - second.mean(axis=0))
    assert apart > 5 * max(first.std(axis=0).max(), second.std(axis=0).max())


def test_how_long_a_vector_is_says_nothing():
    random = np.random.default_rng(0)
    features = random.normal(size=(20, 8))
    longer = features * random.uniform(1, 9, (20, 1))
    np.testing.assert_allclose(abs(lay_out(longer).points), abs(lay_out(features).points), atol=1e-5)


def test_of_many_pictures_some_are_drawn_by_the_same_lot():
    features = np.random.default_rng(0).normal(size=(MOST + 500, 4))
    first, second = lay_out(features), lay_out(features)
    assert len(first.rows) == len(set(first.rows.tolist())) == MOST
    np.testing.assert_array_equal(first.rows, second.rows)


@pytest.mark.parametrize("features", [np.ones((9, 4)), np.eye(2), np.zeros((5, 0)), np.ones((5, 1))])
def test_where_there_is_nothing_to_lay_out_there_is_no_map(features):
    assert lay_out(features) is None


def test_another_method_is_refused():
    with pytest.raises(UsageError, match="tsne"):
        lay_out(np.eye(4), method="tsne")
