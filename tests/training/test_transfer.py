"""Transfer learning from files of weights: what is kept is what was computed, and only what is to change changes."""

import csv
import json
import os
import signal
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import pytest
from PIL import Image

from opsin.architectures import build_network
from opsin.architectures.cuts import find_blocks
from opsin.classifier import Classifier
from opsin.data.dataset import ImageDataset
from opsin.errors import UsageError
from opsin.training import transfer
from opsin.training.config import TrainConfig
from opsin.training.run_folder import RunFolder
from opsin.training.train import TrainingRun, train

# Five convolutions with batch normalisation and dropout in three blocks, which are quick to convert.
NETWORK, SIZE = "cifar_cnn", 24
TOP, MIDDLE, BOTTOM = ("features",), ("stage2_1", "stage2_2", "stage3"), ("stage1_1", "stage1_2")

COLORS = {"ash": (110, 118, 150), "moss": (112, 150, 112), "rust": (150, 116, 110)}


@pytest.fixture(scope="module")
def shades(tmp_path_factory) -> ImageDataset:
    """60 very noisy pictures of 24×24 pixels in three shades of gray."""
    root = tmp_path_factory.mktemp("shades")
    random = np.random.default_rng(0)
    for name, color in COLORS.items():
        (root / name).mkdir()
        for number in range(20):
            noise = random.normal(color, 80, (24, 24, 3)).clip(0, 255).astype(np.uint8)
            Image.fromarray(noise).save(root / name / f"{number}.png")
    return ImageDataset.from_folder(root)


Weights = Callable[..., Path]


@pytest.fixture(scope="module")
def weights(tmp_path_factory) -> Weights:
    """Write a file of random weights, each seed's once, whose normalisation suits noise: `weights("b.weights.h5", 1)`."""
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
    chosen |= {"optimizer": "sgd-nesterov", "fine_tune_epochs": 3, "fine_tune_rate": 0.003, "monitor": "val_loss"}
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


def images_of(finished: TrainingRun, paths) -> np.ndarray:
    return np.stack([finished.classifier.preprocess.read(path) for path in paths]).astype(np.float32)


def keras_logits(finished: TrainingRun, paths) -> np.ndarray:
    return keras.saving.load_model(saved(finished)).predict(images_of(finished, paths), verbose=0)


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


# A head alone


@pytest.fixture(scope="module")
def headed(shades, weights, tmp_path_factory) -> TrainingRun:
    return run(shades, RunFolder.create(tmp_path_factory.mktemp("headed") / "run"), settings(weights(), views=2))


def test_the_saved_network_gives_the_logits_that_were_computed_from_features(headed, shades):
    found = predictions(headed)

    for part in ("val", "test"):
        paths = [shades.root / name for name in part_of(found, part, "paths")]
        logits = part_of(found, part, "logits")
        np.testing.assert_allclose(keras_logits(headed, paths), logits, atol=1e-4 * np.abs(logits).max())
        twin = Classifier.open(headed.folder).run(images_of(headed, paths)).logits
        np.testing.assert_allclose(twin, logits, atol=1e-4 * np.abs(logits).max())


def test_a_head_learns(headed):
    assert headed.report.accuracy.value > 0.6
    assert headed.completed


def test_below_the_head_nothing_changes(headed, weights):
    assert changed(headed, weights()) == set()


def test_training_pictures_have_logits_of_heads_that_had_not_seen_them(headed, shades):
    found, parts = predictions(headed), shades.split(0.2, 0.2, seed=0)

    assert found["split"].tolist() == ["train"] * 36 + ["val"] * 12 + ["test"] * 12
    assert found["paths"].tolist() == [*parts.train.names, *parts.val.names, *parts.test.names]
    assert found["labels"].tolist() == [*parts.train.labels, *parts.val.labels, *parts.test.labels]
    own = keras_logits(headed, parts.train.paths)
    out_of_fold = part_of(found, "train", "logits")
    assert np.abs(own - out_of_fold).max() > 0.01 * np.abs(own).max()
    assert (out_of_fold.argmax(axis=1) == parts.train.labels).mean() > 0.5


