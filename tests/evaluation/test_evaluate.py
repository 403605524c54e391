"""`evaluate`: labels matched by name, pictures from files or from the store. The network goes by colour."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from opsin.classifier import Classifier
from opsin.data.cache import Cache
from opsin.data.dataset import ImageDataset
from opsin.data.store import decode_datasets
from opsin.errors import DataError
from opsin.evaluation.evaluate import evaluate, evaluate_each, match_labels
from opsin.images.preprocess import Preprocess
from opsin.model_folder import ModelCard
from opsin.runtimes.base import Outputs

RED, GREEN, BLUE = (250, 0, 0), (0, 250, 0), (0, 0, 250)


class Channels:
    """A runtime whose logits are the mean of each channel, divided by 100."""

    input_shape = (2, 2, 3)

    def run(self, images):
        means = images.mean(axis=(1, 2)) / 100
        return Outputs(means, means)


@pytest.fixture
def colors():
    return Classifier(Channels(), ModelCard(("red", "green", "blue"), Preprocess(2, 2)), Path("nowhere"))


@pytest.fixture
def cache(tmp_path):
    return Cache(folder=tmp_path / "cache")


@pytest.fixture
def write(tmp_path):
    def write(**classes):
        for name, pictures in classes.items():
            (tmp_path / "data" / name).mkdir(parents=True)
            for number, color in enumerate(pictures):
                Image.new("RGB", (3, 3), color).save(tmp_path / "data" / name / f"{number}.png")
        return ImageDataset.from_folder(tmp_path / "data")

    return write


@pytest.fixture
def data(write):
    """Blue comes first here and last in the model; one of three reds is taken for green."""
    return write(blue=[BLUE, BLUE], green=[GREEN], red=[RED, GREEN, RED])


def test_classes_are_matched_by_name_whatever_their_order(colors, data, cache):
    report = evaluate(colors, data, split="test", cache=cache)
    assert report.class_names == ["red", "green", "blue"]
    assert report.metrics.confusion_matrix.tolist() == [[2, 1, 0], [0, 1, 0], [0, 0, 2]]
    assert (report.accuracy.value, report.accuracy.n, report.split) == (pytest.approx(5 / 6), 6, "test")
    assert report.paths == list(data.names)


def test_labels_are_indices_into_the_models_classes(colors, data):
    labels = match_labels(colors, data)
    assert labels.tolist() == [2, 2, 1, 0, 0, 0]
    assert labels.dtype == np.int32


def test_some_of_the_classes_are_enough(colors, write, cache):
    report = evaluate(colors, write(blue=[BLUE, RED]), cache=cache)
    assert report.metrics.confusion_matrix.tolist() == [[0, 0, 0], [0, 0, 0], [1, 0, 1]]


def test_an_unknown_class_is_named(colors, write, cache):
    data = write(blue=[BLUE], **{"ultra violet": [BLUE]})
    with pytest.raises(DataError, match=r"the model knows .'red', 'green', 'blue'.*also has 'ultra violet'"):
        evaluate(colors, data, cache=cache)


def test_an_unknown_class_without_pictures_in_this_part_is_no_hindrance(colors, write, cache):
    data = write(blue=[BLUE], yellow=[BLUE])
    assert evaluate(colors, data.subset([0]), cache=cache).accuracy.value == 1.0


def test_a_part_without_pictures_is_an_error(colors, data, cache):
    with pytest.raises(DataError, match="has none"):
        evaluate(colors, data.subset([]), cache=cache)


def decode_before(data, cache):
    decode_datasets([data], Preprocess(2, 2), cache=cache)


@pytest.mark.parametrize("stored", [False, True])
def test_unreadable_pictures_are_listed_and_the_rest_is_judged(colors, data, cache, stored):
    Path(data.paths[1]).write_bytes(b"broken")
    if stored:
        decode_before(data, cache)
    report = evaluate(colors, data, cache=cache)
    assert [path for path, _ in report.skipped] == ["blue/1.png"]
    assert report.paths == [name for name in data.names if name != "blue/1.png"]
    assert report.metrics.confusion_matrix.tolist() == [[2, 1, 0], [0, 1, 0], [0, 0, 1]]


@pytest.mark.parametrize("stored", [False, True])
def test_if_no_picture_can_be_read_that_is_an_error(colors, data, cache, stored):
    if stored:
        Path(data.paths[3]).write_bytes(b"broken")
        decode_before(data, cache)
    Path(data.paths[3]).write_bytes(b"broken")
    with pytest.raises(DataError, match=r"none of the 1 under .* can\. The first, 'red/0\.png'"):
        evaluate(colors, data.subset([3]), cache=cache)


def test_files_and_stored_pixels_give_the_same_report(colors, data, cache):
    from_files = evaluate(colors, data.subset([5, 0, 4]), cache=cache)
    decode_before(data, cache)
    from_store = evaluate(colors, data.subset([5, 0, 4]), cache=cache)
    assert from_store.probabilities.tolist() == from_files.probabilities.tolist()
    assert from_store.to_dict() == from_files.to_dict()


def test_stored_pixels_are_not_decoded_again(colors, data, cache, monkeypatch):
    decode_before(data, cache)
    monkeypatch.setattr(Preprocess, "read", pytest.fail)
    assert evaluate(colors, data, cache=cache).accuracy.n == 6


def test_nothing_is_written(colors, data, cache):
    evaluate(colors, data, cache=cache)
    assert not cache.folder.exists()


@pytest.mark.parametrize("stored", [False, True])
def test_progress_counts_to_the_end(colors, data, cache, stored, monkeypatch):
    monkeypatch.setattr("opsin.evaluation.evaluate.BATCH", 4)
    if stored:
        decode_before(data, cache)
    steps = []
    evaluate(colors, data, cache=cache, progress=lambda done, total: steps.append((done, total)))
    assert steps == [(4, 6), (6, 6)]


def test_the_last_batch_counts_as_much_as_any(colors, write, cache):
    data = write(red=[RED] * 33, blue=[RED] * 7)
    assert evaluate(colors, data, cache=cache).metrics.confusion_matrix.tolist() == [[33, 0, 0], [0, 0, 0], [7, 0, 0]]


class Beside(Channels):
    """The same with two lanes; it is asked for one answer at a time where the other runtime has none."""

    lanes = 2

    def run_beside(self, images):
        raise AssertionError


def test_classifiers_with_and_without_lanes_are_run_together(colors, data, cache):
    other = Classifier(Beside(), colors.card, colors.folder)

    assert [report.metrics.n for report in evaluate_each([colors, other], data, cache=cache)] == [6, 6]
