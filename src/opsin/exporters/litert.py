"""The LiteRT twin: the same network for prediction without TensorFlow. TensorFlow only."""

import re
import warnings
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from opsin.catalog import require
from opsin.errors import ModelError
from opsin.exporters.at_fault import name_layers
from opsin.runtimes.base import Outputs
from opsin.runtimes.keras import with_features
from opsin.runtimes.litert import LiteRTRuntime

if TYPE_CHECKING:
    import keras

Given = TypeVar("Given")

BATCH_SIZE = 8
"""Pictures at a time: 64 large ones at once need more than 10 GB in a large network."""

ABOUT_ZERO = 1e-20
"""An output of which no value is larger is zero; what float32 holds below it loses digits."""


def convert(network: "keras.Model") -> bytes:
    """Return a network as a LiteRT file with the outputs logits and features, and any batch size.

    Only LiteRT's built-in operations are used.

    Args:
        network: float32 (N, h, w, c), 0 to 255 → logits (N, k) or (N, 1).

    Raises:
        ModelError: the network holds an operation that LiteRT has not.
    """
    return convert_outputs(with_features(network))


def convert_outputs(network: "keras.Model") -> bytes:
    """Return a network, or a part of one, as a LiteRT file with all its outputs, and any batch size.

    Args:
        network: float32 (N, h, w, c), 0 to 255 → one or more outputs.

    Raises:
        ModelError: the network holds an operation that LiteRT has not.
    """
    content = _saying_why(network, lambda: _converter(network).convert())
    return name_ends(content, ["image"], [f"output_{number}" for number in range(len(network.outputs))])


