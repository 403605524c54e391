"""Transfer learning from files of weights: what is kept is what was computed, and only what is to change changes."""

import contextlib
import csv
import json
import os
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import keras
import numpy as np
import pytest
from PIL import Image

from opsin.architectures import build_network
from opsin.architectures.cuts import find_blocks
from opsin.classifier import Classifier, softmax
from opsin.data.dataset import ImageDataset
from opsin.errors import ModelError, UsageError
from opsin.exporters import write_model
from opsin.features import extraction
from opsin.training import backbone, heads, transfer
from opsin.training.config import TrainConfig
from opsin.training.run_folder import RunFolder
from opsin.training.saving import Saver
from opsin.training.train import TrainingRun, train

# Five convolutions with batch normalisation and dropout in three blocks, which are quick to convert.
NETWORK, SIZE = "cifar_cnn", 24
TOP, MIDDLE, BOTTOM = ("features",), ("stage2_1", "stage2_2", "stage3"), ("stage1_1", "stage1_2")


@pytest.fixture(scope="module")
def shapes(tiny_data) -> ImageDataset:
    """24 pictures each of blue checks, red discs and green stripes."""
    return ImageDataset.from_folder(tiny_data)


@contextlib.contextmanager
def modest_heads() -> Iterator[None]:
    """Hold heads so small that blocks below them can better them in an epoch."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(heads, "STRENGTHS", (0.0003,))
        yield


@pytest.fixture
def modest() -> Iterator[None]:
    with modest_heads():
        yield


@contextlib.contextmanager
def litert_refusing(*, features: bool = True) -> Iterator[None]:
    """Let no twin be saved, and Keras compute features, which saves seconds."""

    def refuse(network):
        raise ModelError("no such operation")

    with pytest.MonkeyPatch.context() as patch:
        for module, name in ((write_model, "convert"), (backbone, "convert"), (extraction, "convert_outputs")):
            if features or module is not extraction:
                patch.setattr(module, name, refuse)
        yield


@pytest.fixture
def without_litert() -> Iterator[None]:
    with litert_refusing():
        yield


Weights = Callable[..., Path]


@pytest.fixture(scope="module")
def weights(tmp_path_factory) -> Weights:
    """Write a file of random weights whose normalisation suits noise, each once: `weights("b.weights.h5", 1)`."""
    folder = tmp_path_factory.mktemp("weights")

    def write(
        name: str = "a.keras", seed: int = 0, *, network: str = NETWORK, shape=(SIZE, SIZE, 3), classes: int = 3
    ) -> Path:
        path = folder / f"{network}-{shape[2]}-{name}"
        if path.exists():
            return path
        keras.utils.set_random_seed(seed)
        built = build_network(network, shape, classes)
        for layer in built.layers:
            if isinstance(layer, keras.layers.BatchNormalization):
                layer.momentum = 0.0
        built(np.random.default_rng(seed).normal(125, 60, (16, *shape)).astype("float32"), training=True)
        (built.save if path.suffix == ".keras" else built.save_weights)(path)
        return path

    return write


def settings(weights: Path, **changes) -> TrainConfig:
    chosen = {"architecture": NETWORK, "image_size": SIZE, "weights": str(weights), "batch_size": 12, "patience": 0}
    chosen |= {"optimizer": "sgd-nesterov", "fine_tune_epochs": 2, "fine_tune_rate": 0.001, "monitor": "val_loss"}
    return TrainConfig(**{**chosen, **changes})


def run(dataset: ImageDataset, out, config: TrainConfig) -> TrainingRun:
    parts = dataset.split(0.2, 0.2, seed=0)
    return train(parts.train, parts.val, config, test=parts.test, out=out)


def layers_of(path: Path) -> dict[str, list[np.ndarray]]:
    """The weights of each layer of a `.keras` file."""
    return {layer.name: layer.get_weights() for layer in keras.saving.load_model(path).layers if layer.weights}


def saved(finished: TrainingRun) -> Path:
    return finished.folder / "model" / "model.keras"


def changed(finished: TrainingRun, weights: Path) -> set[str]:
    """The names of the layers below the head that are not what they were in the file."""
    before, after = layers_of(weights), layers_of(saved(finished))
    names = before.keys() & after.keys() - {"logits"}
    assert len(names) >= len(before) - 1
    return {name for name in names if not all(map(np.array_equal, before[name], after[name]))}


def convolutions(*stages: str) -> set[str]:
    """The layers that have kernels and biases in these stages."""
    return {stage if stage == "features" else f"{stage}_conv" for stage in stages}


def mean_loss(logits: np.ndarray, labels: np.ndarray) -> float:
    """The loss as epochs are judged by: before the calibration."""
    return float(-np.log(softmax(logits)[np.arange(len(labels)), labels]).mean())


def images_of(finished: TrainingRun, paths) -> np.ndarray:
    return np.stack([finished.classifier.preprocess.read(path) for path in paths]).astype(np.float32)


def keras_logits(finished: TrainingRun, paths) -> np.ndarray:
    return np.asarray(keras.saving.load_model(saved(finished))(images_of(finished, paths), training=False))


def predictions(finished: TrainingRun) -> dict[str, np.ndarray]:
    with np.load(finished.folder / "predictions.npz") as file:
        return dict(file)


def notes(finished: TrainingRun) -> str:
    events = [json.loads(line) for line in (finished.folder / "events.jsonl").read_text().splitlines()]
    return "\n".join(event["text"] for event in events if event["event"] == "note")


def history(finished: TrainingRun) -> list[dict[str, str]]:
    with (finished.folder / "history.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def part_of(found: dict[str, np.ndarray], part: str, name: str) -> np.ndarray:
    return found[name][found["split"] == part]


def press_ctrl_c() -> None:
    os.kill(os.getpid(), signal.SIGINT)


def die() -> None:
    raise KeyboardInterrupt


def at(kind: str, epoch: int, action: Callable[[], None]) -> list[Callable[[dict], None]]:
    return [lambda event: action() if (event["event"], event.get("epoch")) == (kind, epoch) else None]


# A head alone


@pytest.fixture(scope="module")
def headed(shapes, weights, tmp_path_factory) -> TrainingRun:
    return run(shapes, RunFolder.create(tmp_path_factory.mktemp("headed") / "run"), settings(weights(), views=2))


def test_the_saved_network_gives_the_logits_that_were_computed_from_features(headed, shapes):
    found = predictions(headed)

    for part in ("val", "test"):
        paths = [shapes.root / name for name in part_of(found, part, "paths")]
        logits = part_of(found, part, "logits")
        np.testing.assert_allclose(keras_logits(headed, paths), logits, atol=1e-4 * np.abs(logits).max())
        twin = Classifier.open(headed.folder).run(images_of(headed, paths)).logits
        np.testing.assert_allclose(twin, logits, atol=1e-4 * np.abs(logits).max())


def test_a_head_learns(headed):
    assert headed.completed
    assert headed.report.accuracy.value > 0.9


def test_below_the_head_nothing_changes(headed, weights):
    assert changed(headed, weights()) == set()


def test_training_pictures_have_logits_of_heads_that_had_not_seen_them(headed, shapes):
    found, parts = predictions(headed), shapes.split(0.2, 0.2, seed=0)

    assert found["split"].tolist() == [name for name in ("train", "val", "test") for _ in getattr(parts, name).names]
    assert found["paths"].tolist() == [*parts.train.names, *parts.val.names, *parts.test.names]
    assert found["labels"].tolist() == [*parts.train.labels, *parts.val.labels, *parts.test.labels]
    own = keras_logits(headed, parts.train.paths)
    out_of_fold = part_of(found, "train", "logits")
    assert np.abs(own - out_of_fold).max() > 0.01 * np.abs(own).max()
    assert (out_of_fold.argmax(axis=1) == parts.train.labels).mean() > 0.8


def test_the_head_has_a_row_in_the_history(headed):
    (row,) = history(headed)
    found = predictions(headed)
    right = part_of(found, "val", "logits").argmax(axis=1) == part_of(found, "val", "labels")

    assert (row["phase"], row["epoch"]) == ("head", "0")
    assert float(row["val_accuracy"]) == right.mean()
    assert [{name: str(value) for name, value in one.items()} for one in headed.history] == [row]


def test_the_card_says_where_the_network_comes_from(headed, weights):
    provenance = headed.classifier.card.provenance

    assert (provenance["architecture"], provenance["weights"]) == (NETWORK, weights().name)
    assert "fine_tuned" not in provenance


def test_a_model_folder_that_is_passed_on_does_not_tell_where_its_files_lay(headed, shapes, weights):
    files = [path for path in (headed.folder / "model").rglob("*") if path.is_file()]

    assert files
    for place in (weights().parent, shapes.root, headed.folder):
        assert not [path.name for path in files if str(place).encode() in path.read_bytes()]


def test_features_of_other_weights_are_never_used(shapes, weights, headed, tmp_path):
    # The cache has the features of the first weights.
    other = run(shapes, RunFolder.create(tmp_path / "run"), settings(weights("b.weights.h5", 1), views=2))

    found = predictions(other)
    paths, logits = [shapes.root / name for name in part_of(found, "test", "paths")], part_of(found, "test", "logits")
    np.testing.assert_allclose(keras_logits(other, paths), logits, atol=1e-4 * np.abs(logits).max())
    assert np.abs(logits - part_of(predictions(headed), "test", "logits")).max() > 0.01 * np.abs(logits).max()


# The blocks below it


@pytest.fixture(scope="module")
def tuned(shapes, weights, tmp_path_factory) -> TrainingRun:
    folder = RunFolder.create(tmp_path_factory.mktemp("tuned") / "run")
    with modest_heads():
        return run(shapes, folder, settings(weights(), unfreeze_blocks=2, views=2))


def test_only_what_is_unfrozen_changes_and_statistics_never(tuned, weights):
    assert changed(tuned, weights()) == convolutions(*TOP, *MIDDLE)


def test_the_twin_says_the_same_after_fine_tuning(tuned, shapes):
    twin = Classifier.open(tuned.folder).run(images_of(tuned, shapes.paths)).logits
    own = keras_logits(tuned, shapes.paths)

    assert (tuned.folder / "model" / "engines" / "model.tflite").is_file()
    np.testing.assert_array_equal(twin.argmax(axis=1), own.argmax(axis=1))
    np.testing.assert_allclose(twin, own, atol=1e-3 * np.abs(own).max())


def test_the_predictions_are_those_of_the_network_that_was_kept(tuned, shapes):
    found, parts = predictions(tuned), shapes.split(0.2, 0.2, seed=0)

    assert found["paths"].tolist() == [*parts.val.names, *parts.test.names]
    own = keras_logits(tuned, [*parts.val.paths, *parts.test.paths])
    np.testing.assert_allclose(found["logits"], own, atol=1e-3 * np.abs(own).max())


def test_the_history_has_the_heads_row_and_then_the_epochs(tuned):
    rows = history(tuned)

    expected = [("head", "0"), *(("fine-tune", str(number)) for number in (1, 2))]
    assert [(row["phase"], row["epoch"]) for row in rows] == expected
    assert [bool(row["learning_rate"]) for row in rows] == [False, True, True]


def test_the_best_epoch_is_kept_and_it_beats_the_head(tuned, shapes):
    head, *epochs = tuned.history
    best = min(epochs, key=lambda row: row["val_loss"])
    val = shapes.split(0.2, 0.2, seed=0).val

    assert best["val_loss"] < head["val_loss"]
    # It was validated on what crosses the boundary in half precision.
    assert mean_loss(keras_logits(tuned, val.paths), val.labels) == pytest.approx(best["val_loss"], rel=0.01)


def test_the_card_names_the_layers_that_were_trained(tuned):
    named = tuned.classifier.card.provenance["fine_tuned"]

    assert convolutions(*TOP, *MIDDLE) <= set(named)
    assert not convolutions(*BOTTOM) & set(named)


def test_if_no_epoch_is_better_the_head_alone_is_kept(without_litert, shapes, weights, tmp_path):
    ruinous = settings(weights(), unfreeze_blocks=2, views=1, fine_tune_rate=0.3, fine_tune_epochs=1, warmup_epochs=0.0)

    finished = run(shapes, RunFolder.create(tmp_path / "run"), ruinous)

    head, epoch = finished.history
    assert epoch["val_loss"] > head["val_loss"]
    assert changed(finished, weights()) == set()
    assert "the head alone is kept" in notes(finished)
    found = predictions(finished)
    assert "train" in found["split"]
    paths, logits = [shapes.root / name for name in part_of(found, "test", "paths")], part_of(found, "test", "logits")
    # Its features came by way of the boundary, where half precision is kept.
    np.testing.assert_allclose(keras_logits(finished, paths), logits, atol=5e-3 * np.abs(logits).max())


# End to end


def moved_in_one_step(dataset: ImageDataset, folder: Path, config: TrainConfig) -> dict[str, np.ndarray]:
    """By how much each of the network's variables moves in a single step of end-to-end training."""
    before, after = {}, {}

    def look(event: dict) -> None:
        # The weights to beat, and those after the step.
        if event["event"] == "epoch_started":
            before.update(np.load(next((folder / "checkpoint").glob("fine-tune*/best-00000.npz"))))
        if event["event"] == "epoch_ended":
            after.update(np.load(next((folder / "checkpoint").glob("fine-tune*/last.npz"))))

    step = {"unfreeze": "all", "fine_tune_epochs": 1, "batch_size": 64, "views": 0}
    still = {"warmup_epochs": 0.0, "weight_decay": 0.0, "schedule": "constant"}
    with pytest.raises(KeyboardInterrupt):
        run(dataset, RunFolder.create(folder, [look, *at("epoch_ended", 1, die)]), config.replace(**step, **still))
    variables = build_network(NETWORK, (SIZE, SIZE, 3), 3).weights
    return {
        variable.path: after[f"weight{number}"] - before[f"weight{number}"]
        for number, variable in enumerate(variables)
        if not variable.path.endswith("seed_generator_state")
    }


