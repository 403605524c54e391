"""Average precision, against numbers that pycocotools 2.0.11 gave, a slow development kit, and paper."""

import numpy as np
import pytest

from opsin.detection import matching
from opsin.detection.average_precision import coco_measures, voc_average_precision

NAMES = ("ap", "ap50", "ap75", "ap_small", "ap_medium", "ap_large")
NAMES += ("ar_1", "ar_10", "ar_100", "ar_small", "ar_medium", "ar_large")

# COCOeval(truth, predictions, "bbox").stats of these worlds; -1 is None here.
KNOWN = {
    2: [
        *(0.25985077138396884, 0.4169894936056846, 0.263308214036228, 0.37927476447278424, 0.2466260197448316, None),
        *(0.1727240896358543, 0.4148634453781513, 0.4148634453781513, 0.5574074074074072, 0.3174603174603175, None),
    ],
    3: [
        *(0.2889457992666322, 0.4532249194395265, 0.3048019984017155, 0.2856598233352747, 0.3668705784909433),
        *(0.10940594059405939, 0.1042657815477288, 0.41671891327063737, 0.45350052246603967, 0.45758547008547007),
        *(0.5056573056573056, 0.16666666666666669),
    ],
}


def values(measures):
    return [getattr(measures, name) for name in NAMES]


@pytest.mark.parametrize("seed", KNOWN)
def test_the_twelve_numbers_are_those_of_pycocotools(seed, small_world, written):
    measures = coco_measures(*written(*small_world(seed)))

    assert values(measures) == pytest.approx(KNOWN[seed], abs=1e-12)


def test_many_pairs_are_worked_on_in_parts(small_world, written, monkeypatch):
    boxes = written(*small_world(3))

    for at_once in (1, 7, 50):
        monkeypatch.setattr(matching, "AT_ONCE", at_once)
        assert values(coco_measures(*boxes)) == pytest.approx(KNOWN[3], abs=1e-12)


def test_the_order_of_the_files_makes_no_difference_but_for_equal_scores(small_world, written):
    truth, found = small_world(3)
    for place, row in enumerate(found):
        row["score"] += place / 10_000
    known = values(coco_measures(*written(truth, found)))

    shuffled = {key: rows[::-1] for key, rows in truth.items()}

    assert values(coco_measures(*written(shuffled, found[::-1]))) == pytest.approx(known, abs=1e-12)


def test_the_annotation_with_the_id_0_is_pycocotools_and_can_be_renumbered(one_class):
    truth, found = one_class([(0, [0, 0, 10, 10]), (1, [5, 5, 10, 10])], [(0, [0, 0, 10, 10], 0.9)], box_0={"id": 0})

    assert coco_measures(truth, found).ap == 0
    assert coco_measures(truth.renumbered(), found).ap50 == pytest.approx(51 / 101)
    assert any("id 0" in note for note in truth.notes)


def test_all_found_and_nothing_else_is_1_and_nothing_found_is_0(one_class):
    boxes = [(0, [0, 0, 10, 10]), (0, [40, 40, 50, 50]), (1, [5, 5, 20, 20])]

    perfect = coco_measures(*one_class(boxes, [(*one, 0.5) for one in boxes]))
    nothing = coco_measures(*one_class(boxes, []))

    assert (perfect.ap, perfect.ap50, perfect.ap75, perfect.ar_100) == (1, 1, 1, 1)
    assert (perfect.ap_small, perfect.ap_medium, perfect.ap_large) == (1, 1, None)
    assert (nothing.ap, nothing.ar_100, nothing.ap_small, nothing.ap_large) == (0, 0, 0, None)


def test_without_true_boxes_there_is_nothing_to_measure(one_class):
    measures = coco_measures(*one_class([], [(0, [0, 0, 10, 10], 0.5)]))

    assert values(measures) == [None] * 12
    assert (measures.per_class[0].ap, measures.per_class[0].found) == (None, 1)


def test_a_crowd_swallows_what_lies_in_it_and_need_not_be_found(one_class):
    crowd = {"iscrowd": 1}
    boxes = [(0, [0, 0, 10, 10]), (0, [20, 20, 60, 60])]
    inside = [(0, [25 + 10 * i, 30, 10, 10], 0.9) for i in range(3)]

    with_crowd = coco_measures(*one_class(boxes, [*inside, (0, [0, 0, 10, 10], 0.5)], box_1=crowd))
    without = coco_measures(*one_class(boxes, [*inside, (0, [0, 0, 10, 10], 0.5)]))

    assert with_crowd.ap == 1
    assert with_crowd.per_class[0].boxes == 1
    assert without.ap50 == pytest.approx(0.25 * 51 / 101)


