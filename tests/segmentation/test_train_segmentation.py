"""From pictures and masks to a run folder, and what can be done with it."""

import csv
import json
import shutil

import keras
import numpy as np
import pytest
from PIL import Image

from opsin.classifier import Classifier
from opsin.errors import DataError, ModelError, UsageError
from opsin.model_folder import ModelCard
from opsin.segmentation.classes import IGNORED
from opsin.segmentation.config import SegmentConfig
from opsin.segmentation.dataset import SegmentationDataset
from opsin.segmentation.masks import read_mask
from opsin.segmentation.segmenter import Segmenter
from opsin.segmentation.train import train_segmentation
from opsin.segmentation.verify import replay, verify_segmenter
from opsin.training.processor import has_bfloat16_units
from opsin.training.run_folder import RunFolder

SMALL = SegmentConfig(
    architecture="unet", depth=2, width=8, image_size=32, epochs=3, batch_size=4, augment="light", cache=False,
    learning_rate=0.01,
)  # fmt: skip


@pytest.fixture(scope="module")
def squares(tmp_path_factory) -> SegmentationDataset:
    """20 noisy pictures of 40×50 pixels with a bright rectangle, whose pixels are of class 1."""
    root, random = tmp_path_factory.mktemp("squares"), np.random.default_rng(0)
    for kind in ("images", "masks"):
        (root / kind).mkdir()
    for number in range(20):
        mask = np.zeros((40, 50), np.uint8)
        top, left = random.integers(2, 18, 2)
        mask[top : top + 18, left : left + 24] = 1
        image = (random.integers(0, 80, (40, 50, 3)) + 120 * mask[..., None]).astype(np.uint8)
        Image.fromarray(image).save(root / "images" / f"{number}.png")
        Image.fromarray(mask).save(root / "masks" / f"{number}.png")
    return SegmentationDataset.open(root, names=("ground", "square"))


def _train(data, folder, config=SMALL, listeners=()):
    train, val, test = data.split(seed=0)
    run = RunFolder.create(folder, listeners) if not folder.exists() else RunFolder.resume(folder, listeners)
    return train_segmentation(train, val, config if run.fresh else None, test=test, out=run)


@pytest.fixture(scope="module")
def run(squares, tmp_path_factory):
    return _train(squares, tmp_path_factory.mktemp("runs") / "first")


def test_it_learns_what_a_bright_square_is(run):
    by_name = {one.name: one for one in run.report.metrics.per_class}

    assert run.completed
    assert run.report.split == "test"
    assert by_name["square"].iou.value > 0.6  # Calling everything a square gives 0.22.


