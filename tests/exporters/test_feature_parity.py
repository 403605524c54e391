from dataclasses import replace

import numpy as np
import pytest

from opsin.classifier import Classifier
from opsin.errors import ParityError
from opsin.exporters.feature_parity import compare_features
from opsin.runtimes.base import Outputs


@pytest.fixture(scope="module")
def answers(tiny_run, tiny_data):
    """A model, and what it gives for twelve pictures."""
    classifier = Classifier.open(tiny_run)
    images = np.stack([classifier.preprocess.read(path) for path in sorted(tiny_data.rglob("*.png"))[::6]])
    return classifier, classifier.run(images)


def moved(outputs, by):
    return Outputs(outputs.logits, outputs.features + np.float32(by) * np.abs(outputs.features).max())


def test_a_thousandth_of_the_largest_is_rounding_and_more_is_not(answers):
    model, outputs = answers
    found = compare_features(model, model, outputs, moved(outputs, 5e-4), int8=False)
    assert found["largest_difference"] == pytest.approx(5e-4, rel=1e-2)
    with pytest.raises(ParityError, match=r"one differs by 0\.002 of the largest, at most 0\.001"):
        compare_features(model, model, outputs, moved(outputs, 2e-3), int8=False)


def test_in_8_bits_features_may_differ_as_long_as_they_refuse_the_same_pictures(answers):
    model, outputs = answers
    found = compare_features(model, model, outputs, moved(outputs, 2e-3), int8=True)
    assert found["agreement_on_unknown"] == 1.0
    assert 0 < found["mean_difference_at_length_1"] < 0.1


def test_features_that_point_elsewhere_are_refused(answers):
    model, outputs = answers
    elsewhere = Outputs(outputs.logits, outputs.features[:, ::-1].copy())
    with pytest.raises(ParityError, match=r"apart on average, at most 0\.5"):
        compare_features(model, model, outputs, elsewhere, int8=True)


def test_features_that_refuse_other_pictures_are_refused(answers, monkeypatch):
    model, outputs = answers
    monkeypatch.setattr("opsin.exporters.feature_parity.INT8_TOLERANCE", 2.0)
    elsewhere = Outputs(outputs.logits, outputs.features[:, ::-1].copy())
    with pytest.raises(ParityError, match=r"of the pictures they decide otherwise, at most 0\.05"):
        compare_features(model, model, outputs, elsewhere, int8=True)


def test_features_that_are_no_numbers_are_refused(answers):
    model, outputs = answers
    for int8 in (False, True):
        with pytest.raises(ParityError, match="nan"):
            compare_features(model, model, outputs, moved(outputs, np.nan), int8=int8)


def test_where_a_class_is_called_unknown_nothing_else_is(answers):
    model, outputs = answers
    named = Classifier(model.runtime, replace(model.card, class_names=("checks", "discs", "unknown")), model.folder)
    assert "agreement_on_unknown" not in compare_features(named, named, outputs, outputs, int8=True)
