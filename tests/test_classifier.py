"""`Classifier`: opening, predicting, saving. The small network here says which of red, green and blue is strongest."""

import errno
import io
import itertools
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from opsin.classifier import Classifier, Prediction, softmax
from opsin.errors import ModelError, PictureError, SavingError, UsageError
from opsin.images.preprocess import Preprocess
from opsin.model_folder import ModelCard, sign
from opsin.names import CARD, KERAS, TWIN
from opsin.runtimes.ahead import run_ahead
from opsin.runtimes.base import Outputs


class Channels:
    """A runtime whose logits are the mean of each channel, divided by 100."""

    input_shape = (2, 2, 3)

    def __init__(self):
        self.batches = []

    def run(self, images):
        assert images.dtype == np.float32
        self.batches.append(len(images))
        means = images.mean(axis=(1, 2)) / 100
        return Outputs(means, means)


@pytest.fixture
def colors():
    card = ModelCard(("red", "green", "blue"), Preprocess(2, 2))
    return Classifier(Channels(), card, Path("nowhere"))


def ppm(red, green, blue):
    return f"P3 1 1 255 {red} {green} {blue}".encode()


@pytest.fixture
def model(tiny_run, tmp_path):
    """A copy of the tiny run's model folder, to be damaged."""
    return Path(shutil.copytree(tiny_run / "model", tmp_path / "model"))


def labels(predictions):
    return [None if isinstance(p, PictureError) else p.label for p in predictions]


# What a prediction says


def test_logits_become_calibrated_probabilities(colors):
    prediction = colors.predict(ppm(100, 0, 200))
    expected = np.exp([1, 0, 2]) / np.exp([1, 0, 2]).sum()
    assert np.allclose(prediction.probabilities, expected, rtol=1e-6)
    assert (prediction.label, prediction.path) == ("blue", None)
    assert prediction.probability == pytest.approx(expected[2])
    assert prediction.top(2) == [("blue", pytest.approx(expected[2])), ("red", pytest.approx(expected[0]))]


def test_of_equal_probabilities_the_first_class_comes_first():
    prediction = Prediction("a", np.array([0.2, 0.4, 0.4]), ("x", "y", "z"))
    assert prediction.label == "y"
    assert [name for name, _ in prediction.top(9)] == ["y", "z", "x"]


def test_temperature_divides_the_logits(colors):
    warm = Classifier(Channels(), ModelCard(colors.class_names, colors.preprocess, temperature=2.0), colors.folder)
    expected = np.exp([0.5, 0, 1]) / np.exp([0.5, 0, 1]).sum()
    assert np.allclose(warm.predict(ppm(100, 0, 200)).probabilities, expected, rtol=1e-6)


def test_softmax_of_known_logits():
    assert np.allclose(softmax(np.log([[1.0, 2.0, 5.0]])), [[0.125, 0.25, 0.625]])
    assert softmax(np.array([[1000.0, 0.0]])).tolist() == [[1.0, 0.0]]
    assert softmax(np.zeros((0, 3))).shape == (0, 3)


def test_one_unit_is_read_as_the_pair_of_zero_and_its_logit():
    logits = np.array([[0.0], [np.log(3)], [-800.0]])
    assert np.allclose(softmax(logits), [[0.5, 0.5], [0.25, 0.75], [1, 0]])
    assert np.allclose(softmax(logits, temperature=2.0)[1], np.array([1, 3**0.5]) / (1 + 3**0.5))


def test_more_class_names_than_the_network_has_classes_are_a_model_error(colors):
    card = ModelCard((*colors.class_names, "infrared"), colors.preprocess)
    with pytest.raises(ModelError, match=r"each of the network's 3 classes; .* has 4"):
        Classifier(Channels(), card, colors.folder).predict(ppm(0, 0, 0))


# Thresholds


def with_threshold(colors, threshold, **card):
    card = ModelCard(**{"class_names": colors.class_names, "preprocess": colors.preprocess, **card})
    return Classifier(Channels(), card, colors.folder).deciding(threshold=threshold)


