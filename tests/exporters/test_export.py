"""What is delivered, where, and what is not."""

import hashlib
import json
import shutil
from dataclasses import replace

import keras
import numpy as np
import pytest
import tensorflow as tf

import opsin
from opsin.classifier import Classifier
from opsin.errors import DataError, MissingPackageError, ModelError, ParityError, UsageError
from opsin.exporters import FORMATS, at_fault, onnx, proof_pictures
from opsin.exporters import export as module
from opsin.exporters.export import describe
from opsin.exporters.write_model import write_model
from opsin.exporters.written import Request, with_probabilities
from opsin.images.preprocess import Preprocess
from opsin.model_folder import ModelCard, hash_files


def export(run, **options):
    return opsin.export(Classifier.open(run), **options)


def entries(folder) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*")}


def scaled(network: keras.Model, factor: float) -> keras.Model:
    """Return the network with its last layer's weights times `factor`."""
    other = keras.models.clone_model(network)
    other.set_weights(network.get_weights())
    last = other.get_layer("logits")
    last.set_weights([factor * weight for weight in last.get_weights()])
    return other


@pytest.fixture
def other_weights(monkeypatch):
    """Let ONNX files be written from a network whose logits have the opposite sign."""
    write = onnx.write
    monkeypatch.setattr(onnx, "write", lambda folder, network, request: write(folder, scaled(network, -1), request))


def test_an_export_with_other_weights_is_refused_with_its_pictures_and_leaves_nothing(own_run, other_weights):
    before = entries(own_run)

    with pytest.raises(ParityError) as refused:
        export(own_run, format="onnx")

    first, *flips, more = str(refused.value).splitlines()
    assert first.startswith("Expected the onnx export to give the model's answers; of 64 pictures, ")
    assert first.endswith("It was removed.")
    assert len(flips) == 10
    assert all(flip.startswith("  drawn picture ") and " became " in flip for flip in flips)
    assert more.startswith("  and ")
    assert entries(own_run) == before


def test_a_refused_export_leaves_the_one_of_before(own_run, monkeypatch, request):
    folder = export(own_run, format="onnx").folder
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    request.getfixturevalue("other_weights")

    with pytest.raises(ParityError):
        export(own_run, format="onnx")

    assert {path: path.read_bytes() for path in (own_run / "exports").rglob("*") if path.is_file()} == before


def test_an_export_that_forgets_the_temperature_is_refused_though_no_class_changes(own_run, monkeypatch):
    replace(ModelCard.read(own_run / "model"), temperature=1.5).save(own_run / "model")
    monkeypatch.setattr(
        module, "with_probabilities", lambda network, _, **more: with_probabilities(network, 1.0, **more)
    )

    with pytest.raises(ParityError, match=r"^[^%]*, a probability is off by .* at most 0\.001 is allowed\. It was"):
        export(own_run, format="litert")


def test_a_saved_model_that_reads_files_otherwise_is_refused(own_run, monkeypatch):
    monkeypatch.setattr(module.SavedModelRuntime, "run_files", lambda self, files: np.full((len(files), 3), 1 / 3))

    with pytest.raises(ParityError, match="serve_bytes to read pictures as Opsin does"):
        export(own_run, format="saved_model")

    assert not (own_run / "exports").exists()


def test_a_model_finds_its_export_by_the_name_of_a_runtime(exported_run):
    classifier = Classifier.open(exported_run, "onnx-int8")

    assert classifier.folder == exported_run.resolve() / "exports" / "onnx-int8"
    assert classifier.card.artefact.int8


def test_an_export_of_another_model_is_refused(own_run):
    export(own_run, format="onnx")
    replace(ModelCard.read(own_run / "model"), temperature=3.0).save(own_run / "model")

    with pytest.raises(ModelError, match=r"made from another model. Make it again: opsin export MODEL --format onnx$"):
        Classifier.open(own_run, "onnx")


def test_a_runtime_without_export_says_how_to_make_it(own_run):
    with pytest.raises(UsageError, match=r"none at .* Make it: opsin export MODEL --format openvino --int8$"):
        Classifier.open(own_run, "openvino-int8")


def test_an_export_by_itself_is_opened_with_its_own_runtime_only(exported_run):
    folder = exported_run / "exports" / "onnx"

    assert Classifier.open(folder).card == Classifier.open(folder, "onnx").card
    with pytest.raises(UsageError, match=r"'onnx' as runtime.* received 'litert'"):
        Classifier.open(folder, "litert")


