"""What counts as the same answers."""

import numpy as np
import pytest

from opsin.exporters.parity import FLOAT, INT8, Flip, compare

NAMES = ("cat", "dog")


def parity(expected, received, limits=FLOAT):
    pictures = [f"{number}.png" for number in range(len(expected))]
    return compare(np.array(expected), np.array(received), pictures, NAMES, limits)


def test_the_same_answers_have_no_faults():
    found = parity([[0.9, 0.1], [0.2, 0.8]], [[0.9, 0.1], [0.2, 0.8]])

    assert found.faults == []
    assert (found.pictures, found.decided, found.agreement, found.largest_difference) == (2, 2, 1.0, 0.0)


def test_a_flip_says_which_picture_and_what_became_of_it():
    found = parity([[0.9, 0.1], [0.2, 0.8]], [[0.4, 0.6], [0.2, 0.8]])

    assert found.flipped == (Flip("0.png", "cat", 0.9, "dog", 0.6),)
    assert str(found.flipped[0]) == "0.png: cat 90.0% became dog 60.0%"
    assert found.agreement == 0.5
    assert found.faults == [
        "50.0% of the pictures keep their class, at least 100% must",
        "a probability is off by 0.5, at most 0.001 is allowed",
    ]


def test_where_two_classes_are_as_good_as_even_either_may_come_out_on_top():
    found = parity([[0.5002, 0.4998]], [[0.4998, 0.5002]])

    assert (found.decided, found.flipped, found.faults) == (0, (), [])


def test_a_probability_may_be_off_by_a_thousandth_and_no_more():
    assert parity([[0.9, 0.1]], [[0.8991, 0.1009]]).faults == []
    assert parity([[0.9, 0.1]], [[0.8989, 0.1011]]).faults == [
        "a probability is off by 0.0011, at most 0.001 is allowed"
    ]


def test_of_8_bit_integers_one_flip_in_twenty_clear_answers_is_allowed():
    expected = [[0.9, 0.1]] * 20
    one, two = ([[0.4, 0.6]] * flips + [[0.9, 0.1]] * (20 - flips) for flips in (1, 2))

    assert parity(expected, one, INT8).faults == []
    assert parity(expected, two, INT8).faults == ["90.0% of the pictures keep their class, at least 95% must"]


def test_of_8_bit_integers_probabilities_may_be_off_by_5_percent_on_average():
    expected = [[0.9, 0.1]] * 8
    assert parity(expected, [[0.86, 0.14]] * 8, INT8).faults == []
    assert parity(expected, [[0.8, 0.2]] * 8, INT8).faults == [
        "probabilities are off by 0.1 on average, at most 0.05 is allowed"
    ]


def test_8_bit_integers_are_not_proved_by_pictures_without_a_clear_answer():
    unclear = [[0.9, 0.1]] * 7 + [[0.52, 0.48]] * 57

    assert parity(unclear, unclear, INT8).faults == [
        "only 7 have a clear answer, at least 8 must for it to prove anything"
    ]
    assert parity(unclear, unclear, FLOAT).faults == []


@pytest.mark.parametrize("limits", [FLOAT, INT8], ids=["float", "int8"])
def test_what_is_no_number_never_agrees(limits):
    assert parity([[0.9, 0.1], [0.2, 0.8]], [[0.9, 0.1], [np.nan, np.nan]], limits).faults


def test_it_is_written_down_as_plain_values():
    found = parity([[0.9, 0.1]], [[0.4, 0.6]]).to_dict()

    assert found["flipped"] == (
        {
            "picture": "0.png",
            "expected": "cat",
            "expected_probability": 0.9,
            "received": "dog",
            "received_probability": 0.6,
        },
    )
    assert found["limits"] == {"margin": 0.001, "agreement": 1.0, "largest": 0.001, "mean": None, "tolerance": 0.001}