@pytest.fixture(scope="module")
def steps(shapes, weights, tmp_path_factory) -> dict[float, dict[str, np.ndarray]]:
    """The same step of the whole network at equal rates, and at rates that are halved from block to block."""
    folder = tmp_path_factory.mktemp("steps")
    with modest_heads(), litert_refusing(), pytest.MonkeyPatch.context() as patch:
        patch.setattr(Saver, "save", lambda self, network, **options: None)
        return {
            decay: moved_in_one_step(shapes, folder / f"{decay}", settings(weights(), layer_decay=decay))
            for decay in (1.0, 0.5)
        }


def test_end_to_end_every_kernel_moves_and_normalisation_does_not(steps):
    still = {path for path, step in steps[1.0].items() if not step.any()}

    assert still == {path for path in steps[1.0] if "_norm/" in path}
    assert len(still) == 4 * 5


def test_the_rate_is_halved_from_block_to_block(steps):
    depth = {"logits": 0, **dict.fromkeys(convolutions(*TOP), 0)}
    depth |= {**dict.fromkeys(convolutions(*MIDDLE), 1), **dict.fromkeys(convolutions(*BOTTOM), 2)}

    for path, step in steps[1.0].items():
        if step.any():
            expected = 0.5 ** depth[path.split("/")[0]] * step
            np.testing.assert_allclose(steps[0.5][path], expected, rtol=1e-3, atol=1e-3 * np.abs(expected).max())