def test_versions_of_a_saved_model_count_up_and_the_newest_is_opened(exported_run, tmp_path):
    versions = tmp_path / "shapes"
    shutil.copytree(exported_run / "exports" / "saved_model" / "1", versions / "9")

    delivered = export(exported_run, out=versions)

    assert delivered.folder == versions / "10"
    assert Classifier.open(versions).folder == versions / "10"
    assert sorted(path.name for path in versions.iterdir()) == ["10", "9"]
    assert b"shapes" in (versions / "10" / "assets.extra" / "tf_serving_warmup_requests").read_bytes()


def test_the_export_of_a_model_by_itself_lies_beside_it(own_run, tmp_path):
    (own_run / "model").rename(tmp_path / "flowers")

    assert export(tmp_path / "flowers", format="litert").folder == tmp_path / "flowers-litert"


def test_an_export_of_before_is_replaced_as_a_whole(own_run, tmp_path):
    folder = export(own_run, format="litert", out=tmp_path / "out").folder
    (folder / "golden" / "0.png").unlink()
    card = ModelCard.read(folder)
    replace(card, provenance={**card.provenance, "seed": 12345}).save(folder)

    export(own_run, format="litert", out=folder)

    assert ModelCard.read(folder).provenance == card.provenance
    assert opsin.verify(folder).passed


def test_an_export_with_files_of_its_users_is_not_replaced(own_run):
    folder = export(own_run, format="litert").folder
    (folder / "deploy").mkdir()
    (folder / "deploy" / "Dockerfile").write_text("FROM scratch")
    (folder / "golden" / "0.png").write_bytes(b"mine")
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}

    with pytest.raises(UsageError, match=r"holds other files: 'deploy/Dockerfile', 'golden/0.png'\. Move them"):
        export(own_run, format="litert")

    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize("format", ["onnx", "saved_model"])
@pytest.mark.parametrize("what", ["a file", "a folder with something in it", "a run", "an export in another format"])
def test_nothing_but_an_export_of_its_kind_is_replaced(exported_run, tmp_path, format, what):
    place = tmp_path / "place"
    if what == "a file":
        place.write_text("mine")
    elif what == "a run":
        shutil.copytree(exported_run, place)
    elif what == "an export in another format":
        shutil.copytree(exported_run / "exports" / "litert", place)
    else:
        place.mkdir()
        (place / "mine").touch()
    before = entries(tmp_path)

    with pytest.raises(UsageError, match=r"Expected an empty place .* something else. Choose another with --out"):
        export(exported_run, format=format, out=place)

    assert entries(tmp_path) == before


def test_an_export_is_not_exported_again(exported_run):
    with pytest.raises(UsageError, match=r"is an export of one. Give the run folder"):
        export(exported_run / "exports" / "litert", format="onnx")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"format": "onx"},
            "as format: saved_model, litert, onnx, openvino, browser. Received 'onx'. Did you mean 'onnx'",
        ),
        ({"format": "saved_model", "int8": True}, "as format of 8-bit integers: litert, onnx, openvino. Received"),
    ],
)
def test_a_format_that_there_is_not_is_refused_with_the_choices(exported_run, options, message):
    with pytest.raises(UsageError, match=message):
        export(exported_run, **options)


def test_8_bit_integers_without_pictures_are_refused_with_what_to_do(own_run):
    environment = json.loads((own_run / "environment.json").read_text())
    (own_run / "environment.json").write_text(json.dumps({**environment, "data": "/gone"}))

    with pytest.raises(DataError, match=r"pictures that tell the ranges .* --data DATA"):
        export(own_run, format="onnx", int8=True)


def test_a_float_network_is_proved_on_the_pictures_that_are_given(own_run, tiny_data):
    data = opsin.ImageDataset.from_folder(tiny_data)

    parity = export(own_run, format="litert", data=data).parity

    # 24 that were held out, and of the 48 that were learned from as many as are missing.
    assert parity.pictures == 64


@pytest.mark.parametrize("spoiled", ["model.keras", "golden/3.png", "golden/logits.json"])
def test_a_model_that_was_altered_is_not_exported(own_run, spoiled):
    path = own_run / "model" / spoiled
    path.write_bytes(path.read_bytes() + b" ")

    with pytest.raises(ModelError, match=f"Expected '{spoiled}' .* it was altered"):
        export(own_run, format="litert")

    assert not (own_run / "exports").exists()


