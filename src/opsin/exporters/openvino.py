"""Exports in OpenVINO's format: `model.xml` and its numbers in `model.bin`, one input, one output."""

import contextlib
import re
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from opsin.catalog import require
from opsin.errors import ModelError
from opsin.exporters.onnx import convert_to_onnx
from opsin.exporters.written import Request, Written, ends_of

if TYPE_CHECKING:
    import keras

FILE = "model.xml"


def write(folder: Path, network: "keras.Model", request: Request) -> Written:
    """Write `model.xml` and `model.bin`.

    The way leads through ONNX: OpenVINO's own reader of Keras graphs gives dozens of outputs for some of them.

    Args:
        folder: where to.
        network: float32 (N, h, w, c), 0 to 255 → probabilities (N, k).
        request: what is to be written.

    Raises:
        ModelError: the network holds an operation that OpenVINO has not.
        MissingPackageError: OpenVINO, tf2onnx, or for 8-bit integers NNCF, is not installed.
    """
    openvino = require("openvino", "writing an OpenVINO network")
    model = convert_to_openvino(convert_to_onnx(network).SerializeToString())
    if len(model.outputs) != len(network.outputs):
        raise ModelError(
            f"Expected {len(network.outputs)} outputs from OpenVINO's reader; it gives {len(model.outputs)}."
        )
    if request.int8:
        model = _quantize(model, request.calibration)
    # Where OpenVINO's own tools look for them.
    model.set_rt_info(" ".join(name.replace(" ", "_") for name in request.class_names), ["model_info", "labels"])
    kind = "Segmentation" if request.per_pixel else "Classification"
    model.set_rt_info(kind, ["model_info", "model_type"])
    openvino.save_model(model, folder / FILE, compress_to_fp16=False)
    # A third of it is indentation, which an 8-bit network of a few MB feels.
    topology = (folder / FILE).read_bytes()
    (folder / FILE).write_bytes(re.sub(rb">\s+<", b"><", topology))
    return Written(FILE, *ends_of(request))


def convert_to_openvino(content: bytes) -> Any:
    """Return a network as OpenVINO has it (`openvino.Model`).

    Args:
        content: an ONNX file.

    Raises:
        ModelError: it holds an operation that OpenVINO has not.
        MissingPackageError: OpenVINO is not installed.
    """
    openvino = require("openvino", "writing an OpenVINO network")
    with tempfile.TemporaryDirectory() as temporary:
        # From bytes OpenVINO cannot tell that a large network's format is ONNX.
        path = Path(temporary) / "model.onnx"
        path.write_bytes(content)
        try:
            # `Core.read_model` would give ONNX's operations one by one; this folds batch normalisation, shapes and
            # bounds into what they belong to.
            return openvino.convert_model(path)
        except Exception as error:
            raise ModelError(f"Expected operations that OpenVINO has; it cannot take this network: {error}") from error


def _quantize(model: Any, calibration: np.ndarray) -> Any:
    nncf = require("nncf", "writing an OpenVINO network of 8-bit integers")
    nncf.set_log_level(40)
    pictures = nncf.Dataset([image[None].astype(np.float32) for image in calibration])
    # Its progress bars are no part of what a command gives.
    with contextlib.redirect_stdout(sys.stderr):
        return nncf.quantize(model, pictures, subset_size=len(calibration), preset=nncf.QuantizationPreset.MIXED)
