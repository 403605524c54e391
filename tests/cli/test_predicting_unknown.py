"""`opsin predict --unknown`, `--keep`, `--precision`."""

import dataclasses
import json
import shutil

import numpy as np
import pytest
from PIL import Image

from opsin.errors import ExitCode
from opsin.model_folder import ModelCard


@pytest.fixture
def noise(tmp_path):
    """Five pictures of noise, which are none of the shapes."""
    random = np.random.default_rng(0)
    (tmp_path / "noise").mkdir()
    for number in range(5):
        image = random.integers(0, 256, (24, 24, 3), dtype=np.uint8)
        Image.fromarray(image).save(tmp_path / "noise" / f"{number}.png")
    return tmp_path / "noise"


def labels(answer):
    return [json.loads(line)["label"] for line in answer.out.splitlines()]


def test_pictures_unlike_those_of_the_training_are_unknown_and_those_are_not(opsin, tiny_run, tiny_data, noise):
    strange = opsin("predict", tiny_run, noise, "--unknown", "--format", "jsonl")
    known = labels(opsin("predict", tiny_run, tiny_data, "--unknown", "--format", "jsonl"))

    assert labels(strange) == ["unknown"] * 5
    assert strange.err == ""
    assert known.count("unknown") < 0.15 * len(known)


def test_how_many_known_pictures_are_kept_can_be_said(opsin, tiny_run, tiny_data, tmp_path):
    model = shutil.copytree(tiny_run / "model", tmp_path / "model")
    card = ModelCard.read(model)
    limits = card.thresholds["unknown"]
    strict = {**limits, "keep": {**limits["keep"], "0.8": {**limits["keep"]["0.8"], "distance": -1.0}}}
    dataclasses.replace(card, thresholds={**card.thresholds, "unknown": strict}).save(model)

    unknown = [
        labels(opsin("predict", model, tiny_data, "--unknown", "--keep", keep, "--format", "jsonl")).count("unknown")
        for keep in (0.8, 0.99)
    ]

    assert unknown[0] == 72
    assert unknown[1] < 0.15 * 72


def test_a_class_is_said_only_where_it_is_as_often_right_as_asked_for(opsin, tiny_run, tiny_data):
    table = ModelCard.read(tiny_run / "model").thresholds["precision"]["classes"]["discs"]
    least = table["0.99"][0]

    answer = opsin("predict", tiny_run, tiny_data, "--precision", "discs=0.99", "--format", "jsonl")

    for row in map(json.loads, answer.out.splitlines()):
        best = row["top"][0]
        refused = best["label"] == "discs" and best["probability"] < least
        assert row["label"] == ("unknown" if refused else best["label"])


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--keep", "0.9"], "Add --unknown"),
        (["--unknown", "--keep", "0.5"], "one of 0.8, 0.9, 0.95, 0.98, 0.99; received 0.5"),
        (["--precision", "discs"], "Expected --precision CLASS=SHARE"),
        (["--precision", "discs=many"], "Expected --precision CLASS=SHARE"),
        (["--precision", "cows=0.9"], "a class of the model"),
        (["--precision", "discs=2"], "at most 1"),
    ],
)
def test_what_makes_no_sense_is_told(opsin, tiny_run, tiny_data, options, told):
    answer = opsin("predict", tiny_run, tiny_data, *options)

    assert answer.code == ExitCode.USAGE
    assert told in answer.err


def test_where_confidence_is_all_there_is_it_is_said(opsin, tiny_run, tiny_data, tmp_path):
    shutil.copytree(tiny_run / "model", tmp_path / "model")
    card = ModelCard.read(tmp_path / "model")
    card.thresholds["unknown"] = 0.4
    card.save(tmp_path / "model")

    answer = opsin("predict", tmp_path / "model", tiny_data / "discs/0.png", "--unknown")

    assert answer.code == 0
    assert "goes by confidence" in answer.err
