"""Exports in LiteRT's format: one file with built-in operations only, any batch size, class names inside."""

from pathlib import Path

from opsin.exporters.litert import convert_outputs, convert_to_int8, name_ends
from opsin.exporters.litert_metadata import with_metadata
from opsin.exporters.written import IMAGE, Request, Written, ends_of, outputs_of

FILE = "model.tflite"


def write(folder: Path, network, request: Request) -> Written:
    """Write `model.tflite`.

    Args:
        folder: where to.
        network: float32 (N, h, w, c), 0 to 255 → probabilities (N, k).
        request: what is to be written.

    Raises:
        ModelError: the network holds an operation that LiteRT has not.
    """
    content = convert_to_int8(network, request.calibration) if request.int8 else convert_outputs(network)
    image, probabilities = ends_of(request, dtype="uint8" if request.int8 else "float32")
    content = name_ends(content, [IMAGE], outputs_of(network))
    (folder / FILE).write_bytes(with_metadata(content, request, outputs_of(network)))
    notes = ("A probability is its output divided by 256.",) if request.int8 else ()
    return Written(FILE, image, probabilities, notes)