# A head that is trained


@pytest.fixture(scope="module")
def dense(weights) -> TrainConfig:
    rates = {"learning_rate": 0.0001, "fine_tune_rate": 0.0001}
    return settings(weights(), head="dense", epochs=1, views=1, unfreeze="2", ema=0.9, **rates)


@pytest.fixture(scope="module")
def trained(shapes, dense, tmp_path_factory) -> TrainingRun:
    with litert_refusing():
        return run(shapes, RunFolder.create(tmp_path_factory.mktemp("trained") / "run"), dense)


def test_a_trained_head_has_rows_of_its_own_and_a_hidden_layer(trained):
    rows = [(row["phase"], row["epoch"]) for row in history(trained)]

    assert rows == [("head", "1"), ("fine-tune", "1"), ("fine-tune", "2")]
    assert layers_of(saved(trained))["hidden"][0].shape == (256, 256)


def test_a_number_of_layers_is_rounded_up_to_whole_blocks(trained, weights):
    # Two were asked for, and the top block has a single one.
    assert changed(trained, weights()) == convolutions(*TOP, *MIDDLE)


def test_the_averages_of_the_weights_are_judged_and_kept(trained, shapes):
    val = shapes.split(0.2, 0.2, seed=0).val
    _, *epochs = trained.history

    loss = mean_loss(keras_logits(trained, val.paths), val.labels)

    assert loss == pytest.approx(min(row["val_loss"] for row in epochs), rel=1e-4)


