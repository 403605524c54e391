import numpy as np
import pytest

from opsin.errors import UsageError
from opsin.evaluation.gates import Gate, check_gates, read_gates
from opsin.evaluation.report import Report

NAMES = ["cat", "a.b=c", "yeti"]


@pytest.fixture
def report():
    """Eight of ten cats and all ten of `a.b=c` are found; there is no yeti."""
    labels = np.repeat([0, 1], 10)
    said = np.array([0] * 8 + [1] * 12)
    return Report.from_predictions(labels, np.eye(3)[said] * 0.7 + 0.1, ["p"] * 20, NAMES)


def passage(report, text, bound="min"):
    least, most = ([text], []) if bound == "min" else ([], [text])
    (found,) = check_gates(read_gates(least, most, NAMES), report)
    return found


def test_the_number_that_was_measured_decides_whatever_its_interval(report):
    exact = passage(report, "accuracy=0.9")
    assert (exact.held, exact.measured, exact.is_sure) == (True, 0.9, False)
    assert "the interval reaches across what is wanted" in str(exact)
    assert not passage(report, "accuracy=0.901").held
    assert passage(report, "accuracy=0.2").is_sure


def test_every_kind_of_number_can_be_a_gate(report):
    metrics, after = report.metrics, report.calibration.after
    known = {
        "accuracy": metrics.accuracy.value,
        "balanced_accuracy": 0.9,
        "macro.f1": metrics.macro.f1.value,
        "weighted.precision": metrics.weighted.precision.value,
        "kappa": metrics.kappa,
        "matthews": metrics.matthews,
        "roc_auc": metrics.roc_auc,
        "recall.cat": 0.8,
        "precision.a.b=c": 10 / 12,
        "f1.cat": metrics.per_class[0].f1.value,
        "average_precision.cat": metrics.per_class[0].average_precision,
    }
    assert {name: passage(report, f"{name}=0").measured for name in known} == pytest.approx(known)
    most = {"log_loss": metrics.log_loss.value, "ece": after.ece, "brier": after.brier.value}
    assert {name: passage(report, f"{name}=1", "max").measured for name in most} == pytest.approx(most)
    assert not passage(report, "ece=0.001", "max").held


def test_a_class_without_pictures_fails_and_says_so(report):
    missing = passage(report, "recall.yeti=0.1")
    assert (missing.held, missing.measured) == (False, None)
    assert "no picture of the class" in str(missing)
    assert missing.to_dict()["measured"] is None


def test_a_class_name_may_hold_dots_and_equals_signs():
    assert read_gates(["recall.a.b=c=0.5"], [], NAMES) == (Gate("recall.a.b=c", "min", 0.5),)


@pytest.mark.parametrize(
    ("text", "bound", "words"),
    [
        ("acuracy=0.9", "min", "Did you mean 'accuracy'"),
        ("recall.cta=0.9", "min", "Did you mean 'recall.cat'"),
        ("recall.cta=0.9", "min", r"a class of the model \(cat, a.b=c, yeti\)"),
        ("accuracy", "min", "NAME=NUMBER"),
        ("accuracy=high", "min", "NAME=NUMBER"),
        ("accuracy=90", "min", "90 % is 0.9"),
        ("accuracy=nan", "min", "from 0 to 1"),
        ("ece=0.1", "min", "Expected --max for ece"),
        ("accuracy=0.9", "max", "Expected --min for accuracy"),
        ("top_k.3=0.9", "min", "more than 3 classes"),
    ],
)
def test_what_is_no_gate_is_refused(text, bound, words):
    with pytest.raises(UsageError, match=words):
        read_gates([text] if bound == "min" else [], [text] if bound == "max" else [], NAMES)