def convert_to_int8(network: "keras.Model", calibration: np.ndarray) -> bytes:
    """Return a network as a LiteRT file that computes in 8-bit integers throughout, its ends uint8.

    Args:
        network: float32 (N, h, w, c), 0 to 255 → one or more outputs.
        calibration: uint8 (n, h, w, c), 0 to 255, pictures of the kind that it will see: they tell the range of
            each tensor.

    Raises:
        ModelError: the network holds an operation that LiteRT has not in 8 bits.
    """
    tensorflow = require("tensorflow", "writing a LiteRT file")
    converter = _saying_why(network, lambda: _converter(network))
    converter.optimizations = [tensorflow.lite.Optimize.DEFAULT]
    # A picture that has both ends of the range: a step of the input is then one step of a pixel.
    whole_range = np.zeros_like(calibration[:1])
    whole_range[:, ::2] = 255
    pictures = np.concatenate([whole_range, calibration])
    converter.representative_dataset = lambda: ([image[None].astype(np.float32)] for image in pictures)
    converter.target_spec.supported_ops = [tensorflow.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = converter.inference_output_type = tensorflow.uint8
    with warnings.catch_warnings():
        # Of statistics that only its older kind of quantization takes.
        warnings.filterwarnings("ignore", "Statistics for quantized inputs")
        return _saying_why(network, converter.convert)


def _converter(network: "keras.Model") -> Any:
    tensorflow = require("tensorflow", "writing a LiteRT file")
    count = len(network.outputs)

    @tensorflow.function(autograph=False)
    def infer(image: "tensorflow.Tensor") -> tuple:
        outputs = network(image, training=False)
        return tuple(outputs) if count > 1 else (outputs,)

    specification = tensorflow.TensorSpec((None, *network.input_shape[1:]), tensorflow.float32, name="image")
    converter = tensorflow.lite.TFLiteConverter.from_concrete_functions(
        [infer.get_concrete_function(specification)], network
    )
    # Else it saves and loads a SavedModel first, which takes twice as long as all the rest.
    converter.experimental_lower_to_saved_model = False
    return converter


def _saying_why(network: "keras.Model", convert: Callable[[], Given]) -> Given:
    try:
        return convert()
    except Exception as error:
        foreign = set(re.findall(r"'tf\.(\w+)' op is neither", str(error)))
        if not foreign:
            why = f"it cannot take this network: {error}"
            raise ModelError(f"Expected operations that LiteRT has; {why}{name_layers(network)}") from error
        nodes = _nodes(network, foreign)
        raise ModelError(
            f"Expected operations that LiteRT has; it has none for {', '.join(sorted(foreign))}."
            f"{name_layers(network, nodes)}"
        ) from error


def _nodes(network: "keras.Model", operations: set[str]) -> list[str]:
    """Return the names of a network's graph nodes that are of these TensorFlow operations."""
    tensorflow = require("tensorflow", "writing a LiteRT file")
    function = tensorflow.function(lambda image: network(image, training=False), autograph=False)
    graph = function.get_concrete_function(tensorflow.TensorSpec((None, *network.input_shape[1:]))).graph
    return [node.name for node in graph.get_operations() if node.type in operations]


def name_ends(content: bytes, inputs: Sequence[str], outputs: Sequence[str]) -> bytes:
    """Return a LiteRT file with names for its inputs and outputs: a signature, by which any LiteRT finds them.

    Args:
        content: the file.
        inputs: a name for each input, in the file's order.
        outputs: a name for each output, in the file's order.
    """
    from ai_edge_litert import schema_py_generated as schema

    def named(names: Sequence[str], indices: Iterable[int]) -> list:
        ends = [schema.TensorMapT() for _ in names]
        for end, name, index in zip(ends, names, indices, strict=True):
            end.name, end.tensorIndex = name, int(index)
        return ends

    model = schema.ModelT.InitFromObj(schema.Model.GetRootAsModel(content, 0))
    signature = schema.SignatureDefT()
    signature.signatureKey, signature.subgraphIndex = "serving_default", 0
    signature.inputs = named(inputs, model.subgraphs[0].inputs)
    signature.outputs = named(outputs, model.subgraphs[0].outputs)
    model.signatureDefs = [signature]
    return packed(model, len(content))


def packed(model: Any, size: int) -> bytes:
    """Return a network of LiteRT's schema (`ModelT`) as a file, in which equal zero points stand once.

    TensorFlow's converter writes a zero point for each channel of each quantized tensor, 8 bytes of zeros: a tenth
    of an 8-bit MobileNetV2. In a FlatBuffer, tensors may share one vector.

    Args:
        model: the network.
        size: how many bytes it took before a few were added; a buffer of more than 1 GiB cannot grow.
    """
    import flatbuffers

    class Builder(flatbuffers.Builder):
        def __init__(self) -> None:
            super().__init__(size + 4096)
            self._written: dict[bytes, int] = {}

        def CreateNumpyVector(self, x: np.ndarray) -> int:  # noqa: N802 - its name in FlatBuffers
            # Nothing but zero points is of this type; weights that are alike today may be replaced one by one.
            if x.dtype != np.int64:
                return super().CreateNumpyVector(x)
            if x.tobytes() not in self._written:
                self._written[x.tobytes()] = super().CreateNumpyVector(x)
            return self._written[x.tobytes()]

    builder = Builder()
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def replace_arrays(content: bytes, arrays: Iterable[tuple[np.ndarray, np.ndarray]]) -> bytes | None:
    """Return a LiteRT file with other numbers in the place of some, so that a new head needs no new conversion.

    Args:
        content: the file.
        arrays: pairs of float32 arrays: what stands in the file, and what shall stand there, of the same size.

    Returns:
        The new file; None where one of the old arrays does not stand in it exactly once.
    """
    changed = bytearray(content)
    for old, new in arrays:
        if old.size != new.size or content.count(old.astype("<f4").tobytes()) != 1:
            return None
        start = content.index(old.astype("<f4").tobytes())
        changed[start : start + 4 * old.size] = new.astype("<f4").tobytes()
    return bytes(changed)


def largest_difference(source: Outputs, content: bytes, images: np.ndarray) -> float:
    """Return by how much the twin's logits and features differ from the network's, at most.

    Args:
        source: what the network itself gives for the images (`run_source`).
        content: the LiteRT file.
        images: float32 (N, h, w, c), 0 to 255.

    Returns:
        The largest absolute difference, as a fraction of the largest absolute value of that output: 1 for a
        twin that gives zeros.

    Raises:
        ModelError: the twin cannot be opened or run.
    """
    twin = _run_twin(content, images)
    differences = []
    for expected, received in ((source.logits, twin.logits), (source.features, twin.features)):
        scale = max(ABOUT_ZERO, float(np.abs(expected).max()))
        differences.append(float(np.abs(expected - received).max()) / scale)
    return float(np.max(differences))  # Not Python's `max`, which may pass over what is not a number.


def run_source(network: "keras.Model", images: np.ndarray) -> Outputs:
    """Run a network in Keras, on the CPU: GPUs compute in TF32, which keeps 3 digits, unless told otherwise.

    Args:
        network: float32 (N, h, w, c), 0 to 255 → logits (N, k) or (N, 1).
        images: what it shall see, N ≥ 1.
    """
    keras = require("keras", "running a network")
    two_outputs = with_features(network)
    with keras.device("cpu"):
        # Each layer by itself, as a network runs that is called, takes several times as long.
        parts = [two_outputs.predict_on_batch(batch) for batch in _batches(images)]
    return Outputs(*(np.concatenate(one).astype(np.float32) for one in zip(*parts, strict=True)))


def _run_twin(content: bytes, images: np.ndarray) -> Outputs:
    twin = LiteRTRuntime(content)
    try:
        parts = [twin.run(batch) for batch in _batches(images)]
    except (ValueError, RuntimeError) as error:
        raise ModelError(f"Expected a LiteRT network that runs; running it failed: {error}") from error
    return Outputs(
        np.concatenate([part.logits for part in parts]),
        np.concatenate([part.features for part in parts]),
    )


def _batches(images: np.ndarray) -> list[np.ndarray]:
    return [images[start : start + BATCH_SIZE] for start in range(0, len(images), BATCH_SIZE)]
