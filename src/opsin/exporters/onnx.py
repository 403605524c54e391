"""Exports in ONNX's format: one input, one output, any batch size."""

import contextlib
import gc
import json
import logging
import math
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from opsin.catalog import require
from opsin.errors import ModelError
from opsin.exporters.at_fault import name_layers
from opsin.exporters.written import IMAGE, Request, Written, ends_of, outputs_of

if TYPE_CHECKING:
    import keras

FILE = "model.onnx"
OPSET = 17
LARGE = 250_000
"""Numbers in the kernel of a large dense layer."""

# Those that bound their values have to be among them: else the range is that of what comes in.
IN_8_BITS = ["Conv", "Gemm", "MatMul", "Add", "Mul", "Concat", "Clip", "Relu", "Pad"]
IN_8_BITS += ["GlobalAveragePool", "AveragePool", "MaxPool"]


def write(folder: Path, network: "keras.Model", request: Request) -> Written:
    """Write `model.onnx`.

    Args:
        folder: where to.
        network: float32 (N, h, w, c), 0 to 255 → probabilities (N, k).
        request: what is to be written.

    Raises:
        ModelError: the network holds an operation that ONNX has not.
        MissingPackageError: tf2onnx, or for 8-bit integers ONNX Runtime, is not installed.
    """
    model = convert_to_onnx(network)
    for key, value in _metadata(request).items():
        entry = model.metadata_props.add()
        entry.key, entry.value = key, value
    (folder / FILE).write_bytes(model.SerializeToString())
    if request.int8:
        _quantize(folder / FILE, request.calibration)
    return Written(FILE, *ends_of(request), notes=(f"ONNX operator set {OPSET}.",))


def convert_to_onnx(network: "keras.Model") -> Any:
    """Return a network as an ONNX model (`onnx.ModelProto`).

    Args:
        network: float32 (N, h, w, c), 0 to 255 → probabilities (N, k).

    Raises:
        ModelError: the network holds an operation that ONNX has not.
        MissingPackageError: tf2onnx is not installed.
    """
    tensorflow = require("tensorflow", "writing an ONNX file")
    converter = require("tf2onnx", "writing an ONNX file")
    onnx = require("onnx", "writing an ONNX file")
    logging.getLogger("tf2onnx").setLevel(logging.CRITICAL)

    names = outputs_of(network)
    kernels = _large_kernels(network)
    infer, ends = _traceable(tensorflow, network, names, kernels)
    try:
        with _inlined(tensorflow), _collected(require("tf2onnx.optimizer", "writing an ONNX file")):
            model, _ = converter.convert.from_function(
                infer, ends, opset=OPSET, custom_op_handlers={"Erfc": (_write_erfc, [])}
            )
    except Exception as error:
        why = f"it cannot take this network: {error}"
        raise ModelError(f"Expected operations that ONNX has; {why}{name_layers(network)}") from error
    # tf2onnx writes down what it has no translation for as it is, for runtimes that might have been taught it.
    foreign = [node for node in model.graph.node if not onnx.defs.has(node.op_type, node.domain)]
    if foreign:
        operations = ", ".join(sorted({node.op_type for node in foreign}))
        layers = name_layers(network, [node.name for node in foreign])
        raise ModelError(f"Expected operations that ONNX has; it has none for {operations}.{layers}")
    captures = infer.get_concrete_function(*ends).graph.captures
    caught = {placeholder.name: tensor for tensor, placeholder in captures}
    _fill_in_constants(onnx, model, caught | {name: kernel.value for name, kernel in kernels.items()})
    # TensorFlow brings a dict into the order of its keys.
    for end, name in zip(model.graph.output, sorted(names), strict=True):
        _rename_output(model, end, name)
    _keep_zeros(onnx, model)
    try:
        onnx.checker.check_model(model)
    except onnx.checker.ValidationError as error:
        why = f"its checker refuses this network: {error}"
        raise ModelError(f"Expected operations that ONNX has; {why}{name_layers(network)}") from error
    return model


def _large_kernels(network: "keras.Model") -> dict[str, Any]:
    """Return the kernels of large dense layers, by the name that each has in the graph.

    A number is copied nearly 20 times on its way from a variable to the file, so these, most of a large network, come
    in at its end: until then they are inputs. Kernels of convolutions do not, as ONNX has their axes in another order.
    """
    large = [one for one in network.variables if len(one.shape) == 2 and math.prod(one.shape) >= LARGE]
    return {f"kernel_{number}": variable for number, variable in enumerate(large)}


def _traceable(tensorflow: Any, network: "keras.Model", names: list[str], kernels: dict[str, Any]) -> tuple[Any, tuple]:
    """Return a network as a function of its image and of some of its kernels, and what it takes."""

    @tensorflow.function(autograph=False)
    def infer(image: "tensorflow.Tensor", given: dict) -> dict:
        values = {id(variable): given[name] for name, variable in kernels.items()}
        kinds = (network.trainable_variables, network.non_trainable_variables)
        weights = [[values.get(id(one), one.value) for one in kind] for kind in kinds]
        outputs, _ = network.stateless_call(*weights, image, training=False)
        return dict(zip(names, outputs if len(names) > 1 else [outputs], strict=True))

    image = tensorflow.TensorSpec((None, *network.input_shape[1:]), tensorflow.float32, name=IMAGE)
    return infer, (image, {name: tensorflow.TensorSpec(one.shape, one.dtype, name) for name, one in kernels.items()})


