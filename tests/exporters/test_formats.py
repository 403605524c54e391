"""What each format is, seen by its own tools."""

import gc
import json

import keras
import numpy as np
import onnx
import onnxruntime
import openvino
import pytest
import tensorflow as tf
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter
from tf2onnx.graph import Graph

from opsin.classifier import Classifier, softmax
from opsin.exporters import FORMATS, IN_INT8
from opsin.exporters import onnx as onnx_format
from opsin.exporters import openvino as openvino_format
from opsin.exporters.litert import convert_to_int8, name_ends
from opsin.exporters.onnx import convert_to_onnx
from opsin.exporters.written import Request
from opsin.images.drawing import draw_picture
from opsin.images.preprocess import Preprocess
from opsin.runtimes.views import run_in_views

FLOAT = tuple(FORMATS)
INT8 = tuple(f"{format}-int8" for format in IN_INT8)
NAMES = ("checks", "discs", "stripes")
SHIFT = 0.1
"""How far a probability of 8-bit integers may be off on a picture that is none of its kind."""


@pytest.fixture(scope="module")
def expected(exported_run, images) -> np.ndarray:
    """The network's own probabilities, by the twin and by hand: logits over the temperature, and softmax."""
    return softmax(Classifier.open(exported_run).run(images).logits, 2.5)


@pytest.fixture
def served(exported_run):
    return tf.saved_model.load(str(exported_run / "exports" / "saved_model" / "1"))


@pytest.mark.parametrize("engine", FLOAT)
def test_any_number_of_pictures_gets_the_calibrated_probabilities_of_the_network(
    exported_run, images, expected, engine
):
    exported = Classifier.open(exported_run, engine if engine != "litert" else None)
    if engine == "litert":
        exported = Classifier.open(exported_run / "exports" / "litert")

    for count in (1, 7, 3):
        received = exported.probabilities(exported.run(images[:count]).logits)
        np.testing.assert_allclose(received, expected[:count], atol=1e-5)


@pytest.mark.parametrize("engine", INT8)
def test_any_number_of_pictures_gets_nearly_the_same_from_8_bit_integers(exported_run, images, expected, engine):
    exported = Classifier.open(exported_run, engine)

    for count in (1, 7, 3):
        received = exported.probabilities(exported.run(images[:count]).logits)
        assert np.abs(received - expected[:count]).mean() < SHIFT


def test_a_zero_in_8_bit_integers_is_a_small_probability_that_another_view_may_outweigh(
    exported_run, images, monkeypatch
):
    runtime = Classifier.open(exported_run, "litert-int8").runtime
    views = iter(np.float32([[[0.5, 0.5, 0]], [[0.5, 0, 0.5]]]))
    monkeypatch.setattr(runtime._network, "run", lambda images: [next(views)])

    received = softmax(run_in_views(runtime.run, images[:1], flips=True, shifts=False).logits, 1.0)

    # All zeros together are taken for half a step, which is 1/512.
    small = np.sqrt(0.5 / 512 / 3)
    np.testing.assert_allclose(received, np.array([[0.5, small, small]]) / (0.5 + 2 * small), rtol=1e-4)


def test_zeros_of_a_thousand_classes_in_8_bit_integers_leave_the_others_their_probability(
    exported_run, images, monkeypatch
):
    runtime = Classifier.open(exported_run, "litert-int8").runtime
    monkeypatch.setattr(runtime._network, "run", lambda images: [np.eye(1, 1000, dtype=np.float32)])

    assert softmax(runtime.run(images[:1]).logits, 1.0)[0, 0] == pytest.approx(1, abs=1 / 500)


@pytest.mark.parametrize("engine", [*FLOAT, *INT8])
def test_its_card_says_what_it_is(exported_run, engine):
    card = Classifier.open(_folder(exported_run, engine)).card
    artefact, model = card.artefact, Classifier.open(exported_run).card
    low, high, dtype = (0.0, 255.0, "uint8") if engine == "litert-int8" else (0.0, 1.0, "float32")

    assert (card.class_names, card.preprocess, card.provenance) == (
        model.class_names,
        model.preprocess,
        model.provenance,
    )
    # Applied inside: what comes out must not be divided again.
    assert (card.temperature, artefact.temperature) == (1.0, 2.5)
    assert (artefact.format, artefact.int8) == (engine.removesuffix("-int8"), engine.endswith("-int8"))
    assert (artefact.input.name, artefact.input.dtype) == ("image", dtype)
    assert (artefact.input.shape, artefact.input.low, artefact.input.high) == ((None, 24, 24, 3), 0.0, 255.0)
    assert (artefact.output.name, artefact.output.dtype, artefact.output.shape) == ("probabilities", dtype, (None, 3))
    assert (artefact.output.low, artefact.output.high) == (low, high)
    assert artefact.source == model.sha256
    assert {"opsin", "keras", "tensorflow"} <= artefact.versions.keys()
    assert artefact.parity["pictures"] >= 64
    assert artefact.parity["agreement"] >= (0.95 if artefact.int8 else 1)
    assert {"golden/0.png", "golden/7.png", "golden/probabilities.json"} <= card.files.keys()


