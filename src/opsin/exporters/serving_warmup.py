"""Requests that TensorFlow Serving answers to itself before it opens a model to others, so that the first is quick.

They are `tensorflow.serving.PredictionLog` messages in a TFRecord file. TensorFlow does not bring that message; its
few fields are written here as Protocol Buffers' wire format says (tensorflow/serving: `prediction_log.proto`,
`predict.proto`, `model.proto`).
"""

from pathlib import Path

from opsin.catalog import require
from opsin.exporters.serving_graph import reads_files
from opsin.exporters.written import IMAGE, Request
from opsin.images.drawing import draw_picture

FILE = "tf_serving_warmup_requests"

# Numbers of the messages' fields.
_PREDICT_LOG, _REQUEST, _MODEL, _INPUTS, _NAME, _SIGNATURE, _KEY, _VALUE = 6, 1, 1, 2, 1, 3, 1, 2


def write_warmup(folder: Path, request: Request) -> None:
    """Write a request for each signature that predicts.

    Args:
        folder: the SavedModel's `assets.extra`.
        request: what was exported.
    """
    tensorflow = require("tensorflow", "writing a SavedModel")
    height, width, channels = request.preprocess.shape
    picture = draw_picture(0, height, width)
    inputs = {"serving_default": (IMAGE, tensorflow.constant(picture[None, :, :, :channels], tensorflow.float32))}
    if reads_files(request.preprocess):
        inputs["serve_bytes"] = ("image_bytes", tensorflow.io.encode_png(picture)[None])
    folder.mkdir()
    with tensorflow.io.TFRecordWriter(str(folder / FILE)) as writer:
        for signature, (name, tensor) in inputs.items():
            content = tensorflow.make_tensor_proto(tensor).SerializeToString()
            writer.write(_prediction_log(request.name, signature, name, content))


def _prediction_log(model: str, signature: str, name: str, tensor: bytes) -> bytes:
    specification = _field(_NAME, model.encode()) + _field(_SIGNATURE, signature.encode())
    entry = _field(_KEY, name.encode()) + _field(_VALUE, tensor)
    return _field(_PREDICT_LOG, _field(_REQUEST, _field(_MODEL, specification) + _field(_INPUTS, entry)))


def _field(number: int, content: bytes) -> bytes:
    """Write one field of bytes: its number and kind, its length, itself."""
    return _number(number << 3 | 2) + _number(len(content)) + content


def _number(value: int) -> bytes:
    low, high = value & 0x7F, value >> 7
    return bytes([low | 0x80]) + _number(high) if high else bytes([low])
