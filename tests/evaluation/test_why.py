import numpy as np
import pytest
from PIL import Image

from opsin.evaluation.report import Report
from opsin.evaluation.why import Known, look_into, nearest, worst_rows

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