def test_the_head_has_a_row_in_the_history(headed, shades):
    (row,) = history(headed)
    found = predictions(headed)
    right = part_of(found, "val", "logits").argmax(axis=1) == part_of(found, "val", "labels")

    assert (row["phase"], row["epoch"]) == ("head", "0")
    assert float(row["val_accuracy"]) == right.mean()
    assert [{name: str(value) for name, value in one.items()} for one in headed.history] == [row]


def test_the_card_says_where_the_network_comes_from(headed, weights):
    provenance = headed.classifier.card.provenance

    assert (provenance["architecture"], provenance["weights"]) == (NETWORK, str(weights()))
    assert "fine_tuned" not in provenance


def test_features_of_other_weights_are_never_used(shades, weights, headed, tmp_path, monkeypatch):
    other = settings(weights("b.weights.h5", 1), views=2)

    same_cache = run(shades, RunFolder.create(tmp_path / "same"), other)
    monkeypatch.setenv("OPSIN_CACHE", str(tmp_path / "cache"))
    fresh_cache = run(shades, RunFolder.create(tmp_path / "fresh"), other)

    np.testing.assert_array_equal(predictions(same_cache)["logits"], predictions(fresh_cache)["logits"])
    assert not np.allclose(predictions(same_cache)["logits"], predictions(headed)["logits"], atol=0.01)


# The blocks below it


@pytest.fixture(scope="module")
def tuned(shades, weights, tmp_path_factory) -> TrainingRun:
    folder = RunFolder.create(tmp_path_factory.mktemp("tuned") / "run")
    return run(shades, folder, settings(weights(), unfreeze_blocks=2, views=2))


def test_only_what_is_unfrozen_changes_and_statistics_never(tuned, weights):
    assert changed(tuned, weights()) == convolutions(*TOP, *MIDDLE)


def test_the_twin_says_the_same_after_fine_tuning(tuned, shades):
    twin = Classifier.open(tuned.folder).run(images_of(tuned, shades.paths)).logits
    own = keras_logits(tuned, shades.paths)

    assert (tuned.folder / "model" / "engines" / "model.tflite").is_file()
    np.testing.assert_array_equal(twin.argmax(axis=1), own.argmax(axis=1))
    np.testing.assert_allclose(twin, own, atol=1e-3 * np.abs(own).max())


def test_the_predictions_are_those_of_the_network_that_was_kept(tuned, shades):
    found = predictions(tuned)

    assert found["split"].tolist() == ["val"] * 12 + ["test"] * 12
    own = keras_logits(tuned, [shades.root / name for name in found["paths"]])
    np.testing.assert_allclose(found["logits"], own, atol=1e-3 * np.abs(own).max())


def test_the_history_has_the_heads_row_and_then_the_epochs(tuned):
    rows = history(tuned)

    assert [(row["phase"], row["epoch"]) for row in rows] == [
        ("head", "0"),
        *(("fine-tune", str(n)) for n in (1, 2, 3)),
    ]
    assert [bool(row["learning_rate"]) for row in rows] == [False, True, True, True]


def test_the_best_epoch_is_kept_and_it_beats_the_head(tuned, shades):
    head, *epochs = tuned.history
    best = min(epochs, key=lambda row: row["val_loss"])
    val = shades.split(0.2, 0.2, seed=0).val
    logits = keras_logits(tuned, val.paths)
    loss = -np.log(tuned.classifier.probabilities(logits)[np.arange(12), val.labels]).mean()

    assert best["val_loss"] < head["val_loss"]
    # Validated on what crosses the boundary in half precision.
    assert loss == pytest.approx(best["val_loss"], rel=0.01)


def test_the_card_names_the_layers_that_were_trained(tuned):
    named = tuned.classifier.card.provenance["fine_tuned"]

    assert convolutions(*TOP, *MIDDLE) <= set(named)
    assert not convolutions(*BOTTOM) & set(named)