def without_times(rows: list[dict]) -> list[dict]:
    return [{name: value for name, value in row.items() if name != "seconds"} for row in rows]


def same_weights(first: TrainingRun, second: TrainingRun) -> bool:
    before, after = layers_of(saved(first)), layers_of(saved(second))
    return all(np.array_equal(a, b) for name in before for a, b in zip(before[name], after[name], strict=True))


def test_a_random_head_is_never_kept_and_a_resumed_one_ends_bit_for_bit_as_one_that_was_not_stopped(
    without_litert, shapes, dense, trained, tmp_path
):
    stopped = run(shapes, RunFolder.create(tmp_path / "run", at("epoch_started", 1, press_ctrl_c)), dense)
    assert not stopped.completed
    assert stopped.classifier is None
    assert not (tmp_path / "run" / "model").exists()

    resumed = run(shapes, RunFolder.resume(tmp_path / "run"), dense)

    assert without_times(resumed.history) == without_times(trained.history)
    assert same_weights(resumed, trained)


def test_in_half_precision_the_same_network_is_trained_and_it_is_saved_in_float32(
    without_litert, shapes, weights, dense, tmp_path
):
    config = dense.replace(unfreeze="all", fine_tune_epochs=1, views=0, ema=0.0, precision="mixed_bfloat16")

    finished = run(shapes, RunFolder.create(tmp_path / "run"), config)

    network = keras.saving.load_model(saved(finished))
    assert {layer.dtype_policy.name for layer in network.layers} == {"float32"}
    assert [row["phase"] for row in finished.history] == ["head", "fine-tune"]
    assert changed(finished, weights()) == convolutions(*TOP, *MIDDLE, *BOTTOM)


