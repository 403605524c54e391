"""Exports as SavedModels: three signatures for TensorFlow Serving, which takes them as they are.

- `serving_default`: `image` float32 (N, h, w, c), 0 to 255, preprocessed → `probabilities` float32 (N, k); and
  `features` float32 (N, d) where they are asked for.
- `serve_bytes`: `image_bytes` string (N), whole picture files → `probabilities`. Decoded and resized in the graph.
- `classify`: `inputs` string (N), serialized `tf.Example` with the file in `image/encoded` → `classes` string (N, k),
  `scores` float32 (N, k), most probable first.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from opsin.catalog import require
from opsin.errors import ModelError
from opsin.exporters.at_fault import name_layers
from opsin.exporters.serving_graph import limits_of, reads_files, tensor_from_bytes
from opsin.exporters.serving_warmup import write_warmup
from opsin.exporters.written import IMAGE, PROBABILITIES, Request, Written, ends_of, outputs_of
from opsin.runtimes.saved_model_operations import require_harmless

if TYPE_CHECKING:
    import keras

ENCODED = "image/encoded"


def write(folder: Path, network: "keras.Model", request: Request) -> Written:
    """Write the SavedModel into `folder`, with records that warm TensorFlow Serving up.

    Args:
        folder: where to.
        network: float32 (N, h, w, c), 0 to 255 → probabilities (N, k), perhaps features (N, d).
        request: what is to be written.

    Raises:
        ModelError: TensorFlow cannot save the network, or an operation in it could do more than compute.
    """
    tensorflow = require("tensorflow", "writing a SavedModel")
    # Keras's own `ExportArchive` would write every weight twice.
    module = tensorflow.Module()
    module.weights = [variable.value for variable in network.variables]
    signatures = {
        name: tensorflow.function(function, input_signature=[specification], autograph=False)
        for name, (function, specification) in _signatures(tensorflow, network, request).items()
    }
    try:
        tensorflow.saved_model.save(module, str(folder), signatures)
    except (ValueError, TypeError, RuntimeError, AssertionError) as error:
        why = f"it cannot: {error}{name_layers(network)}"
        raise ModelError(f"Expected a network that TensorFlow can save; {why}") from error
    try:
        require_harmless(folder)
    except ModelError as error:
        raise ModelError(
            "Expected a network of operations that only compute, so that anyone may load it; some are not known to do "
            f"so.{name_layers(network)} ({error})"
        ) from error
    if "classify" in signatures:
        _mark_as_classifier(folder)
    write_warmup(folder / "assets.extra", request)
    return Written(".", *ends_of(request), notes=tuple(limits_of(request.preprocess)))


def _signatures(tensorflow: Any, network: "keras.Model", request: Request) -> dict[str, tuple[Any, Any]]:
    shape, strings, names = (None, *request.preprocess.shape), (None,), outputs_of(network)

    def serving_default(image: Any) -> dict:
        outputs = network(image, training=False)
        return dict(zip(names, outputs if len(names) > 1 else [outputs], strict=True))

    found = {"serving_default": (serving_default, tensorflow.TensorSpec(shape, tensorflow.float32, name=IMAGE))}
    if not reads_files(request.preprocess):
        return found

    def of_files(files: Any) -> Any:
        outputs = network(tensor_from_bytes(files, request.preprocess), training=False)
        return outputs[0] if len(names) > 1 else outputs

    def serve_bytes(image_bytes: Any) -> dict:
        return {PROBABILITIES: of_files(image_bytes)}

    def classify(inputs: Any) -> dict:
        column = {ENCODED: tensorflow.io.FixedLenFeature([], tensorflow.string)}
        probabilities = of_files(tensorflow.io.parse_example(inputs, column)[ENCODED])
        scores, order = tensorflow.math.top_k(probabilities, k=len(request.class_names))
        return {"classes": tensorflow.gather(tensorflow.constant(request.class_names), order), "scores": scores}

    found["serve_bytes"] = (serve_bytes, tensorflow.TensorSpec(strings, tensorflow.string, name="image_bytes"))
    if request.per_pixel:
        return found
    return {
        **found,
        "classify": (classify, tensorflow.TensorSpec(strings, tensorflow.string, name="inputs")),
    }


def _mark_as_classifier(folder: Path) -> None:
    """Say that `classify` is one: TensorFlow Serving's `:classify` takes no signature that is called a prediction."""
    from tensorflow.core.protobuf import saved_model_pb2

    path = folder / "saved_model.pb"
    program = saved_model_pb2.SavedModel.FromString(path.read_bytes())
    for graph in program.meta_graphs:
        graph.signature_def["classify"].method_name = "tensorflow/serving/classify"
    path.write_bytes(program.SerializeToString(deterministic=True))
