"""Running a finished network: one interface, one file a runtime.

A runtime is opened as `open(folder, card, threads)` from a model folder or an export, and runs as `base.Runtime` says.
"""

from importlib.util import find_spec

RUNTIMES = {
    "litert": "opsin.runtimes.litert:open_litert",
    "keras": "opsin.runtimes.keras:open_keras",
    "onnx": "opsin.runtimes.onnx:open_onnx",
    "openvino": "opsin.runtimes.openvino:open_openvino",
    "saved_model": "opsin.runtimes.saved_model:open_saved_model",
}

PACKAGES = {
    "litert": ("ai_edge_litert",),
    "keras": ("keras", "tensorflow"),
    "onnx": ("onnxruntime",),
    "openvino": ("openvino",),
    "saved_model": ("tensorflow",),
}
"""What each of them imports."""

INT8 = "-int8"
"""Behind a runtime's name: the export of 8-bit integers."""

IN_THE_MODEL = ("litert", "keras")
"""Runtimes of what is in a model folder itself; the others run its exports."""

ENGINES = (*RUNTIMES, *(name + INT8 for name in ("litert", "onnx", "openvino")))
"""What a model can be run by: a runtime, on the float network or on that of 8-bit integers."""


def is_installed(engine: str) -> bool:
    """Tell whether what an engine imports is installed; nothing is loaded."""
    return all(find_spec(package) is not None for package in PACKAGES[engine.removesuffix(INT8)])