def _folder(run, engine):
    return run / "exports" / engine


def test_a_saved_model_is_a_numbered_version_and_nothing_else_lies_beside_it(exported_run):
    assert [path.name for path in (exported_run / "exports" / "saved_model").iterdir()] == ["1"]


def test_a_saved_model_has_three_signatures_with_their_names(served):
    found = {name: _ends(signature) for name, signature in served.signatures.items()}

    assert found == {
        "serving_default": ({"image": ("float32", [None, 24, 24, 3])}, {"probabilities": ("float32", [None, 3])}),
        "serve_bytes": ({"image_bytes": ("string", [None])}, {"probabilities": ("float32", [None, 3])}),
        "classify": (
            {"inputs": ("string", [None])},
            {"classes": ("string", [None, 3]), "scores": ("float32", [None, 3])},
        ),
    }


def _ends(signature) -> tuple[dict, dict]:
    inputs = signature.structured_input_signature[1]
    return tuple(
        {name: (end.dtype.name, end.shape.as_list()) for name, end in ends.items()}
        for ends in (inputs, signature.structured_outputs)
    )


def test_a_saved_model_reads_whole_files_of_different_sizes(served, exported_run):
    classifier = Classifier.open(exported_run)
    files = [tf.io.encode_png(draw_picture(n, 30 + 9 * n, 60 - 5 * n)).numpy() for n in range(3)]

    received = served.signatures["serve_bytes"](image_bytes=tf.constant(files))["probabilities"].numpy()

    expected = [classifier.predict(file).probabilities for file in files]
    np.testing.assert_allclose(received, expected, atol=0.01)


def test_a_saved_model_classifies_examples_most_probable_class_first(served, exported_run):
    file = tf.io.encode_png(draw_picture(1, 40, 50)).numpy()
    feature = {"image/encoded": tf.train.Feature(bytes_list=tf.train.BytesList(value=[file]))}
    example = tf.train.Example(features=tf.train.Features(feature=feature)).SerializeToString()

    received = served.signatures["classify"](inputs=tf.constant([example, example]))

    expected = Classifier.open(exported_run).predict(file).top(3)
    assert [name.decode() for name in received["classes"].numpy()[1]] == [name for name, _ in expected]
    np.testing.assert_allclose(received["scores"].numpy()[1], [share for _, share in expected], atol=0.01)


def test_a_server_takes_classify_for_a_classifier(exported_run):
    from tensorflow.core.protobuf import saved_model_pb2

    content = (exported_run / "exports" / "saved_model" / "1" / "saved_model.pb").read_bytes()
    signatures = saved_model_pb2.SavedModel.FromString(content).meta_graphs[0].signature_def

    assert signatures["classify"].method_name == "tensorflow/serving/classify"
    assert signatures["serving_default"].method_name == "tensorflow/serving/predict"


@pytest.mark.parametrize("engine", ["litert", "litert-int8"])
def test_a_litert_file_has_built_in_operations_only(exported_run, engine):
    model = schema.Model.GetRootAs((_folder(exported_run, engine) / "model.tflite").read_bytes(), 0)
    codes = [model.OperatorCodes(i) for i in range(model.OperatorCodesLength())]

    assert [code.CustomCode() for code in codes if code.CustomCode()] == []
    assert schema.BuiltinOperator.CUSTOM not in {code.BuiltinCode() for code in codes}