def test_a_picture_below_the_threshold_is_unknown_with_its_probabilities_as_they_are(colors):
    sure = float(colors.predict(ppm(100, 0, 200)).probability)
    picture = ppm(100, 0, 200)

    below, at = with_threshold(colors, sure + 1e-6).predict(picture), with_threshold(colors, sure).predict(picture)

    assert (below.label, at.label) == ("unknown", "blue")
    assert below.probabilities.tolist() == at.probabilities.tolist()
    assert below.top(1) == at.top(1) == [("blue", sure)]
    assert labels(with_threshold(colors, sure + 1e-6).predict_many([picture, b"", ppm(0, 0, 255)])) == [
        *("unknown", None, "blue"),
    ]


def test_the_cards_threshold_is_taken_where_it_is_asked_for(colors):
    assert with_threshold(colors, "card", thresholds={"unknown": 0.7}).decision.confidence.tolist() == [0.7] * 3
    assert with_threshold(colors, None, thresholds={"unknown": 0.7}).decision is None
    with pytest.raises(UsageError, match=r"it has none\. Choose one: --threshold"):
        with_threshold(colors, "card")


@pytest.mark.parametrize("threshold", [-0.1, 1.1, float("nan"), "0.5"])
def test_a_threshold_that_is_no_fraction_is_wrong_usage(colors, threshold):
    with pytest.raises(UsageError, match="Expected a threshold from 0 to 1"):
        with_threshold(colors, threshold)


def test_a_class_called_unknown_is_not_mixed_up_with_the_answer(colors):
    names = ("red", "unknown", "blue")
    assert with_threshold(colors, None, class_names=names).labels == names
    with pytest.raises(UsageError, match="this model has such a class"):
        with_threshold(colors, 0.5, class_names=names)


def test_what_a_label_can_be_is_listed(colors):
    assert with_threshold(colors, 0.5).labels == ("red", "green", "blue", "unknown")


# Many pictures


@pytest.mark.parametrize("batch_size", [1, 2, 3, 16])
def test_answers_come_in_order_with_errors_in_their_place(colors, tmp_path, batch_size):
    (tmp_path / "green.ppm").write_bytes(ppm(0, 9, 0))
    sources = [ppm(9, 0, 0), b"broken", tmp_path / "green.ppm", str(tmp_path / "no.ppm"), b"", ppm(0, 0, 9)]
    answers = list(colors.predict_many(sources, batch_size=batch_size))
    assert labels(answers) == ["red", None, "green", None, None, "blue"]
    assert answers[2].path == str(tmp_path / "green.ppm")
    assert answers[3].path == str(tmp_path / "no.ppm")


def test_pictures_of_which_none_can_be_read_run_no_network(colors):
    assert labels(colors.predict_many([b"", b""])) == [None, None]
    assert colors.runtime.batches == []


def test_no_pictures_give_no_answers(colors):
    assert list(colors.predict_many([])) == []


def test_a_picture_that_cannot_be_read_raises_when_it_is_the_only_one(colors, tmp_path):
    with pytest.raises(PictureError, match=r"no\.png': there is no such file"):
        colors.predict(tmp_path / "no.png")


@pytest.mark.parametrize("batch_size", [1, 4])
def test_endless_pictures_are_drawn_a_bounded_number_ahead(colors, batch_size):
    drawn = itertools.count()
    sources = (ppm(9, 0, 0) if next(drawn) % 2 else b"" for _ in itertools.count())
    answers = colors.predict_many(sources, batch_size=batch_size)
    taken = [next(answers) for _ in range(100)]
    answers.close()
    assert labels(taken) == [None, "red"] * 50
    assert next(drawn) <= 100 + 8 * batch_size


def test_the_network_sees_whole_batches(colors):
    list(colors.predict_many([ppm(9, 0, 0)] * 10, batch_size=4))
    assert colors.runtime.batches == [4, 4, 2]


