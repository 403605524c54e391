"""Measures of masks, against counts by hand, scikit-learn and SciPy."""

import json

import numpy as np
import pytest

from opsin.errors import DataError, UsageError
from opsin.segmentation.boundaries import Tolerance, boundary, count_boundaries, count_near, near
from opsin.segmentation.counting import count_confusions, count_pixels
from opsin.segmentation.margins import estimate_ratio, student
from opsin.segmentation.metrics import PixelJudge, dice, iou

NAMES = ("a", "b", "c")


def masks(n: int, seed: int = 0, k: int = 3, size: tuple[int, int] = (9, 7)) -> tuple[np.ndarray, np.ndarray]:
    """Random masks and answers that agree in two of three pixels; some pixels are ignored."""
    random = np.random.default_rng(seed)
    truth = random.integers(0, k, (n, *size), np.uint8)
    said = np.where(random.random(truth.shape) < 0.66, truth, random.integers(0, k, truth.shape, np.uint8))
    truth[random.random(truth.shape) < 0.1] = 255
    return truth, said


def judged(truth: np.ndarray, said: np.ndarray, **settings):
    judge = PixelJudge(NAMES, **settings)
    judge.add(truth, said)
    return judge.finish()


def test_shares_of_pixels_are_those_of_scikit_learn():
    from sklearn import metrics as sklearn

    truth, said = masks(5)
    found = judged(truth, said)
    kept = truth != 255
    pair = truth[kept], said[kept]

    ious, dices = sklearn.jaccard_score(*pair, average=None), sklearn.f1_score(*pair, average=None)
    np.testing.assert_allclose([one.iou.value for one in found.per_class], ious)
    np.testing.assert_allclose([one.dice.value for one in found.per_class], dices)
    precision, recall, _, _ = sklearn.precision_recall_fscore_support(*pair)
    np.testing.assert_allclose([one.precision.value for one in found.per_class], precision)
    np.testing.assert_allclose([one.recall.value for one in found.per_class], recall)
    assert found.mean_iou.value == pytest.approx(ious.mean())
    assert found.mean_dice.value == pytest.approx(dices.mean())
    assert found.pixel_accuracy.value == pytest.approx(sklearn.accuracy_score(*pair))
    assert found.confusion_matrix.tolist() == sklearn.confusion_matrix(*pair).tolist()
    assert (found.n, found.pixels) == (5, kept.sum())
    np.testing.assert_allclose(
        found.picture_ious,
        [sklearn.jaccard_score(t[t != 255], s[t != 255], average="macro") for t, s in zip(truth, said, strict=True)],
    )


def test_a_stack_is_counted_as_its_pictures_are():
    truth, said = masks(4)

    stack = count_confusions(truth, said, 3)

    assert stack.shape == (4, 3, 3)
    assert stack.tolist() == [count_confusions(t, s, 3).tolist() for t, s in zip(truth, said, strict=True)]
    one_by_one = PixelJudge(NAMES)
    for t, s in zip(truth, said, strict=True):
        one_by_one.add(t, s)
    assert one_by_one.finish().to_dict() == judged(truth, said).to_dict()


def test_pixels_without_an_answer_are_misses():
    truth, said = np.array([[0, 0, 1, 255]], np.uint8), np.array([[0, 255, 1, 255]], np.uint8)

    counts = count_pixels(truth, said, 2)

    assert (counts.truths.tolist(), counts.said.tolist(), counts.hits.tolist()) == ([[2, 1]], [[1, 1]], [[1, 1]])
    judge = PixelJudge(("a", "b"))
    judge.add(truth, said)
    assert (judge.finish().unanswered, judge.finish().per_class[0].iou.value) == (1, 0.5)


def test_a_class_that_is_nowhere_has_nothing_to_say_and_does_not_count():
    truth = np.array([[0, 0, 1, 1]], np.uint8)
    found = judged(truth, truth)

    assert [one.iou and one.iou.value for one in found.per_class] == [1, 1, None]
    assert found.mean_iou.value == 1
    # One picture says nothing of the next.
    assert (found.mean_iou.low, found.mean_iou.high, found.mean_iou.n) == (0, 1, 1)
    said_only = judged(truth, np.array([[0, 0, 1, 2]], np.uint8))
    assert (said_only.per_class[2].iou.value, said_only.per_class[2].recall) == (0, None)
    assert said_only.mean_iou.value == 0.75


def test_what_cannot_be_judged_is_refused():
    with pytest.raises(DataError, match="every pixel of the masks is ignored"):
        judged(np.full((2, 3, 3), 255, np.uint8), np.zeros((2, 3, 3), np.uint8))
    with pytest.raises(UsageError, match="Received 3 in said"):
        judged(np.zeros((2, 2), np.uint8), np.full((2, 2), 3, np.uint8))
    with pytest.raises(UsageError, match=r"one size\. Received \(2, 2\) and \(2, 3\)"):
        judged(np.zeros((2, 2), np.uint8), np.zeros((2, 3), np.uint8))
    with pytest.raises(UsageError, match="Received int64"):
        judged(np.zeros((2, 2), np.int64), np.zeros((2, 2), np.uint8))


def test_a_boundary_is_where_classes_meet_and_not_where_they_are_ignored():
    mask = np.array([[0, 0, 0, 0], [0, 1, 1, 255], [0, 1, 1, 255]], np.uint8)

    assert boundary(mask).astype(int).tolist() == [[0, 1, 1, 0], [1, 1, 1, 0], [1, 1, 0, 0]]


