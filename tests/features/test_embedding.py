"""`embed`: vectors in the order of the pictures. One network here gives the mean of each channel; others are real."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from opsin.architectures import build_network
from opsin.classifier import Classifier
from opsin.data.dataset import ImageDataset
from opsin.errors import DataError, ModelError, UsageError
from opsin.features.embedders import open_embedder, reopen_embedder
from opsin.features.embedding import embed
from opsin.features.index import FeatureIndex
from opsin.images.preprocess import Preprocess
from opsin.model_folder import ModelCard
from opsin.names import KERAS
from opsin.runtimes.base import Outputs

COLORS = {"red": (200, 0, 0), "green": (0, 100, 0), "blue": (0, 0, 50)}


class Channels:
    """A runtime whose features are the mean of each channel."""

    input_shape = (2, 2, 3)

    def run(self, images):
        means = images.mean(axis=(1, 2))
        return Outputs(means, means)


class Diverged(Channels):
    def run(self, images):
        outputs = super().run(images)
        return Outputs(outputs.logits, outputs.features * np.nan)


def classifier(runtime=None, **files):
    return Classifier(runtime or Channels(), ModelCard(("a", "b"), Preprocess(2, 2), files=files), Path("nowhere"))


@pytest.fixture
def photos(tmp_path):
    for name, color in COLORS.items():
        (tmp_path / "photos" / name).mkdir(parents=True)
        Image.new("RGB", (3, 3), color).save(tmp_path / "photos" / name / "0.png")
    return tmp_path / "photos"


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """A file of weights of `digit_cnn`, and the network they come from."""
    import keras

    keras.utils.set_random_seed(1)
    network = build_network("digit_cnn", (28, 28, 1), 3)
    path = tmp_path_factory.mktemp("weights") / "digit_cnn.weights.h5"
    network.save_weights(path)
    return path, network


# Vectors


def test_each_picture_has_its_vector_and_label_in_order(photos):
    index = embed(classifier(), photos)

    assert [Path(path).relative_to(photos).as_posix() for path in index.paths] == [
        "blue/0.png",
        "green/0.png",
        "red/0.png",
    ]
    assert index.vectors.tolist() == [[0, 0, 50], [0, 100, 0], [200, 0, 0]]
    assert index.labels == ("blue", "green", "red")
    assert index.skipped == ()


def test_a_picture_that_cannot_be_read_is_named_and_the_rest_go_on(photos):
    (photos / "blue" / "9.png").write_bytes(b"broken")
    (photos / "green" / "gone.png").symlink_to(photos / "nowhere.png")

    index = embed(classifier(), photos)

    assert index.vectors.tolist() == [[0, 0, 50], [0, 100, 0], [200, 0, 0]]
    assert index.labels == ("blue", "green", "red")
    assert [path for path, _ in index.skipped] == [
        str(photos / "green" / "gone.png"),
        str(photos / "blue" / "9.png"),
    ]


@pytest.mark.parametrize("broken", [(), range(20), range(20, 40), range(0, 50, 2), (49,)])
def test_many_pictures_in_several_batches_stay_in_order(tmp_path, broken):
    for number in range(50):
        Image.new("RGB", (2, 2), (number, 0, 0)).save(tmp_path / f"{number}.png")
    for number in broken:
        (tmp_path / f"{number}.png").write_bytes(b"")

    index = embed(classifier(), tmp_path)

    expected = [number for number in range(50) if number not in broken]
    assert index.vectors[:, 0].tolist() == expected
    assert [Path(path).stem for path in index.paths] == list(map(str, expected))
    assert len(index.skipped) == len(broken)


def test_a_data_set_a_list_and_a_folder_give_the_same(photos):
    paths = [photos / name / "0.png" for name in ("blue", "green", "red")]

    indices = [embed(classifier(), source) for source in (photos, ImageDataset.open(photos), paths)]

    assert len({index.vectors.tobytes() for index in indices}) == len({index.paths for index in indices}) == 1
    assert [index.labels for index in indices] == [("blue", "green", "red")] * 2 + [()]


def test_mirror_images_play_no_part(tmp_path):
    half = np.zeros((2, 2, 3), np.uint8)
    half[:, 0] = 100
    Image.fromarray(half).save(tmp_path / "half.png")

    class LeftHalf(Channels):
        def run(self, images):
            return super().run(images[:, :, :1])

    plain = classifier(LeftHalf())
    with_flips = Classifier(plain.runtime, plain.card, plain.folder, flips=True)

    assert embed(with_flips, tmp_path).vectors.tolist() == embed(plain, tmp_path).vectors.tolist() == [[100] * 3]


def test_progress_counts_every_picture(photos):
    (photos / "red" / "9.png").write_bytes(b"broken")
    seen = []
    embed(classifier(), photos, progress=lambda done, total: seen.append((done, total)))

    assert seen == [(4, 4)]


def test_pictures_of_which_none_can_be_read_are_an_error(tmp_path):
    (tmp_path / "a.png").write_bytes(b"")

    with pytest.raises(DataError, match=r"none of the 1 can\. The first, '.*a\.png': the file is empty"):
        embed(classifier(), tmp_path)
    with pytest.raises(DataError, match="received none"):
        embed(classifier(), [])


def test_features_that_are_no_numbers_are_a_model_error(photos):
    with pytest.raises(ModelError, match="NaN or infinite"):
        embed(classifier(Diverged()), photos)


# A finished model


def test_a_run_gives_what_its_twin_says_of_the_features(tiny_run, tiny_data):
    pictures = sorted(tiny_data.glob("*/*.png"))[::20]
    opened = Classifier.open(tiny_run)
    expected = [opened.run(opened.preprocess.read(path)[None]).features[0] for path in pictures]

    index = embed(tiny_run, pictures)

    assert np.allclose(index.vectors, expected, atol=1e-5)
    assert (index.origin.name, index.origin.preprocess) == ("simple_cnn", opened.preprocess)
    assert index.origin.source == str((tiny_run / "model").resolve())
    assert index.origin.weights is None


def test_a_finished_model_loads_no_tensorflow(tiny_run, tiny_data, tmp_path):
    program = """