def test_a_number_of_layers_is_rounded_up_to_whole_blocks(shades, weights, tmp_path):
    # The top block has a single layer.
    finished = run(shades, RunFolder.create(tmp_path / "run"), settings(weights(), unfreeze="2", fine_tune_epochs=1))

    assert changed(finished, weights()) == convolutions(*TOP, *MIDDLE)


def test_if_no_epoch_is_better_the_head_alone_is_kept(shades, weights, tmp_path):
    ruinous = settings(weights(), unfreeze_blocks=2, views=1, fine_tune_rate=0.3, fine_tune_epochs=1, warmup_epochs=0.0)

    finished = run(shades, RunFolder.create(tmp_path / "run"), ruinous)

    head, epoch = finished.history
    assert epoch["val_loss"] > head["val_loss"]
    assert changed(finished, weights()) == set()
    assert "the head alone is kept" in notes(finished)
    found = predictions(finished)
    assert found["split"].tolist()[:36] == ["train"] * 36
    paths, logits = [shades.root / name for name in part_of(found, "test", "paths")], part_of(found, "test", "logits")
    # Its features came by way of the boundary, where half precision is kept.
    np.testing.assert_allclose(keras_logits(finished, paths), logits, atol=5e-3 * np.abs(logits).max())


def test_a_moving_average_of_the_weights_is_what_is_kept(shades, weights, tmp_path):
    averaged = settings(weights(), unfreeze_blocks=1, ema=0.9, fine_tune_epochs=2)

    finished = run(shades, RunFolder.create(tmp_path / "run"), averaged)

    assert changed(finished, weights()) == convolutions(*TOP)
    best = min(finished.history[1:], key=lambda row: row["val_loss"])
    val = shades.split(0.2, 0.2, seed=0).val
    probabilities = finished.classifier.probabilities(keras_logits(finished, val.paths))
    assert -np.log(probabilities[np.arange(12), val.labels]).mean() == pytest.approx(best["val_loss"], rel=0.01)


# End to end


def moved_in_one_step(dataset: ImageDataset, folder: Path, config: TrainConfig) -> dict[str, np.ndarray]:
    """By how much each of the network's variables moves in a single step of end-to-end training."""
    steps = {}

    def look(event: dict) -> None:
        if event["event"] == "epoch_ended":
            (checkpoint,) = (folder / "checkpoint").glob("fine-tune*")
            before, after = (np.load(checkpoint / name) for name in ("best-00000.npz", "last.npz"))
            steps.update({name: after[name] - before[name] for name in before.files})

    whole = config.replace(unfreeze="all", fine_tune_epochs=1, batch_size=64, warmup_epochs=0.0, weight_decay=0.0)
    finished = run(dataset, RunFolder.create(folder, [look]), whole.replace(schedule="constant"))
    network = keras.saving.load_model(saved(finished))
    return {variable.path: steps[f"weight{number}"] for number, variable in enumerate(network.weights)}


@pytest.fixture(scope="module")
def steps(shades, weights, tmp_path_factory) -> dict[float, dict[str, np.ndarray]]:
    """The same step of the whole network at equal rates, and at rates that are halved from block to block."""
    folder = tmp_path_factory.mktemp("steps")
    return {
        decay: moved_in_one_step(shades, folder / f"{decay}", settings(weights(), layer_decay=decay))
        for decay in (1.0, 0.5)
    }


def test_end_to_end_every_kernel_moves_and_no_statistics_do(steps):
    still = {path for path, step in steps[1.0].items() if not step.any()}

    kinds = ("gamma", "beta", "moving_mean", "moving_variance", "seed_generator_state")
    assert {path for path in still if not path.endswith("seed_generator_state")} == {
        path for path in steps[1.0] if path.endswith(kinds) and not path.endswith("seed_generator_state")
    }


