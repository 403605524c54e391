import csv
import errno
import json
from pathlib import Path

import keras
import numpy as np
import pytest

from opsin import evaluate
from opsin.classifier import Classifier
from opsin.data.dataset import ImageDataset
from opsin.errors import DataError, SavingError, UsageError
from opsin.model_folder import hash_files
from opsin.training.config import TrainConfig
from opsin.training.run_folder import RunFolder
from opsin.training.train import TrainingRun, train

QUICK = TrainConfig(architecture="simple_cnn", image_size=24, epochs=3, batch_size=16, augment="none", patience=0)

OWN = QUICK.replace(architecture="own")


def run(dataset: ImageDataset, out, settings: TrainConfig = QUICK, **more) -> TrainingRun:
    parts = dataset.split(0.2, 0.2, seed=0)
    return train(parts.train, parts.val, settings, test=parts.test, out=out, **more)


@pytest.fixture(scope="module")
def events() -> list[dict]:
    return []


@pytest.fixture(scope="module")
def finished(colors, tmp_path_factory, events) -> TrainingRun:
    return run(colors, RunFolder.create(tmp_path_factory.mktemp("finished") / "run", [events.append]))


def test_a_run_leaves_behind_what_it_promises(finished):
    left = {path.relative_to(finished.folder).as_posix() for path in finished.folder.rglob("*") if path.is_file()}

    assert left == {
        "config.toml",
        "environment.json",
        "events.jsonl",
        "files.csv",
        "history.csv",
        "predictions.npz",
        "report.html",
        "report.json",
        "model/opsin.json",
        "model/known_features.npy",
        "model/layers.json",
        "model/model.keras",
        "model/engines/model.tflite",
        "model/golden/logits.json",
        *(f"model/golden/{number}.png" for number in range(8)),
    }


def test_it_learns(finished):
    assert finished.report.accuracy.value > 0.9


def test_the_classifier_opened_again_gives_the_same_report(finished, colors):
    test_part = colors.split(0.2, 0.2, seed=0).test

    again = evaluate(Classifier.open(finished.folder), test_part, split="test")

    written = json.loads((finished.folder / "report.json").read_text())
    assert written == json.loads(json.dumps(finished.report.to_dict()))
    # What a training adds to its report, beyond the numbers.
    evidence = {"advice", "slices"}
    assert {**again.to_dict(), **{name: written[name] for name in evidence}} == written
    assert "pictures" in written["advice"][0]["sentence"]


def test_the_page_of_a_training_shows_what_the_network_sees(finished):
    page = (finished.folder / "report.html").read_text("utf-8")

    assert "How the network sees the pictures" in page
    assert "What to do next" in page


def test_the_twin_and_keras_agree(finished, colors):
    twin, network = Classifier.open(finished.folder), Classifier.open(finished.folder, runtime="keras")

    for path in colors.paths[::10]:
        assert np.allclose(twin.predict(path).probabilities, network.predict(path).probabilities, atol=1e-5)


def test_the_saved_network_opens_in_plain_keras_and_scales_by_itself(finished, colors):
    network = keras.saving.load_model(finished.folder / "model" / "model.keras", safe_mode=True)
    classifier = Classifier.open(finished.folder)
    image = classifier.preprocess.read(colors.paths[0]).astype(np.float32)

    logits = np.asarray(network(image[None]))

    assert np.allclose(
        classifier.probabilities(logits)[0], classifier.predict(colors.paths[0]).probabilities, atol=1e-5
    )


def test_the_golden_pictures_still_give_their_logits(finished):
    folder = finished.folder / "model" / "golden"
    golden = json.loads((folder / "logits.json").read_text())
    classifier = Classifier.open(finished.folder)
    images = np.stack([classifier.preprocess.read(folder / name) for name in golden["pictures"]])

    assert len(images) == 8
    assert np.allclose(classifier.run(images).logits, golden["logits"], rtol=1e-3, atol=1e-3)


def test_the_card_has_the_hash_of_every_file(finished):
    card = json.loads((finished.folder / "model" / "opsin.json").read_text())

    assert card["files"] == hash_files(finished.folder / "model")