def test_an_error_of_the_network_reaches_the_caller():
    def fail(images):
        raise ModelError("broken")

    with pytest.raises(ModelError, match="broken"):
        list(run_ahead(fail, [np.zeros((1, 1, 3), np.uint8)] * 3, 1))


def test_a_batch_size_below_one_is_wrong_usage(colors):
    with pytest.raises(UsageError, match="at least 1; received 0"):
        list(colors.predict_many([b""], batch_size=0))


@pytest.mark.parametrize(
    "source",
    ["cat.jpg", b"content", Path("cat.jpg"), Image.new("RGB", (2, 2)), np.zeros((2, 2, 3), np.uint8)],
    ids=lambda source: type(source).__name__,
)
def test_one_picture_where_many_are_expected_is_wrong_usage(colors, source):
    with pytest.raises(UsageError, match="Expected many pictures"):
        list(colors.predict_many(source))


# What a picture can come as


def test_a_path_its_bytes_its_image_and_its_pixels_give_the_same_answer(colors, tmp_path):
    image = np.random.default_rng(0).integers(0, 256, (6, 8, 3), np.uint8)
    Image.fromarray(image).save(tmp_path / "a.png")
    content = (tmp_path / "a.png").read_bytes()
    sources = [tmp_path / "a.png", str(tmp_path / "a.png"), content, Image.open(io.BytesIO(content)), image]

    one_by_one = [colors.predict(source) for source in sources]
    together = list(colors.predict_many(iter(sources), batch_size=2))

    expected = one_by_one[0].probabilities.tolist()
    assert all(answer.probabilities.tolist() == expected for answer in one_by_one + together)
    assert [answer.path for answer in together] == [str(tmp_path / "a.png")] * 2 + [None] * 3


def test_a_frame_that_is_drawn_over_after_it_was_given_is_seen_as_it_was(colors):
    def frames():
        frame = np.zeros((4, 4, 3), np.uint8)
        for number in range(12):
            frame[:] = 0
            frame[:, :, number % 3] = 255
            yield frame

    assert labels(colors.predict_many(frames(), batch_size=4)) == ["red", "green", "blue"] * 4


def test_a_file_that_is_closed_after_it_was_given_is_seen(colors, tmp_path):
    paths = [tmp_path / f"{number}.ppm" for number in range(6)]
    for number, path in enumerate(paths):
        path.write_bytes(ppm(*(200 * (number % 3 == channel) for channel in range(3))))

    def opened():
        for path in paths:
            with Image.open(path) as image:
                yield image

    assert labels(colors.predict_many(opened(), batch_size=3)) == ["red", "green", "blue"] * 2


def test_an_array_of_several_pictures_is_many(colors):
    assert labels(colors.predict_many(np.eye(3, dtype=np.uint8)[:, None, None] * 255)) == ["red", "green", "blue"]


def test_what_is_no_picture_at_all_is_wrong_usage(colors):
    with pytest.raises(UsageError, match=r"Expected a picture as a uint8 array.*Received float64"):
        colors.predict(np.zeros((2, 2, 3)))
    with pytest.raises(UsageError, match="Received NoneType"):
        list(colors.predict_many([None]))


# Opening


def test_a_run_and_its_model_folder_open_alike(tiny_run, tiny_data):
    picture = tiny_data / "discs" / "0.png"
    opened = [Classifier.open(path) for path in (tiny_run, tiny_run / "model", str(tiny_run))]
    assert [classifier.class_names for classifier in opened] == [("checks", "discs", "stripes")] * 3
    assert len({classifier.predict(picture).probabilities.tobytes() for classifier in opened}) == 1


def test_opening_and_predicting_load_no_tensorflow(tiny_run, tiny_data):
    program = """
import sys
from opsin import Classifier
print(Classifier.open(sys.argv[1]).predict(sys.argv[2]).label)
sys.exit(any(name.partition(".")[0] in ("tensorflow", "keras", "sklearn", "matplotlib") for name in sys.modules))
"""
    command = [sys.executable, "-c", program, tiny_run, tiny_data / "discs" / "0.png"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "discs\n")