def test_a_litert_file_names_its_ends_and_takes_any_number_of_pictures(exported_run):
    runner = Interpreter(str(_folder(exported_run, "litert") / "model.tflite")).get_signature_runner("serving_default")
    (image,), (probabilities,) = runner.get_input_details().items(), runner.get_output_details().items()

    assert (image[0], image[1]["dtype"], image[1]["shape_signature"].tolist()) == ("image", np.float32, [-1, 24, 24, 3])
    assert (probabilities[0], probabilities[1]["dtype"]) == ("probabilities", np.float32)


def test_a_litert_file_of_8_bit_integers_has_no_floats_at_all(exported_run):
    interpreter = Interpreter(str(_folder(exported_run, "litert-int8") / "model.tflite"))
    runner = interpreter.get_signature_runner()
    image, probabilities = runner.get_input_details()["image"], runner.get_output_details()["probabilities"]

    # One step of the input is one step of a pixel; a probability is its output divided by 256.
    assert (image["dtype"], image["quantization"]) == (np.uint8, (1.0, 0))
    assert (probabilities["dtype"], probabilities["quantization"]) == (np.uint8, (1 / 256, 0))
    assert image["shape_signature"].tolist() == [-1, 24, 24, 3]
    assert not [end["name"] for end in interpreter.get_tensor_details() if np.issubdtype(end["dtype"], np.floating)]


@pytest.mark.parametrize("engine", ["onnx", "onnx-int8"])
def test_an_onnx_file_has_one_input_and_one_output_for_any_number_of_pictures(exported_run, engine):
    path = _folder(exported_run, engine) / "model.onnx"
    model = onnx.load(path)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    (image,), (probabilities,) = session.get_inputs(), session.get_outputs()
    properties = {entry.key: json.loads(entry.value) for entry in model.metadata_props if "onnx." not in entry.key}

    assert (image.name, image.type, image.shape[1:]) == ("image", "tensor(float)", [24, 24, 3])
    assert (probabilities.name, probabilities.type, probabilities.shape[1:]) == ("probabilities", "tensor(float)", [3])
    assert all(isinstance(end.shape[0], str) for end in (image, probabilities))
    assert {one.domain: one.version for one in model.opset_import}[""] == 17
    assert Classifier.open(path.parent).card.artefact.notes == ("ONNX operator set 17.",)
    assert properties["class_names"] == list(NAMES)
    assert properties["preprocess"]["height"] == 24
    assert ("QuantizeLinear" in {node.op_type for node in model.graph.node}) is engine.endswith("int8")


@pytest.mark.parametrize("engine", ["openvino", "openvino-int8"])
def test_an_openvino_network_has_one_input_and_one_output_for_any_number_of_pictures(exported_run, engine):
    model = openvino.Core().read_model(_folder(exported_run, engine) / "model.xml")
    ((image,), (probabilities,)) = model.inputs, model.outputs

    assert (image.any_name, str(image.partial_shape)) == ("image", "[?,24,24,3]")
    assert (probabilities.any_name, str(probabilities.partial_shape)) == ("probabilities", "[?,3]")
    assert {end.element_type for end in (image, probabilities)} == {openvino.Type.f32}
    assert model.get_rt_info(["model_info", "labels"]).astype(str) == "checks discs stripes"
    assert ("FakeQuantize" in {step.get_type_name() for step in model.get_ops()}) is engine.endswith("int8")


def _separable_network() -> keras.Model:
    image = keras.Input((16, 16, 3), name="image")
    x = keras.layers.Conv2D(8, 3, padding="same", use_bias=False)(image)
    x = keras.layers.BatchNormalization()(x)
    x = keras.layers.ReLU(6.0)(x)
    x = keras.layers.DepthwiseConv2D(3, use_bias=False)(x)
    x = keras.layers.BatchNormalization()(x)
    x = keras.layers.GlobalAveragePooling2D()(x)
    return keras.Model(image, keras.layers.Dense(3, activation="softmax")(x))


def test_an_openvino_network_has_normalisation_and_bounds_folded_in(tmp_path):
    request = Request(NAMES, Preprocess(16, 16), "separable")

    openvino_format.write(tmp_path, _separable_network(), request)

    steps = [step.get_type_name() for step in openvino.Core().read_model(tmp_path / "model.xml").get_ops()]
    assert not {"BatchNormInference", "Multiply", "Minimum", "Maximum", "ShapeOf"}.intersection(steps)
    assert {"Convolution", "GroupConvolution", "Clamp"} <= set(steps)
    assert b"\n" not in (tmp_path / "model.xml").read_bytes().strip().partition(b"?>")[2]


