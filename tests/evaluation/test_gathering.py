"""Evidence from what is at hand: the run folder beside a model, and the facts of pictures."""

import dataclasses
import shutil

import numpy as np
import pytest
from PIL import Image

from opsin.checks.survey import survey
from opsin.classifier import Classifier
from opsin.data.account import write_account
from opsin.data.dataset import ImageDataset
from opsin.evaluation.background import Background, read_background
from opsin.evaluation.gathering import gather_evidence
from opsin.evaluation.report import Report
from opsin.images.preprocess import Preprocess
from opsin.model_folder import ModelCard
from opsin.runtimes.base import Outputs

N = 60


class Untouched:
    """A runtime that must not be run."""

    input_shape = (4, 4, 3)

    def run(self, images) -> Outputs:
        raise AssertionError("the network is run")


@pytest.fixture
def data(tmp_path):
    """Thirty pictures of each class, every second of which is dark; those in `test/` are a third of them."""
    for number in range(N):
        part, name = ("test", "train", "train")[number % 3], "ab"[number // 30]
        (tmp_path / "data" / part / name).mkdir(parents=True, exist_ok=True)
        image = np.full((8, 24, 3), 20 + number // 2 if number % 2 else 200 + number // 2, np.uint8)
        Image.fromarray(image).save(tmp_path / "data" / part / name / f"{number:02}.png")
    return ImageDataset.from_folder(tmp_path / "data")


@pytest.fixture
def classifier(tmp_path, data):
    """A model in a run folder that learned from the pictures in `train/`."""
    folder = tmp_path / "run" / "model"
    folder.mkdir(parents=True)
    train, val, test = data.split(val=0.2)
    write_account(folder.parent / "files.csv", {"train": train, "val": val, "test": test})
    (folder.parent / "history.csv").write_text("epoch,accuracy,val_accuracy\n0,0.5,0.6\n1,0.97,0.9\n2,1.0,0.8\n")
    (folder.parent / "config.toml").write_text('weights = "none"\n')
    parts = {"train": train, "val": val, "test": test}
    np.savez(
        folder.parent / "predictions.npz",
        labels=np.concatenate([part.labels for part in parts.values()]),
        logits=np.concatenate([2.0 * np.eye(2)[part.labels] for part in parts.values()]),
        paths=np.array([name for part in parts.values() for name in part.names]),
        split=np.array([name for name, part in parts.items() for _ in part.names]),
    )
    return Classifier(Untouched(), ModelCard(("a", "b"), Preprocess(4, 4, fit="crop"), temperature=2.0), folder)


def report_on(part, said=None):
    probabilities = np.eye(2)[part.labels if said is None else said] * 0.8 + 0.1
    return Report.from_predictions(part.labels, probabilities, part.names, ["a", "b"], root=part.root)


def test_the_run_folder_tells_what_was_learned_and_how_well(classifier, data):
    judged = set(data.split(val=0.2).test.names)
    found = read_background(classifier, judged)
    assert found.train_counts == {"a": 16, "b": 16}
    assert (found.train_accuracy, found.pretrained) == (0.97, False)
    assert len(found.held_out.paths) == 40
    assert not judged & set(found.held_out.paths)
    # Logits of 2, at a temperature of 2.
    assert found.held_out.probabilities.max() == pytest.approx(np.e / (1 + np.e))


def test_predictions_of_other_data_are_left_alone(classifier):
    assert read_background(classifier, {"elsewhere.png"}).held_out is None


def test_where_there_is_no_run_folder_nothing_is_known(classifier, tmp_path):
    alone = Classifier(classifier.runtime, classifier.card, tmp_path / "nowhere" / "model")
    for file in (tmp_path / "run").glob("*.*"):
        file.write_bytes(b"\x00damaged")
    for model in (alone, classifier):
        assert dataclasses.asdict(read_background(model, {"x"})) == dataclasses.asdict(Background())


def test_slices_and_advice_are_found_without_running_the_network(classifier, data, tmp_path):
    dark = np.array([int(name[-6:-4]) % 2 == 1 for name in data.names])
    report = report_on(data, np.where(dark, 1 - data.labels, data.labels))

    found = gather_evidence(report, classifier, data, cache=tmp_path / "cache").evidence

    worst = found.slices[0]
    assert (worst.kind, worst.accuracy.value, worst.others.value) == ("brightness", 0.0, 1.0)
    assert "brightness" in {words for one in found.advice for words in one.sentence.split()}
    # All pictures lose as much to the crop, so that there is nothing to compare.
    assert "cut off" not in {one.kind for one in found.slices}


def test_pictures_that_lose_much_to_the_crop_are_a_slice(classifier, data, tmp_path):
    for path in data.paths[::2]:
        Image.open(path).resize((8, 8)).save(path)
    found = gather_evidence(report_on(data), classifier, data, cache=tmp_path / "cache").evidence
    assert [one.name for one in found.slices if one.kind == "cut off"] == [
        "up to 0 % of the area",
        "over 0 % of the area",
    ]


def test_a_picture_with_two_labels_is_found_where_the_data_was_looked_at(classifier, data, tmp_path):
    shutil.copy(data.paths[0], data.paths[-1])
    test = data.split(val=0.2).test
    unseen = gather_evidence(report_on(test), classifier, data, cache=tmp_path / "cache").evidence
    assert not [one for one in unseen.advice if "one label" in one.sentence]
    survey(data, cache=tmp_path / "cache")
    found = gather_evidence(report_on(test), classifier, data, cache=tmp_path / "cache").evidence
    (advice,) = [one for one in found.advice if "one label" in one.sentence]
    assert set(advice.paths) == {data.names[0], data.names[-1]}


@pytest.mark.parametrize("rows", [[0], [0, 1, 2]])
def test_one_picture_or_one_class_is_no_hindrance(classifier, data, tmp_path, rows):
    found = gather_evidence(report_on(data.subset(rows)), classifier, data, cache=tmp_path / "cache").evidence
    assert found.slices == ()
    assert found.advice