def test_every_file_is_accounted_for(finished, colors):
    with (finished.folder / "files.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))

    assert sorted(row["path"] for row in rows) == sorted(colors.names)
    assert {row["status"] for row in rows} == {"used"}
    assert {part: sum(row["split"] == part for row in rows) for part in ("train", "val", "test")} == {
        "train": 36,
        "val": 12,
        "test": 12,
    }


def test_the_predictions_are_those_of_validation_and_test(finished, colors):
    saved = np.load(finished.folder / "predictions.npz")
    parts = colors.split(0.2, 0.2, seed=0)

    assert saved["paths"].tolist() == [*parts.val.names, *parts.test.names]
    assert saved["labels"].tolist() == [*parts.val.labels, *parts.test.labels]
    assert saved["split"].tolist() == ["val"] * 12 + ["test"] * 12
    probabilities = finished.classifier.probabilities(saved["logits"])
    assert np.allclose(probabilities[12:], finished.report.probabilities, rtol=0, atol=1e-12)


def test_the_events_tell_the_whole_run_to_listeners_and_file_alike(finished, events):
    written = [json.loads(line) for line in (finished.folder / "events.jsonl").read_text().splitlines()]

    assert written == events
    kinds = [event["event"] for event in events if event["event"] not in ("step", "decoding", "validating")]
    assert kinds == [
        "run_started",
        "network_built",
        *["epoch_started", "epoch_ended"] * 3,
        "best_kept",
        "model_saved",
        "note",
        "evaluated",
        "run_finished",
    ]


def test_the_settings_it_wrote_give_the_same_run_again(finished, colors, tmp_path):
    again = run(colors, RunFolder.create(tmp_path / "run"), TrainConfig.from_toml(finished.folder / "config.toml"))

    assert [row["loss"] for row in again.history] == [row["loss"] for row in finished.history]


def test_the_best_epoch_is_kept_and_not_the_last(colors, tmp_path):
    parts = colors.split(0.2, 0.2, seed=0)
    # A rate that ruins the network after a good beginning.
    settings = QUICK.replace(optimizer="sgd-nesterov", schedule="constant", warmup_epochs=0.0, learning_rate=0.1)
    finished = run(colors, RunFolder.create(tmp_path / "run"), settings.replace(epochs=4))
    best = max(finished.history, key=lambda row: (row["val_accuracy"], -row["val_loss"]))

    assert evaluate(finished.classifier, parts.val).accuracy.value == pytest.approx(best["val_accuracy"])


def test_a_network_of_the_users_own_is_trained(colors, tmp_path):
    network = keras.Sequential(
        [
            keras.Input((20, 28, 3)),
            keras.layers.Rescaling(1 / 255),
            keras.layers.Conv2D(8, 3, activation="relu"),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(3),
        ]
    )

    finished = run(colors, RunFolder.create(tmp_path / "run"), OWN, model=network)

    assert finished.classifier.preprocess.shape == (20, 28, 3)
    assert finished.classifier.run(np.zeros((2, 20, 28, 3))).features.shape == (2, 8)


def test_a_network_that_ends_in_softmax_is_refused(colors, tmp_path):
    layers = [keras.Input((8, 8, 3)), keras.layers.Flatten(), keras.layers.Dense(3, activation="softmax")]

    with pytest.raises(UsageError, match="logits"):
        run(colors, RunFolder.create(tmp_path / "run"), OWN, model=keras.Sequential(layers))


def test_a_network_from_a_file_is_trained(colors, tmp_path):
    (tmp_path / "mine.py").write_text(
        "import keras\n"
        "def small(input_shape, class_count):\n"
        "    layers = [keras.Input(input_shape), keras.layers.Rescaling(1 / 255), keras.layers.Flatten()]\n"
        "    return keras.Sequential([*layers, keras.layers.Dense(class_count)])\n"
    )

    finished = run(
        colors, RunFolder.create(tmp_path / "run"), QUICK.replace(architecture=f"{tmp_path}/mine.py:small", epochs=1)
    )

    assert finished.classifier.card.provenance["architecture"] == "mine.py:small"


def test_two_classes_with_one_sigmoid_unit_give_two_probabilities(colors, tmp_path):
    two = colors.subset(colors.labels < 2)
    parts = two.split(0.2, 0.2, seed=0)
    network = keras.Sequential(
        [
            keras.Input((24, 24, 3)),
            keras.layers.Rescaling(1 / 255),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(1),
        ]
    )
    names = tuple(colors.class_names[:2])
    listing = type(two.listing)(two.root, tuple(two.listing.entries[row] for row in two.rows), names, ())
    parts = ImageDataset(listing).split(0.2, 0.2, seed=0)

    finished = train(
        parts.train,
        parts.val,
        OWN.replace(learning_rate=0.3, epochs=20),
        test=parts.test,
        model=network,
        out=RunFolder.create(tmp_path / "run"),
    )

    assert finished.classifier.predict(two.paths[0]).probabilities.shape == (2,)
    assert finished.report.accuracy.value > 0.9


def test_a_picture_that_cannot_be_read_is_left_out_and_said(colors, tmp_path):
    root = copy_of(colors, tmp_path / "data")
    (root / "red" / "3.png").write_bytes(b"not a picture")
    events: list[dict] = []

    finished = run(ImageDataset.from_folder(root), RunFolder.create(tmp_path / "run", [events.append]))

    assert finished.unreadable == 1
    assert any("red/3.png" in event["text"] for event in events if event["event"] == "note")
    with (finished.folder / "files.csv").open(newline="") as file:
        row = next(row for row in csv.DictReader(file) if row["path"] == "red/3.png")
    assert row["status"] == "skipped"
    assert row["reason"]


def test_without_held_out_pictures_the_report_is_about_validation_and_says_so(colors, tmp_path):
    parts = colors.split(0.2, 0.2, seed=0)

    finished = train(parts.train, parts.val, QUICK.replace(epochs=1), out=RunFolder.create(tmp_path / "run"))

    assert finished.report.split == "val"


def test_training_and_validation_must_have_the_same_classes(colors, tmp_path):
    for name in ("a", "b"):
        (tmp_path / "other" / name).mkdir(parents=True)
        for path in colors.paths[:2]:
            (tmp_path / "other" / name / Path(path).name).write_bytes(Path(path).read_bytes())

    with pytest.raises(DataError, match="same classes"):
        train(colors, ImageDataset.from_folder(tmp_path / "other"), QUICK, out=tmp_path / "run")


def test_held_out_pictures_must_have_the_same_classes_too(colors, tmp_path):
    root = copy_of(colors, tmp_path / "other")
    for path in (root / "blue").iterdir():
        path.unlink()
    parts = colors.split(0.2, 0.2, seed=0)

    with pytest.raises(DataError, match="same classes in every part"):
        train(parts.train, parts.val, QUICK, test=ImageDataset.from_folder(root), out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_picture_in_two_parts_is_an_error(colors, tmp_path):
    with pytest.raises(DataError, match="is in train and in val"):
        train(colors, colors.subset(range(5)), QUICK, out=tmp_path / "run")


def test_two_pictures_a_class_are_enough_where_none_are_held_out(colors, tmp_path):
    few = [position for label in range(3) for position in np.flatnonzero(colors.labels == label)[:2]]
    entries = tuple(colors.listing.entries[row] for row in few)
    two_each = ImageDataset(type(colors.listing)(colors.root, entries, colors.class_names, ()))
    settings = QUICK.replace(epochs=1)

    with pytest.raises(DataError, match="--test 0"):
        run(two_each, RunFolder.create(tmp_path / "run"), settings)
    parts = two_each.split(0.2, 0.0)
    finished = train(parts.train, parts.val, settings, out=RunFolder.create(tmp_path / "run"))

    assert finished.report.split == "val"


def test_a_full_disk_while_the_model_is_saved_leaves_nothing_half_written(colors, tmp_path, monkeypatch):
    def full(*args, **kwargs):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("opsin.exporters.write_model.save_image", full)

    with pytest.raises(SavingError, match="disk is full"):
        run(colors, RunFolder.create(tmp_path / "run"), QUICK.replace(epochs=1))
    assert not (tmp_path / "run" / "model").exists()
    assert not [path for path in (tmp_path / "run").rglob("*") if ".tmp" in path.name]


def test_the_users_pictures_are_not_touched(colors, tmp_path):
    root = copy_of(colors, tmp_path / "data")
    before = {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in root.rglob("*.png")}

    run(ImageDataset.from_folder(root), RunFolder.create(tmp_path / "run"), QUICK.replace(epochs=1))

    assert {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in root.rglob("*") if path.is_file()} == before


def copy_of(dataset: ImageDataset, root: Path) -> Path:
    for path, name in zip(dataset.paths, dataset.names, strict=True):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(Path(path).read_bytes())
    return root