def test_the_rate_is_halved_from_block_to_block(steps):
    depth = {**dict.fromkeys(convolutions(*TOP), 0), **dict.fromkeys(convolutions(*MIDDLE), 1)}
    depth |= {**dict.fromkeys(convolutions(*BOTTOM), 2), "logits": 0}

    for path, step in steps[1.0].items():
        layer = path.split("/")[0]
        if step.any() and layer in depth:
            expected = 0.5 ** depth[layer] * step
            np.testing.assert_allclose(steps[0.5][path], expected, rtol=1e-3, atol=1e-3 * np.abs(expected).max())


def test_end_to_end_in_half_precision_trains_the_same_network(shades, weights, tmp_path):
    config = settings(weights(), unfreeze="all", head="dense", precision="mixed_bfloat16", views=0, epochs=1)

    finished = run(shades, RunFolder.create(tmp_path / "run"), config.replace(fine_tune_epochs=1))

    network = keras.saving.load_model(saved(finished))
    assert {layer.dtype_policy.name for layer in network.layers} == {"float32"}
    assert "hidden" in [layer.name for layer in network.layers]
    assert [row["phase"] for row in finished.history] == ["head", "fine-tune"]
    if finished.history[1]["val_loss"] < finished.history[0]["val_loss"]:
        assert convolutions(*TOP, *MIDDLE, *BOTTOM) <= changed(finished, weights())


# A head that is trained


@pytest.fixture(scope="module")
def dense(weights) -> TrainConfig:
    return settings(weights(), head="dense", epochs=2, learning_rate=0.01, views=1)


def test_a_trained_head_has_a_hidden_layer_and_a_row_for_each_epoch(shades, weights, dense, tmp_path):
    finished = run(shades, RunFolder.create(tmp_path / "run"), dense)

    assert [(row["phase"], row["epoch"]) for row in history(finished)] == [("head", "1"), ("head", "2")]
    assert changed(finished, weights()) == set()
    assert layers_of(saved(finished))["hidden"][0].shape == (256, 256)
    again = run(shades, RunFolder.create(tmp_path / "again"), dense)
    assert without_times(again.history) == without_times(finished.history)
    for name, arrays in layers_of(saved(finished)).items():
        assert all(map(np.array_equal, arrays, layers_of(saved(again))[name]))


def without_times(rows: list[dict]) -> list[dict]:
    return [{name: value for name, value in row.items() if name != "seconds"} for row in rows]


def test_below_a_trained_head_blocks_are_trained_too(shades, weights, dense, tmp_path):
    finished = run(shades, RunFolder.create(tmp_path / "run"), dense.replace(unfreeze_blocks=1, fine_tune_epochs=1))

    assert [row["phase"] for row in finished.history] == ["head", "head", "fine-tune"]
    assert changed(finished, weights()) == convolutions(*TOP)
    assert layers_of(saved(finished))["hidden"][0].shape == (256, 256)


def test_a_random_head_is_never_kept(shades, dense, tmp_path):
    def press(event):
        if event["event"] == "epoch_started":
            os.kill(os.getpid(), signal.SIGINT)

    stopped = run(shades, RunFolder.create(tmp_path / "run", [press]), dense)

    assert stopped.classifier is None
    assert not (tmp_path / "run" / "model").exists()
    resumed = run(shades, RunFolder.resume(tmp_path / "run"), dense)
    assert resumed.completed
    assert [row["phase"] for row in resumed.history] == ["head", "head"]


# Going on after an interruption


def test_a_run_that_was_stopped_killed_and_resumed_ends_bit_for_bit_as_one_that_was_not(
    shades, weights, tuned, tmp_path
):
    def die():
        raise KeyboardInterrupt

    def at(kind: str, epoch: int, action):
        return [lambda event: action() if (event["event"], event.get("epoch")) == (kind, epoch) else None]

    config = settings(weights(), unfreeze_blocks=2, views=2)
    press_ctrl_c = at("epoch_started", 2, lambda: os.kill(os.getpid(), signal.SIGINT))
    stopped = run(shades, RunFolder.create(tmp_path / "run", press_ctrl_c), config)
    assert not stopped.completed
    assert [row["epoch"] for row in stopped.history] == [0, 1]
    assert stopped.classifier.predict(shades.paths[0]).label in COLORS
    with pytest.raises(KeyboardInterrupt):
        run(shades, RunFolder.resume(tmp_path / "run", at("epoch_ended", 2, die)), config)

    resumed = run(shades, RunFolder.resume(tmp_path / "run"), config)

    assert without_times(resumed.history) == without_times(tuned.history)
    before, after = layers_of(saved(tuned)), layers_of(saved(resumed))
    assert all(np.array_equal(a, b) for name in before for a, b in zip(before[name], after[name], strict=True))
    np.testing.assert_array_equal(predictions(resumed)["logits"], predictions(tuned)["logits"])


