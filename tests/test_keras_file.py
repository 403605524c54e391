import io
import json
import stat
import subprocess
import sys
import zipfile
from pathlib import Path

import h5py
import keras
import numpy as np
import pytest

from opsin.architectures import ARCHITECTURES, build_network
from opsin.architectures.scratch_entries import SCRATCH
from opsin.errors import ModelError
from opsin.keras_file import CONFIG, SIZE_LIMITS, WEIGHTS, require_harmless
from opsin.runtimes.keras import load_keras

SLOW = {"alexnet", "vgg11", "resnet18"}
DEEPER = {"vgg13", "resnet34", "resnet32", "resnet44", "resnet56", "resnet164"}
"""Of the same layers as others."""
GRAPHS = ("mobilenet_v2", "efficientnet_b0", "convnext_tiny")
METADATA = "metadata.json"


def network(*layers: keras.Layer) -> keras.Sequential:
    return keras.Sequential([keras.Input((4, 4, 3)), *layers, keras.layers.Flatten(), keras.layers.Dense(2)])


@pytest.fixture
def saved(tmp_path) -> Path:
    network().save(tmp_path / "model.keras")
    return tmp_path / "model.keras"


def parts_of(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def pack(path: Path, parts: dict[str, bytes], method: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return path


def with_config(path: Path, change) -> Path:
    """Rewrite the file with what `change` makes of the config of its dense layer, the last."""
    parts = parts_of(path)
    config = json.loads(parts[CONFIG])
    change(config["config"]["layers"][-1])
    return pack(path, {**parts, CONFIG: json.dumps(config).encode()})


def with_weights(path: Path, write) -> Path:
    parts = parts_of(path)
    buffer = io.BytesIO(parts[WEIGHTS])
    with h5py.File(buffer, "r+") as file:
        write(file)
    return pack(path, {**parts, WEIGHTS: buffer.getvalue()})


@pytest.fixture
def keras_sees_nothing(monkeypatch):
    """Fail as soon as Keras is given a file or a config."""

    def seen(*arguments, **options):
        raise AssertionError("Keras saw the file")

    monkeypatch.setattr(keras.saving, "load_model", seen)
    monkeypatch.setattr(keras.saving, "deserialize_keras_object", seen)


def assert_refused(path: Path, complaint: str) -> None:
    with pytest.raises(ModelError, match=complaint) as refused:
        load_keras(path)
    assert "Keras saw" not in str(refused.value)


def _catalogue() -> list:
    names = (*SCRATCH, *GRAPHS)
    marks = {**dict.fromkeys(SLOW, pytest.mark.slow), **dict.fromkeys(DEEPER, pytest.mark.exhaustive)}
    return [pytest.param(name, marks=[marks[name]] if name in marks else []) for name in names]


@pytest.mark.parametrize("name", _catalogue())
def test_every_network_of_ours_opens(name, tmp_path):
    architecture = ARCHITECTURES[name]
    size = max(architecture.least_size, 32)
    build_network(name, (size, size, 1 if architecture.color == "gray" else 3), 3).save(tmp_path / "model.keras")

    assert load_keras(tmp_path / "model.keras").network.outputs[0].shape == (None, 3)


def _everything() -> keras.Model:
    """Return a network of many kinds of things that a config can hold."""
    layers, ops = keras.layers, keras.ops
    inner = keras.Sequential([keras.Input((4,)), layers.Dense(4), layers.LeakyReLU()])
    inner.compile("adam", keras.losses.SparseCategoricalCrossentropy(), [keras.metrics.TopKCategoricalAccuracy()])
    image = keras.Input((16, 16, 3))
    x = layers.RandomRotation(0.1)(layers.RandomFlip()(image))
    x = layers.Normalization(mean=[1, 2, 3], variance=[1, 1, 1])(layers.RandomContrast(0.1)(x))
    x = layers.Conv2D(4, 3, kernel_regularizer="l2", kernel_constraint="max_norm", activation=keras.activations.gelu)(x)
    x = layers.SpectralNormalization(layers.Conv2D(4, 3))(layers.Resizing(8, 8)(x))[:, 1:, ::2]
    x = ops.cast(ops.concatenate([ops.mean(x, axis=2)] * 2, axis=1), "float32") * 2 + ops.ones((1, 1, 4))
    x = layers.Bidirectional(layers.LSTM(2))(layers.MultiHeadAttention(2, 4)(x, x))
    x = inner(layers.Activation(ops.silu)(x))
    return keras.Model(image, layers.Dense(3, dtype="float32")(layers.Dense(3, dtype="bfloat16")(x)))


def test_a_network_of_many_kinds_of_layers_and_operations_opens(tmp_path):
    source = _everything()
    # What it was compiled with is no part of what is opened.
    source.compile("adam", loss=lambda expected, received: 0.0)
    source.save(tmp_path / "model.keras")
    images = np.random.default_rng(0).uniform(0, 255, (2, 16, 16, 3)).astype("float32")

    opened = load_keras(tmp_path / "model.keras")

    np.testing.assert_array_equal(opened.run(images).logits, np.asarray(source(images, training=False)))


def test_a_network_is_built_once(saved, monkeypatch):
    built = []
    build = keras.saving.deserialize_keras_object
    monkeypatch.setattr(keras.saving, "load_model", None)
    monkeypatch.setattr(
        keras.saving, "deserialize_keras_object", lambda *a, **k: built.append(build(*a, **k)) or built[0]
    )

    opened = load_keras(saved).network

    assert len(built) == 1
    assert built[0].layers[-1] in opened.layers


def test_a_packed_file_opens(saved):
    assert load_keras(pack(saved, parts_of(saved), zipfile.ZIP_DEFLATED)).input_shape == (4, 4, 3)


def test_a_file_is_inspected_without_keras(saved):
    code = (
        "import sys\nfrom opsin.keras_file import require_harmless\n"
        f"require_harmless({str(saved)!r})\nassert 'keras' not in sys.modules"
    )

    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.usefixtures("keras_sees_nothing")
@pytest.mark.parametrize("name", ["../evil.py", "/tmp/evil.py", "assets/vocabulary.txt", "model.weights.npz"])
def test_a_member_too_many_is_refused(saved, name):
    assert_refused(pack(saved, {**parts_of(saved), name: b"1"}), f"nothing else; .*{name}")


@pytest.mark.usefixtures("keras_sees_nothing")
def test_a_member_too_few_is_refused(saved):
    parts = parts_of(saved)
    del parts[METADATA]

    assert_refused(pack(saved, parts), "each once and nothing else")


@pytest.mark.usefixtures("keras_sees_nothing")
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_member_that_is_there_twice_is_refused(saved):
    with zipfile.ZipFile(saved, "a") as archive:
        archive.writestr(CONFIG, "{}")

    assert_refused(saved, "each once")


@pytest.mark.usefixtures("keras_sees_nothing")
def test_a_link_is_refused(saved):
    parts = parts_of(saved)
    with zipfile.ZipFile(saved, "w") as archive:
        for name in (METADATA, CONFIG):
            archive.writestr(name, parts[name])
        link = zipfile.ZipInfo(WEIGHTS)
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(link, "/etc/passwd")

    assert_refused(saved, f"{WEIGHTS}', which is a link")


@pytest.mark.usefixtures("keras_sees_nothing")
def test_an_encrypted_member_is_refused(saved):
    content = bytearray(saved.read_bytes())
    # The flags in the directory at the end of a zip, 8 bytes into the entry.
    content[content.rindex(b"PK\x01\x02") + 8] |= 1
    saved.write_bytes(content)

    assert_refused(saved, "which is encrypted")


@pytest.mark.usefixtures("keras_sees_nothing")
def test_a_method_that_python_unpacks_without_a_limit_is_refused(saved):
    assert_refused(pack(saved, parts_of(saved), zipfile.ZIP_BZIP2), "packed by method 12")


@pytest.mark.usefixtures("keras_sees_nothing")
def test_a_zip_bomb_is_refused_before_it_is_unpacked(saved, monkeypatch):
    pack(saved, {**parts_of(saved), WEIGHTS: bytes(20_000_000)}, zipfile.ZIP_DEFLATED)
    monkeypatch.setattr(zipfile.ZipFile, "read", None)

    assert_refused(saved, "20000000 bytes packed into .*, a ratio of 200")


@pytest.mark.usefixtures("keras_sees_nothing")
def test_a_config_of_many_megabytes_is_refused(saved):
    content = bytes(SIZE_LIMITS[CONFIG] + 1)

    assert_refused(pack(saved, {**parts_of(saved), CONFIG: content}), "67108865 bytes, 67108864 at most are allowed")


def _object(module: str | None, name: str, config=None, **more) -> dict:
    return {"module": module, "class_name": name, "config": {} if config is None else config, **more}


FOREIGN = {
    "lambda layer": (_object("keras.layers", "Lambda"), "Lambda of keras.layers .runs code"),
    "lambda": (_object(None, "__lambda__", {"value": "x"}), "__lambda__ of no module .runs code"),
    "torch": (_object("keras.layers", "TorchModuleWrapper"), "TorchModuleWrapper .*unpickles"),
    "SavedModel": (_object("keras.layers", "TFSMLayer", {"filepath": "/x"}), "TFSMLayer .*is a program"),
    "jax": (_object("keras.layers", "JaxLayer"), "JaxLayer .*calls functions"),
    "flax": (_object("keras.layers", "FlaxLayer"), "FlaxLayer .*calls functions"),
    "lookup": (_object("keras.layers", "StringLookup", {"vocabulary": "/etc/passwd"}), "StringLookup .*a file"),
    "integers": (_object("keras.layers", "IntegerLookup"), "IntegerLookup .*a file"),
    "text": (_object("keras.layers", "TextVectorization"), "TextVectorization .*a file"),
    "foreign module": (_object("os", "system"), "system of os"),
    "foreign class": (
        _object("evil", "Layer", registered_name="evil>Layer"),
        "Layer of evil .registered as evil>Layer",
    ),
    "foreign behind ours": (_object("keras.layers", "Dense", registered_name="evil>Dense"), "registered as evil>Dense"),
    "private module": (_object("keras.src.utils.file_utils", "get_file"), "get_file of keras.src.utils.file_utils"),
    "through a dot": (_object("keras", "utils.get_file"), "utils.get_file of keras"),
    "through two": (_object("keras.losses", "X.y"), "X.y of keras.losses"),
    "downloads": (_object("keras.utils", "function", "get_file", registered_name="get_file"), "the function get_file"),
    "makes objects": (_object("keras.losses", "function", "deserialize"), "the function deserialize"),
    "operation with code": (_object("keras.src.ops.core", "Map"), "Map of keras.src.ops.core"),
    "type of TensorFlow": (
        {"class_name": "__typespec__", "spec_name": "X", "module": "os", "config": [], "registered_name": None},
        "__typespec__ of os",
    ),
    "old format": ({"class_name": "Dense", "config": {"units": 1}}, "Dense of no module"),
    "no name": (_object("keras.layers", None), "None of keras.layers"),
    "a list for a name": (_object("keras.layers", ["Dense"]), "Dense.* of keras.layers"),
}


@pytest.mark.usefixtures("keras_sees_nothing")
@pytest.mark.parametrize(("thing", "complaint"), FOREIGN.values(), ids=FOREIGN)
def test_what_is_not_known_to_be_harmless_is_refused_however_deep_it_is(saved, thing, complaint):
    def hide(layer):
        layer["config"]["kernel_initializer"] = _object("keras.initializers", "Zeros", {"deep": [{"down": thing}]})

    assert_refused(with_config(saved, hide), complaint)


def test_a_real_lambda_layer_is_refused_and_opens_when_trusted(tmp_path):
    network(keras.layers.Lambda(lambda x: x * 2, output_shape=(4, 4, 3))).save(tmp_path / "model.keras")

    assert_refused(tmp_path / "model.keras", "Lambda of keras.layers .*--trust")
    assert load_keras(tmp_path / "model.keras", trust=True).input_shape == (4, 4, 3)


def test_a_class_that_this_program_registered_opens_and_is_unknown_to_others(tmp_path):
    @keras.saving.register_keras_serializable("mine")
    class Twice(keras.layers.Layer):
        def call(self, x):
            return x * 2

    network(Twice()).save(tmp_path / "model.keras")
    try:
        assert load_keras(tmp_path / "model.keras").input_shape == (4, 4, 3)
    finally:
        del keras.saving.get_custom_objects()["mine>Twice"]
    assert_refused(tmp_path / "model.keras", "Twice of .*registered as mine>Twice")


@pytest.mark.parametrize("config", [b"[1]", b"{}", b"{", b"\xff\xff", b"[" * 100_000], ids=lambda text: str(text[:2]))
@pytest.mark.usefixtures("keras_sees_nothing")
def test_a_config_that_describes_no_network_is_refused(saved, config):
    assert_refused(pack(saved, {**parts_of(saved), CONFIG: config}), "Expected")


def _declare_much(file):
    file.create_dataset("much", (2**40, 2**40), "float32", chunks=(1024, 1))


def _declare_more_than_is_there(file):
    file.create_dataset("much", (10**9,), "float32", chunks=(1024,))


def _link_to_a_file(file):
    file["secret"] = h5py.ExternalLink("/etc/passwd", "/")


def _link_within(file):
    file["round"] = h5py.SoftLink("/")


def _keep_elsewhere(file):
    file.create_dataset("secret", (4,), "uint8", external=[("/etc/passwd", 0, 4)])


def _gather_elsewhere(file):
    layout = h5py.VirtualLayout((4,), "float32")
    layout[:] = h5py.VirtualSource("/tmp/other.h5", "x", (4,))
    file.create_virtual_dataset("secret", layout)


def _hold_texts(file):
    file.create_dataset("texts", data=["a", "b"], dtype=h5py.string_dtype())


WEIGHTS_OF_ATTACKS = {
    _declare_much: "at most 4,000,000,000 parameters; .*declares 1,208,925,819,614",
    _declare_more_than_is_there: "weights that are there; .*declares 40000",
    _link_to_a_file: "has the link 'secret'",
    _link_within: "has the link 'round'",
    _keep_elsewhere: "plain arrays of numbers; .*secret",
    _gather_elsewhere: "plain arrays of numbers; .*secret",
    _hold_texts: "plain arrays of numbers; .*texts",
}


@pytest.mark.usefixtures("keras_sees_nothing")
@pytest.mark.parametrize(
    ("write", "complaint"), WEIGHTS_OF_ATTACKS.items(), ids=lambda one: getattr(one, "__name__", "")
)
def test_weights_that_are_more_than_plain_arrays_are_refused(saved, write, complaint):
    assert_refused(with_weights(saved, write), complaint)


def test_groups_that_hold_each_other_are_read_once(saved):
    def tie(file):
        file["layers/round"] = file["/"]

    assert require_harmless(with_weights(saved, tie))["class_name"] == "Sequential"


def test_a_network_of_more_parameters_than_its_weights_say_is_refused_and_not_built(saved):
    def grow(layer):
        layer["config"]["units"] = 10**9

    waiting = keras.src.backend.common.global_state.get_global_attribute("uninitialized_variables") or []
    before = len(waiting)

    assert_refused(with_config(saved, grow), "declares 49,000,000,000")
    # What Keras was told to build later would be built by whatever comes next.
    assert len(keras.src.backend.common.global_state.get_global_attribute("uninitialized_variables")) == before


@pytest.mark.usefixtures("keras_sees_nothing")
@pytest.mark.parametrize(
    ("name", "complaint"),
    [
        ("model.h5", "may hold code .*--trust"),
        ("model.HDF5", "may hold code .*--trust"),
        ("model.pkl", "a pickle is a program"),
        ("model.pt", "a pickle is a program"),
        ("model.pth", "a pickle is a program"),
        ("model.zip", "no other kind is known"),
        ("folder", "no other kind is known"),
    ],
)
def test_other_kinds_of_files_are_refused_unread(tmp_path, name, complaint):
    assert_refused(tmp_path / name, complaint)


def test_a_trusted_h5_model_opens_and_a_trusted_pickle_does_not(tmp_path):
    network().save(tmp_path / "model.h5")

    assert load_keras(tmp_path / "model.h5", trust=True).input_shape == (4, 4, 3)
    with pytest.raises(ModelError, match="a pickle is a program"):
        load_keras(tmp_path / "model.pkl", trust=True)


@pytest.mark.usefixtures("keras_sees_nothing")
@pytest.mark.parametrize("content", [None, b"", b"PK\x03\x04", b"\x89HDF\r\n\x1a\n"])
def test_what_is_no_zip_is_refused(tmp_path, content):
    if content is not None:
        (tmp_path / "model.keras").write_bytes(content)

    assert_refused(tmp_path / "model.keras", "Expected a .keras file")


def test_weights_that_are_damaged_are_an_error_in_words(saved):
    parts = parts_of(saved)

    assert_refused(pack(saved, {**parts, WEIGHTS: parts[WEIGHTS][:600]}), "none or damaged")