def test_a_model_whose_golden_pictures_lie_elsewhere_writes_nothing_elsewhere(own_run, tmp_path):
    (own_run / "payload").write_text("theirs")
    golden = own_run / "model" / "golden" / "logits.json"
    golden.write_text(golden.read_text().replace('"0.png"', '"../../payload"'))
    theirs = hashlib.sha256(b"theirs").hexdigest()
    files = hash_files(own_run / "model") | {"golden/../../payload": theirs}
    replace(ModelCard.read(own_run / "model"), files=files).save(own_run / "model")

    with pytest.raises(ModelError, match="leads out of the folder"):
        export(own_run, format="litert", out=tmp_path / "home" / "litert")

    assert not (tmp_path / "home").exists()


def test_a_missing_converter_is_an_error_with_the_install_line(own_run, monkeypatch):
    import importlib

    load = importlib.import_module

    def without_tf2onnx(name, package=None):
        if name == "tf2onnx":
            raise ModuleNotFoundError("No module named 'tf2onnx'", name="tf2onnx")
        return load(name, package)

    monkeypatch.setattr(importlib, "import_module", without_tf2onnx)

    for format in ("onnx", "openvino"):
        with pytest.raises(
            MissingPackageError, match=r"'tf2onnx'.* not installed. Install it with: pip .*'opsin\[onnx\]'"
        ):
            export(own_run, format=format)
    assert not (own_run / "exports").exists()


def test_another_backend_is_refused_with_what_to_set(own_run, monkeypatch):
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")

    with pytest.raises(UsageError, match=r"it runs on jax. Set KERAS_BACKEND=tensorflow"):
        export(own_run, format="onnx")


def test_every_step_is_said(own_run, tiny_data):
    said = []

    export(own_run, format="litert", say=said.append)

    assert said[0] == "writing litert"
    assert said[1].startswith("64 pictures compared: 100.0% of ")


def test_what_was_delivered_is_given_as_plain_values(exported_run, tmp_path):
    delivered = export(exported_run, format="litert", out=tmp_path / "out")

    document = json.loads(json.dumps(describe(delivered)))

    assert document["folder"] == str(tmp_path / "out")
    assert document["bytes"] == sum(path.stat().st_size for path in delivered.folder.rglob("*") if path.is_file())
    assert document["artefact"]["format"] == "litert"
    assert document["artefact"]["parity"]["pictures"] == 64


# Networks of other kinds.


def small(units: int, *, channels: int = 3, layer: keras.layers.Layer | None = None) -> keras.Model:
    """A network that is not trained, but says other things of other pictures."""
    image = keras.Input((24, 20, channels), name="image")
    x = keras.layers.Rescaling(1 / 64, -2)(image)
    x = keras.layers.Conv2D(6, 3, activation="relu", kernel_initializer=keras.initializers.HeNormal(seed=0))(x)
    x = keras.layers.GlobalAveragePooling2D()(x if layer is None else layer(x))
    kernel = keras.initializers.RandomNormal(stddev=2, seed=1)
    return keras.Model(image, keras.layers.Dense(units, kernel_initializer=kernel, name="logits")(x))


@pytest.fixture(scope="module")
def one_unit(tmp_path_factory):
    folder = tmp_path_factory.mktemp("one_unit") / "model"
    card = ModelCard(("cat", "dog"), Preprocess(24, 20, fit="pad", color="gray"), temperature=1.5)
    assert write_model(folder, small(1, channels=1), card) == []
    return Classifier.open(folder)


@pytest.mark.parametrize("format", FORMATS)
def test_one_sigmoid_unit_gives_both_classes(one_unit, tmp_path, format):
    images = proof_pictures.drawn(one_unit.preprocess, 5).images
    logits = one_unit.run(images).logits
    expected = 1 / (1 + np.exp(-logits / 1.5))

    exported = Classifier.open(opsin.export(one_unit, tmp_path / "out", format=format).folder)
    received = exported.probabilities(exported.run(images).logits)

    assert logits.shape == (5, 1)
    np.testing.assert_allclose(received, np.concatenate([1 - expected, expected], axis=1), atol=1e-5)


def test_one_sigmoid_unit_gives_both_classes_in_8_bit_integers(one_unit, tmp_path, tiny_data):
    data = opsin.ImageDataset.from_folder(tiny_data)

    delivered = opsin.export(one_unit, tmp_path / "out", format="litert", int8=True, data=data)

    # Of pictures that no run has an account of, every second one calibrates and the others prove.
    assert delivered.parity.pictures == 64
    assert delivered.card.artefact.output.shape == (None, 2)
    assert delivered.parity.faults == []