# Pictures and machines of all kinds


def test_grey_pictures_work_in_colour_networks_and_in_grey_ones(shades, weights, tmp_path):
    random = np.random.default_rng(1)
    for name, level in (("dark", 90), ("light", 160)):
        (tmp_path / "grey" / name).mkdir(parents=True)
        for number in range(12):
            noise = random.normal(level, 30, (20, 24)).clip(0, 255).astype(np.uint8)
            Image.fromarray(noise, "L").save(tmp_path / "grey" / name / f"{number}.png")
    dataset = ImageDataset.from_folder(tmp_path / "grey")

    for color, channels in (("rgb", 3), ("gray", 1)):
        config = settings(weights(shape=(SIZE, SIZE, channels)), color=color)
        finished = run(dataset, RunFolder.create(tmp_path / color), config)

        assert finished.classifier.preprocess.shape == (SIZE, SIZE, channels)
        assert finished.report.accuracy.value > 0.9


def test_two_classes_have_two_logits_even_where_the_network_would_have_one(shades, weights, tmp_path):
    entries = tuple(entry for entry in shades.listing.entries if entry.label != "moss")
    two = ImageDataset(type(shades.listing)(shades.root, entries, ("ash", "rust"), ()))
    file = weights(network="cats_dogs_cnn", classes=2)

    finished = run(two, RunFolder.create(tmp_path / "run"), settings(file, architecture="cats_dogs_cnn"))

    assert finished.classifier.predict(shades.paths[0]).probabilities.shape == (2,)
    logits = part_of(predictions(finished), "test", "logits")
    paths = [shades.root / name for name in part_of(predictions(finished), "test", "paths")]
    np.testing.assert_allclose(keras_logits(finished, paths), logits, atol=1e-4 * np.abs(logits).max())


