"""A segmenter in other formats: the same answers, or none."""

import json
import shutil
from dataclasses import replace

import keras
import numpy as np
import pytest

from opsin.classifier import Classifier
from opsin.errors import ModelError, ParityError, UsageError
from opsin.images.drawing import draw_picture
from opsin.model_folder import ModelCard, hash_files
from opsin.segmentation import exporting
from opsin.segmentation.classes import ClassTable
from opsin.segmentation.exporting import export_segmenter
from opsin.segmentation.networks import NetworkSettings, build_segmentation_network
from opsin.segmentation.road import SegmentationRecipe
from opsin.segmentation.saving import write_segmentation_model
from opsin.segmentation.segmenter import Segmenter
from opsin.segmentation.verify import verify_segmenter

NAMES = ("ground", "cell", "wall")


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A network with random weights, at a size that its stride does not divide."""
    keras.utils.set_random_seed(1)
    recipe = SegmentationRecipe((30, 33))
    network = build_segmentation_network("unet", recipe.shape, 3, NetworkSettings(width=4))
    said = {"classes": ClassTable(NAMES).to_dict(), "recipe": recipe.to_dict()}
    folder = tmp_path_factory.mktemp("run") / "model"
    assert write_segmentation_model(folder, network, ModelCard(NAMES, recipe.preprocess, segmentation=said)) == []
    return Segmenter.open(folder)


@pytest.mark.parametrize("format", ["litert", "onnx", "openvino", "saved_model"])
def test_an_export_gives_the_masks_of_its_model_and_is_verified(model, format, tmp_path):
    found = export_segmenter(model, tmp_path / "out", format=format)

    images = np.stack([draw_picture(number, 30, 33) for number in range(3)])
    exported = Segmenter.open(found.folder)
    np.testing.assert_allclose(exported.run(images), model.run(images), atol=1e-4)
    assert found.card.artefact.output.shape == (None, 30, 33, 3)
    assert found.parity["largest_difference"] <= 1e-3
    assert verify_segmenter(found.folder).passed
    with pytest.raises(ModelError, match="opsin segment"):
        Classifier.open(found.folder)


def test_an_export_that_says_something_else_is_not_delivered(model, tmp_path, monkeypatch):
    opened = Segmenter.open(model.folder)
    opened.network = lambda images: model.network(images)[..., ::-1]
    monkeypatch.setattr(exporting.Segmenter, "open", lambda folder: opened)

    with pytest.raises(ParityError, match="It was removed"):
        export_segmenter(model, tmp_path / "out", format="litert")
    assert not (tmp_path / "out").exists()


def test_golden_pictures_that_lie_elsewhere_are_not_read(model, tmp_path):
    folder = tmp_path / "model"
    shutil.copytree(model.folder, folder)
    golden = folder / "golden" / "logits.json"
    document = json.loads(golden.read_text())
    shutil.copy(folder / "golden" / document["pictures"][0], tmp_path / "elsewhere.png")
    document["pictures"][0] = str(tmp_path / "elsewhere.png")
    golden.write_text(json.dumps(document))
    replace(model.card, files=hash_files(folder)).save(folder)

    found = verify_segmenter(folder)

    assert not found.passed
    assert "Expected golden pictures of the model" in found.checks[-1].detail


def test_an_export_of_an_export_is_refused(model, tmp_path):
    found = export_segmenter(model, tmp_path / "out", format="litert")

    with pytest.raises(UsageError, match="is an export of one"):
        export_segmenter(Segmenter.open(found.folder), tmp_path / "again", format="litert")
