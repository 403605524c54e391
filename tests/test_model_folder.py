"""The model folder: what is in it, and that its files are what was written."""

import hashlib
import json
import shutil

import pytest

from opsin.errors import ModelError, UsageError
from opsin.images.preprocess import Preprocess
from opsin.model_folder import ModelCard, find_model_folder, golden_names, hash_files, read_proved, sign
from opsin.names import CARD, KERAS, TWIN


@pytest.fixture
def model(tmp_path):
    """A model folder whose twin is b"network"."""
    folder = tmp_path / "run" / "model"
    (folder / "engines").mkdir(parents=True)
    (folder / TWIN).write_bytes(b"network")
    (folder / KERAS).write_bytes(b"keras")
    card(files=hash_files(folder)).save(folder)
    return folder


def card(**changes):
    values = {
        "class_names": ("cat", "dog\n10", "-Übergröße", "\udcff"),
        "preprocess": Preprocess(3, 5, fit="pad", color="gray", background=(1, 2, 3)),
        "temperature": 1.5,
        "thresholds": {"cat": 0.25},
        "provenance": {"seed": 7},
    }
    return ModelCard(**{**values, **changes})


def edit_card(folder, change):
    """Change a card as one who signs it anew: by a program, not by hand."""
    document = json.loads((folder / CARD).read_text())
    del document["sha256"]
    change(document)
    (folder / CARD).write_text(json.dumps({**document, "sha256": sign(document)}))


def test_a_card_that_was_edited_by_hand_is_refused(model):
    document = json.loads((model / CARD).read_text())
    document["class_names"].reverse()
    (model / CARD).write_text(json.dumps(document))

    with pytest.raises(ModelError, match=f"{CARD}.*altered"):
        ModelCard.read(model)


@pytest.mark.parametrize("temperature", [0, -1, float("nan"), float("inf")])
def test_a_temperature_that_is_none_is_refused(model, temperature):
    edit_card(model, lambda document: document["calibration"].update(temperature=temperature))

    with pytest.raises(ModelError, match="temperature above 0"):
        ModelCard.read(model)


def test_a_class_name_twice_is_refused(model):
    edit_card(model, lambda document: document.update(class_names=["x", "x"]))

    with pytest.raises(ModelError, match="each class name once"):
        ModelCard.read(model)


def test_a_card_is_read_as_it_was_saved(tmp_path):
    card(files={"a": "b"}).save(tmp_path)
    assert ModelCard.read(tmp_path) == card(files={"a": "b"})


def test_the_card_names_the_sha256_of_each_file(model):
    assert json.loads((model / CARD).read_text())["files"] == {
        TWIN: hashlib.sha256(b"network").hexdigest(),
        KERAS: hashlib.sha256(b"keras").hexdigest(),
    }


def test_a_proved_file_is_its_bytes(model):
    assert read_proved(model, TWIN, ModelCard.read(model)) == b"network"


def test_an_altered_file_is_named_with_both_hashes(model):
    (model / TWIN).write_bytes(b"netw0rk")
    with pytest.raises(ModelError) as caught:
        read_proved(model, TWIN, ModelCard.read(model))
    for part in (TWIN, hashlib.sha256(b"network").hexdigest(), hashlib.sha256(b"netw0rk").hexdigest()):
        assert part in str(caught.value)


def test_a_missing_file_is_named(model):
    (model / TWIN).unlink()
    with pytest.raises(ModelError, match=f"{TWIN}.*it is missing"):
        read_proved(model, TWIN, ModelCard.read(model))


def test_a_card_of_another_format_is_refused_with_its_number(model):
    edit_card(model, lambda document: document.update(format=99))
    with pytest.raises(ModelError, match=r"Expected a model of format 1.*is of format 99"):
        ModelCard.read(model)


@pytest.mark.parametrize("key", ["class_names", "preprocess", "calibration", "files"])
@pytest.mark.parametrize("value", [None, 5, True])
def test_a_card_with_a_wrong_value_is_a_model_error(model, key, value):
    edit_card(model, lambda document: document.update({key: value}))
    with pytest.raises(ModelError):
        ModelCard.read(model)


def test_a_card_without_a_key_says_which(model):
    edit_card(model, lambda document: document.pop("calibration"))
    with pytest.raises(ModelError, match="the key 'calibration' is missing"):
        ModelCard.read(model)


OUTSIDE = ["/etc/passwd", "golden/../../x", "..", "golden\\..\\x", "C:x", "C:/x"]


@pytest.mark.parametrize("path", OUTSIDE)
def test_a_card_that_names_a_file_outside_its_folder_is_refused(model, path):
    edit_card(model, lambda document: document["files"].update({path: "0"}))

    with pytest.raises(ModelError, match="leads out of the folder"):
        ModelCard.read(model)


@pytest.mark.parametrize("path", OUTSIDE)
def test_a_card_whose_network_lies_outside_its_folder_is_refused(model, path):
    end = {"name": "x", "dtype": "float32", "shape": [None, 3, 5, 1], "low": 0.0, "high": 255.0}
    artefact = {"format": "onnx", "file": path, "int8": False, "input": end, "output": end, "temperature": 1.0}
    artefact |= {"tolerance": 0.1, "source": "0", "notes": []}
    edit_card(model, lambda document: document.update(artefact={**artefact, "file": "."}))
    assert ModelCard.read(model).artefact.file == "."

    edit_card(model, lambda document: document.update(artefact=artefact))

    with pytest.raises(ModelError, match="leads out of the folder"):
        ModelCard.read(model)


@pytest.mark.parametrize("name", ["/x.png", "../x.png", "..", "more/0.png", "not_there.png", "", 5])
def test_a_golden_picture_that_is_no_plain_file_of_the_model_is_refused(name):
    files = {"golden/0.png": "0", "golden/more/0.png": "0"}

    assert golden_names({"pictures": ["0.png"]}, card(files=files)) == ["0.png"]
    with pytest.raises(ModelError, match="Expected golden pictures of the model"):
        golden_names({"pictures": ["0.png", name]}, card(files=files))


@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b"\xff\xfe", b"null"])
def test_a_damaged_card_is_named(model, content):
    (model / CARD).write_bytes(content)
    with pytest.raises(ModelError, match=f"Expected {CARD} to describe the model.*{CARD}' cannot be read"):
        ModelCard.read(model)


def test_the_run_and_its_model_folder_are_both_found(model):
    assert find_model_folder(model) == find_model_folder(model.parent) == model
    assert find_model_folder(str(model.parent)) == model


def test_a_path_with_nothing_is_wrong_usage(tmp_path):
    with pytest.raises(UsageError, match="there is nothing at"):
        find_model_folder(tmp_path / "no")


@pytest.mark.parametrize("name", ["", "engines/model.tflite"])
def test_what_is_neither_a_run_nor_a_model_is_said(tmp_path, model, name):
    shutil.copytree(model / "engines", tmp_path / "other" / "engines")
    with pytest.raises(ModelError, match="is neither"):
        find_model_folder(tmp_path / "other" / name)


def test_a_keras_file_alone_says_that_the_card_is_missing(tmp_path):
    (tmp_path / KERAS).touch()
    with pytest.raises(ModelError, match=f"Expected {CARD} beside {KERAS}.*it is missing"):
        find_model_folder(tmp_path)


def test_an_unfinished_run_says_how_to_go_on(tmp_path):
    (tmp_path / "checkpoint").mkdir()
    with pytest.raises(ModelError, match=r"has no model yet.*--resume"):
        find_model_folder(tmp_path)