# Going on after an interruption


def test_a_run_that_was_stopped_in_fine_tuning_and_resumed_ends_bit_for_bit_as_one_that_was_not(
    modest, shapes, weights, tuned, tmp_path
):
    config = settings(weights(), unfreeze_blocks=2, views=2)
    with litert_refusing(features=False):
        stopped = run(shapes, RunFolder.create(tmp_path / "run", at("epoch_started", 2, press_ctrl_c)), config)
        assert [(row["phase"], row["epoch"]) for row in stopped.history] == [("head", 0), ("fine-tune", 1)]
        assert not stopped.completed
        assert stopped.classifier.predict(shapes.paths[0]).label in shapes.class_names

        resumed = run(shapes, RunFolder.resume(tmp_path / "run"), config)

    assert without_times(resumed.history) == without_times(tuned.history)
    assert same_weights(resumed, tuned)


def test_a_run_is_not_resumed_with_a_file_of_weights_that_has_changed(shapes, weights, tmp_path):
    path = tmp_path / "start.keras"
    shutil.copy(weights(), path)
    config = settings(path, unfreeze_blocks=1)
    run(shapes, RunFolder.create(tmp_path / "run", at("epoch_started", 2, press_ctrl_c)), config)

    shutil.copy(weights("b.keras", 1), path)
    with pytest.raises(UsageError, match=r"weights that the run was started with; '.*start\.keras' has changed since"):
        run(shapes, RunFolder.resume(tmp_path / "run"), config)

    shutil.copy(weights(), path)
    assert run(shapes, RunFolder.resume(tmp_path / "run"), config).completed


# Pictures, classes and machines of all kinds