def test_the_answer_does_not_hang_on_the_batch(tiny_run, tiny_data):
    classifier = Classifier.open(tiny_run)
    pictures = sorted(tiny_data.glob("*/*.png"))[::3]
    expected = np.array([classifier.predict(path).probabilities for path in pictures])
    for batch_size in (2, 5, 64):
        answers = classifier.predict_many(pictures, batch_size=batch_size)
        assert np.allclose([answer.probabilities for answer in answers], expected, atol=1e-6, rtol=0)


def test_a_path_and_its_content_give_the_same_answer(tiny_run, tiny_data):
    classifier = Classifier.open(tiny_run)
    path = tiny_data / "stripes" / "1.png"
    by_path, by_content = classifier.predict(path), classifier.predict(path.read_bytes())
    assert by_path.probabilities.tolist() == by_content.probabilities.tolist()
    assert (by_path.path, by_content.path) == (str(path), None)


def test_keras_itself_gives_the_same_answers(tiny_run, tiny_data):
    pictures = sorted(tiny_data.glob("*/*.png"))[::9]
    lite, keras = (
        np.array([answer.probabilities for answer in Classifier.open(tiny_run, runtime).predict_many(pictures)])
        for runtime in ("litert", "keras")
    )
    assert np.allclose(lite, keras, atol=1e-4, rtol=0)


def test_the_tiny_classifier_has_learned(tiny_run, tiny_data):
    classifier = Classifier.open(tiny_run)
    pictures = sorted(tiny_data.glob("*/*.png"))
    right = [answer.label == Path(answer.path).parent.name for answer in classifier.predict_many(pictures)]
    assert np.mean(right) > 0.9


@pytest.mark.parametrize("threads", [0, -1])
def test_less_than_one_thread_is_wrong_usage(model, threads):
    with pytest.raises(UsageError, match=f"at least 1 thread; received {threads}"):
        Classifier.open(model, threads=threads)


def test_an_unknown_runtime_lists_what_there_is(model):
    with pytest.raises(UsageError, match=r"as runtime: litert, keras.*Did you mean 'litert'"):
        Classifier.open(model, "lite-rt")


def test_an_altered_network_is_not_run(model):
    content = bytearray((model / TWIN).read_bytes())
    content[len(content) // 2] ^= 1
    (model / TWIN).write_bytes(content)
    with pytest.raises(ModelError, match=f"'{TWIN}' .*to have the sha256 [0-9a-f]{{64}}; it has [0-9a-f]{{64}}"):
        Classifier.open(model)


def test_an_altered_keras_file_is_not_opened(model):
    (model / KERAS).write_bytes(b"PK\x03\x04")
    with pytest.raises(ModelError, match=f"'{KERAS}' .*sha256"):
        Classifier.open(model, "keras")


def test_only_the_engine_in_use_is_hashed(model):
    (model / KERAS).write_bytes(b"altered")
    assert Classifier.open(model).class_names == ("checks", "discs", "stripes")


def test_a_missing_network_is_named(model):
    (model / TWIN).unlink()
    with pytest.raises(ModelError, match=f"Expected '{TWIN}'.*it is missing"):
        Classifier.open(model)


def test_a_model_that_was_saved_without_a_twin_says_how_to_open_it(model):
    document = json.loads((model / CARD).read_text())
    del document["sha256"]
    del document["files"][TWIN]
    (model / CARD).write_text(json.dumps({**document, "sha256": sign(document)}))
    (model / TWIN).unlink()
    with pytest.raises(ModelError, match=rf"has only {KERAS}\. Open it with runtime='keras'.*opsin\[train\]"):
        Classifier.open(model)


def test_a_recipe_of_another_size_than_the_network_is_a_model_error(model, tiny_data):
    document = json.loads((model / CARD).read_text())
    del document["sha256"]
    document["preprocess"]["height"] = 25
    (model / CARD).write_text(json.dumps({**document, "sha256": sign(document)}))
    with pytest.raises(ModelError, match=r"\(25, 24, 3\).*\(24, 24, 3\)"):
        Classifier.open(model)


# Saving


@pytest.mark.parametrize("exists", [True, False])
def test_a_saved_copy_opens_and_answers_alike(tiny_run, tiny_data, tmp_path, exists):
    place = tmp_path / "copies" / "one"
    if exists:
        place.mkdir(parents=True)
    classifier = Classifier.open(tiny_run)
    assert classifier.save(place) == place
    picture = tiny_data / "discs" / "3.png"
    copied, original = Classifier.open(place).predict(picture), classifier.predict(picture)
    assert copied.probabilities.tolist() == original.probabilities.tolist()
    files = [sorted(p.relative_to(folder) for p in folder.rglob("*")) for folder in (place, tiny_run / "model")]
    assert files[0] == files[1]


@pytest.mark.parametrize("name", ["mine", "mine/file"])
def test_a_place_that_holds_something_is_left_alone(tiny_run, tmp_path, name):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "file").write_text("mine")
    with pytest.raises(UsageError, match="holds something"):
        Classifier.open(tiny_run).save(tmp_path / name)
    assert (tmp_path / "mine" / "file").read_text() == "mine"