def test_a_recipe_that_tensorflow_cannot_follow_gives_one_signature_and_says_so(tmp_path):
    card = ModelCard(("a", "b", "c"), Preprocess(24, 20, color="lab"))
    assert write_model(tmp_path / "model", small(3), card) == []

    delivered = export(tmp_path / "model", format="saved_model")

    assert list(Classifier.open(delivered.folder).runtime._loaded.signatures) == ["serving_default"]
    assert "It takes preprocessed pictures only" in delivered.card.artefact.notes[0]
    assert "serve_bytes" not in delivered.card.artefact.parity


def test_probabilities_are_the_softmax_of_logits_over_the_temperature():
    image = keras.Input((1, 1, 3))
    network = with_probabilities(keras.Model(image, keras.layers.Flatten()(image)), 2.0)

    received = keras.ops.convert_to_numpy(network(np.log([[[[1.0, 4.0, 16.0]]]]).astype(np.float32)))

    np.testing.assert_allclose(received, [[1 / 7, 2 / 7, 4 / 7]], rtol=1e-5)


class InverseError(keras.layers.Layer):
    def call(self, x):
        return keras.ops.erfinv(x / 512)


class RunsPython(keras.layers.Layer):
    def call(self, x):
        return tf.ensure_shape(tf.py_function(lambda given: given, [x], tf.float32), x.shape)


@pytest.mark.parametrize(
    ("format", "layer", "operation"),
    [
        ("saved_model", RunsPython, "EagerPyFunc"),
        ("litert", InverseError, "Erfinv"),
        ("onnx", InverseError, "Erfinv"),
        ("onnx", RunsPython, "EagerPyFunc"),
        ("openvino", InverseError, "Erfinv"),
    ],
)
def test_a_layer_that_a_format_cannot_express_is_named(tmp_path, format, layer, operation):
    network = with_probabilities(small(2, layer=layer(name="my_layer")), 1.0)
    write = module.resolve(FORMATS[format])

    with pytest.raises(ModelError) as refused:
        write(tmp_path, network, Request(("a", "b"), Preprocess(24, 20), "name"))

    assert f"'my_layer' ({layer.__name__})" in str(refused.value)
    assert operation in str(refused.value)


def test_layers_are_known_by_the_path_of_their_nodes():
    network = small(2, layer=InverseError(name="inverse"))

    assert at_fault.name_layers(network, ["functional_1/inverse_1/erfinv/Erfinv"]) == (
        " It stands in: 'inverse' (InverseError)."
    )
    assert at_fault.name_layers(network) == " Its layers that are not of Keras: 'inverse' (InverseError)."
    assert at_fault.name_layers(small(2)) == ""


# Which pictures.


def test_as_many_pictures_of_each_class_are_taken_as_there_are(pictures):
    data = opsin.ImageDataset.from_folder(pictures({"few": 2, "many": 9, "some": 4}))

    names = proof_pictures.sample(data, Preprocess(6, 8), 8).names

    classes = [name.partition("/")[0] for name in names]
    assert {name: classes.count(name) for name in classes} == {"few": 2, "some": 3, "many": 3}
    assert names == proof_pictures.sample(data, Preprocess(6, 8), 8).names


def test_pictures_that_cannot_be_read_are_passed_over(pictures):
    folder = pictures({"cat": 3, "dog": 3})
    data = opsin.ImageDataset.from_folder(folder)
    (folder / "cat" / "1.png").write_bytes(b"none")

    found = proof_pictures.sample(data, Preprocess(6, 8), 10)

    assert sorted(found.names) == ["cat/0.png", "cat/2.png", "dog/0.png", "dog/1.png", "dog/2.png"]
    assert found.images.shape == (5, 6, 8, 3)


def test_no_picture_both_calibrates_and_proves(exported_run, tiny_data):
    data = opsin.ImageDataset.from_folder(tiny_data)
    classifier = Classifier.open(exported_run)

    first, others = proof_pictures.share_out(classifier, data)

    learned = opsin.ImageDataset.from_folder(tiny_data).split(seed=0).train
    assert set(first.names) == set(learned.names)
    assert set(first.names) | set(others.names) == set(data.names)
    assert not set(first.names) & set(others.names)