def test_equal_zero_points_of_a_litert_file_stand_in_it_once():
    calibration = np.stack([draw_picture(number, 16, 16) for number in range(4)])
    converted = convert_to_int8(_separable_network(), calibration)

    packed = name_ends(converted, ["image"], ["probabilities"])

    before, after = (_tensors(content) for content in (converted, packed))
    assert [zero_point for zero_point, _ in after] == [zero_point for zero_point, _ in before]
    # One for each channel, where there are scales for each.
    assert sorted({len(zero_point) for zero_point, _ in after}) == [0, 1, 3, 8]
    per_channel = [place for zero_point, place in after if len(zero_point) == 8]
    assert len(per_channel) > 2
    assert len(set(per_channel)) == 1


def test_large_kernels_come_into_an_onnx_file_at_its_end_and_it_is_the_same(monkeypatch):
    network = _separable_network()
    pictures = np.stack([draw_picture(number, 16, 16) for number in range(4)]).astype(np.float32)
    plain = convert_to_onnx(network)

    monkeypatch.setattr(onnx_format, "LARGE", 24)
    model = convert_to_onnx(network)

    kernels = {one.name: onnx.numpy_helper.to_array(one) for one in model.graph.initializer}
    np.testing.assert_array_equal(kernels["kernel_0"], network.layers[-1].kernel)
    assert [end.name for end in model.graph.input] == ["image"]
    assert [node.op_type for node in model.graph.node] == [node.op_type for node in plain.graph.node]
    (answers,) = onnxruntime.InferenceSession(model.SerializeToString()).run(None, {"image": pictures})
    np.testing.assert_allclose(answers, network(pictures), atol=1e-6)


def test_copies_of_a_network_are_freed_while_it_becomes_onnx():
    # A dozen optimizers, each of which starts with a copy; that Python finds garbage by itself is left to no chance.
    gc.collect()
    gc.disable()
    try:
        convert_to_onnx(_separable_network())
        copies = sum(isinstance(one, Graph) for one in gc.get_objects())
    finally:
        gc.enable()

    assert 0 < copies <= 3


def _tensors(content: bytes) -> list[tuple[tuple[int, ...], int | None]]:
    """Return each tensor's zero points and where in the file they lie."""
    graph = schema.Model.GetRootAsModel(content, 0).Subgraphs(0)
    found = []
    for number in range(graph.TensorsLength()):
        quantization = graph.Tensors(number).Quantization()
        offset = quantization._tab.Offset(10)  # `zero_point` is the fourth field.
        values = tuple(quantization.ZeroPointAsNumpy()) if offset else ()
        found.append((values, quantization._tab.Vector(offset) if offset else None))
    return found


@pytest.mark.parametrize("groups", [2, 6])
def test_grouped_convolutions_and_exact_gelu_are_written_as_onnx_has_them(tmp_path, groups):
    image = keras.Input((9, 8, 6), name="image")
    x = keras.layers.Conv2D(6, 3, groups=groups, activation=exact_gelu)(image)
    network = keras.Model(image, keras.layers.Softmax()(keras.layers.GlobalAveragePooling2D()(x)))
    given = np.random.default_rng(0).normal(size=(4, 9, 8, 6)).astype(np.float32)

    model = convert_to_onnx(network)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])

    expected = keras.ops.convert_to_numpy(network(given))
    np.testing.assert_allclose(session.run(None, {"image": given})[0], expected, atol=1e-6)
    assert {node.op_type for node in model.graph.node} >= {"Conv", "Erf"}
    assert not tf.config.functions_run_eagerly()


def exact_gelu(x):
    return keras.activations.gelu(x, approximate=False)


def test_zeros_around_a_picture_count_in_a_maximum_of_negative_values(tmp_path):
    image = keras.Input((4, 4, 2), name="image")
    x = keras.layers.Conv2D(2, 1, kernel_initializer=keras.initializers.Constant(-0.5))(image)
    x = keras.layers.MaxPooling2D(3, strides=2)(keras.layers.ZeroPadding2D(1)(x))
    network = keras.Model(image, keras.layers.Flatten()(x))

    model = convert_to_onnx(network)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])

    given = np.ones((1, 4, 4, 2), np.float32)
    # Of the four windows, the last one alone has no zero in it.
    np.testing.assert_allclose(session.run(None, {"image": given})[0], [[0, 0, 0, 0, 0, 0, -1, -1]], atol=1e-30)
