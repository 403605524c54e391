"""A segmenter over HTTP: picture files in, masks and areas out; and its network, as TensorFlow Serving has it."""

import asyncio
import base64
import io
import json
import shutil
import threading

import keras
import numpy as np
import pytest
from PIL import Image

from opsin.errors import ModelError
from opsin.images.drawing import draw_picture
from opsin.model_folder import ModelCard
from opsin.segmentation.classes import ClassTable
from opsin.segmentation.networks import NetworkSettings, build_segmentation_network
from opsin.segmentation.road import SegmentationRecipe
from opsin.segmentation.saving import write_segmentation_model
from opsin.segmentation.segmenter import Segmenter
from opsin.segmentation.servable import open_servable
from opsin.serving.app import Server
from opsin.serving.batching import Limits
from opsin.serving.classifier_servable import PictureLimits
from opsin.serving.status import StatusError

from .conftest import running, settings

NAMES = ("ground", "cell")


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    keras.utils.set_random_seed(1)
    recipe = SegmentationRecipe((16, 20))
    network = build_segmentation_network("unet", recipe.shape, 2, NetworkSettings(width=4))
    said = {"classes": ClassTable(NAMES).to_dict(), "recipe": recipe.to_dict()}
    folder = tmp_path_factory.mktemp("cells") / "model"
    write_segmentation_model(folder, network, ModelCard(NAMES, recipe.preprocess, segmentation=said))
    return folder


@pytest.fixture(scope="module")
def server(model):
    with running(Server.of_paths({"cells": model}, settings())) as found:
        yield found


@pytest.fixture(scope="module")
def png():
    buffer = io.BytesIO()
    Image.fromarray(draw_picture(3, 50, 40)).save(buffer, "PNG")
    return buffer.getvalue()


def _ask(server, content, **more):
    instances = [{"b64": base64.b64encode(content).decode()}]
    return server.post("/v1/models/cells:predict", {"signature_name": "serve_bytes", "instances": instances, **more})


def test_a_picture_file_gives_its_mask_and_the_areas_of_its_classes(server, model, png):
    reply = _ask(server, png)

    expected = Segmenter.open(model).segment(png)
    (found,) = reply.json["predictions"]
    mask = Image.open(io.BytesIO(base64.b64decode(found["mask_bytes"]["b64"])))
    assert reply.status == 200
    assert mask.mode == "P"
    np.testing.assert_array_equal(np.asarray(mask), expected.mask)
    assert found["areas"] == pytest.approx(list(expected.areas.values()), abs=1e-6)


def test_preprocessed_pixels_give_probabilities(server, model, png):
    segmenter = Segmenter.open(model)
    image = segmenter.recipe.preprocess.read(png)

    reply = server.post("/v1/models/cells:predict", {"instances": [image.tolist()]})

    np.testing.assert_allclose(reply.json["predictions"], segmenter.run(image[None]), atol=1e-5)


def test_what_is_no_picture_is_the_clients_error(server):
    reply = _ask(server, b"no picture")

    assert reply.status == 400
    assert "element 0 cannot be read" in reply.error


def test_of_pictures_with_a_bad_one_among_them_none_is_worked_on_any_more(model, png):
    servable = open_servable(model, Limits(), PictureLimits())
    go, read = threading.Event(), servable._read
    servable._read = lambda content: (content == b"bad" or go.wait(20)) and read(content)

    async def story():
        with pytest.raises(StatusError, match="element 0 cannot be read"):
            await servable.run("serve_bytes", {"image_bytes": np.array([b"bad", png], object)})
        await asyncio.sleep(0)
        left = asyncio.all_tasks() - {asyncio.current_task()}
        go.set()
        return len(left), servable.batcher.pending

    try:
        assert asyncio.run(story()) == (0, 0)
    finally:
        go.set()
        servable.close()


def test_the_metadata_has_both_signatures(server):
    signatures = server.get("/v1/models/cells/metadata").json["metadata"]["signature_def"]["signature_def"]

    assert set(signatures) == {"serving_default", "serve_bytes"}
    assert set(signatures["serve_bytes"]["outputs"]) == {"mask_bytes", "areas"}


def test_a_model_that_gives_other_answers_than_it_did_is_not_served(model, tmp_path):
    shutil.copytree(model, tmp_path / "model")
    golden = tmp_path / "model" / "golden" / "logits.json"
    document = json.loads(golden.read_text())
    document["logits"] = (-np.array(document["logits"])).tolist()
    golden.write_text(json.dumps(document))

    with pytest.raises(ModelError, match="when it was written"):
        open_servable(tmp_path / "model", Limits(), PictureLimits())


def test_classifying_with_it_is_refused(server, png):
    reply = server.post("/v1/models/cells:classify_image", png, Content_Type="image/png")

    assert reply.status == 400
