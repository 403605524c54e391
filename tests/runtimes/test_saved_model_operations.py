from collections.abc import Callable
from pathlib import Path

import keras
import pytest
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2
from tensorflow.python.framework import op_def_registry

from opsin.errors import ModelError
from opsin.runtimes.saved_model import SavedModelRuntime
from opsin.runtimes.saved_model_operations import HARMLESS, OF_THE_SAVER, require_harmless

IMAGES = tf.TensorSpec((None, 4, 4, 3), tf.float32, name="image")


def save(folder: Path, compute: Callable) -> Path:
    """Save a SavedModel of one variable whose signature is `compute`."""
    module = tf.Module()
    module.weight = tf.Variable(2.0)
    function = tf.function(lambda image: {"out": compute(image) * module.weight}, input_signature=[IMAGES])
    tf.saved_model.save(module, str(folder), function)
    return folder


def change(folder: Path, alter: Callable) -> Path:
    """Rewrite the program after `alter` has changed its graph."""
    path = folder / "saved_model.pb"
    program = saved_model_pb2.SavedModel.FromString(path.read_bytes())
    alter(program.meta_graphs[0])
    path.write_bytes(program.SerializeToString())
    return folder


@pytest.fixture
def plain(tmp_path) -> Path:
    return save(tmp_path / "model", lambda image: image + 1.0)


def assert_refused(folder: Path, complaint: str) -> None:
    with pytest.raises(ModelError, match=complaint):
        require_harmless(folder)


def decode(files: tf.Tensor) -> tf.Tensor:
    read = lambda content: tf.cast(tf.io.decode_image(content, 3, expand_animations=False), tf.float32)  # noqa: E731
    resize = lambda image: tf.image.resize(tf.ensure_shape(image, (None, None, 3)), (4, 4), antialias=True)  # noqa: E731
    return tf.map_fn(lambda content: resize(read(content)), files, fn_output_signature=tf.float32)


def _layers() -> list[keras.Layer]:
    layers = keras.layers
    return [
        *(layers.RandomFlip(), layers.RandomRotation(0.1), layers.RandomZoom(0.1), layers.RandomContrast(0.1)),
        *(layers.Rescaling(1 / 255), layers.Conv2D(4, 3), layers.BatchNormalization(), layers.ReLU(6.0)),
        *(layers.DepthwiseConv2D(3, padding="same"), layers.GroupNormalization(2), layers.PReLU(), layers.Dropout(0.5)),
        *(layers.SeparableConv2D(4, 3, activation="gelu"), layers.UpSampling2D(), layers.MaxPooling2D()),
        *(layers.Conv2DTranspose(4, 3), layers.Resizing(6, 6), layers.CenterCrop(4, 4), layers.LayerNormalization()),
        *(layers.GlobalAveragePooling2D(), layers.Dense(4, activation="silu"), layers.Dense(2, activation="softmax")),
    ]


def test_what_keras_exports_of_many_layers_passes(tmp_path):
    network = keras.Sequential([keras.Input((16, 16, 3)), *_layers()])

    network.export(tmp_path / "model", verbose=False)

    require_harmless(tmp_path / "model")


def test_a_network_in_training_passes(tmp_path):
    network = keras.Sequential([keras.layers.Dropout(0.5), keras.layers.BatchNormalization()])
    network.build((None, 4, 4, 3))
    module = tf.Module()
    module.variables_of_it = [variable.value for variable in network.variables]
    module.seeds = [variable.value for variable in network.non_trainable_variables]
    function = tf.function(lambda image: network(image, training=True), input_signature=[IMAGES])
    tf.saved_model.save(module, str(tmp_path / "model"), function)

    require_harmless(tmp_path / "model")


