"""Advice: each rule speaks where it should, with the right gain and pictures, and is silent elsewhere."""

import numpy as np
import pytest

from opsin.evaluation.advice import RULES, advise
from opsin.evaluation.advice_on_mistakes import border_share
from opsin.evaluation.background import Background, HeldOut
from opsin.evaluation.evidence import Corrupted, Explained, Neighbour, Robustness, Slice
from opsin.evaluation.intervals import estimate
from opsin.evaluation.report import Report

NAMES = ["cat", "dog", "yeti"]


def report_of(labels, said, confidence=0.8, names=NAMES, split="test"):
    labels, said = np.asarray(labels), np.asarray(said)
    confidence = np.broadcast_to(confidence, len(labels))[:, None]
    k = len(names)
    probabilities = np.where(np.eye(k, dtype=bool)[said], confidence, (1 - confidence) / (k - 1))
    return Report.from_predictions(labels, probabilities, [f"{i}.png" for i in range(len(labels))], names, split=split)


def even(n=300, wrong=0.2, k=3):
    """Labels and answers of a classifier whose mistakes are spread evenly."""
    labels = np.arange(n) % k
    mistaken = np.arange(n) % round(1 / wrong) == 0
    # The class said instead goes round.
    return labels, np.where(mistaken, (labels + 1 + (np.arange(n) // n * 2 + np.arange(n) // 15) % (k - 1)) % k, labels)


def starting(found, words):
    (one,) = [one for one in found if one.sentence.startswith(words)]
    return one


def test_where_nothing_stands_out_there_is_no_advice():
    assert advise(report_of(*even(600))) == ()


def test_more_confident_mistakes_than_the_probabilities_explain_make_labels_doubtful():
    labels, said = np.arange(600) % 3, np.arange(600) % 3
    confidence = np.full(600, 0.99)
    # Unsure answers are right as often as they say.
    confidence[300:] = 0.7
    said[300:390] = (said[300:390] + 1 + np.arange(90) % 2) % 3
    labels[:12] = (labels[:12] + 1 + np.arange(12) % 2) % 3
    confidence[3] = 0.999

    found = starting(advise(report_of(labels, said, confidence)), "Look at the labels of these 12 pictures")

    assert found.gain == 12 / 600
    assert set(found.paths) == {f"{i}.png" for i in range(12)}
    assert found.paths[0] == "3.png"
    assert "sure of another class in 12; its probabilities would explain 3.0" in found.reason


def test_confident_mistakes_as_the_probabilities_explain_them_say_nothing_of_labels():
    labels, said = np.arange(600) % 3, np.arange(600) % 3
    said[:12] = (said[:12] + 1) % 3
    assert not [one for one in advise(report_of(labels, said, 0.98)) if "labels" in one.sentence]


def test_a_model_that_is_too_sure_throughout_is_not_held_against_the_labels():
    labels, said = np.arange(600) % 3, np.arange(600) % 3
    confidence = np.where(np.arange(600) < 300, 0.99, 0.9)
    said[:12] = (said[:12] + 1) % 3
    said[300:400] = (said[300:400] + 1) % 3
    found = advise(report_of(labels, said, confidence))
    assert not [one for one in found if "labels" in one.sentence]
    assert "claim 94.5 % on average, and 81.3 %" in starting(found, "Do not take the probabilities").reason


def test_similar_training_pictures_must_agree_with_the_answer():
    labels, said = np.arange(300) % 3, np.arange(300) % 3
    labels[:6] = (labels[:6] + 1) % 3
    report = report_of(labels, said, 0.999)
    near = {True: NAMES[said[0]], False: NAMES[labels[0]]}
    explained = {"0.png": Explained(neighbours=tuple(Neighbour("t", near[False], 0.9) for _ in range(3)))}
    assert len(advise(report)[0].paths) == 6
    assert len(advise(report.with_evidence(explained=explained))[0].paths) == 5


def test_pictures_that_others_held_out_count_for_labels_too():
    labels, said = np.arange(300) % 3, np.arange(300) % 3
    other = report_of((labels + (np.arange(300) < 9)) % 3, said, 0.999)
    held_out = HeldOut(other.labels, other.probabilities, tuple(f"train/{i}" for i in range(300)))
    found = advise(report_of(labels, said, 0.999), Background(held_out=held_out))
    assert (found[0].gain, found[0].paths[0]) == (9 / 600, "train/0")


def test_pictures_with_two_labels_are_named():
    labels, said = even(600)
    wrong, right = (f"{np.flatnonzero(rows)[0]}.png" for rows in (labels != said, labels == said))
    conflicting = ((wrong, "train/7.png"), ("train/1.png", "train/2.png", right))
    (found,) = advise(report_of(labels, said), Background(conflicting=conflicting))
    assert found.sentence == "Decide on one label for 2 pictures that the data has under several."
    assert found.gain == 1 / 600
    assert found.paths == (wrong, "train/7.png", "train/1.png", "train/2.png", right)


def test_a_class_that_is_found_less_often_is_named_with_its_number_of_training_pictures():
    labels, said = np.arange(300) % 3, np.arange(300) % 3
    yetis = np.flatnonzero(labels == 2)
    said[yetis[:40]] = np.arange(40) % 2
    background = Background(train_counts={"cat": 200, "dog": 190, "yeti": 9})

    found = starting(advise(report_of(labels, said), background), "Collect more pictures of 'yeti': there are few")

    assert found.gain == pytest.approx(0.4 / 3)
    assert len(found.paths) == 40
    assert "40 of 40 mistakes (100.0 %)" in found.reason
    assert "learned from 9 pictures of it" in found.reason
    assert starting(advise(report_of(labels, said)), "Look at the pictures of 'yeti' that are taken")


def test_two_classes_that_are_confused_with_each_other_are_named():
    labels, said = np.arange(400) % 4, np.arange(400) % 4
    firsts, seconds = np.flatnonzero(labels == 0)[:14], np.flatnonzero(labels == 1)[:13]
    said[firsts], said[seconds] = 1, 0
    thirds, fourths = np.flatnonzero(labels == 2)[:12], np.flatnonzero(labels == 3)[:12]
    said[thirds], said[fourths] = np.arange(12) % 2, np.arange(12) % 3

    found = starting(advise(report_of(labels, said, names=list("abcd"))), "Look at 'a' and 'b' side by side")

    assert found.gain == 27 / 400
    assert "27 of 51 mistakes (52.9 %): 14 of 'a' for 'b', 13 the other way" in found.reason


def test_with_two_classes_every_mistake_is_between_the_two_and_that_is_no_finding():
    labels, said = even(600, k=2)
    assert advise(report_of(labels, said, names=["a", "b"])) == ()


def test_a_slice_that_is_surely_worse_is_named_and_others_are_not():
    report = report_of(*even(600))
    bad = Slice("light", "dim", estimate(60, 100), estimate(420, 500), 0.001, ("7.png",))
    chance = Slice("size", "up to 90 pixels", estimate(70, 100), estimate(410, 500), 0.2)
    better = Slice("format", "PNG", estimate(95, 100), estimate(300, 500), 0.001)
    (found,) = advise(report.with_evidence(slices=(bad, chance, better)))
    assert "light dim" in found.sentence
    assert found.paths == ("7.png",)
    assert found.gain == pytest.approx((0.84 - 0.6) * 100 / 600)


def test_a_crop_that_cuts_off_what_matters_is_named():
    bad = Slice("cut off", "over 30 % of the area", estimate(60, 100), estimate(420, 500), 0.001)
    (found,) = advise(report_of(*even(600)).with_evidence(slices=(bad,)))
    assert found.sentence == (
        "Train with --fit pad or --fit stretch, for the crop cuts off what matters: cut off over 30 % of the area."
    )


def test_heat_at_the_border_of_mistakes_is_told():
    labels, said = even(600)
    report = report_of(labels, said)
    wrong = [f"{i}.png" for i in np.flatnonzero(labels != said)]
    border, middle = np.zeros((20, 20), np.float32), np.zeros((20, 20), np.float32)
    border[:2], middle[10, 10] = 1, 1
    explained = {path: Explained(border if i < 4 else middle, peak=1.0) for i, path in enumerate(wrong[:10])}
    explained["1.png"] = Explained(border, peak=1.0)
    (found,) = advise(report.with_evidence(explained=explained))
    assert found.gain == 4 / 600
    assert found.paths == tuple(wrong[:4])
    assert "In 4 of 10 mistakes" in found.reason
    assert (border_share(border), border_share(middle), border_share(0 * middle)) == (1.0, 0.0, 0.0)


def test_a_model_that_knows_its_training_pictures_by_heart_is_told_what_helps():
    report = report_of(*even(600))
    (found,) = advise(report, Background(train_accuracy=0.99, pretrained=False, train_counts={"cat": 50}))
    assert found.sentence.startswith("Begin with pretrained weights, augment more, or train on more pictures")
    assert found.gain == pytest.approx(0.19)
    assert advise(report, Background(train_accuracy=0.99, pretrained=True))[0].sentence.startswith("Train on more")
    assert advise(report, Background(train_accuracy=0.85)) == ()
    assert advise(report_of(*even(600), split="train"), Background(train_accuracy=0.99)) == ()


def test_a_model_that_does_not_even_know_its_training_pictures_has_learned_too_little():
    report = report_of(*even(600, wrong=0.5))

    def told(train_accuracy, pretrained):
        found = advise(report, Background(train_accuracy=train_accuracy, pretrained=pretrained))
        return [one.gain for one in found if "does not even know its training pictures" in one.sentence]

    assert told(0.55, False) == [pytest.approx(0.45)]
    assert told(0.55, True) == []
    # Where pictures are mixed in training, what it has right of the mixtures says little.
    assert told(0.3, False) == []


def test_leaked_pictures_are_told_with_the_accuracy_without_them():
    labels, said = even(600)
    right = [f"{i}.png" for i in np.flatnonzero(labels == said)[:120]]
    (found,) = advise(report_of(labels, said), Background(leaked=(*right, "elsewhere.png")))
    assert found.paths == tuple(right)
    assert "120 of 600 pictures" in found.reason
    assert "accuracy is 75.0 %" in found.reason
    assert advise(report_of(labels, said), Background(leaked=tuple(right[:5]))) == ()


def test_a_mild_corruption_that_costs_much_is_told_and_a_severe_one_is_not():
    report = report_of(*even(600))
    clean = estimate(180, 200)
    severe = Robustness(clean, (Corrupted("blur", 1, estimate(178, 200)), Corrupted("blur", 5, estimate(60, 200))))
    assert advise(report.with_evidence(robustness=severe)) == ()
    mild = Robustness(clean, (*severe.corrupted, Corrupted("noise", 2, estimate(110, 200))))
    (found,) = advise(report.with_evidence(robustness=mild))
    assert "noisy" in found.sentence
    assert "90.0 % are judged rightly as they are, and 55.0 % with noise of severity 2" in found.reason


def test_a_model_that_is_no_better_than_one_answer_is_told_so():
    labels = np.repeat([0, 1], [400, 200])
    found = advise(report_of(labels, np.zeros(600, int), 0.67))
    assert "always saying 'cat'" in found[0].sentence
    assert found[0].gain == pytest.approx(1 / 3)


def test_few_pictures_are_too_few_to_know():
    (found,) = advise(report_of(*even(30)))
    assert found.sentence.startswith("Judge the model on more pictures")
    assert found.gain == 0


def test_there_are_five_at_most_and_the_most_promising_comes_first():
    slices = tuple(Slice(f"k{i}", "x", estimate(60 + i, 100), estimate(420, 500), 0.001) for i in range(8))
    found = advise(report_of(*even(600)).with_evidence(slices=slices), Background(train_accuracy=0.99))
    assert len(found) == 5
    assert [one.gain for one in found] == sorted((one.gain for one in found), reverse=True)


@pytest.mark.parametrize("labels", [[0], [0, 0, 0], list(range(3))])
@pytest.mark.parametrize("wrong", [0, 1])
def test_no_rule_stumbles_over_few_pictures_or_a_single_class(labels, wrong):
    labels = np.array(labels)
    report = report_of(labels, (labels + wrong) % 3)
    assert all(one.sentence for one in advise(report, most=len(RULES)))
