"""What is said and what is `unknown`: a rule on three features that are drawn by hand."""

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from opsin.deciding import Decision, References, decide_by, unit
from opsin.errors import ModelError, UsageError
from opsin.images.preprocess import Preprocess
from opsin.model_folder import ModelCard, hash_files
from opsin.names import KNOWN

SURE = np.array([[0.9, 0.1], [0.6, 0.4], [0.2, 0.8]])
KNOWN_FEATURES = np.array([[1, 0, 0], [1, 0.1, 0], [0, 2, 0], [0, 2, 0.1]], dtype=np.float32)

UNKNOWN_ROWS = {
    "neighbour": 2,
    "pictures": 50,
    "keep": {
        "0.9": {"confidence": 0.7, "distance": 0.2, "confidence_alone": 0.85},
        "0.95": {"confidence": 0.5, "distance": 0.5, "confidence_alone": 0.7},
    },
}
PRECISION_ROWS = {"pictures": 50, "classes": {"cat": {"0.9": [0.5, 20, 18], "0.99": [0.95, 9, 9]}, "dog": {}}}


@pytest.fixture
def card():
    return ModelCard(
        ("cat", "dog"), Preprocess(2, 2), thresholds={"unknown": UNKNOWN_ROWS, "precision": PRECISION_ROWS}
    )


@pytest.fixture
def model(card, tmp_path) -> tuple[ModelCard, Path]:
    """A card with known pictures in its folder."""
    content = io.BytesIO()
    np.save(content, KNOWN_FEATURES.astype(np.float16))
    (tmp_path / KNOWN).write_bytes(content.getvalue())
    return replace(card, files=hash_files(tmp_path)), tmp_path


# Distance


def test_the_distance_is_that_to_the_kth_nearest_picture_on_the_unit_sphere():
    random = np.random.default_rng(0)
    known, new = random.normal(size=(40, 7)), random.normal(size=(9, 7))
    direct = np.array([sorted(np.linalg.norm(a / np.linalg.norm(a) - unit(known), axis=1))[4] for a in new])

    assert np.allclose(References(known, 5).distances(new), direct, atol=1e-6)


def test_pictures_that_do_not_count_are_left_out_of_the_neighbours():
    but = np.array([[True, True, False, False]])

    distance = References(KNOWN_FEATURES, 1).distances(np.array([[1.0, 0, 0]]), but=but)

    assert distance == pytest.approx(np.sqrt(2))


def test_with_fewer_pictures_than_neighbours_the_furthest_is_measured_to():
    assert References(KNOWN_FEATURES[:1], 5).distances(np.array([[0, 0, 3.0]])) == pytest.approx(np.sqrt(2))


def test_features_of_length_zero_are_far_from_all_and_no_error():
    assert References(KNOWN_FEATURES, 1).distances(np.zeros((1, 3))) == pytest.approx(np.sqrt(2))


# The rule


def test_a_picture_is_refused_if_it_is_unsure_or_far_away():
    decision = Decision(np.array([0.7, 0.7]), 0.5, References(KNOWN_FEATURES, 2))
    near, far = [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]

    assert decision.refuses(SURE, np.array([near, near, far])).tolist() == [False, True, True]


def test_a_class_is_measured_by_its_own_threshold():
    assert Decision(np.array([0.5, 0.9])).refuses(SURE, np.empty((3, 0))).tolist() == [False, False, True]


def test_nothing_asked_for_is_no_rule(card):
    assert decide_by(card, Path("nowhere")) is None


def test_the_card_gives_confidence_distance_and_the_pictures(model):
    decision = decide_by(*model, threshold="card")

    assert decision.confidence.tolist() == [0.5, 0.5]
    assert (decision.distance, decision.references.neighbour) == (0.5, 2)
    assert np.allclose(decision.references.features, unit(KNOWN_FEATURES), atol=1e-3)


def test_another_share_to_keep_is_another_row(model):
    decision = decide_by(*model, threshold="card", keep=0.9)

    assert (decision.confidence.tolist(), decision.distance) == ([0.7, 0.7], 0.2)
    with pytest.raises(UsageError, match=r"one of 0\.9, 0\.95; received 0\.93"):
        decide_by(*model, threshold="card", keep=0.93)


def test_what_gives_probabilities_alone_goes_by_a_confidence_of_its_own(card):
    decision = decide_by(card, Path("nowhere"), threshold="card")

    assert (decision.confidence.tolist(), decision.references) == ([0.7, 0.7], None)


def test_known_pictures_that_were_altered_are_refused(model):
    card, folder = model
    (folder / KNOWN).write_bytes((folder / KNOWN).read_bytes()[:-1] + b"\7")

    with pytest.raises(ModelError, match="altered or damaged"):
        decide_by(card, folder, threshold="card")


def test_a_card_whose_thresholds_make_no_sense_is_told_as_such(card):
    broken = replace(card, thresholds={"unknown": {"keep": {"0.95": {}}}})

    with pytest.raises(ModelError, match="cannot be read: KeyError"):
        decide_by(broken, Path("nowhere"), threshold="card")


def test_an_older_card_with_a_single_number_goes_by_confidence(card):
    old = replace(card, thresholds={"unknown": 0.6})

    assert decide_by(old, Path("nowhere"), threshold="card").confidence.tolist() == [0.6, 0.6]
    with pytest.raises(UsageError, match="older one has a single one"):
        decide_by(old, Path("nowhere"), threshold="card", keep=0.9)


def test_a_share_to_keep_without_unknown_is_wrong_usage(card):
    with pytest.raises(UsageError, match="--keep with --unknown"):
        decide_by(card, Path("nowhere"), keep=0.9)


# Precision


def test_a_wanted_precision_takes_the_next_higher_threshold_of_that_class_alone(card):
    assert decide_by(card, Path("nowhere"), precision={"cat": 0.97}).confidence.tolist() == [0.95, 0]
    assert decide_by(card, Path("nowhere"), precision={"cat": 0.9}).confidence.tolist() == [0.5, 0]


def test_of_a_threshold_and_a_precision_the_stricter_holds(card):
    decision = decide_by(card, Path("nowhere"), threshold=0.6, precision={"cat": 0.9})

    assert decision.confidence.tolist() == [0.6, 0.6]
    assert decide_by(card, Path("nowhere"), threshold=0.6, precision={"cat": 0.99}).confidence.tolist() == [0.95, 0.6]


@pytest.mark.parametrize(
    ("precision", "told"),
    [
        ({"cow": 0.9}, "a class of the model"),
        ({"cat": 1.5}, "at most 1"),
        ({"cat": 0.999}, "the highest is 0.99 reached"),
        ({"dog": 0.8}, "none is reached"),
    ],
)
def test_a_precision_that_nothing_reaches_is_told(card, precision, told):
    with pytest.raises(UsageError, match=told):
        decide_by(card, Path("nowhere"), precision=precision)


def test_a_model_without_thresholds_for_precision_says_so(card):
    with pytest.raises(UsageError, match="an older version trained it"):
        decide_by(replace(card, thresholds={}), Path("nowhere"), precision={"cat": 0.9})


def test_a_class_called_unknown_leaves_no_room_for_the_answer(card):
    named = replace(card, class_names=("cat", "unknown"))

    with pytest.raises(UsageError, match="this model has such a class"):
        decide_by(named, Path("nowhere"), precision={"cat": 0.9})