def test_a_program_that_decodes_pictures_and_looks_labels_up_passes(tmp_path):
    module = tf.Module()
    names = tf.lookup.KeyValueTensorInitializer(tf.constant([0, 1], tf.int64), tf.constant(["cat", "dog"]))
    module.labels = tf.lookup.StaticHashTable(names, "none")

    def name(files):
        return module.labels.lookup(tf.argmax(tf.reduce_mean(decode(files), (1, 2)), -1))

    function = tf.function(name, input_signature=[tf.TensorSpec((None,), tf.string)], autograph=False)
    tf.saved_model.save(module, str(tmp_path / "model"), function)

    require_harmless(tmp_path / "model")


def _write(image):
    with tf.control_dependencies([tf.io.write_file("written.txt", "evil")]):
        return tf.identity(image)


def _read(image):
    return image + tf.cast(tf.strings.length(tf.io.read_file("/etc/passwd")), tf.float32)


def _read_when_asked(image):
    inner = tf.function(lambda: tf.cast(tf.strings.length(tf.io.read_file("/etc/passwd")), tf.float32))
    outer = tf.function(lambda: inner() + 1.0)
    return image + tf.cond(tf.reduce_any(image > 1e9), outer, lambda: 0.0)


def _read_in_a_loop(image):
    return image + tf.map_fn(
        lambda one: tf.cast(tf.strings.length(tf.io.read_file("x")), tf.float32), image[:, 0, 0, 0]
    )


def _save(image):
    with tf.control_dependencies(
        [tf.raw_ops.SaveV2(prefix="x", tensor_names=["a"], shape_and_slices=[""], tensors=[1])]
    ):
        return tf.identity(image)


def _restore(image):
    found = tf.raw_ops.RestoreV2(prefix="x", tensor_names=["a"], shape_and_slices=[""], dtypes=[tf.float32])
    return image + found[0]


def _print_to_a_file(image):
    with tf.control_dependencies([tf.print("evil", output_stream="file://written.txt")]):
        return tf.identity(image)


def _run_python(image):
    return tf.ensure_shape(tf.numpy_function(lambda x: x, [image], tf.float32), image.shape)


def _list_files(image):
    return image + tf.cast(tf.size(tf.io.matching_files("/*")), tf.float32)


ATTACKS = {
    "WriteFile": _write,
    "ReadFile": _read,
    "ReadFile in a nested function": _read_when_asked,
    "ReadFile in a loop": _read_in_a_loop,
    "SaveV2": _save,
    "RestoreV2": _restore,
    "PrintV2": _print_to_a_file,
    "PyFunc": _run_python,
    "MatchingFiles": _list_files,
}


@pytest.mark.parametrize("name", ATTACKS)
def test_an_operation_that_does_more_than_compute_is_named_and_not_loaded(name, tmp_path, monkeypatch):
    folder = save(tmp_path / "model", ATTACKS[name])
    monkeypatch.setattr(tf.saved_model, "load", None)

    with pytest.raises(ModelError, match=f"not known to be harmless: {name.split()[0]}\\. It was not loaded"):
        SavedModelRuntime(folder, None)


def saver_of(graph) -> str:
    """Return the name of the function that writes the variables."""
    (name,) = (
        function.signature.name
        for function in graph.graph_def.library.function
        if any(node.op == "SaveV2" for node in function.node_def)
    )
    return name


def signature_of(graph):
    """Return the function that has the signature's arithmetic in it."""
    return next(f for f in graph.graph_def.library.function if any(node.op == "Mul" for node in f.node_def))


def _call_by_name(graph):
    signature_of(graph).node_def.add(name="evil", op=saver_of(graph))


def _call_by_attribute(graph):
    node = signature_of(graph).node_def.add(name="evil", op="PartitionedCall")
    node.attr["f"].func.name = saver_of(graph)


def _call_by_a_list(graph):
    node = signature_of(graph).node_def.add(name="evil", op="Case")
    node.attr["branches"].list.func.add(name=saver_of(graph))


def _hand_on(graph):
    function = signature_of(graph)
    node = function.node_def.add(name="evil", op="PartitionedCall")
    node.attr["f"].func.name = function.signature.name
    node.attr["f"].func.attr["g"].func.name = saver_of(graph)