def test_grey_pictures_work_in_a_colour_network_and_without_a_cache(weights, tmp_path, monkeypatch):
    random = np.random.default_rng(1)
    for name, level in (("dark", 90), ("light", 160)):
        (tmp_path / "grey" / name).mkdir(parents=True)
        for number in range(12):
            noise = random.normal(level, 30, (20, 24)).clip(0, 255).astype(np.uint8)
            Image.fromarray(noise).save(tmp_path / "grey" / name / f"{number}.png")
    monkeypatch.setenv("OPSIN_CACHE", str(tmp_path / "cache"))

    dataset = ImageDataset.from_folder(tmp_path / "grey")
    finished = run(dataset, RunFolder.create(tmp_path / "run"), settings(weights(), cache=False))

    assert finished.classifier.preprocess.shape == (SIZE, SIZE, 3)
    assert finished.report.accuracy.value > 0.9
    assert not list(tmp_path.glob("cache/*/"))


def test_two_classes_have_two_logits_even_where_the_network_would_have_one(shapes, weights, tmp_path):
    entries = tuple(entry for entry in shapes.listing.entries if entry.label != "discs")
    two = ImageDataset(type(shapes.listing)(shapes.root, entries, ("checks", "stripes"), ()))
    file = weights(network="cats_dogs_cnn", classes=2)

    finished = run(two, RunFolder.create(tmp_path / "run"), settings(file, architecture="cats_dogs_cnn"))

    assert finished.classifier.predict(shapes.paths[0]).probabilities.shape == (2,)
    found = predictions(finished)
    paths, logits = [shapes.root / name for name in part_of(found, "test", "paths")], part_of(found, "test", "logits")
    np.testing.assert_allclose(keras_logits(finished, paths), logits, atol=1e-4 * np.abs(logits).max())


class SeenError(Exception):
    pass


def test_pictures_of_a_group_stay_together_and_those_without_one_stay_alone(shapes, weights, tmp_path, monkeypatch):
    # The group is called as some picture's number is.
    groups = ["10" if number % 24 < 6 else "" for number in range(len(shapes))]
    rows = [f"{name},{Path(name).parent},{group}" for name, group in zip(shapes.names, groups, strict=True)]
    table = shutil.copytree(shapes.root, tmp_path / "shapes") / "groups.csv"
    table.write_text("\n".join(["path,label,group", *rows]))
    dataset = ImageDataset.from_csv(table)
    parts = dataset.split(0.2, 0.2, seed=4)
    assert (parts.train.groups.count("10"), parts.train.groups[10]) == (18, "")
    seen = []

    def look(data, **options):
        seen.extend(data.groups)
        raise SeenError

    monkeypatch.setattr(transfer, "solve_head", look)
    with pytest.raises(SeenError):
        train(parts.train, parts.val, settings(weights()), test=parts.test, out=RunFolder.create(tmp_path / "run"))

    alone = [group for group in seen if group != "10"]
    assert len(alone) == len(set(alone)) == len(parts.train) - 18


# The cache


ONE_AT_BOUNDARY = 2 * 12 * 12 * 32  # Bytes of a picture where the two top blocks begin.


