"""OpenVINO: runs exports in OpenVINO's format, on the CPU."""

from pathlib import Path

import numpy as np

from opsin.catalog import require
from opsin.errors import ModelError
from opsin.images.reading import usable_cores
from opsin.model_folder import Artefact, ModelCard, read_proved
from opsin.runtimes.base import Outputs, as_input, outputs_of


class OpenVinoRuntime:
    """An exported network in OpenVINO.

    Args:
        topology: the bytes of the XML file.
        weights: the bytes of the file beside it.
        artefact: what the export's card says of it.
        threads: how many threads one call may use; None for the cores this process may use. OpenVINO itself would
            take the machine's, whatever a container allows (openvino#37838).

    Raises:
        ModelError: OpenVINO cannot read it, or it does not give what the card says.
    """

    def __init__(self, topology: bytes, weights: bytes, artefact: Artefact, threads: int | None = None):
        openvino = require("openvino", "running an OpenVINO network")
        core = openvino.Core()
        properties = {
            # On processors with AMX it would compute in bfloat16, which keeps three digits.
            "INFERENCE_PRECISION_HINT": "f32",
            "INFERENCE_NUM_THREADS": threads or usable_cores(),
            "PERFORMANCE_HINT": "LATENCY",
        }
        try:
            model = core.read_model(topology, weights)
            self._network = core.compile_model(model, "CPU", properties)
        except RuntimeError as error:
            reason = str(error).strip().splitlines()[-1]
            raise ModelError(
                f"Expected a network that OpenVINO can open; it cannot: {reason}. Export it again."
            ) from error
        self._outputs = [artefact.output.name, *([artefact.features] if artefact.features else [])]
        if len(model.outputs) != len(self._outputs):
            raise ModelError(
                f"Expected {' and '.join(self._outputs)} as output; this OpenVINO network has {len(model.outputs)} "
                "outputs. Export it again."
            )
        self._dtype = artefact.input.dtype
        self.input_shape = tuple(artefact.input.shape[1:])

    def run(self, images: np.ndarray) -> Outputs:
        """Run the network on uint8 or float32 (N, h, w, c), 0 to 255, N ≥ 1."""
        # A request of its own for each call: threads may call at the same time.
        request = self._network.create_infer_request()
        received = request.infer([as_input(images, self._dtype)])
        # A single one may have lost its name where it was quantized.
        ends = [0] if len(self._outputs) == 1 else self._outputs
        return outputs_of(*(received[end] for end in ends))


def open_openvino(folder: Path, card: ModelCard, threads: int | None = None) -> OpenVinoRuntime:
    """Open an export in OpenVINO's format.

    Args:
        folder: the export's folder.
        card: its card.
        threads: how many threads one call may use; None for the cores this process may use.

    Raises:
        ModelError: a file is missing or altered, or OpenVINO cannot open it.
        MissingPackageError: OpenVINO is not installed.
    """
    topology = read_proved(folder, card.artefact.file, card)
    weights = read_proved(folder, str(Path(card.artefact.file).with_suffix(".bin")), card)
    return OpenVinoRuntime(topology, weights, card.artefact, threads)
