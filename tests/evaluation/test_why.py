import shutil

import numpy as np
import pytest
from PIL import Image

from opsin.classifier import Classifier
from opsin.data.account import read_account
from opsin.evaluation.report import Report
from opsin.evaluation.why import Known, compare_worst, look_into, nearest, read_known, worst_rows
from opsin.names import FILES

NAMES = ["cat", "dog"]


def report_on(probability_of_cat, labels, **kwargs):
    cat = np.asarray(probability_of_cat)
    paths = [f"{index}.png" for index in range(len(labels))]
    return Report.from_predictions(labels, np.stack([cat, 1 - cat], axis=1), paths, NAMES, **kwargs)


def test_the_most_confident_mistakes_are_looked_into_first():
    report = report_on([0.9, 0.6, 0.3, 0.05, 0.8], [1, 1, 0, 1, 0])
    assert worst_rows(report).tolist() == [0, 2, 1]
    assert worst_rows(report, 1).tolist() == [0]


def test_the_nearest_training_pictures_are_those_in_the_same_direction_however_long():
    known = Known(np.array([[1.0, 0.0], [0.0, 5.0], [3.0, 3.0]]), ["a", "b", "c"], ["cat", "dog", "cat"])
    ((first, second),) = nearest(np.array([[0.0, 0.1]]), known, 2)
    assert (first.path, first.label, first.similarity) == ("b", "dog", 1.0)
    assert (second.path, second.similarity) == ("c", pytest.approx(np.sqrt(0.5)))


def test_features_of_zeros_are_like_nothing():
    known = Known(np.array([[1.0, 0.0], [0.0, 1.0]]), ["a", "b"], ["cat", "dog"])
    assert [one.similarity for one in nearest(np.zeros((1, 2)), known)[0]] == [0.0, 0.0]


def test_a_report_keeps_what_was_found_by_path():
    report = report_on([0.9, 0.8], [1, 1])
    known = Known(np.eye(2), ["a", "b"], ["cat", "dog"])
    rows = worst_rows(report)
    heat = {0: (np.ones((2, 3), np.float32), 0.25)}
    explained = look_into(report, rows, heat=heat, features=np.eye(2), known=known).evidence.explained
    assert set(explained) == {"0.png", "1.png"}
    assert (explained["0.png"].heat.shape, explained["0.png"].peak) == ((2, 3), 0.25)
    assert (explained["1.png"].heat, explained["1.png"].neighbours[0].path) == (None, "b")


def test_what_was_found_before_stays_beside_what_is_found_now():
    report = report_on([0.9], [1])
    rows = worst_rows(report)
    heated = look_into(report, rows, heat={0: (np.ones((2, 3), np.float32), 0.25)})
    known = Known(np.eye(2), ["a", "b"], ["cat", "dog"])
    explained = look_into(heated, rows, features=np.eye(2)[:1], known=known).evidence.explained["0.png"]
    assert (explained.heat.shape, explained.peak) == ((2, 3), 0.25)
    assert [one.path for one in explained.neighbours] == ["a", "b"]


def test_a_picture_is_not_its_own_nearest():
    report = report_on([0.9], [1])
    known = Known(np.array([[1.0, 0.0], [1.0, 0.1], [1.0, 0.2], [1.0, 0.3]]), ["0.png", "a", "b", "c"], ["cat"] * 4)
    explained = look_into(report, worst_rows(report), features=np.array([[1.0, 0.0]]), known=known).evidence.explained
    assert [one.path for one in explained["0.png"].neighbours] == ["a", "b", "c"]


def mistaken(classifier, paths, root):
    """A report in which each picture is of the class after the one that is said."""
    probabilities = np.stack([one.probabilities for one in classifier.predict_many([root / path for path in paths])])
    labels = (probabilities.argmax(axis=1) + 1) % len(classifier.class_names)
    return Report.from_predictions(labels, probabilities, paths, classifier.class_names, root=root)


def test_a_run_tells_which_training_pictures_a_mistake_is_most_like(tiny_run, tiny_data, tmp_path):
    classifier = Classifier.open(tiny_run)
    original = [row["path"] for row in read_account(tiny_run / FILES) if row["split"] == "train"][-1]
    shutil.copy(tiny_data / original, tmp_path / "copy.png")

    report = compare_worst(mistaken(classifier, ["copy.png"], tmp_path), classifier)

    first, *others = report.evidence.explained["copy.png"].neighbours
    # It is not under the report's root, and has its whole path.
    assert (first.path, first.label) == (str(tiny_data / original), original.split("/")[0])
    assert first.similarity == pytest.approx(1, abs=1e-3)
    assert len(others) == 2


def test_training_pictures_under_the_root_of_the_report_are_called_as_in_it(tiny_run, tiny_data):
    known = read_known(Classifier.open(tiny_run), tiny_data)
    learned = [row for row in read_account(tiny_run / FILES) if row["split"] == "train"]
    assert list(known.paths) == [row["path"] for row in learned]
    assert list(known.labels) == [row["label"] for row in learned]
    assert len(known.features) == len(learned)


@pytest.mark.parametrize("gone", ["account", "pictures", "classes"])
def test_a_model_without_its_run_remembers_no_training_pictures(tiny_run, tiny_data, tmp_path, gone):
    shutil.copytree(tiny_run / "model", tmp_path / "model")
    account = (tiny_run / FILES).read_text("utf-8")
    if gone != "account":
        # Without the run's other files, nothing says where the pictures were.
        (tmp_path / FILES).write_text(account if gone == "pictures" else account.replace(",discs,", ",rings,"))
    root = tmp_path if gone == "pictures" else tiny_data
    assert read_known(Classifier.open(tmp_path), root) is None


@pytest.fixture
def network():
    """A network whose evidence for a cat is what is bright, for a dog what is dark."""
    keras = pytest.importorskip("keras")
    from opsin.explanation.network import ImageNetwork
    from opsin.images.preprocess import Preprocess

    inputs = keras.Input((4, 4, 3))
    maps = keras.layers.Conv2D(2, 1, use_bias=True, name="maps")(inputs)
    outputs = keras.layers.Dense(2, name="logits")(keras.layers.GlobalAveragePooling2D()(maps))
    model = keras.Model(inputs, outputs)
    model.get_layer("maps").set_weights([np.full((1, 1, 3, 2), [1 / 3, -1 / 3]), np.array([0.0, 255.0])])
    model.get_layer("logits").set_weights([np.eye(2), np.zeros(2)])
    return ImageNetwork(model, Preprocess(4, 4), ("cat", "dog"))


def test_heat_lies_where_the_evidence_for_the_answer_lies_on_the_picture_as_it_is(network, tmp_path):
    from opsin.evaluation.why import SIDE, heat_of

    pixels = np.zeros((4, 8, 3), np.uint8)
    pixels[:, 4:] = 255
    Image.fromarray(pixels).save(tmp_path / "0.png")
    report = report_on([0.9, 0.9], [1, 1], root=tmp_path)
    image = network.preprocess.read(tmp_path / "0.png")

    found = heat_of(report, np.array([0, 1]), np.stack([image, image]), network)

    # The second picture is gone.
    assert list(found) == [0]
    heat, peak = found[0]
    assert heat.shape == (SIDE // 2, SIDE)
    assert heat[:, -10:].min() > 0.9
    assert heat[:, :10].max() < 0.1
    assert peak > 0