@pytest.mark.parametrize("radius", [0, 1, 1.5, 2, 3.7, 30])
def test_what_is_near_is_what_the_distance_transform_says(radius):
    from scipy.ndimage import distance_transform_edt

    pixels = np.random.default_rng(3).random((17, 23)) < 0.02

    within = distance_transform_edt(~pixels) <= radius
    others = np.random.default_rng(4).random(pixels.shape) < 0.3

    assert near(pixels, radius).tolist() == within.tolist()
    assert count_near(others, pixels, radius) == (others & within).sum()
    assert not near(np.zeros((4, 4), bool), radius).any()


def test_boundary_f1_is_that_of_a_shifted_edge():
    truth, said = np.zeros((10, 20), np.uint8), np.zeros((10, 20), np.uint8)
    truth[:, 10:], said[:, 13:] = 1, 1
    judge = PixelJudge(("a", "b"), Tolerance(pixels=3))
    judge.add(truth, said)
    assert [one.boundary_f1.value for one in judge.finish().per_class] == [1, 1]

    judge = PixelJudge(("a", "b"), Tolerance(pixels=2))
    judge.add(truth, said)
    assert judge.finish().boundary_f1.value == 0

    # An answer with two edges, of which one is right: all of the truth is found, half of what was said is right.
    said[:, 10:13] = 1
    said[:, 16:] = 0
    counts = count_boundaries(truth, said, 2, Tolerance(pixels=0))
    assert [array.tolist() for array in (counts.truths, counts.found, counts.said, counts.right)] == [
        [[10, 10]], [[10, 10]], [[20, 20]], [[10, 10]],
    ]  # fmt: skip
    judge = PixelJudge(("a", "b"), Tolerance(pixels=0))
    judge.add(truth, said)
    assert judge.finish().boundary_f1.value == pytest.approx(2 / 3)


def test_without_a_true_boundary_there_is_no_boundary_f1():
    truth, said = np.array([[0, 0, 255, 1, 1]], np.uint8), np.array([[0, 1, 1, 1, 1]], np.uint8)

    found = judged(truth, said)

    assert found.boundary_f1 is None
    assert [one.boundary_f1 for one in found.per_class] == [None] * 3


def test_boundaries_that_lie_mostly_in_what_is_ignored_are_not_judged():
    # Along 10 rows an ignored column parts the classes; in the last two they touch.
    truth = np.zeros((12, 9), np.uint8)
    truth[:, 5:], truth[:10, 4] = 1, 255

    found = judged(truth, truth)

    assert found.boundary_f1 is None
    assert [one.boundary_f1 for one in found.per_class] == [None] * 3
    assert found.boundary_hidden == pytest.approx(20 / 24)

    truth[3:10, 4] = 1
    found = judged(truth, truth)
    assert found.boundary_f1.value == 1
    assert 0 < found.boundary_hidden < 0.5


def test_a_tolerance_is_a_share_of_the_diagonal_or_pixels():
    assert Tolerance(share=0.01).radius(300, 400) == 5
    assert Tolerance().radius(10, 10) == 1
    assert (str(Tolerance()), str(Tolerance(pixels=2))) == ("0.75% of the diagonal", "2 pixels")
    with pytest.raises(UsageError, match="tolerance"):
        Tolerance(pixels=-1)


def test_intervals_are_over_pictures_and_not_over_pixels():
    truth, said = masks(12)
    small = judged(truth, said).mean_iou
    large = judged(truth.repeat(5, axis=1), said.repeat(5, axis=1)).mean_iou

    assert (large.value, large.low, large.high) == pytest.approx((small.value, small.low, small.high))
    assert 0 < small.low < small.value < small.high < 1
    assert small.n == 12


def test_the_deviation_of_a_mean_is_the_textbook_one():
    values = np.array([[0.2], [0.5], [0.6], [0.3], [0.9]])

    found = estimate_ratio(lambda total, number: (total / number)[..., 0], values, np.ones((5, 1)))

    half = student(4) * values.std(ddof=1) / np.sqrt(5) / (0.5 * 0.5)
    assert found.value == pytest.approx(0.5)
    assert (found.low, found.high) == pytest.approx((1 / (1 + np.exp(half)), 1 / (1 + np.exp(-half))))


def test_student_is_that_of_the_table():
    from scipy.stats import t

    for degrees in (1, 2, 5, 10, 11, 20, 100):
        assert student(degrees) == pytest.approx(t.ppf(0.975, degrees), abs=1e-3)


def test_the_interval_holds_the_truth_as_often_as_it_says():
    random = np.random.default_rng(5)

    def drawn(n: int) -> list[np.ndarray]:
        truths = np.minimum(random.lognormal(np.log(1500), 0.8, (n, 1)), 9000)
        hits = truths * random.beta(8, 2, (n, 1))
        return [truths, hits + truths * random.beta(2, 8, (n, 1)), hits]

    true = iou(*[array.sum(axis=0) for array in drawn(200_000)])[0]
    found = [estimate_ratio(lambda *sums: iou(*sums)[..., 0], *drawn(8)) for _ in range(400)]

    assert 0.89 <= np.mean([one.low <= true <= one.high for one in found]) <= 0.98


def test_all_right_is_as_sure_as_so_many_answers():
    found = estimate_ratio(lambda *sums: dice(*sums)[..., 0], *[np.full((10, 1), 50)] * 3)

    assert (found.value, found.high) == (1, 1)
    assert found.low == pytest.approx(0.7225, abs=1e-3)


def test_the_numbers_are_fit_for_json():
    truth, said = masks(3)
    truth[1] = 255

    document = json.loads(json.dumps(judged(truth, said).to_dict()))

    assert document["picture_ious"][1] is None
    assert document["per_class"][0]["iou"]["n"] == 2
    assert document["boundary_tolerance"] == "0.75% of the diagonal"
