import json

import numpy as np
import pytest

from opsin.classifier import softmax
from opsin.errors import DataError
from opsin.evaluation.mistakes import Confusion, Mistake, confident_mistakes, confused_pairs, worst_first
from opsin.evaluation.report import Report

NAMES = ["cat", "dog", "yeti"]


@pytest.fixture
def report():
    """Five pictures of two classes out of three; the second dog is surely, the third cat hardly wrong."""
    return Report.from_predictions(
        [0, 0, 0, 1, 1],
        [[0.8, 0.1, 0.1], [0.6, 0.2, 0.2], [0.4, 0.5, 0.1], [0.1, 0.8, 0.1], [0.9, 0.1, 0.0]],
        ["a.png", "b.png", "c.png", "d.png", "e.png"],
        NAMES,
        split="val",
        skipped=[("broken.png", "the file ends early")],
    )


def test_the_json_holds_every_number_under_its_key(report, tmp_path):
    report.save_json(tmp_path / "report.json")
    saved = json.loads((tmp_path / "report.json").read_text("utf-8"))

    assert saved == report.to_dict()
    assert set(saved["accuracy"]) == {"value", "low", "high", "n"}
    assert saved["accuracy"]["value"] == 0.6
    assert saved["per_class"][2] == {
        "name": "yeti",
        "precision": None,
        "recall": None,
        "f1": None,
        "support": 0,
        "roc_auc": None,
        "average_precision": None,
    }
    assert set(saved["per_class"][0]["recall"]) == {"value", "low", "high", "n"}
    assert {"temperature", "ece", "brier", "before", "bins", "perfect_ece"} <= set(saved["calibration"])
    assert all(isinstance(saved["calibration"][name], float) for name in ("temperature", "ece", "brier"))
    assert [row["threshold"] for row in saved["thresholds"]] == [0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99]
    assert saved["confusion_matrix"] == [[2, 1, 0], [1, 1, 0], [0, 0, 0]]
    assert saved["skipped"] == [{"path": "broken.png", "reason": "the file ends early"}]
    assert (saved["format"], saved["split"], saved["n"], saved["class_names"]) == (2, "val", 5, NAMES)
    assert set(saved["macro"]) == set(saved["weighted"]) == {"precision", "recall", "f1"}
    assert {"balanced_accuracy", "top_k", "log_loss", "kappa", "matthews", "roc_auc", "warnings"} <= set(saved)


def test_the_json_is_strict_and_has_top_k_under_text_keys(tmp_path):
    probabilities = np.eye(6)
    Report.from_predictions(range(6), probabilities, ["p"] * 6, list("abcdef")).save_json(tmp_path / "r.json")

    def refuse(constant):
        raise AssertionError(constant)

    saved = json.loads((tmp_path / "r.json").read_text("utf-8"), parse_constant=refuse)
    assert {k: share["value"] for k, share in saved["top_k"].items()} == {"3": 1.0, "5": 1.0}


def test_a_file_name_that_is_not_utf8_is_saved_and_comes_back(tmp_path):
    path = b"caf\xe9.png".decode("utf-8", "surrogateescape")
    report = Report.from_predictions([0], [[0.4, 0.6]], [path], ["cat", "dog"], skipped=[(path, "broken")])

    report.save_json(tmp_path / "report.json")
    report.save_html(tmp_path / "report.html")

    assert json.loads((tmp_path / "report.json").read_text("utf-8"))["skipped"][0]["path"] == path
    assert r"caf\udce9.png" in (tmp_path / "report.html").read_text("utf-8")
    assert r"caf\udce9.png" in str(report)


def test_a_path_is_wanted_for_each_picture():
    with pytest.raises(DataError, match=r"each of 2 pictures.*Received 1"):
        Report.from_predictions([0, 1], [[1, 0], [0, 1]], ["a"], ["cat", "dog"])


def test_the_most_confident_mistake_comes_first(report):
    assert confident_mistakes(report) == [
        Mistake("e.png", truth="dog", said="cat", probability=0.9),
        Mistake("c.png", truth="cat", said="dog", probability=0.5),
    ]
    assert len(confident_mistakes(report, limit=1)) == 1


def test_the_pair_confused_most_often_comes_first_and_right_answers_are_no_confusion():
    labels, said = [0, 0, 0, 1, 1, 2], [1, 1, 0, 1, 0, 2]
    metrics = Report.from_predictions(labels, np.eye(3)[said], ["p"] * 6, NAMES).metrics
    assert confused_pairs(metrics) == [
        Confusion("cat", "dog", count=2, support=3),
        Confusion("dog", "cat", count=1, support=2),
    ]


def test_classes_without_pictures_come_after_the_worst(report):
    assert [one.name for one in worst_first(report.metrics.per_class)] == ["dog", "cat", "yeti"]


def test_what_few_pictures_cannot_say_is_said():
    few = Report.from_predictions([0] * 30 + [1] * 4, np.eye(3)[[0] * 30 + [1] * 3 + [0]], ["p"] * 34, NAMES)
    assert few.warnings == [
        "dog has only 4 pictures here: its true recall may be anything from 30.1 % to 95.4 %.",
        "Without pictures here, so nothing is known of: yeti.",
    ]


def test_pictures_of_one_class_say_nothing_of_the_others():
    report = Report.from_predictions([1] * 20, np.eye(2)[[1] * 19 + [0]], ["p"] * 20, ["cat", "dog"])
    assert report.warnings[-1].startswith("All pictures are of one class, dog")
    assert [one.roc_auc for one in report.metrics.per_class] == [None, None]


def test_the_report_knows_the_probabilities_before_calibration():
    logits = np.array([[2.0, 0.0], [0.0, 1.0], [3.0, 0.0]])
    calibrated = softmax(logits, 2.0)
    report = Report.from_predictions([0, 1, 1], calibrated, ["p"] * 3, ["cat", "dog"], temperature=2.0)
    raw = Report.from_predictions([0, 1, 1], softmax(logits), ["p"] * 3, ["cat", "dog"])
    assert report.to_dict()["calibration"]["before"]["log_loss"] == pytest.approx(raw.metrics.log_loss.value)