import sys, opsin
index = opsin.embed(sys.argv[1], sys.argv[2])
index.save(sys.argv[3])
print(opsin.FeatureIndex.load(sys.argv[3]).nearest(index.vectors[5], 1)[0].row)
sys.exit(any(name.partition(".")[0] in ("tensorflow", "keras", "sklearn", "matplotlib") for name in sys.modules))
"""
    command = [sys.executable, "-c", program, tiny_run, tiny_data, tmp_path / "v.npz"]
    done = subprocess.run(command, capture_output=True, text=True)

    assert (done.returncode, done.stdout) == (0, "5\n")


def test_pictures_of_a_class_are_closer_to_each_other_than_to_others(tiny_run, tiny_data):
    index = embed(tiny_run, tiny_data)
    right = [
        match.label == label
        for vector, label in zip(index.vectors, index.labels, strict=True)
        for match in index.nearest(vector, 4)[1:]
    ]

    assert np.mean(right) > 0.9


def test_keras_gives_the_same_vectors_under_the_same_name(tiny_run, tiny_data):
    pictures = sorted(tiny_data.glob("*/*.png"))[::20]
    lite, keras = (embed(open_embedder(tiny_run, runtime=name), pictures) for name in ("litert", "keras"))

    assert np.allclose(lite.vectors, keras.vectors, atol=1e-4)
    assert lite.origin == keras.origin


def test_weights_for_a_finished_model_are_wrong_usage(tiny_run):
    with pytest.raises(UsageError, match="only with the name of an architecture; received 'imagenet'"):
        open_embedder(tiny_run, "imagenet")


# A backbone


def test_a_backbone_gives_what_keras_gives_of_its_features(weights, tiny_data):
    import keras

    path, network = weights
    pictures = sorted(tiny_data.glob("*/*.png"))[::5]
    recipe = Preprocess(28, 28, color="gray")
    part = keras.Model(network.inputs, network.get_layer("features").output)
    expected = part.predict(np.stack([recipe.read(p) for p in pictures]).astype("float32"), verbose=0)

    index = embed("digit_cnn", pictures, weights=str(path))

    assert np.allclose(index.vectors, expected, atol=1e-4 * np.abs(expected).max())
    assert (index.origin.source, index.origin.weights, index.origin.preprocess) == ("digit_cnn", str(path), recipe)


def test_a_backbone_is_known_by_its_weights_wherever_they_lie(weights, tmp_path):
    import keras

    path, _ = weights
    shutil.copy(path, tmp_path / "lenet.weights.h5")
    keras.utils.set_random_seed(2)
    build_network("digit_cnn", (28, 28, 1), 3).save_weights(tmp_path / "other.weights.h5")
    files = [path, tmp_path / "lenet.weights.h5", tmp_path / "other.weights.h5"]

    first, same, other = (open_embedder("digit_cnn", str(file)).origin for file in files)

    assert first.sha256 == same.sha256 != other.sha256
    assert reopen_embedder(first, weights=str(files[1])).origin.sha256 == first.sha256
    with pytest.raises(ModelError, match="another one: digit_cnn"):
        reopen_embedder(first, weights=str(files[2]))


def test_random_weights_are_wrong_usage():
    with pytest.raises(UsageError, match="random ones tell nothing of pictures; received 'none'"):
        open_embedder("mobilenet", "none")


def test_an_architecture_without_published_weights_takes_a_file():
    with pytest.raises(UsageError, match=r"those of digit_cnn are not.*--weights PATH"):
        open_embedder("digit_cnn")


def test_published_weights_that_are_not_there_are_an_error_offline(monkeypatch, tmp_path):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))

    with pytest.raises(ModelError, match="as --offline says"):
        open_embedder("mobilenet", offline=True)


# What is there and what is not


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("runs/no", r"nothing at 'runs/no'\. Check the path"),
        ("mobilnet_v2", "nothing at 'mobilnet_v2'.*Did you mean 'mobilenet_v2'"),
    ],
)
def test_what_is_neither_a_folder_nor_an_architecture_is_wrong_usage(name, words):
    with pytest.raises(UsageError, match=words):
        open_embedder(name)


def test_a_model_that_was_moved_is_asked_for_and_taken_back(tiny_run, tiny_data, tmp_path):
    picture = tiny_data / "discs" / "0.png"
    model = Path(shutil.copytree(tiny_run / "model", tmp_path / "model"))
    index = embed(model, [picture])
    model.rename(tmp_path / "moved")

    with pytest.raises(UsageError, match=rf"nothing at '{model}' any more.*--model RUN"):
        reopen_embedder(index.origin)
    again = embed(reopen_embedder(index.origin, tmp_path / "moved"), [picture])
    assert again.vectors.tolist() == index.vectors.tolist()


def test_weights_that_were_moved_are_asked_for(weights, tmp_path):
    moved = tmp_path / "digit_cnn.weights.h5"
    shutil.copy(weights[0], moved)
    origin = open_embedder("digit_cnn", str(moved)).origin
    moved.unlink()

    with pytest.raises(UsageError, match=r"nothing at .* any more.*--weights PATH"):
        reopen_embedder(origin)


def test_another_model_is_refused():
    made, other = (open_embedder(classifier(**{KERAS: file})) for file in ("1", "2"))

    assert reopen_embedder(made.origin, classifier(**{KERAS: "1"})).origin == made.origin
    with pytest.raises(
        ModelError, match=f"{made.origin.sha256[:12]}.*another one: network, {other.origin.sha256[:12]}"
    ):
        reopen_embedder(made.origin, classifier(**{KERAS: "2"}))


def test_an_index_outlives_the_folder_one_stands_in(tiny_run, tiny_data, tmp_path, monkeypatch):
    monkeypatch.chdir(tiny_data)
    index = embed(Path(os.path.relpath(tiny_run)), "discs")
    index.save(tmp_path / "v.npz")
    monkeypatch.chdir(tmp_path)

    again = FeatureIndex.load("v.npz")

    assert all(Path(path).is_file() for path in again.paths)
    assert embed(reopen_embedder(again.origin), [again.paths[3]]).vectors.tolist() == pytest.approx(
        again.vectors[3:4], abs=1e-5
    )