@contextlib.contextmanager
def _inlined(tensorflow: Any) -> Iterator[None]:
    """Let functions within a function be traced as if they stood there: tf2onnx takes no calls.

    Keras has grouped convolutions in a function of their own, for XLA to compile.
    """
    before = tensorflow.config.functions_run_eagerly()
    tensorflow.config.run_functions_eagerly(True)
    try:
        yield
    finally:
        tensorflow.config.run_functions_eagerly(before)


@contextlib.contextmanager
def _collected(optimizer: Any) -> Iterator[None]:
    """Free the network's copy that each of tf2onnx's two dozen optimizers leaves behind.

    Their nodes hold each other in circles, and Python looks for those too seldom beside TensorFlow's many objects:
    6.9 GB for a ResNet50 of 0.1 GB.
    """
    base = optimizer.optimizer_base.GraphOptimizerBase
    optimize = base.optimize

    def collect_and_optimize(*arguments: Any) -> Any:
        gc.collect()
        return optimize(*arguments)

    # What was there before is not looked through each time.
    gc.freeze()
    base.optimize = collect_and_optimize
    try:
        yield
    finally:
        base.optimize = optimize
        gc.unfreeze()


def _write_erfc(graph: Any, node: Any, name: str, arguments: list) -> None:
    """Write the complement of the error function, which ONNX has not, as 1 - erf(x); GELU is made of it."""
    shapes, dtypes = node.output_shapes, node.output_dtypes
    graph.remove_node(node.name)
    one = graph.make_const(f"{name}/one", np.array(1, dtype=np.float32))
    erf = graph.make_node("Erf", [node.input[0]], name=f"{name}/erf", shapes=shapes, dtypes=dtypes)
    ends = [one.output[0], erf.output[0]]
    graph.make_node("Sub", ends, name=name, outputs=node.output, shapes=shapes, dtypes=dtypes)


def _fill_in_constants(onnx: Any, model: Any, values: dict[str, Any]) -> None:
    """Put numbers into the graph where tf2onnx leaves open inputs.

    A `Normalization` layer's mean and variance are such numbers, which a function has caught on its way: without this,
    ONNX Runtime asks for them.

    Args:
        onnx: the module.
        model: an `onnx.ModelProto`.
        values: tensors and variables, by input.
    """
    for end in [end for end in model.graph.input if end.name != IMAGE]:
        value = values.get(end.name)
        if value is None or not value.dtype.is_numpy_compatible:
            raise ModelError(f"Expected one input, {IMAGE!r}; the network also wants {end.name!r}.")
        model.graph.initializer.append(onnx.numpy_helper.from_array(value.numpy(), end.name))
        model.graph.input.remove(end)


def _keep_zeros(onnx: Any, model: Any) -> None:
    """Keep ONNX Runtime from making zeros around a picture the pooling's own padding, which no value is less than.

    Of values below zero, as in the second residual networks, the largest would be another. It does so with zeros only:
    the smallest number there is stands for them.
    """
    readers = {name: node.op_type for node in model.graph.node for name in node.input}
    pads = [node for node in model.graph.node if node.op_type == "Pad" and readers.get(node.output[0]) != "Conv"]
    values = {constant.name: constant for constant in model.graph.initializer}
    smallest = onnx.numpy_helper.from_array(np.array(np.finfo(np.float32).tiny), "almost_zero")
    for node in pads:
        value = node.input[2] if len(node.input) > 2 else ""
        mode = next((given.s for given in node.attribute if given.name == "mode"), b"constant")
        zeros = not value or (value in values and not onnx.numpy_helper.to_array(values[value]).any())
        if mode == b"constant" and zeros:
            node.input[2:] = [smallest.name, *node.input[3:]]
            if smallest.name not in values:
                values[smallest.name] = smallest
                model.graph.initializer.append(smallest)


def _rename_output(model: Any, end: Any, name: str) -> None:
    for node in model.graph.node:
        for names in (node.input, node.output):
            names[:] = [name if one == end.name else one for one in names]
    end.name = name


def _metadata(request: Request) -> dict[str, str]:
    return {
        "class_names": json.dumps(list(request.class_names)),
        "preprocess": json.dumps(request.preprocess.to_dict()),
    }


def _quantize(path: Path, calibration: np.ndarray) -> None:
    """Give a float network 8-bit integers: quantize and dequantize nodes around each convolution and product."""
    require("onnxruntime", "writing an ONNX file of 8-bit integers")
    from onnxruntime import quantization
    from onnxruntime.quantization.shape_inference import quant_pre_process

    prepared = path.with_suffix(".prepared.onnx")
    quant_pre_process(str(path), str(prepared), skip_symbolic_shape=True)
    quantization.quantize_static(
        str(prepared),
        str(path),
        _reader(quantization, calibration),
        quant_format=quantization.QuantFormat.QDQ,
        op_types_to_quantize=IN_8_BITS,
        per_channel=True,
        activation_type=quantization.QuantType.QUInt8,
        # Of signed weights, processors without VNNI add products up in 16 bits, which overflow.
        weight_type=quantization.QuantType.QUInt8,
        calibrate_method=quantization.CalibrationMethod.MinMax,
    )
    prepared.unlink()


def _reader(quantization: Any, calibration: np.ndarray) -> Any:
    class Reader(quantization.CalibrationDataReader):
        def __init__(self):
            self.images = iter(calibration)

        def get_next(self) -> dict[str, np.ndarray] | None:
            image = next(self.images, None)
            return None if image is None else {IMAGE: image[None].astype(np.float32)}

    return Reader()
