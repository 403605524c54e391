"""What suppression leaves, against worked examples, slow loops as the papers have them, and TensorFlow."""

import math

import numpy as np
import pytest

from opsin.detection.boxes import convert
from opsin.detection.suppression import Suppression, suppress
from opsin.errors import DataError, UsageError


def random_boxes(n, seed, side=300):
    """Float32 boxes in crowds, as networks give them."""
    random = np.random.default_rng(seed)
    crowd = random.integers(0, max(n // 12, 1), n)
    corner = random.random((n, 2))[crowd] * side + random.normal(0, 6, (n, 2))
    sides = 20 + 60 * random.random((n, 2))[crowd] * np.exp(random.normal(0, 0.1, (n, 2)))
    scores = random.random(n).astype(np.float32)
    return np.concatenate([corner, corner + sides], axis=1).astype(np.float32), scores


def iou_of(a, b):
    width, height = (max(a.dtype.type(0), min(a[i + 2], b[i + 2]) - max(a[i], b[i])) for i in (0, 1))
    area = [(one[2] - one[0]) * (one[3] - one[1]) for one in (a, b)]
    return width * height / (area[0] + area[1] - width * height)


def test_the_worked_example_holds():
    boxes = [[10, 10, 50, 50], [12, 12, 52, 52], [100, 100, 150, 150], [102, 102, 148, 148]]

    kept = suppress(boxes, [0.9, 0.75, 0.85, 0.7], format="yxyx")

    assert kept.indices.tolist() == [0, 2]
    assert kept.scores.tolist() == [0.9, 0.85]
    assert kept.boxes.tolist() == [boxes[0], boxes[2]]
    assert kept.class_indices is None


@pytest.mark.parametrize("threshold", [0.0, 0.3, 0.5, 0.9])
def test_greedy_is_the_loop_over_pairs(threshold):
    boxes, scores = random_boxes(700, 1)
    stay = []
    for row in np.argsort(-scores, kind="stable"):
        if all(iou_of(boxes[row], boxes[other]) <= threshold for other in stay):
            stay.append(int(row))

    kept = suppress(boxes, scores, Suppression(iou=threshold), format="xyxy")

    assert kept.indices.tolist() == stay


def test_it_is_tensorflows_on_random_boxes_with_limits_and_equal_scores():
    tf = pytest.importorskip("tensorflow")
    for seed in range(12):
        boxes, scores = random_boxes(900, seed)
        # Many equal scores, and two kinds of limits.
        scores = np.round(scores, 2) if seed % 2 else scores
        for most, least in ((900, -math.inf), (40, -math.inf), (900, 0.5), (7, 0.3)):
            theirs = tf.image.non_max_suppression(boxes, scores, most, 0.45, least).numpy()
            ours = suppress(boxes, scores, Suppression(iou=0.45, score=least, max_boxes=most), format="yxyx")
            np.testing.assert_array_equal(ours.indices, theirs)

    # Its weight is exp(-IoU² / (2 sigma)); it stops suppressing for good where its threshold is 1.
    boxes, scores = random_boxes(300, 3)
    rows, decayed = tf.image.non_max_suppression_with_scores(boxes, scores, 300, 1.0, 0.05, soft_nms_sigma=0.25)
    ours = suppress(boxes, scores, Suppression("soft_gaussian", score=0.05, sigma=0.5), format="yxyx")
    np.testing.assert_array_equal(ours.indices, rows.numpy())
    np.testing.assert_allclose(ours.scores, decayed.numpy(), rtol=1e-5)


def test_equal_scores_go_by_their_order_and_an_iou_of_exactly_the_threshold_stays():
    # IoU of 0..2 and 1..3, each 1 high, is 1/3: as float32 division has it.
    boxes = np.array([[0, 0, 2, 1], [1, 0, 3, 1], [0, 0, 2, 1]], np.float32)
    third = float(np.float32(1) / np.float32(3))

    assert suppress(boxes, np.full(3, 0.5, np.float32), Suppression(iou=third), format="xyxy").indices.tolist() == [
        0,
        1,
    ]
    assert suppress(boxes, np.full(3, 0.5), Suppression(iou=0.33), format="xyxy").indices.tolist() == [0]


def test_negative_scores_zeros_and_minus_zero_are_ordered_as_numbers():
    boxes = np.arange(6)[:, None] * 10 + np.array([0, 0, 5, 5])
    scores = np.array([-1.5, 0.0, -0.0, 3e38, -3e38, 1e-40], np.float32)

    assert suppress(boxes, scores, format="xyxy").indices.tolist() == [3, 5, 1, 2, 0, 4]
    assert suppress(boxes, scores.astype(float), format="xyxy").indices.tolist() == [3, 5, 1, 2, 0, 4]


def test_a_limit_is_reached_beyond_a_crowd_of_the_best():
    boxes = np.tile(np.array([[0, 0, 10, 10]], np.float32), (500, 1))
    boxes[[300, 400]] += 50 * np.arange(1, 3, dtype=np.float32)[:, None]

    kept = suppress(boxes, np.linspace(1, 0, 500, dtype=np.float32), Suppression(max_boxes=3), format="xyxy")

    assert kept.indices.tolist() == [0, 300, 400]


def test_classes_leave_each_other_alone_and_share_the_limit():
    boxes, scores = random_boxes(400, 5)
    classes = np.random.default_rng(5).integers(0, 4, 400)
    each = [suppress(boxes[classes == k], scores[classes == k], format="xyxy") for k in range(4)]
    rows = np.concatenate([np.flatnonzero(classes == k)[one.indices] for k, one in enumerate(each)])
    rows = rows[np.argsort(-scores[rows], kind="stable")]

    kept = suppress(boxes, scores, format="xyxy", class_indices=classes)
    best = suppress(boxes, scores, Suppression(max_boxes=5), format="xyxy", class_indices=classes)

    np.testing.assert_array_equal(kept.indices, rows)
    np.testing.assert_array_equal(kept.class_indices, classes[rows])
    np.testing.assert_array_equal(best.indices, rows[:5])


@pytest.mark.parametrize("method", ["soft_linear", "soft_gaussian"])
def test_soft_suppression_is_the_loop_of_its_paper(method):
    boxes, scores = random_boxes(120, 6)
    boxes, now = boxes.astype(float), scores.astype(float)
    taken, known = [], []
    left = list(range(120))
    while left:
        best = max(left, key=lambda row: (now[row], -row))
        left.remove(best)
        if now[best] <= 0.1:
            break
        taken.append(best)
        known.append(now[best])
        for row in left:
            iou = iou_of(boxes[best], boxes[row])
            now[row] *= math.exp(-(iou**2) / 0.4) if method == "soft_gaussian" else (1 - iou if iou > 0.3 else 1)

    kept = suppress(boxes, scores.astype(float), Suppression(method, iou=0.3, score=0.1, sigma=0.4), format="xyxy")

    assert kept.indices.tolist() == taken
    np.testing.assert_allclose(kept.scores, known, rtol=1e-9)


@pytest.mark.parametrize("method", ["matrix_linear", "matrix_gaussian"])
def test_matrix_suppression_is_the_matrix_of_its_paper(method):
    boxes, scores = random_boxes(150, 7)
    boxes, scores = boxes.astype(float), scores.astype(float)
    order = np.argsort(-scores, kind="stable")
    iou = np.triu([[iou_of(boxes[a], boxes[b]) for b in order] for a in order], 1)
    f = (lambda x: 1 - x) if method == "matrix_linear" else (lambda x: np.exp(-(x**2) / 0.5))
    factors = (f(iou) / f(iou.max(axis=0))[:, None])[np.triu_indices(150, 1)]
    known = np.full((150, 150), np.inf)
    known[np.triu_indices(150, 1)] = factors
    decayed = scores[order] * np.minimum(known.min(axis=0), 1)

    kept = suppress(boxes, scores, Suppression(method), format="xyxy")

    np.testing.assert_allclose(kept.scores, np.sort(decayed)[::-1], rtol=1e-9)
    np.testing.assert_array_equal(kept.indices, order[np.argsort(-decayed, kind="stable")])


def test_fusion_of_three_boxes_is_as_computed_on_paper():
    # The first two are of one thing: (0.9 * 0 + 0.6 * 3) / 1.5 = 1.2 and so on. Of three networks, two have found it.
    boxes = [[0, 0, 10, 10], [3, 0, 13, 10], [50, 50, 60, 60]]

    kept = suppress(boxes, [0.9, 0.6, 0.3], Suppression("weighted_fusion", iou=0.5, sources=3), format="xyxy")

    np.testing.assert_allclose(kept.boxes, [[1.2, 0, 11.2, 10], [50, 50, 60, 60]])
    np.testing.assert_allclose(kept.scores, [0.75 * 2 / 3, 0.3 / 3])
    assert kept.indices.tolist() == [0, 2]


def test_fusion_is_the_loop_of_its_paper():
    boxes, scores = random_boxes(200, 8)
    boxes, scores = boxes.astype(float), scores.astype(float)
    groups, fused = [], []
    for row in np.argsort(-scores, kind="stable"):
        overlaps = [iou_of(one, boxes[row]) for one in fused]
        best = int(np.argmax(overlaps)) if overlaps else -1
        if best < 0 or overlaps[best] <= 0.55:
            groups.append([])
            fused.append(boxes[row])
            best = len(groups) - 1
        groups[best].append(row)
        fused[best] = np.average(boxes[groups[best]], axis=0, weights=scores[groups[best]])
    known = [scores[group].mean() * min(len(group), 5) / 5 for group in groups]
    order = np.argsort(-np.array(known), kind="stable")

    kept = suppress(boxes, scores, Suppression("weighted_fusion", iou=0.55, sources=5), format="xyxy")

    np.testing.assert_allclose(kept.scores, np.array(known)[order], rtol=1e-9)
    np.testing.assert_allclose(kept.boxes, np.array(fused)[order], rtol=1e-9)


@pytest.mark.slow
def test_a_hundred_thousand_boxes_take_bounded_memory():
    import tracemalloc

    boxes, scores = random_boxes(100_000, 9, side=3000)
    tracemalloc.start()
    kept = suppress(boxes, scores, format="xyxy")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert 1000 < len(kept) < 100_000
    assert peak < 64 << 20


def test_a_hundred_thousand_copies_of_one_box_are_one():
    boxes = np.tile(np.array([[1, 2, 30, 40]], np.float32), (100_000, 1))

    assert suppress(boxes, np.linspace(0, 1, 100_000), format="xyxy").indices.tolist() == [99_999]


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"method": "gredy"}, "Did you mean 'greedy'"),
        ({"iou": 1.5}, "iou from 0 to 1"),
        ({"iou": float("nan")}, "iou from 0 to 1"),
        ({"max_boxes": -1}, "max_boxes"),
        ({"sigma": 0}, "sigma above 0"),
        ({"sources": 0}, "at least 1 source"),
    ],
)
def test_settings_out_of_range_are_refused(settings, said):
    with pytest.raises(UsageError, match=said):
        Suppression(**settings)


@pytest.mark.parametrize(
    ("arguments", "error", "said"),
    [
        ({"scores": [0.5]}, UsageError, "a score for each of 2 boxes"),
        ({"scores": [0.5, float("nan")]}, DataError, "nan for box 1"),
        ({"class_indices": [0.5, 1.5]}, UsageError, "class index"),
        ({"class_indices": [1]}, UsageError, "for each of 2 boxes"),
        ({"boxes": [[0, 0, 1, 1], [3, 3, 2, 4]]}, DataError, "box 1"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(arguments, error, said):
    given = {"boxes": convert([[0, 0, 1, 1], [2, 2, 3, 3]], source="xyxy", target="xyxy"), "scores": [0.5, 0.6]}

    with pytest.raises(error, match=said):
        suppress(format="xyxy", **{**given, **arguments})