def test_a_run_leaves_what_every_run_leaves(run):
    names = {path.relative_to(run.folder).as_posix() for path in run.folder.rglob("*") if path.is_file()}

    assert {
        *("config.toml", "environment.json", "events.jsonl", "files.csv", "history.csv", "report.json", "report.html"),
        *("model/opsin.json", "model/model.keras", "model/layers.json", "model/engines/model.tflite"),
        *("model/golden/0.png", "model/golden/logits.json"),
    } <= names
    assert not any(name.startswith("checkpoint") for name in names)
    with (run.folder / "history.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == SMALL.epochs
    assert {"loss", "accuracy", "iou", "val_loss", "val_accuracy", "val_iou"} < set(rows[0])
    with (run.folder / "files.csv").open() as file:
        assert sum(row["status"] == "used" for row in csv.DictReader(file)) == 20
    report = json.loads((run.folder / "report.json").read_text())
    assert report["task"] == "segmentation"
    assert report["mean_iou"]["value"] == pytest.approx(run.report.metrics.mean_iou.value)


def test_the_config_that_was_written_says_everything_and_is_taken_back(run):
    config = SegmentConfig.from_toml(run.folder / "config.toml")

    assert (config.architecture, config.weights, config.augment) == ("unet", "none", "light")
    assert config.precision == ("mixed_bfloat16" if has_bfloat16_units() else "float32")


def test_a_mask_has_the_size_of_its_picture_and_its_areas_sum_to_one(run, squares):
    found = Segmenter.open(run.folder).segment(squares.paths[0])

    assert found.mask.shape == (40, 50)
    assert found.mask.dtype == np.uint8
    assert set(np.unique(found.mask)) <= {0, 1}
    assert sum(found.areas.values()) == pytest.approx(1)
    assert found.pixels["square"] == np.count_nonzero(found.mask == 1)


def test_probabilities_are_given_where_they_are_asked_for(run, squares):
    found = Segmenter.open(run.folder).segment(squares.paths[0], probabilities=True)

    assert found.probabilities.shape == (40, 50, 2)
    np.testing.assert_allclose(found.probabilities.sum(axis=-1), 1, atol=1e-5)
    np.testing.assert_array_equal(found.probabilities.argmax(axis=-1), found.mask)


def test_bytes_and_tiles_find_the_square_too(run, squares, tmp_path):
    large = np.tile(np.asarray(Image.open(squares.paths[0])), (3, 2, 1))
    Image.fromarray(large).save(tmp_path / "large.png")
    segmenter = Segmenter.open(run.folder)
    truth = np.tile(np.asarray(Image.open(squares.mask_paths[0])), (3, 2))

    found = segmenter.segment((tmp_path / "large.png").read_bytes(), tiles=True)

    assert found.mask.shape == (120, 100)
    assert np.mean(found.mask == truth) > 0.8
    again = segmenter.segment((tmp_path / "large.png").read_bytes(), tiles=True, probabilities=True)
    np.testing.assert_array_equal(again.probabilities.argmax(axis=-1), found.mask)


def test_the_png_of_a_mask_is_read_back_as_the_same_classes(run, squares):
    found = Segmenter.open(run.folder).segment(squares.paths[0])

    np.testing.assert_array_equal(read_mask(found.png(), found.classes), found.mask)


def test_keras_and_litert_say_the_same(run, squares):
    masks = [
        Segmenter.open(run.folder, runtime).segment(squares.paths[0], probabilities=True).probabilities
        for runtime in ("litert", "keras")
    ]

    np.testing.assert_allclose(*masks, atol=1e-4)


def test_a_saved_network_opens_in_plain_keras_and_takes_pixels_from_0_to_255(run):
    network = keras.saving.load_model(run.folder / "model" / "model.keras")

    assert network.input_shape == (None, 32, 32, 3)
    assert network.output_shape == (None, 32, 32, 2)


def test_a_classifier_is_told_that_this_is_a_segmenter(run):
    with pytest.raises(ModelError, match="opsin segment"):
        Classifier.open(run.folder)


def test_a_segmenter_is_told_that_this_is_a_classifier(run, tmp_path):
    card = ModelCard.read(run.folder / "model", task=None)
    ModelCard(card.class_names, card.preprocess).save(tmp_path)

    with pytest.raises(ModelError, match="classifies whole pictures"):
        Segmenter.open(tmp_path)


@pytest.mark.parametrize("runtime", ["litert", "keras"])
def test_it_is_verified_by_its_golden_pictures(run, runtime):
    found = verify_segmenter(run.folder, runtime=runtime)

    assert found.passed
    assert [check.what for check in found.checks] == ["files", "golden pictures"]


def test_a_network_that_says_something_else_is_found(run):
    segmenter = Segmenter.open(run.folder)
    network = segmenter.network
    segmenter.network = lambda images: network(images)[..., ::-1]

    assert not replay(segmenter).passed


def test_an_altered_file_is_found(run, tmp_path):
    shutil.copytree(run.folder / "model", tmp_path / "model")
    (tmp_path / "model" / "golden" / "0.png").write_bytes(b"another")

    found = verify_segmenter(tmp_path / "model")

    assert [check.what for check in found.checks] == ["golden/0.png"]


def test_the_same_seed_gives_the_same_run(run, squares, tmp_path):
    again = _train(squares, tmp_path / "again")

    assert [_numbers(row) for row in again.history] == [_numbers(row) for row in run.history]


def test_a_run_that_was_stopped_and_resumed_ends_as_one_that_was_not(run, squares, tmp_path):
    def stop(event):
        if event["event"] == "epoch_ended" and event["epoch"] == 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        _train(squares, tmp_path / "stopped", listeners=[stop])
    resumed = _train(squares, tmp_path / "stopped")

    assert [_numbers(row) for row in resumed.history] == [_numbers(row) for row in run.history]
    assert resumed.report.to_dict()["confusion_matrix"] == run.report.to_dict()["confusion_matrix"]


def _numbers(row):
    return {name: value for name, value in row.items() if name != "seconds"}


def test_masks_that_are_ignored_throughout_are_an_error_that_says_so(write_pairs, tmp_path):
    half = np.zeros((32, 32), np.uint8)
    half[:16] = 1
    masks = {f"{part}/{i}": half for part in ("val", "test") for i in range(2)}
    masks |= {f"train/{i}": np.full((32, 32), IGNORED, np.uint8) for i in range(4)}
    data = SegmentationDataset.open(write_pairs(masks), ignore=(IGNORED,))

    with pytest.raises(DataError, match="ignored"):
        _train(data, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_one_class_alone_cannot_be_learned(write_pairs, tmp_path):
    data = SegmentationDataset.open(write_pairs({str(i): np.zeros((32, 32), np.uint8) for i in range(8)}))

    with pytest.raises(DataError, match="at least 2 classes"):
        _train(data, tmp_path / "run")


@pytest.mark.parametrize(
    "wrong",
    [
        {"architecture": "unets"},
        {"loss": "ce+dise"},
        {"augment": "characters"},
        {"monitor": "val_dice"},
        {"epochs": 0},
        {"depth": 9},
        {"learning_rate": "find"},
        {"normalize": 1},
    ],
)
def test_settings_that_are_none_are_refused(wrong):
    with pytest.raises(UsageError, match="xpected"):
        SegmentConfig(**wrong)


def test_weights_go_with_a_backbone_only(squares, tmp_path):
    with pytest.raises(UsageError, match="pretrained_unet"):
        _train(squares, tmp_path / "run", SMALL.replace(weights="imagenet"))


def test_what_is_pretrained_waits_first_and_then_learns_at_its_own_rate_but_never_its_statistics(tmp_path):
    from opsin.segmentation.backbones import is_of_backbone
    from opsin.segmentation.learning import ALL, DECODER, only_trained, rate_factors
    from opsin.segmentation.networks import build_segmentation_network
    from opsin.segmentation.plan import SegmentPlan

    config = SegmentConfig(architecture="pretrained_unet", backbone="mobilenet_v2_0.35", width=8)
    network = build_segmentation_network("pretrained_unet", (64, 64, 3), 2, config.network)
    plan = SegmentPlan(config, None, weights="a file")
    kept = {layer.name for layer in network.layers if is_of_backbone(layer)}

    with only_trained(network, DECODER, plan):
        first = {layer.name for layer in network.layers if layer.trainable_variables}
    with only_trained(network, ALL, plan):
        then = {layer.name for layer in network.layers if layer.trainable_variables}
        factors = rate_factors(network, plan)

    assert not first & kept
    assert {"Conv1", "block_16_project", "decoder_16_conv", "decoder_16_norm", "logits"} <= then
    assert not {"bn_Conv1", "block_16_project_BN"} & then
    assert set(factors.values()) == {config.backbone_rate}
    assert len(factors) == len(then & kept)
    assert all(layer.trainable for layer in network.layers)


@pytest.mark.exhaustive
def test_on_pretrained_weights_the_backbone_waits_for_its_decoder(squares, tmp_path):
    from opsin.architectures import build_network

    keras.utils.set_random_seed(5)
    backbone = build_network("mobilenet_v2_0.35", (64, 64, 3), 2)
    backbone.save(tmp_path / "mobilenet_v2_0.35.keras")
    kernel, mean = (backbone.get_layer(name).get_weights() for name in ("Conv1", "bn_Conv1"))
    config = SegmentConfig(
        backbone="mobilenet_v2_0.35",
        weights=str(tmp_path),
        image_size=64,
        width=8,
        decoder_epochs=1,
        epochs=1,
        batch_size=8,
        cache=False,
    )
    seen = {}

    def look(event):
        if event["event"] == "epoch_ended":
            seen[event["phase"]] = True

    run = _train(squares, tmp_path / "run", config, listeners=[look])

    network = keras.saving.load_model(run.folder / "model" / "model.keras")
    assert list(seen) == ["decoder", "all"]
    assert [row["phase"] for row in run.history] == ["decoder", "all"]
    # Statistics never move; kernels do once everything is trained, if that was better.
    np.testing.assert_array_equal(network.get_layer("bn_Conv1").get_weights()[2], mean[2])
    moved = not np.array_equal(network.get_layer("Conv1").get_weights()[0], kernel[0])
    first, second = (row["val_iou"] for row in run.history)
    assert moved == (second > first)
