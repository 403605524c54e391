"""Writing networks down in other formats, each proved to give the same answers before it is delivered.

A format is written as `write(folder, network, request)`; it returns what `opsin.model_folder.Artefact` says of the
network's ends.
"""

FORMATS = {
    "saved_model": "opsin.exporters.saved_model:write",
    "litert": "opsin.exporters.litert_file:write",
    "onnx": "opsin.exporters.onnx:write",
    "openvino": "opsin.exporters.openvino:write",
}

PAGES = {"browser": "onnx"}
"""Formats that are another one with a page around it, that runs it in a browser."""

IN_INT8 = ("litert", "onnx", "openvino")
"""Formats of networks that are also written in 8-bit integers."""
