"""`compare`: two networks that go by colour; what a model has learned from is in the `files.csv` beside it."""

import dataclasses

import numpy as np
import pytest
from PIL import Image

from opsin.classifier import Classifier
from opsin.data.account import write_account
from opsin.data.cache import Cache
from opsin.data.dataset import ImageDataset
from opsin.errors import DataError
from opsin.evaluation.compare import compare, compare_reports
from opsin.evaluation.report import Report
from opsin.images.preprocess import Preprocess
from opsin.model_folder import ModelCard
from opsin.runtimes.base import Outputs


class Channels:
    """A runtime whose logits are chosen channels' means, divided by 100."""

    input_shape = (2, 2, 3)

    def __init__(self, order):
        self.order = list(order)

    def run(self, images):
        means = images.mean(axis=(1, 2))[:, self.order] / 100
        return Outputs(means, means)


@pytest.fixture
def model(tmp_path):
    """`model("old", {"red": 0, "green": 1})`: red where the red channel is stronger."""

    def model(name, channels, preprocess=None):
        card = ModelCard(tuple(channels), preprocess or Preprocess(2, 2))
        (tmp_path / name / "model").mkdir(parents=True, exist_ok=True)
        return Classifier(Channels(channels.values()), card, tmp_path / name / "model")

    return model


@pytest.fixture
def data(tmp_path):
    """Twenty pictures of each class: reds that differ in blue, greens, of which the last six are blue, too."""
    for number in range(20):
        pictures = {"red": (200, 0, 1 + 3 * number), "green": (0, 200, 240 if number >= 14 else 3 * number)}
        for name, color in pictures.items():
            (tmp_path / "data" / name).mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (3, 3), color).save(tmp_path / "data" / name / f"{number:02}.png")
    return ImageDataset.from_folder(tmp_path / "data")


@pytest.fixture
def cache(tmp_path):
    return Cache(folder=tmp_path / "cache")


OLD, NEW = {"red": 0, "green": 1}, {"green": 1, "red": 2}


def test_what_changed_is_told_picture_by_picture_and_class_by_class(model, data, cache):
    """The new one takes blue for red."""
    found = compare(model("old", OLD), model("new", NEW), data, cache=cache)

    assert (found.comparison.first.name, found.comparison.second.name) == ("old", "new")
    assert found.comparison.difference == pytest.approx(6 / 40)
    assert [(one.path, one.truth, one.first, one.second) for one in found.broken] == [
        (f"green/{number}.png", "green", "green", "red") for number in range(14, 20)
    ]
    assert found.fixed == ()
    assert [(one.name, one.first.value, one.second.value) for one in found.classes] == [
        ("green", 1.0, 0.7),
        ("red", 1.0, 1.0),
    ]
    assert found.to_dict()["change"]["value"] == pytest.approx(-6 / 40)


def test_the_other_way_round_the_same_pictures_are_fixed(model, data, cache):
    there = compare(model("old", OLD), model("new", NEW), data, cache=cache)
    back = compare(model("new", NEW), model("old", OLD), data, cache=cache)
    assert {one.path for one in back.fixed} == {one.path for one in there.broken}
    assert (there.second_is_worse(), back.second_is_worse()) == (True, False)


def test_worse_is_what_is_beyond_the_margin_and_beyond_chance(model, data, cache):
    found = compare(model("old", OLD), model("new", NEW), data, cache=cache)
    assert found.comparison.p_value == pytest.approx(2 * 0.5**6)
    assert found.second_is_worse(0.01)
    assert not found.second_is_worse(0.1)
    few = dataclasses.replace(found.comparison, low=0.01, p_value=0.06)
    assert not few.second_is_worse()


@pytest.mark.parametrize("decoded_apart", [False, True])
def test_pictures_are_read_once_where_both_take_them_alike(model, data, cache, monkeypatch, decoded_apart):
    reads = []
    original = Preprocess.read
    monkeypatch.setattr(Preprocess, "read", lambda self, source: reads.append(source) or original(self, source))
    recipe = Preprocess(2, 2, fit="crop") if decoded_apart else None
    compare(model("old", OLD), model("new", NEW, recipe), data, cache=cache)
    assert len(reads) == 40 * (1 + decoded_apart)


def test_pictures_that_both_hold_out_are_taken_and_that_is_said(model, data, cache):
    models = [model("old", OLD), model("new", NEW)]
    numbers = np.array([int(name[-6:-4]) for name in data.names])
    for one, held_out in zip(models, (numbers >= 10, numbers % 2 == 0), strict=True):
        parts = {"train": data.subset(~held_out), "val": data.subset([]), "test": data.subset(held_out)}
        write_account(one.folder.parent / "files.csv", parts)

    found = compare(*models, data, cache=cache)

    assert sorted({path[-6:-4] for path in found.reports[0].paths}) == ["10", "12", "14", "16", "18"]
    assert found.reports[0].split == "test"
    assert "Comparing on the 10 of 40 pictures that both models hold out: old 20 (test), new 20 (test)." in found.notes


def test_if_no_picture_is_held_out_by_both_that_is_an_error(model, data, cache):
    models = [model("old", OLD), model("new", NEW)]
    numbers = np.array([int(name[-6:-4]) for name in data.names])
    for one, held_out in zip(models, (numbers < 10, numbers >= 10), strict=True):
        parts = {"train": data.subset(~held_out), "val": data.subset([]), "test": data.subset(held_out)}
        write_account(one.folder.parent / "files.csv", parts)
    with pytest.raises(DataError, match="neither model has learned from; old holds out 20 of 40"):
        compare(*models, data, cache=cache)


def test_models_of_other_classes_are_refused(model, data):
    with pytest.raises(DataError, match="only 'old' knows 'red' and only 'new' knows 'blue'"):
        compare(model("old", OLD), model("new", {"green": 1, "blue": 2}), data)


def test_what_only_one_of_two_reports_has_takes_no_part():
    first = Report.from_predictions([0, 1, 1], np.eye(2)[[0, 1, 0]], ["a", "b", "c"], ["x", "y"])
    second = Report.from_predictions([0, 1], np.eye(2)[[0, 1]], ["b", "c"], ["y", "x"])
    with pytest.raises(DataError, match="none in common"):
        compare_reports(first, Report.from_predictions([0], [[1, 0]], ["z"], ["x", "y"]))
    found = compare_reports(first, Report.from_predictions([0, 0], np.eye(2)[[0, 0]], ["b", "c"], ["y", "x"]))
    assert found.reports[1].paths == found.reports[0].paths == ["b", "c"]
    assert (found.comparison.only_first, found.comparison.only_second) == (0, 1)
    with pytest.raises(DataError, match="same labels"):
        compare_reports(first, second)