def test_no_more_views_are_made_than_the_cache_has_room_for_and_nothing_is_kept_elsewhere(
    shapes, weights, tmp_path, monkeypatch
):
    file = weights()
    for name in ("home", "here"):
        (tmp_path / name).mkdir()
    monkeypatch.setenv("OPSIN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.chdir(tmp_path / "here")
    # The network is converted once: the head is put into that.
    monkeypatch.setattr(write_model, "convert", pytest.fail)
    # Half of it is for what crosses the boundary: all pictures as they are, and two views of those to learn from.
    train_count = len(shapes.split(0.2, 0.2, seed=0).train)
    limit = 2 * ONE_AT_BOUNDARY * (len(shapes) + 2.5 * train_count) / 2**30
    config = settings(file, unfreeze_blocks=2, views=4, cache_limit_gb=limit)
    events = []

    with pytest.raises(KeyboardInterrupt):
        run(shapes, RunFolder.create(tmp_path / "run", [events.append, *at("epoch_started", 1, die)]), config)

    made = {event["what"] for event in events if event["event"] == "features"}
    assert made == {"features of the pictures", "features of view 1 of 2", "features of view 2 of 2"}
    assert any("4 were asked for" in event["text"] for event in events if event["event"] == "note")
    kept = [path.stat().st_size for path in (tmp_path / "cache").rglob("*") if path.is_file()]
    assert ONE_AT_BOUNDARY * (len(shapes) + 2 * train_count) < sum(kept) < limit * 2**30
    assert len(list(tmp_path.glob("cache/*/"))) == 4, "the pixels, their features, two views"
    assert not [*(tmp_path / "home").iterdir(), *(tmp_path / "here").iterdir()]


def test_a_boundary_that_does_not_fit_is_an_error_that_says_what_to_do(shapes, weights, tmp_path):
    limit = 2 * ONE_AT_BOUNDARY * (len(shapes) - 1) / 2**30

    with pytest.raises(UsageError, match=r"what enters stage2_1_conv.*Raise it, or unfreeze fewer blocks"):
        run(
            shapes,
            RunFolder.create(tmp_path / "run"),
            settings(weights(), unfreeze_blocks=2, cache_limit_gb=limit),
        )


# Settings that do not go together


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"weights": "none", "unfreeze": "all"}, "Expected unfreeze only with pretrained weights"),
        ({"weights": "none", "unfreeze_blocks": 1}, "Expected unfreeze_blocks only with pretrained weights"),
        ({"weights": "none", "head": "dense"}, "Expected head only with pretrained weights"),
        ({"weights": "none", "views": 2}, "Expected views only with pretrained weights"),
        ({"unfreeze": "all", "unfreeze_blocks": 1}, "received both"),
        ({"unfreeze": "none", "unfreeze_blocks": 1}, "received both"),
        ({"unfreeze": "some"}, "Expected unfreeze to be one of"),
        ({"unfreeze": "0"}, "Expected unfreeze to be one of"),
        ({"budget": "ten minutes"}, "Expected a budget as a number and s, m or h"),
        ({"budget": "0s"}, "Expected a budget as a number and s, m or h"),
        ({"layer_decay": 0.0}, "Expected layer_decay from 0.01 to 1"),
    ],
    ids=str,
)
def test_settings_that_do_not_go_together_are_refused_before_anything_is_done(shapes, tmp_path, changes, message):
    with pytest.raises(UsageError, match=message):
        run(shapes, RunFolder.create(tmp_path / "run"), TrainConfig(architecture=NETWORK, image_size=SIZE, **changes))
    assert not (tmp_path / "run").exists() or not list((tmp_path / "run").glob("model"))


# A network of keras.applications


@pytest.mark.slow
def test_a_head_on_a_mobilenet_leaves_the_mobilenet_as_it_was(without_litert, shapes, weights, tmp_path):
    file = weights(network="mobilenet_0.25", shape=(32, 32, 3))
    config = settings(file, architecture="mobilenet_0.25", image_size=32)

    finished = run(shapes, RunFolder.create(tmp_path / "run"), config)

    assert changed(finished, file) == set()
    assert "model.tflite was left out" in notes(finished)
    found = predictions(finished)
    paths, logits = [shapes.root / name for name in part_of(found, "test", "paths")], part_of(found, "test", "logits")
    np.testing.assert_allclose(keras_logits(finished, paths), logits, atol=1e-4 * np.abs(logits).max())


@pytest.mark.exhaustive
def test_the_top_of_a_mobilenet_is_fine_tuned(modest, shapes, weights, tmp_path):
    file = weights(network="mobilenet_0.25", shape=(32, 32, 3))
    config = settings(file, architecture="mobilenet_0.25", image_size=32, unfreeze="20", views=1)

    finished = run(shapes, RunFolder.create(tmp_path / "run"), config)

    network = keras.saving.load_model(saved(finished))
    blocks = find_blocks(network, network.get_layer("features").output)
    above = [layer for block in blocks[-2:] for layer in block.layers]
    assert len(above) >= 20 > len(blocks[-1].layers)
    assert finished.classifier.card.provenance["fine_tuned"] == [layer.name for layer in above]
    kinds = (keras.layers.Conv2D, keras.layers.DepthwiseConv2D)
    assert changed(finished, file) == {layer.name for layer in above if isinstance(layer, kinds)}
    found = predictions(finished)
    own = keras_logits(finished, [shapes.root / name for name in found["paths"]])
    np.testing.assert_allclose(found["logits"], own, atol=1e-3 * np.abs(own).max())
