"""ONNX Runtime: runs exports in ONNX's format, on the CPU."""

from pathlib import Path

import numpy as np

from opsin.catalog import require
from opsin.errors import ModelError
from opsin.images.reading import usable_cores
from opsin.model_folder import Artefact, ModelCard, read_proved
from opsin.runtimes.base import Outputs, as_input, outputs_of


class OnnxRuntime:
    """An exported network in ONNX Runtime.

    Args:
        content: the file's bytes.
        artefact: what the export's card says of it.
        threads: how many threads one call may use; None for the cores this process may use.

    Raises:
        ModelError: ONNX Runtime cannot read the file, or it takes something else than one tensor of pictures.
    """

    def __init__(self, content: bytes, artefact: Artefact, threads: int | None = None):
        runtime = require("onnxruntime", "running an ONNX file")
        options = runtime.SessionOptions()
        options.intra_op_num_threads = threads or usable_cores()
        options.inter_op_num_threads = 1
        options.log_severity_level = 3  # Errors only: what else it says is about its own choices.
        try:
            self._session = runtime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
        except Exception as error:
            # Its errors have no class of their own that could be named here.
            raise ModelError(
                f"Expected a network that ONNX Runtime can open; it cannot: {_first_line(error)}. Export it again."
            ) from error
        names = [end.name for end in self._session.get_inputs()]
        if names != [artefact.input.name]:
            raise ModelError(
                f"Expected one input, {artefact.input.name!r}; this ONNX file wants {names}. Export it again."
            )
        self._input = artefact.input
        self._outputs = [artefact.output.name, *([artefact.features] if artefact.features else [])]
        self.input_shape = tuple(artefact.input.shape[1:])

    def run(self, images: np.ndarray) -> Outputs:
        """Run the network on uint8 or float32 (N, h, w, c), 0 to 255, N ≥ 1."""
        feeds = {self._input.name: as_input(images, self._input.dtype)}
        return outputs_of(*self._session.run(self._outputs, feeds))


def open_onnx(folder: Path, card: ModelCard, threads: int | None = None) -> OnnxRuntime:
    """Open an export in ONNX's format.

    Args:
        folder: the export's folder.
        card: its card.
        threads: how many threads one call may use; None for the cores this process may use.

    Raises:
        ModelError: the file is missing or altered, or ONNX Runtime cannot open it.
        MissingPackageError: ONNX Runtime is not installed.
    """
    return OnnxRuntime(read_proved(folder, card.artefact.file, card), card.artefact, threads)


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0]
