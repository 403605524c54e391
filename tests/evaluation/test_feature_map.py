import numpy as np
import pytest
from PIL import Image

from opsin.errors import UsageError
from opsin.evaluation.feature_map import MOST, lay_out, map_pictures
from opsin.evaluation.report import Report
from opsin.images.preprocess import Preprocess
from opsin.runtimes.base import Outputs


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


class Bright:
    """A classifier that sees how bright a picture is, and how bright its left side."""

    preprocess = Preprocess(4, 4)
    lanes = 1

    def __init__(self, width=2):
        self.width = width

    def run_beside(self, images):
        images = np.asarray(images, np.float32)
        features = np.stack([images.mean(axis=(1, 2, 3)) + 1, images[:, :, :2].mean(axis=(1, 2, 3))], axis=1)
        return Outputs(np.zeros((len(images), 2), np.float32), features[:, : self.width])


def report_of(folder, count):
    for index in range(count):
        pixels = np.full((4, 4, 3), 20 * index, np.uint8)
        pixels[:, :2] = 255 if index % 2 else 0
        Image.fromarray(pixels).save(folder / f"{index}.png")
    paths = [f"{index}.png" for index in range(count)]
    return Report.from_predictions([0, 1] * (count // 2), np.full((count, 2), 0.5), paths, ["a", "b"], root=folder)


def test_a_report_s_pictures_are_read_and_laid_out_without_those_that_are_gone(tmp_path):
    report = report_of(tmp_path, 8)
    (tmp_path / "3.png").unlink()

    found = map_pictures(report, Bright()).evidence.map

    assert found.rows.tolist() == [0, 1, 2, 4, 5, 6, 7]
    left_bright = found.rows % 2 == 1
    assert found.points[left_bright, 0].max() < found.points[~left_bright, 0].min() or (
        found.points[left_bright, 0].min() > found.points[~left_bright, 0].max()
    )


def test_an_export_which_gives_no_features_leaves_the_report_as_it_is(tmp_path):
    report = report_of(tmp_path, 4)
    assert map_pictures(report, Bright(width=0)) is report


def test_umap_keeps_pictures_of_a_kind_together_and_lays_out_as_few_as_three():
    pytest.importorskip("umap")
    kinds = np.repeat(np.eye(3, 8), 12, axis=0)
    features = kinds + np.random.default_rng(0).normal(0, 0.05, kinds.shape)
    points = lay_out(features, method="umap").points
    apart = np.linalg.norm(points[:, None] - points[None], axis=2) + np.diag(np.full(36, np.inf))
    assert (apart.argmin(axis=1) // 12 == np.arange(36) // 12).all()
    np.testing.assert_array_equal(lay_out(features, method="umap").points, points)
    assert np.isfinite(lay_out(features[:3], method="umap").points).all()