def _call_from_the_graph(graph):
    node = graph.graph_def.node.add(name="evil", op="PartitionedCall")
    node.attr["f"].func.name = saver_of(graph)


def _follow_the_saver(graph):
    graph.graph_def.node.add(name="evil", op="Identity", input=[graph.saver_def.save_tensor_name])


def _wait_for_the_saver(graph):
    graph.graph_def.node.add(name="evil", op="NoOp", input=["^" + graph.saver_def.save_tensor_name.partition(":")[0]])


def _sign_the_saver(graph):
    graph.signature_def["serving_default"].outputs["out"].name = graph.saver_def.save_tensor_name


def _bind_as_concrete(graph):
    graph.object_graph_def.concrete_functions[saver_of(graph)].SetInParent()


def _bind_as_function(graph):
    graph.object_graph_def.nodes.add().function.concrete_functions.append(saver_of(graph))


def _bind_as_bare_function(graph):
    graph.object_graph_def.nodes.add().bare_concrete_function.concrete_function_name = saver_of(graph)


def _bind_as_gradient(graph):
    graph.graph_def.library.gradient.add(function_name="x", gradient_func=saver_of(graph))


WAYS_TO_THE_SAVER = [
    _call_by_name,
    _call_by_attribute,
    _call_by_a_list,
    _hand_on,
    _call_from_the_graph,
    _follow_the_saver,
    _wait_for_the_saver,
    _sign_the_saver,
    _bind_as_concrete,
    _bind_as_function,
    _bind_as_bare_function,
    _bind_as_gradient,
]


def test_what_writes_the_variables_may_be_there(plain):
    require_harmless(plain)


@pytest.mark.parametrize("alter", WAYS_TO_THE_SAVER, ids=lambda alter: alter.__name__)
def test_nothing_else_may_come_to_call_what_writes_the_variables(plain, alter):
    assert_refused(change(plain, alter), "harmless: .*SaveV2")


def test_a_function_that_is_called_as_an_operation_is_hides_nothing(plain):
    def disguise(graph):
        graph.graph_def.library.function.add().signature.name = "WriteFile"
        signature_of(graph).node_def.add(name="evil", op="WriteFile")

    assert_refused(change(plain, disguise), "called as operations are: WriteFile")


def test_a_program_of_tensorflow_1_is_refused(plain):
    assert_refused(change(plain, lambda graph: graph.ClearField("object_graph_def")), "of TensorFlow 1")


def test_a_second_graph_is_refused(plain):
    path = plain / "saved_model.pb"
    program = saved_model_pb2.SavedModel.FromString(path.read_bytes())
    program.meta_graphs.add().CopyFrom(program.meta_graphs[0])
    path.write_bytes(program.SerializeToString())

    assert_refused(plain, "several graphs")


def test_a_second_program_in_parts_is_refused(plain):
    (plain / "saved_model.cpb").write_bytes((plain / "saved_model.pb").read_bytes())

    assert_refused(plain, r"second program, saved_model\.cpb")


def test_what_is_no_program_is_refused(tmp_path):
    assert_refused(tmp_path, "cannot be read as one")
    (tmp_path / "saved_model.pb").write_bytes(b"\xff\xff")
    assert_refused(tmp_path, "cannot be read as one")


def test_every_name_of_the_list_is_an_operation_of_tensorflow():
    assert [name for name in sorted(HARMLESS | OF_THE_SAVER) if op_def_registry.get(name) is None] == []


def test_no_operation_of_the_list_touches_files_or_other_machines():
    words = (
        "File",
        "Save",
        "Restore",
        "Checkpoint",
        "Py",
        "Print",
        "Send",
        "Recv",
        "Dataset",
        "Remote",
        "Rpc",
        "Summary",
    )

    assert [name for name in sorted(HARMLESS) if any(word in name for word in words)] == []