def test_the_empty_folder_one_stands_in_can_be_saved_to(tiny_run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Classifier.open(tiny_run).save(".")
    assert Classifier.open(tmp_path).class_names == ("checks", "discs", "stripes")


def test_a_disk_that_fills_up_while_saving_is_said_and_nothing_stays(tiny_run, tmp_path, monkeypatch):
    def fill_up(source, target, **options):
        Path(target).write_bytes(b"half")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(shutil, "copyfile", fill_up)
    with pytest.raises(SavingError, match="the disk is full"):
        Classifier.open(tiny_run).save(tmp_path / "copy")
    assert list(tmp_path.iterdir()) == []


# Flips


class LeftHalf(Channels):
    """A runtime that sees nothing but the left half of its pictures."""

    def run(self, images):
        return super().run(np.ascontiguousarray(images[:, :, :1]))


def test_with_flips_a_picture_and_its_mirror_image_get_the_same_answer():
    card = ModelCard(("red", "green", "blue"), Preprocess(2, 2))
    picture = np.zeros((1, 2, 2, 3), dtype=np.float32)
    picture[0, :, 0, 0] = 200
    once, twice = (Classifier(LeftHalf(), card, Path("nowhere"), flips=flips) for flips in (False, True))

    assert once.run(picture).logits.tolist() == [[2, 0, 0]]
    assert twice.run(picture).logits.tolist() == [[1, 0, 0]]
    assert twice.run(picture[:, :, ::-1]).features.tolist() == [[1, 0, 0]]


class TwoLanes:
    """A runtime that says which of its ways it was asked in."""

    input_shape = (1, 1, 3)

    def __init__(self, lanes):
        self.lanes = lanes
        self.ways = []

    def run(self, images):
        self.ways.append("alone")
        return Outputs(images.mean(axis=(1, 2)), images.mean(axis=(1, 2)))

    def run_beside(self, images):
        self.ways.append("beside")
        return Outputs(images.mean(axis=(1, 2)), images.mean(axis=(1, 2)))


@pytest.mark.parametrize(("lanes", "way"), [(1, "alone"), (3, "beside")])
def test_many_pictures_are_run_side_by_side_where_the_runtime_is_made_for_it(lanes, way):
    card = ModelCard(("red", "green", "blue"), Preprocess(1, 1))
    classifier = Classifier(TwoLanes(lanes), card, Path("nowhere"))

    assert len(list(classifier.predict_many([np.zeros((1, 1, 3), np.uint8)] * 9))) == 9
    assert set(classifier.runtime.ways) == {way}
    classifier.runtime.ways.clear()
    classifier.predict(np.zeros((1, 1, 3), np.uint8))
    assert classifier.runtime.ways == ["alone"]