def test_all_that_is_cached_lies_in_the_cache_folder(shades, weights, tmp_path, monkeypatch):
    for name in ("home", "here"):
        (tmp_path / name).mkdir()
    monkeypatch.setenv("OPSIN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.chdir(tmp_path / "here")
    file = weights()

    run(shades, RunFolder.create(tmp_path / "run"), settings(file, views=1))

    # Pixels, features as they are, one view; and what was measured.
    folders = [path for path in (tmp_path / "cache").iterdir() if path.is_dir()]
    assert len(folders) == 3
    assert not list((tmp_path / "home").iterdir())
    assert not list((tmp_path / "here").iterdir())


def test_without_a_cache_nothing_is_kept_and_nothing_else_changes(shades, weights, headed, tmp_path, monkeypatch):
    monkeypatch.setenv("OPSIN_CACHE", str(tmp_path / "cache"))

    finished = run(shades, RunFolder.create(tmp_path / "run"), settings(weights(), views=2, cache=False))

    assert not list(tmp_path.glob("cache/*/"))
    np.testing.assert_array_equal(predictions(finished)["logits"], predictions(headed)["logits"])


GIB = 2**30
ONE_AT_BOUNDARY = 2 * 12 * 12 * 32


def test_no_more_views_are_made_than_the_cache_has_room_for(shades, weights, tmp_path, monkeypatch):
    monkeypatch.setenv("OPSIN_CACHE", str(tmp_path / "cache"))
    # Half of the cache is for what crosses the boundary: 60 pictures as they are, and two views of the 36.
    limit = 2 * ONE_AT_BOUNDARY * (60 + 2.5 * 36) / GIB
    config = settings(weights(), unfreeze_blocks=2, views=4, cache_limit_gb=limit, fine_tune_epochs=1)
    made = []

    finished = run(
        shades,
        RunFolder.create(tmp_path / "run", [lambda event: made.append(event.get("what"))]),
        config,
    )

    assert "in 2 augmented views" in notes(finished)
    assert "4 were asked for" in notes(finished)
    assert not any("view 3" in what for what in made if what)
    assert sum(path.stat().st_size for path in (tmp_path / "cache").rglob("*") if path.is_file()) <= limit * GIB


def test_a_boundary_that_does_not_fit_is_an_error_that_says_what_to_do(shades, weights, tmp_path):
    config = settings(weights(), unfreeze_blocks=2, cache_limit_gb=2 * ONE_AT_BOUNDARY * 50 / GIB)

    with pytest.raises(UsageError, match=r"what enters stage2_1_conv.*Raise it, or unfreeze fewer blocks"):
        run(shades, RunFolder.create(tmp_path / "run"), config)


class _Seen(Exception):
    pass


def test_pictures_of_a_group_stay_together_and_those_without_one_stay_alone(shades, weights, tmp_path, monkeypatch):
    # One group is called as a picture's number is.
    rows = [f"{name},{Path(name).parent},{'5' if n % 20 < 5 else ''}" for n, name in enumerate(shades.names)]
    table = shades.root / "groups.csv"
    table.write_text("path,label,group\n" + "\n".join(rows) + "\n")
    dataset = ImageDataset.from_csv(table)
    seen = {}

    def look(data, **options):
        seen["groups"] = data.groups
        raise _Seen

    monkeypatch.setattr(transfer, "solve_head", look)
    with pytest.raises(_Seen):
        train(
            dataset, dataset.subset([]) if False else ImageDataset.from_csv(table).subset(range(0)), settings(weights())
        ) if False else _train_all(dataset, weights, tmp_path)

    together = [group for group in seen["groups"] if seen["groups"].count(group) > 1]
    assert len(set(together)) <= 1
    alone = sum(group == "" for group in dataset.split(0.2, 0.2, seed=0).train.groups)
    assert len(set(seen["groups"]) - set(together)) == alone


def _train_all(dataset, weights, tmp_path):
    return run(dataset, RunFolder.create(tmp_path / "run"), settings(weights()))


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
def test_settings_that_do_not_go_together_are_refused_before_anything_is_done(shades, tmp_path, changes, message):
    with pytest.raises(UsageError, match=message):
        run(shades, RunFolder.create(tmp_path / "run"), TrainConfig(architecture=NETWORK, image_size=SIZE, **changes))
    assert not (tmp_path / "run").exists() or not list((tmp_path / "run").glob("model"))


# A network of keras.applications


@pytest.mark.slow
def test_a_mobilenet_is_headed_and_fine_tuned(shades, weights, tmp_path):
    file = weights(network="mobilenet_0.25", shape=(32, 32, 3))
    config = settings(file, architecture="mobilenet_0.25", image_size=32, unfreeze="20", views=1, fine_tune_epochs=1)

    finished = run(shades, RunFolder.create(tmp_path / "run"), config.replace(fine_tune_rate=0.001))

    network = keras.saving.load_model(saved(finished))
    blocks = find_blocks(network, network.get_layer("features").output)
    assert "Fine-tuning 2 of 6 blocks" in notes(finished)
    above = {
        layer.name for block in blocks[-2:] for layer in block.layers if isinstance(layer, keras.layers.DepthwiseConv2D)
    }
    assert {
        name for name in changed(finished, file) if name.startswith("conv_dw") and not name.endswith("_bn")
    } == above
    logits = predictions(finished)["logits"]
    own = keras_logits(finished, [shades.root / name for name in predictions(finished)["paths"]])
    np.testing.assert_allclose(logits, own, atol=1e-3 * np.abs(own).max())