def test_a_box_that_has_to_be_found_goes_before_a_crowd_that_overlaps_more(one_class):
    truth = [(0, [0, 0, 20, 20]), (0, [0, 0, 40, 40])]
    found = [(0, [1, 0, 20, 20], 0.9)]

    measures = coco_measures(*one_class(truth, found, box_1={"iscrowd": 1}))

    # IoU of 380/420 with the box, all of it in the crowd: found at the nine thresholds up to 0.9.
    assert measures.ap == pytest.approx(0.9)


def test_each_class_has_its_own_numbers(small_world, written):
    truth, found = small_world(3)

    per_class = coco_measures(*written(truth, found)).per_class

    assert [one.name for one in per_class] == ["ox", "cat", "bird", "dog"]
    assert per_class[0].ap is None
    assert np.mean([one.ap for one in per_class[1:]]) == pytest.approx(KNOWN[3][0])
    assert sum(one.found for one in per_class) == len(found)


# Four true boxes; right, right, wrong, right by falling score: precision 1, 1, 2/3, 3/4 at recall 1/4, 2/4, 2/4, 3/4.
PAPER = [(0, [0, 0, 10, 10]), (0, [20, 0, 10, 10]), (0, [40, 0, 10, 10]), (0, [60, 0, 10, 10])]
FOUND = [(0, [0, 0, 10, 10], 0.9), (0, [20, 0, 10, 10], 0.8), (0, [0, 50, 9, 9], 0.7), (0, [40, 0, 10, 10], 0.6)]


def test_pascal_voc_is_as_computed_on_paper(one_class):
    boxes = one_class(PAPER, FOUND)

    assert voc_average_precision(*boxes)["cat"] == pytest.approx(0.25 + 0.25 + 0.25 * 0.75)
    # Recall 0 to 0.5 has precision 1 (six points), 0.6 and 0.7 have 3/4, the other three nothing.
    assert voc_average_precision(*boxes, method="eleven_points")["cat"] == pytest.approx((6 + 2 * 0.75) / 11)


def development_kit(truth, found, k, iou):
    """VOCevaldet.m, line by line: boxes go to their best true box, whoever has found it."""
    taken, hits, misses = set(), [], []
    rows = [row for row in np.argsort(-found.scores, kind="stable") if found.class_indices[row] == k]
    for row in rows:
        best, aim = -np.inf, -1
        x, y, w, h = found.boxes[row]
        for other in range(len(truth)):
            if truth.class_indices[other] != k or truth.picture_indices[other] != found.picture_indices[row]:
                continue
            a, b, c, d = truth.boxes[other]
            width, height = min(x + w, a + c) - max(x, a), min(y + h, b + d) - max(y, b)
            if width > 0 and height > 0:
                overlap = width * height / (w * h + c * d - width * height)
                if overlap > best:
                    best, aim = overlap, other
        counts = best < iou or truth.counts[aim]
        right = best >= iou and counts and aim not in taken
        taken |= {aim} if right else set()
        hits.append(float(right))
        misses.append(float(counts and not right))
    tp, fp = np.cumsum(hits), np.cumsum(misses)
    positive = (truth.counts & (truth.class_indices == k)).sum()
    recall, precision = tp / positive, tp / np.maximum(tp + fp, 1e-12)
    eleven = np.mean([max(precision[recall >= t], default=0) for t in np.arange(11) * 0.1])
    recall, precision = np.r_[0, recall, 1], np.r_[0, precision, 0]
    for i in range(len(precision) - 2, -1, -1):
        precision[i] = max(precision[i], precision[i + 1])
    steps = np.flatnonzero(recall[1:] != recall[:-1]) + 1
    return eleven, ((recall[steps] - recall[steps - 1]) * precision[steps]).sum()


@pytest.mark.parametrize("seed", [1, 2, 3, 4])
def test_pascal_voc_is_its_development_kit(seed, small_world, written):
    document, predictions = small_world(seed)
    for row in document["annotations"]:
        row["iscrowd"] = 0
    truth, found = written(document, predictions)
    # Difficult ones, which COCO's files do not have.
    truth = type(truth)(**{**vars(truth), "is_difficult": np.arange(len(truth)) % 6 == 0})

    eleven, every = (voc_average_precision(truth, found, method=one) for one in ("eleven_points", "all_points"))

    assert eleven.pop("ox") is every.pop("ox") is None
    for k, name in enumerate(truth.class_names):
        if name != "ox":
            assert (eleven[name], every[name]) == pytest.approx(development_kit(truth, found, k, 0.5), abs=1e-12)
